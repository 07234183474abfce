<?php
/**
 * Makes the database ready for the wiki, once and again: the account that MediaWiki
 * logs in with, one for schema checks that only reads, and the tables. Run by the task
 * of templates/55-setup.yaml as the database's master. Running it twice does no harm.
 */
// What went wrong, without the arguments that led there: passwords are among them.
set_exception_handler( static function ( Throwable $e ): void {
	fwrite( STDERR, 'setup: ' . $e->getMessage() . "\n" );
	exit( 1 );
} );

function need( string $name ): string {
	$value = getenv( $name );
	if ( $value === false || $value === '' ) {
		fwrite( STDERR, "setup: the environment lacks $name\n" );
		exit( 1 );
	}
	return $value;
}

function connect(): mysqli {
	mysqli_report( MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT );
	$db = mysqli_init();
	$tls = getenv( 'MW_DB_TLS' ) === 'off' ? 0 : MYSQLI_CLIENT_SSL;
	if ( $tls ) {
		$db->ssl_set( null, null, getenv( 'MW_DB_CA' ) ?: '/etc/ssl/certs/rds.pem', null, null );
	}
	$db->real_connect( need( 'MW_DB_WRITER' ), need( 'MW_MASTER_USER' ), need( 'MW_MASTER_PASSWORD' ), null,
		(int)( getenv( 'MW_DB_PORT' ) ?: 3306 ), null, $tls );
	return $db;
}

function is_aurora( mysqli $db ): bool {
	return $db->query( "SHOW VARIABLES LIKE 'aurora_version'" )->num_rows > 0;
}

function accounts( mysqli $db, string $name ): void {
	$user = $db->real_escape_string( need( 'MW_DB_USER' ) );
	$password = $db->real_escape_string( need( 'MW_DB_PASSWORD' ) );
	$db->query( "CREATE DATABASE IF NOT EXISTS `$name` DEFAULT CHARACTER SET binary" );
	$db->query( "CREATE USER IF NOT EXISTS '$user'@'%' IDENTIFIED BY '$password'" );
	$db->query( "ALTER USER '$user'@'%' IDENTIFIED BY '$password'" );
	$db->query( "GRANT ALL PRIVILEGES ON `$name`.* TO '$user'@'%'" );
	if ( is_aurora( $db ) ) { // logs in with IAM tokens; elsewhere there is no such plugin
		$db->query( "CREATE USER IF NOT EXISTS 'cutover'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'" );
		$db->query( "GRANT SELECT ON `$name`.* TO 'cutover'@'%'" );
		$db->query( "GRANT REPLICATION CLIENT, PROCESS ON *.* TO 'cutover'@'%'" );
	}
}

function run( string ...$command ): void {
	echo 'setup: ', basename( $command[2] ?? $command[0] ), "\n";
	passthru( implode( ' ', array_map( 'escapeshellarg', $command ) ), $code );
	if ( $code !== 0 ) {
		fwrite( STDERR, "setup: that ended with $code\n" );
		exit( 1 );
	}
}

// Passwords go through files that nobody else reads, not through arguments that a
// process list shows.
function secret_file( string $name ): string {
	$path = tempnam( sys_get_temp_dir(), 'mw' );
	file_put_contents( $path, need( $name ) );
	register_shutdown_function( 'unlink', $path );
	return $path;
}

function install( string $ip, string $name ): void {
	$settings = getenv( 'MW_CONFIG_FILE' );
	putenv( 'MW_CONFIG_FILE=/nonexistent/LocalSettings.php' ); // install refuses when there are settings
	run( PHP_BINARY, "$ip/maintenance/run.php", 'install', '--dbtype=mysql', '--dbserver=' . need( 'MW_DB_WRITER' ) . ':' . ( getenv( 'MW_DB_PORT' ) ?: 3306 ),
		"--dbname=$name", '--dbuser=' . need( 'MW_DB_USER' ), '--dbpassfile=' . secret_file( 'MW_DB_PASSWORD' ),
		...( getenv( 'MW_DB_TLS' ) === 'off' ? [] : [ '--dbssl' ] ),
		...[ '--server=https://' . need( 'MW_HOST' ), '--scriptpath=', '--confpath=' . sys_get_temp_dir(),
			'--passfile=' . secret_file( 'MW_ADMIN_PASSWORD' ), getenv( 'MW_NAME' ) ?: 'Wiki', need( 'MW_ADMIN_USER' ) ] );
	putenv( $settings === false ? 'MW_CONFIG_FILE' : "MW_CONFIG_FILE=$settings" );
}

$ip = getenv( 'MW_INSTALL_PATH' ) ?: '/var/www/html';
$name = getenv( 'MW_DB_NAME' ) ?: 'wikidb';
if ( !preg_match( '/^[A-Za-z0-9_]+$/', $name ) ) {
	fwrite( STDERR, "setup: MW_DB_NAME must be letters, digits and underscores\n" );
	exit( 1 );
}
$db = connect();
accounts( $db, $name );
if ( $db->query( "SHOW TABLES IN `$name` LIKE 'updatelog'" )->num_rows === 0 ) {
	install( $ip, $name );
}
run( PHP_BINARY, "$ip/maintenance/run.php", 'update', '--quick' );
echo "setup: done\n";
