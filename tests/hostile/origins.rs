//! Tricks with names: pages of other sites that look like ones of this machine, and names of others that point to it.

use crate::arena::{Arena, refused};
use crate::handshakes::{check_answer, with_fields};
use crate::support::client::{Client, request};

#[test]
fn origins_that_only_look_like_this_machine() {
    let mut arena = Arena::new(&[]);
    for (what, origin) in [
        ("another site", "https://evil.example"),
        ("this machine as a prefix", "http://localhost.evil.example"),
        ("this machine as a suffix", "http://evil-localhost"),
        ("an address as a prefix", "http://127.0.0.1.evil.example"),
        ("this machine as the user", "http://localhost@evil.example"),
        ("this machine as user and password", "http://localhost:80@evil.example"),
        ("this machine as the path", "http://evil.example/localhost"),
        ("this machine as the fragment", "http://evil.example#localhost"),
        ("this machine as the query", "http://evil.example?localhost"),
        ("a backslash", "http://localhost\\.evil.example"),
        ("a letter of another script", "http://l\u{43e}calhost"),
        ("punycode", "http://xn--lcalhost-hqf"),
        ("a full-width full stop", "http://localhost\u{ff0e}"),
        ("an address in short", "http://127.1"),
        ("an address in one number", "http://2130706433"),
        ("an address in octal", "http://0177.0.0.1"),
        ("the unspecified address", "http://0.0.0.0"),
        ("an IPv4 address within IPv6", "http://[::ffff:8.8.8.8]"),
        ("a null that is none", "NULL"),
        ("a null of a list", "null, https://evil.example"),
        ("two in one", "http://localhost https://evil.example"),
        ("no scheme", "localhost"),
        ("a scheme that is none of the web", "chrome-extension://localhost"),
        ("a file", "file://localhost"),
        ("nothing", ""),
    ] {
        let attack = with_fields("/", &format!("Origin: {origin}\r\n"));
        arena.case(what, &[refused("origin", 1)], |server| {
            check_answer(server, attack.as_bytes(), 403);
        });
    }
    arena.case("two of them", &[refused("origin", 1)], |server| {
        let fields = "Origin: http://localhost\r\nOrigin: https://evil.example\r\n";
        check_answer(server, with_fields("/", fields).as_bytes(), 403);
    });
    // What a page opened from a file sends, for which the open loopback address is there.
    arena.case("null", &[], |server| {
        let mut client = Client::raw(server.address);
        client.write(with_fields("/", "Origin: null\r\n").as_bytes());
        assert!(client.read_head().starts_with("HTTP/1.1 101 "));
    });
}

/// A page of `evil.example` whose name was pointed at this machine is of the same origin as what it asks, so that only
/// the name that it asks for tells.
#[test]
fn names_that_were_rebound() {
    let mut arena = Arena::new(&[]);
    for (what, host) in [
        ("a name of others", "evil.example"),
        ("with the port", "evil.example:8080"),
        ("with this machine in front", "localhost.evil.example"),
        ("a public address", "93.184.216.34"),
        ("an address in short", "127.1"),
        ("the unspecified address", "0.0.0.0:8080"),
    ] {
        let handshake = request("/").replace("Host: localhost", &format!("Host: {host}"));
        let fields = format!("Origin: http://{host}\r\n\r\n");
        let handshake =
            format!("{}{fields}", handshake.trim_end_matches("\r\n").to_owned() + "\r\n");
        let page = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        arena.case(what, &[refused("host", 2)], |server| {
            check_answer(server, handshake.as_bytes(), 403);
            check_answer(server, page.as_bytes(), 403);
        });
    }
}
