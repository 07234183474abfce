<?php
/**
 * Settings of MediaWiki for templates/50-colour.yaml: the same file in every image and
 * every colour. What differs comes from the task's environment, secrets among it; what
 * is missing stops the request and says its name, since a wiki that guesses would guess
 * differently in each colour.
 *
 * Shared by both colours, or an editor who crosses from one to the other loses session
 * or edit: secret key, cookie prefix, cache servers and prefix, database, uploads, lock.
 * Of one colour only: the localisation cache, which belongs to its code.
 */
if ( !defined( 'MEDIAWIKI' ) ) {
	exit;
}

$mwEnv = static function ( string $name, ?string $default = null ): string {
	$value = getenv( $name );
	if ( $value !== false && $value !== '' ) {
		return $value;
	}
	if ( $default === null ) {
		error_log( "LocalSettings.php: the environment lacks $name" );
		throw new RuntimeException( "The environment lacks $name." );
	}
	return $default;
};
// Building the image needs settings, but neither database nor secrets.
$mwBuild = getenv( 'MW_BUILD' ) === '1';
$mwOptional = $mwBuild ? '-' : null;

# --- the site ---------------------------------------------------------------------

$wgSitename = $mwEnv( 'MW_NAME', 'Wiki' );
$wgServer = 'https://' . $mwEnv( 'MW_HOST', $mwOptional );
$wgScriptPath = '';
$wgArticlePath = '/wiki/$1';
$wgUsePathInfo = true;
$wgLanguageCode = $mwEnv( 'MW_LANGUAGE', 'en' );
$wgLocaltimezone = 'UTC';
$wgSecretKey = $mwEnv( 'MW_SECRET_KEY', $mwOptional );
$wgAuthenticationTokenVersion = '1';
$wgCookiePrefix = 'mw_' . preg_replace( '/[^a-z0-9]/', '', $mwEnv( 'MW_ENV', 'build' ) );
$wgPingback = false;
$wgDefaultSkin = 'vector-2022';
wfLoadSkin( 'Vector' );

// The load balancer appends the address that asked it; CloudFront before it appends the
// reader's. Whatever stands further left was sent by the reader and proves nothing.
$mwHops = getenv( 'MW_UPLOAD_DOMAIN' ) === getenv( 'MW_HOST' ) ? 2 : 1;
if ( isset( $_SERVER['HTTP_X_FORWARDED_FOR'] ) ) {
	$mwChain = array_map( 'trim', explode( ',', $_SERVER['HTTP_X_FORWARDED_FOR'] ) );
	$mwReader = $mwChain[count( $mwChain ) - $mwHops] ?? end( $mwChain );
	if ( filter_var( $mwReader, FILTER_VALIDATE_IP ) ) {
		$_SERVER['REMOTE_ADDR'] = $mwReader;
	}
	unset( $_SERVER['HTTP_X_FORWARDED_FOR'] );
}

# --- database ---------------------------------------------------------------------

$wgDBtype = 'mysql';
$wgDBname = $mwEnv( 'MW_DB_NAME', 'wikidb' );
$wgDBuser = $mwEnv( 'MW_DB_USER', $mwOptional );
$wgDBpassword = $mwEnv( 'MW_DB_PASSWORD', $mwOptional );
$wgDBTableOptions = 'ENGINE=InnoDB, DEFAULT CHARSET=binary';
$mwServer = static function ( string $host, int $load ) use ( $mwEnv, $wgDBname, $wgDBuser, $wgDBpassword ): array {
	return [
		'host' => $host . ':' . $mwEnv( 'MW_DB_PORT', '3306' ),
		'dbname' => $wgDBname,
		'user' => $wgDBuser,
		'password' => $wgDBpassword,
		'type' => 'mysql',
		'flags' => DBO_DEFAULT,
		'ssl' => $mwEnv( 'MW_DB_TLS', 'on' ) !== 'off',
		'sslCAFile' => $mwEnv( 'MW_DB_CA', '/etc/ssl/certs/rds.pem' ),
		'load' => $load,
	];
};
// Aurora's readers have no replication that MediaWiki could ask for its lag: without
// 'is static' it takes them for broken and sends everything to the writer. The same
// server twice is an error.
$mwWriter = $mwEnv( 'MW_DB_WRITER', $mwOptional );
$mwReplica = $mwEnv( 'MW_DB_READER', $mwOptional );
$wgDBservers = $mwReplica === $mwWriter ? [ $mwServer( $mwWriter, 1 ) ] : [
	$mwServer( $mwWriter, 0 ),
	$mwServer( $mwReplica, 1 ) + [ 'is static' => true ],
];

// On storage that all tasks share: written once, both colours refuse edits at once.
$wgReadOnlyFile = $mwEnv( 'MW_READ_ONLY_FILE', '/srv/control/read-only' );

# --- cache and sessions -----------------------------------------------------------

// Never the database: while it is read-only nobody could log in.
$mwServers = explode( ',', $mwEnv( 'MW_CACHE', $mwOptional ) );
if ( $mwEnv( 'MW_CACHE_ENGINE', 'memcached' ) === 'valkey' ) {
	$wgObjectCaches['valkey'] = [
		'class' => 'RedisBagOStuff',
		'servers' => array_map( static fn ( $server ) => 'tls://' . $server, $mwServers ),
		'persistent' => true,
	];
	$wgMainCacheType = 'valkey';
} else {
	$wgMemCachedServers = $mwServers;
	$wgMainCacheType = CACHE_MEMCACHED;
}
$wgSessionCacheType = $wgMainCacheType;
$wgParserCacheType = $wgMainCacheType;
$wgMessageCacheType = $wgMainCacheType;
$wgCachePrefix = $wgCookiePrefix;

$wgCacheDirectory = $mwEnv( 'MW_CACHE_DIRECTORY', '/var/cache/mediawiki' );
$wgTmpDirectory = '/tmp';
$wgLocalisationCacheConf['store'] = 'array';
$wgLocalisationCacheConf['storeDirectory'] = $mwEnv( 'MW_L10N', '/var/www/l10n' );
$wgLocalisationCacheConf['manualRecache'] = !$mwBuild;

# --- uploads ----------------------------------------------------------------------

$wgEnableUploads = true;
$wgUseImageMagick = true;
if ( $mwEnv( 'MW_UPLOAD_STORE', 'efs' ) === 's3' ) {
	// Names as on EFS (two levels of hashes), so that files can be moved between the two.
	wfLoadExtension( 'AWS' );
	$wgAWSRegion = $mwEnv( 'MW_REGION' );
	$wgAWSBucketName = $mwEnv( 'MW_UPLOAD_BUCKET' );
	$wgAWSBucketTopSubdirectory = '/images';
	$wgAWSBucketDomain = $mwEnv( 'MW_UPLOAD_DOMAIN' );
	$wgAWSRepoHashLevels = '2';
	$wgAWSRepoDeletedHashLevels = '3';
} else {
	$wgUploadDirectory = "$IP/images";
	$wgUploadPath = '/images';
}

// Settings of the wiki itself: extensions, rights, logo. Part of the image, like this file.
foreach ( glob( __DIR__ . '/LocalSettings.d/*.php' ) as $mwFile ) {
	require $mwFile;
}
