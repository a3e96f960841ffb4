<?php
// As a new application has it.

return ['paths' => [resource_path('views')], 'compiled' => storage_path('framework/views')];
