<?php
// Reads templates/image/LocalSettings.php as MediaWiki would, and prints what it set.
// The environment is the task's; the functions of MediaWiki it calls only leave a note.
define( 'MEDIAWIKI', true );
define( 'CACHE_MEMCACHED', 2 );
define( 'DBO_DEFAULT', 16 );
$loaded = [];
function wfLoadSkin( $name ) { $GLOBALS['loaded'][] = "skin $name"; }
function wfLoadExtension( $name ) { $GLOBALS['loaded'][] = "extension $name"; }
$IP = '/var/www/html';
$wgLocalisationCacheConf = [];
$wgObjectCaches = [];
$_SERVER['REMOTE_ADDR'] = '10.20.0.9';
if ( getenv( 'TEST_CHAIN' ) ) {
	$_SERVER['HTTP_X_FORWARDED_FOR'] = getenv( 'TEST_CHAIN' );
}
ini_set( 'error_log', '/dev/null' );
try {
	require $argv[1];
} catch ( RuntimeException $e ) {
	echo json_encode( [ 'refused' => $e->getMessage() ] );
	exit;
}
$set = array_filter( get_defined_vars(), static fn ( $k ) => str_starts_with( $k, 'wg' ), ARRAY_FILTER_USE_KEY );
echo json_encode( $set + [ 'loaded' => $loaded, 'reader' => $_SERVER['REMOTE_ADDR'] ] );
