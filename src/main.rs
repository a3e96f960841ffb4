//! Parses the command line, loads the configuration, runs the server, maps an error to an exit code.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {}
