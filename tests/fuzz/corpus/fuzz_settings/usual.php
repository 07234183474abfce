<?php
# a comment with $wgDBname = "no";
$wgDBtype = "mysql"; $wgDBserver = 'localhost:/run/mysqld/mysqld.sock';
$wgDBname /* here */ = "wiki\"s"; // $wgDBname = "no";
$wgDBuser = getenv( 'X' ); $wgDBpassword = "a$b"; $wgDBprefix = '';
if ( $wgDBtype == "sqlite" ) { $x = array( '$wgDBname' => "z" ); }
$wgDBserver = "[::1]:3306";
