//! That the bounds on an address hold, that what it ran up is forgotten when it is paid, and that memory is bounded.

use std::net::Ipv4Addr;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn addresses(change: impl FnOnce(&mut AddressLimits)) -> Arc<Addresses> {
    let mut limits = AddressLimits { exempts_loopback: false, ..AddressLimits::NONE };
    change(&mut limits);
    Arc::new(Addresses::new(limits))
}

fn at(last: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + last).into()
}

#[test]
fn connections_are_bounded_and_places_come_back() {
    let addresses = addresses(|limits| limits.connections_max = 2);
    let arrive = |address| addresses.arrive(address).expect("nothing bounds arrivals");
    let first = arrive(at(1)).admit().expect("there is room");
    let second = arrive(at(1)).admit().expect("there is room");
    assert_eq!(second.as_ref().map(|place| place.sessions), Some(2));
    assert_eq!(arrive(at(1)).admit().err(), Some(Excess::Connections));
    assert!(arrive(at(2)).admit().is_ok(), "another address is another matter");
    drop(first);
    assert!(arrive(at(1)).admit().is_ok());
    drop(second);
    assert!(addresses.is_empty(), "nothing is left to remember");
    assert_eq!(addresses.idle.load(Ordering::Relaxed), 0);
}

#[test]
fn handshakes_in_flight_are_bounded() {
    let addresses = addresses(|limits| limits.pending_max = 2);
    let _first = addresses.arrive(at(1)).expect("there is room");
    let second = addresses.arrive(at(1)).expect("there is room");
    assert_eq!(addresses.arrive(at(1)).err(), Some(Excess::Pending));
    drop(second);
    assert!(addresses.arrive(at(1)).is_ok());
}

#[test]
fn handshakes_are_bounded_by_the_second() {
    let addresses = addresses(|limits| limits.handshakes = Rate::new(1, 3));
    let knock = |now| addresses.arrive(at(1)).expect("nothing bounds arrivals").check_at(now);
    let start = 10 * SECOND;
    let found: Vec<_> = (0..4).map(|_| knock(start).is_ok()).collect();
    assert_eq!(found, [true, true, true, false]);
    assert_eq!(knock(start), Err(Excess::Handshakes));
    assert_eq!(knock(start + SECOND), Ok(()));
    assert_eq!(addresses.len(), 1, "what it ran up is remembered without a connection");
    addresses.sweep_at(start + SECOND);
    assert_eq!(addresses.len(), 1);
    addresses.sweep_at(start + 4 * SECOND);
    assert!(addresses.is_empty());
}

#[test]
fn who_fails_too_often_is_shut_out_for_a_while() {
    let addresses = addresses(|limits| limits.failures = Rate::new(1, 3));
    let start = 10 * SECOND;
    for _ in 0..3 {
        addresses.note_failure_at(at(1), start);
        assert!(!addresses.is_blocked_at(at(1), start));
    }
    addresses.note_failure_at(at(1), start);
    assert!(addresses.is_blocked_at(at(1), start));
    assert!(!addresses.is_blocked_at(at(2), start));
    let arrival = addresses.arrive(at(1)).expect("nothing bounds arrivals");
    assert_eq!(arrival.check_at(start), Err(Excess::Failures));
    assert!(!addresses.is_blocked_at(at(1), start + SECOND));
    assert_eq!(arrival.check_at(start + SECOND), Ok(()));
}

#[test]
fn this_machine_is_exempt_where_that_is_meant() {
    let limits = AddressLimits {
        connections_max: 0,
        pending_max: 0,
        failures: Rate::new(1, 1),
        ..AddressLimits::NONE
    };
    let addresses = Arc::new(Addresses::new(limits));
    let own: IpAddr = Ipv4Addr::LOCALHOST.into();
    addresses.note_failure(own);
    addresses.note_failure(own);
    let arrival = addresses.arrive(own).expect("it is exempt");
    assert_eq!(arrival.check(), Ok(()));
    assert!(arrival.admit().expect("it is exempt").is_none());
    assert!(addresses.is_empty(), "nothing is remembered of it");
    assert_eq!(addresses.arrive(at(1)).err(), Some(Excess::Pending));
}

#[test]
fn memory_is_bounded_however_many_addresses_come() {
    // So slow that nothing is paid off while the test runs.
    let addresses = addresses(|limits| limits.failures = Rate::within(2, 1_000_000));
    (0..3).for_each(|_| addresses.note_failure(at(0)));
    for address in 1..200_000 {
        addresses.note_failure(at(address));
        assert!(addresses.len() <= IDLE_MAX + 1);
    }
    assert!(addresses.is_blocked(at(0)), "who is shut out is not forgotten for others");
    assert_eq!(addresses.idle.load(Ordering::Relaxed), addresses.len());
}
