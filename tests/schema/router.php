<?php
// PHP's own web server in front of MediaWiki: /index.php/Title and /rest.php/path.
foreach ( [ 'index', 'rest', 'api', 'load' ] as $name ) {
	if ( preg_match( "!^/$name\\.php(/.*)?\$!", parse_url( $_SERVER['REQUEST_URI'], PHP_URL_PATH ), $m ) ) {
		$_SERVER['SCRIPT_NAME'] = "/$name.php";
		$_SERVER['SCRIPT_FILENAME'] = $_SERVER['DOCUMENT_ROOT'] . "/$name.php";
		$_SERVER['PHP_SELF'] = "/$name.php" . ( $m[1] ?? '' );
		if ( ( $m[1] ?? '' ) !== '' ) {
			$_SERVER['PATH_INFO'] = urldecode( $m[1] );
		}
		chdir( $_SERVER['DOCUMENT_ROOT'] );
		require $_SERVER['SCRIPT_FILENAME'];
		return true;
	}
}
return false;
