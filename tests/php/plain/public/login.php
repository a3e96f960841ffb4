<?php
// What an application does when somebody logs in.

session_start();
$_SESSION['user'] = 'alice';
$_SESSION['name'] = 'Alice A.';
