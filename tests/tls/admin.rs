//! The admin address, where it is for the holders of certificates.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use rustls::ClientConfig;

use crate::support::data_dir::DataDir;
use crate::support::tls::{Files, TlsClient};
use crate::support::wait_for;

/// The answer to a scrape, or why there is none.
fn scrape(address: SocketAddr, trust: &Arc<ClientConfig>) -> Result<String, std::io::Error> {
    let mut client = TlsClient::raw(address, trust)?;
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    client.stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    client.stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn operators_show_a_certificate() {
    let files = Files::new();
    let operators = Files::new();
    let ca = operators.path("ca.pem").to_string_lossy().into_owned();
    // Other machines may reach it: whoever does is known.
    let settings = [
        ("UPROAR_TLS__ADMIN_CLIENT_CA_FILE", ca.as_str()),
        ("UPROAR_SERVER__ADMIN_LISTEN", "0.0.0.0:0"),
    ];
    let server = files.start(&[], &settings);
    let admin = SocketAddr::from(([127, 0, 0, 1], server.admin.port()));
    let known = files.trust_as(&operators.authority.issue());
    let answer = scrape(admin, &known).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("uproar_tls_handshakes_total{result=\"full\"} 1"), "{answer}");
    let strangers = [files.trust(), files.trust_as(&files.authority.issue())];
    for stranger in &strangers {
        assert!(scrape(admin, stranger).is_err(), "a stranger learns nothing");
    }
    wait_for("both are counted", || {
        let answer = scrape(admin, &known).expect("an answer");
        let line = "uproar_tls_handshakes_total{result=\"client_certificate\"} 2\n";
        answer.contains(line).then_some(())
    });
    // The public address asks nobody for one.
    drop(TlsClient::connect(server.address, &files.trust(), "/"));
}

/// Who has a ticket is not asked for a certificate: a ticket of the public address, where nobody needs one, must not be
/// one here.
#[test]
fn a_ticket_is_no_certificate() {
    let (files, operators) = (Files::new(), Files::new());
    let ca = operators.path("ca.pem").to_string_lossy().into_owned();
    let server = files.start(&[], &[("UPROAR_TLS__ADMIN_CLIENT_CA_FILE", ca.as_str())]);
    // One store of tickets for both: they have one name.
    let stranger = files.trust();
    for _ in 0..4 {
        drop(TlsClient::connect(server.address, &stranger, "/"));
        assert!(scrape(server.admin, &stranger).is_err(), "a ticket of another address let in");
    }
    drop(TlsClient::connect(server.address, &stranger, "/"));
    let known = files.trust_as(&operators.authority.issue());
    let line = "uproar_tls_handshakes_total{result=\"resumed\"} ";
    let answer = scrape(server.admin, &known).expect("an answer");
    let resumed = answer.lines().find_map(|found| found.strip_prefix(line));
    assert_ne!(resumed, Some("0"), "the tickets were of use where they are good");
}

#[test]
fn authorities_that_cannot_be_stop_the_start() {
    let (files, data) = (Files::new(), DataDir::new());
    for (text, reason) in [("", "has no certificate"), ("-----BEGIN CERTIFICATE-----\n", "not PEM")]
    {
        files.write("operators.pem", text);
        let mut command = Command::new(env!("CARGO_BIN_EXE_uproar"));
        command.envs(files.settings(&[])).args(["--data-dir"]).arg(data.path());
        command.env("UPROAR_TLS__ADMIN_CLIENT_CA_FILE", files.path("operators.pem"));
        let output = command.output().expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("tls.admin_client_ca_file = "), "{said}");
        assert!(said.contains(reason), "{reason}: {said}");
    }
}
