<?php
// Two users, of whom the application knows more than Uproar is to be told.

use Illuminate\Database\Migrations\Migration;
use Illuminate\Database\Schema\Blueprint;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Schema;

return new class extends Migration {
    public function up(): void
    {
        Schema::create('users', function (Blueprint $table) {
            $table->id();
            $table->string('name');
            $table->string('email')->unique();
            $table->string('password');
            $table->rememberToken();
            $table->timestamps();
        });
        DB::table('users')->insert([
            ['name' => 'Alice A.', 'email' => 'alice@example.org', 'password' => 'none'],
            ['name' => 'Bob', 'email' => 'bob@example.org', 'password' => 'none'],
        ]);
    }
};
