//! The server under test: the real binary, killed without warning when it goes out of scope.

use super::deadline::wait_for;
use crate::support::backend::{Backend, SECRET};
use crate::support::tls::Files;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command};

use tempfile::TempDir;

/// One run of the server.
pub(crate) struct Server {
    child: Child,
    port: u16,
    scheme: &'static str,
    /// Removed with the server, unless another one goes on with it.
    data: Option<TempDir>,
}

impl Server {
    /// Starts the server on `port` of the loopback address; it accepts connections when this returns.
    pub(crate) fn start(port: u16) -> Self {
        Self::start_in(port, TempDir::new().expect("a directory can be made"), &[])
    }

    /// Starts it with what another one has left, and these further arguments.
    pub(crate) fn start_in(port: u16, data: TempDir, arguments: &[&str]) -> Self {
        let command = Command::new(env!("CARGO_BIN_EXE_uproar"));
        Self::spawn(command, port, data, arguments)
    }

    /// Starts it with settings (`("UPROAR_API__…", "…")`).
    pub(crate) fn start_with(port: u16, settings: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_uproar"));
        command.envs(settings.iter().copied());
        Self::spawn(command, port, TempDir::new().expect("a directory can be made"), &[])
    }

    /// Starts it with a certificate.
    pub(crate) fn start_secure(port: u16, files: &Files) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_uproar"));
        command.envs(files.settings(&[]));
        let data = TempDir::new().expect("a directory can be made");
        let mut server = Self::spawn(command, port, data, &[]);
        server.scheme = "https";
        server
    }

    /// Starts it with that application, which is asked what may be said.
    pub(crate) fn start_asking(port: u16, application: &Backend) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_uproar"));
        command.env("UPROAR_CALLBACKS__PUBLISH_URL", application.url());
        command.env("UPROAR_CALLBACKS__SECRET", SECRET);
        let data = TempDir::new().expect("a directory can be made");
        Self::spawn(command, port, data, &[])
    }

    fn spawn(mut command: Command, port: u16, data: TempDir, arguments: &[&str]) -> Self {
        let child = command
            .args(["--listen", &format!("127.0.0.1:{port}"), "--admin-listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(data.path())
            .args(arguments)
            .spawn()
            .expect("the server's binary runs");
        let mut server = Self { child, port, scheme: "http", data: Some(data) };
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

    /// Kills it; what it has stored is for the next one.
    pub(crate) fn kill(mut self) -> TempDir {
        self.data.take().expect("a running server has its data")
    }

    /// Where the chat page is.
    pub(crate) fn page(&self) -> String {
        format!("{}://127.0.0.1:{}/", self.scheme, self.port)
    }

    /// Where the relay page is.
    pub(crate) fn relay_page(&self) -> String {
        format!("{}relay.html", self.page())
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
