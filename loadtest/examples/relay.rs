//! The tests' relay server as a program, to load by hand: `cargo run --release -p loadtest --example relay -- ADDRESS`.

#[allow(dead_code, reason = "only the tests look at the counts and ask for faults")]
#[path = "../tests/relay/mod.rs"]
mod relay;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let _relay = relay::Relay::start(&address, relay::Behaviour::Right);
    loop {
        std::thread::park();
    }
}
