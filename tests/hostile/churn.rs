//! Connections that come and go, by the ten thousand.

use crate::arena::{Arena, closed};
use crate::support::storm;

#[test]
fn twenty_thousand_come_and_go() {
    const CYCLES: usize = 20_000;
    const AT_ONCE: usize = 500;
    storm::need_descriptors(AT_ONCE);
    let mut arena = Arena::new(&[]).with_peak_mib(48);
    arena.case("20,000 cycles", &[closed("lost", CYCLES)], |server| {
        for wave in 0..CYCLES / AT_ONCE {
            let path = match wave % 4 {
                0 => "/".to_owned(),
                1 => format!("/relay/{wave}"),
                2 => "/echo".to_owned(),
                _ => "/chat".to_owned(),
            };
            storm::reset(storm::open(server.address, &path, AT_ONCE));
        }
    });
}
