//! The API, where it is for the holders of certificates.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use uproar::config::KeyHash;

use crate::support::tls::{Files, TlsClient};

const KEY: &str = "uproar_key_of_the_tests";

/// The answer to a request for what the server says of itself.
fn ask(address: SocketAddr, trust: &Arc<ClientConfig>, key: &str) -> String {
    let mut client = TlsClient::raw(address, trust).expect("a handshake");
    let head = "GET /api/v1/stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    let request = format!("{head}Authorization: Bearer {key}\r\n\r\n");
    client.stream.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    client.stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn backends_show_a_certificate_beside_their_key() {
    let (files, backends) = (Files::new(), Files::new());
    let ca = backends.path("ca.pem").to_string_lossy().into_owned();
    let keys = format!("[\"all:read:{}\"]", KeyHash::of(KEY));
    let settings = [("UPROAR_TLS__API_CLIENT_CA_FILE", &*ca), ("UPROAR_API__KEYS", &*keys)];
    let server = files.start(&[], &settings);
    let (known, stranger) = (files.trust_as(&backends.authority.issue()), files.trust());
    // The second time by a ticket, which says the same of who has it.
    for _ in 0..2 {
        let answer = ask(server.address, &known, KEY);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let answer = ask(server.address, &stranger, KEY);
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
        assert!(answer.contains("\"code\":\"no_certificate\""), "{answer}");
    }
    assert!(ask(server.address, &known, "another").starts_with("HTTP/1.1 401 "));
    let counted = ["route=\"/stats\"", "status=\"403\""];
    assert_eq!(server.metric("uproar_api_requests_total", &counted), 2.0);
    assert!(server.metric("uproar_tls_handshakes_total", &["result=\"resumed\""]) >= 2.0);
    // Who wants no API needs none, and one of somebody else's does not help.
    drop(TlsClient::connect(server.address, &stranger, "/"));
    let forged = files.trust_as(&files.authority.issue());
    assert!(
        TlsClient::raw(server.address, &forged)
            .and_then(|mut client| { client.stream.read(&mut [0]) })
            .is_err()
    );
}
