//! Somebody else's web server: one page on a port of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// Serves `html` to every request until the process ends; answers with its address.
pub(crate) fn serve(html: String) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
    let html: Arc<str> = html.into();
    let address = listener.local_addr().expect("a bound listener has an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, html) = (stream.expect("the browser connects"), Arc::clone(&html));
            thread::spawn(move || answer(&stream, &html));
        }
    });
    format!("http://{address}/")
}

/// Browsers also open connections that they never use: those stay, or end, without a request.
fn answer(mut stream: &TcpStream, html: &str) {
    let request =
        BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    if request.count() == 0 {
        return;
    }
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n", html.len());
    // The browser may have given up on a favicon meanwhile.
    let _ = stream.write_all(format!("{head}Connection: close\r\n\r\n{html}").as_bytes());
}
