<?php
// One settings file for every release of the lab; the environment tells the rest.
if ( !defined( 'MEDIAWIKI' ) ) {
	exit;
}
$lab = static function ( $name, $default = '' ) {
	$value = getenv( $name );
	return $value === false || $value === '' ? $default : $value;
};
$wgSitename = 'Lab Wiki';
$wgMetaNamespace = 'Lab_Wiki';
$wgScriptPath = '';
$wgResourceBasePath = '';
$wgUsePathInfo = true;
$wgServer = $lab( 'LAB_SERVER', 'http://127.0.0.1' );
$wgDBtype = 'mysql';
$wgDBserver = $lab( 'LAB_DBSERVER' );
$wgDBname = 'labwiki';
$wgDBuser = 'mwlab';
$wgDBpassword = $lab( 'LAB_DBPASS' );
$wgDBTableOptions = 'ENGINE=InnoDB, DEFAULT CHARSET=binary';
$wgSecretKey = $lab( 'LAB_SECRET' );
$wgLanguageCode = 'en';
$wgLocaltimezone = 'UTC';
$wgDefaultSkin = 'vector';
wfLoadSkin( 'Vector' );

// Sessions and caches in the database: both colours see the same, so that an
// editor who crosses from one to the other keeps session and edit token.
$wgMainCacheType = CACHE_DB;
$wgSessionCacheType = CACHE_DB;
if ( $lab( 'LAB_STORES' ) ) {
	// Where each colour has a database of its own, sessions lie beside both, and a
	// cache per colour: green must write nothing into a copy that still follows.
	$store = static fn ( $name ) => [ 'class' => 'SqlBagOStuff', 'server' => [
		'type' => 'mysql', 'host' => $lab( 'LAB_STORES' ), 'dbname' => $name,
		'user' => 'mwstores', 'password' => $lab( 'LAB_STORES_PASS' ), 'flags' => 0,
	] ];
	$wgObjectCaches['sessions'] = $store( 'labsessions' );
	$wgObjectCaches['colour'] = $store( 'labcache_' . $lab( 'LAB_COLOUR' ) );
	$wgSessionCacheType = 'sessions';
	$wgMainCacheType = $wgMainStash = 'colour';
}
$wgCacheDirectory = $lab( 'LAB_CACHEDIR', false );
$wgLocalisationCacheConf['store'] = $wgCacheDirectory ? 'array' : 'db';
$wgTmpDirectory = $wgCacheDirectory ?: sys_get_temp_dir();
if ( $lab( 'LAB_LOCK' ) ) {
	$wgReadOnlyFile = $lab( 'LAB_LOCK' ); // while it is there and not empty nothing can be changed; its text is the reason
}
$wgUseDatabaseMessages = false; // no page here changes the interface; saves a tenth of the work
$wgEnableSidebarCache = true;
$wgJobRunRate = 0;
$wgPingback = false;
$wgShowExceptionDetails = true;
$wgRateLimits = [];
$wgPasswordAttemptThrottle = [];
