<?php
// Web server and PHP are alive. Not the database: when it is away for a moment, taking
// every task of both colours out would turn a hiccup into an outage.
header( 'Content-Type: text/plain' );
header( 'Cache-Control: no-store' );
echo "ok\n";
