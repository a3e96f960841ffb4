//! The load generator: parses the command line, runs one scenario, maps its verdict to an exit code.

fn main() {}
