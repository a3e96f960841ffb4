<?php
// One file, in which the test looks for what a listener has logged.

return [
    'default' => 'single',
    'channels' => [
        'single' => ['driver' => 'single', 'path' => storage_path('logs/laravel.log'), 'level' => 'debug'],
        'emergency' => ['path' => storage_path('logs/laravel.log')],
    ],
];
