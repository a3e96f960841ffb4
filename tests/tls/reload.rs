//! A new certificate while the server runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use crate::support::server::Server;
use crate::support::tls::{Files, TlsClient};
use crate::support::wait_for;

fn shown(server: &Server, trust: &Arc<ClientConfig>) -> CertificateDer<'static> {
    TlsClient::raw(server.address, trust).expect("a handshake").certificate()
}

fn reloads(server: &Server, result: &str, wanted: f64) {
    let label = format!("result=\"{result}\"");
    server.wait_for_metric("uproar_tls_reloads_total", &[&label], |count| count == wanted);
}

#[test]
fn a_new_certificate_is_shown_and_no_session_is_lost() {
    const PAIRS: usize = 20;
    let files = Files::new();
    let server = files.start(&["--shards", "2"], &[]);
    // A client that resumes is shown nothing.
    let trust = files.trust();
    let fresh = || files.trust();
    assert_eq!(shown(&server, &fresh()), files.issued.der());
    let is_over = Arc::new(AtomicBool::new(false));
    let pairs: Vec<_> = (0..PAIRS)
        .map(|pair| {
            let path = format!("/relay/{pair}");
            let mut speaker = TlsClient::connect(server.address, &trust, &path);
            let mut hearer = TlsClient::connect(server.address, &trust, &path);
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || {
                let mut count = 0;
                while !is_over.load(Ordering::Relaxed) {
                    speaker.send(&format!("{count}"));
                    assert_eq!(hearer.next().payload, format!("{count}").as_bytes());
                    count += 1;
                }
                assert!(count > 0);
                (speaker, hearer)
            })
        })
        .collect();

    // At the signal.
    let second = files.authority.issue();
    files.put(&second);
    server.signal("HUP");
    reloads(&server, "loaded", 1.0);
    assert_eq!(shown(&server, &fresh()), second.der());
    // A ticket from before is still good.
    let again = TlsClient::raw(server.address, &trust).expect("a handshake");
    assert_eq!(again.stream.conn.handshake_kind(), Some(rustls::HandshakeKind::Resumed));

    // Pairs that cannot be keep what there is.
    let third = files.authority.issue();
    let cases = [("key.pem", third.key.as_str()), ("certificate.pem", "nonsense"), ("key.pem", "")];
    for (failed, (name, text)) in (1..).zip(cases) {
        files.write(name, text);
        server.signal("HUP");
        reloads(&server, "failed", f64::from(failed));
        assert_eq!(shown(&server, &fresh()), second.der());
        let line = server.log_line(|line| line["level"] == "ERROR");
        assert!(!line.to_string().contains("PRIVATE KEY"), "{line}");
    }

    // By itself, once both files are there.
    files.put(&third);
    wait_for("the third certificate is shown", || {
        (shown(&server, &fresh()) == third.der()).then_some(())
    });
    reloads(&server, "loaded", 2.0);

    is_over.store(true, Ordering::Relaxed);
    for pair in pairs {
        drop(pair.join().expect("every message came"));
    }
    assert_eq!(server.metric("uproar_sessions_opened_total", &[]), 2.0 * PAIRS as f64);
}

#[test]
fn a_pair_that_cannot_be_stops_the_start() {
    let files = Files::new();
    files.write("key.pem", &files.authority.issue().key);
    let settings = files.settings(&[]);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_uproar"))
        .envs(settings)
        .env("UPROAR_SERVER__LISTEN", "127.0.0.1:0")
        .env("UPROAR_SERVER__ADMIN_LISTEN", "127.0.0.1:0")
        .output()
        .expect("the binary runs");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    for part in ["tls.certificate_file = ", "tls.key_file = ", "is not the key of"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
