//! The server under test: the real binary, killed without warning when it goes out of scope.

use super::deadline::wait_for;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command};

use tempfile::TempDir;

/// One run of the server.
pub(crate) struct Server {
    child: Child,
    port: u16,
    /// Removed with the server.
    _data: TempDir,
}

impl Server {
    /// Starts the server on `port` of the loopback address; it accepts connections when this returns.
    pub(crate) fn start(port: u16) -> Self {
        let data = TempDir::new().expect("a directory can be made");
        let child = Command::new(env!("CARGO_BIN_EXE_uproar"))
            .args(["--listen", &format!("127.0.0.1:{port}"), "--admin-listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(data.path())
            .spawn()
            .expect("the server's binary runs");
        let mut server = Self { child, port, _data: data };
        wait_for(
            &mut server,
            |server| {
                let ended = server.child.try_wait().expect("a child has a status");
                assert!(ended.is_none(), "the server ended at its start: {ended:?}");
                TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
            },
            |_| format!("the server accepts no connection on port {port}"),
        );
        server
    }

    /// Where the demo page is.
    pub(crate) fn page(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("a killed server ends");
    }
}

/// A port that was free a moment ago, for a server that has to come back on the same one.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
    listener.local_addr().expect("a bound listener has an address").port()
}
