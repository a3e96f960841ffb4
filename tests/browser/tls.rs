//! A browser that trusts the server's authority, on `https://` and `wss://`.

use super::chromium::Chromium;
use super::person::Person;
use super::server::{Server, free_port};
use crate::support::tls::Files;

#[test]
fn people_talk_over_wss() {
    let files = Files::new();
    let port = free_port();
    let server = Server::start_secure(port, &files);
    let mut chromium = Chromium::start_trusting(&files.path("ca.pem"));
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    let mut bob = Person::enter(&mut chromium, &server.page(), "Bob");
    assert_eq!(ann.eval("window.isSecureContext && location.protocol"), "https:");
    ann.say("Is anybody listening in?");
    bob.hear("Is anybody listening in?");
    bob.say("Nobody can.");
    ann.hear("Nobody can.");
    ann.wait_for_delivery("Is anybody listening in?", "stored");

    // The plain client of a tutorial, and what a browser thinks of the connection.
    let connect = format!(
        "new Promise((ok, no) => {{
            const socket = new WebSocket('wss://127.0.0.1:{port}/relay/tutorial');
            const text = 'x'.repeat(50000);
            socket.onopen = () => {{
                const other = new WebSocket('wss://127.0.0.1:{port}/relay/tutorial');
                other.onopen = () => other.send(text);
                other.onerror = no;
            }};
            socket.onmessage = (event) => {{
                socket.onclose = (close) => ok(`${{close.wasClean}} ${{close.code}} ${{event.data === text}}`);
                socket.close(1000);
            }};
            socket.onerror = no;
        }})"
    );
    assert_eq!(ann.eval(&connect), "true 1000 true");
}

#[test]
fn a_browser_that_does_not_trust_the_authority_stays_out() {
    let files = Files::new();
    let port = free_port();
    let _server = Server::start_secure(port, &files);
    let mut chromium = Chromium::start();
    let mut tab = chromium.open("about:blank");
    let refused = format!(
        "new Promise((ok) => {{
            const socket = new WebSocket('wss://127.0.0.1:{port}/');
            socket.onopen = () => ok('open');
            socket.onclose = (close) => ok(`${{close.code}}`);
        }})"
    );
    assert_eq!(tab.eval(&refused), "1006");
}
