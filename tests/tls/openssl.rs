//! `openssl s_client`, driven as one does by hand.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use crate::support::tls::Files;

/// A request that ends the connection.
pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Connects with these flags and asks for the page; everything that it printed.
pub(crate) fn s_client(files: &Files, address: SocketAddr, flags: &[&str]) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-ign_eof", "-verify_return_error", "-connect", &address.to_string()])
        .arg("-CAfile")
        .arg(files.path("ca.pem"))
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl runs");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // Where the handshake fails nobody reads it.
    let _ = stdin.write_all(GET.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("openssl ends");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}
