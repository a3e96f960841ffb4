//! The real binary, started on free ports and stopped when dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use serde_json::Value;

use super::client::Client;
use super::data_dir::DataDir;
use super::{PATIENCE, wait_for};

/// A free port of this machine alone.
const ANY_PORT: &str = "127.0.0.1:0";

/// The server's binary: the one of this build, or that which `SERVER_BINARY` in the environment names.
pub fn binary() -> Command {
    Command::new(std::env::var_os("SERVER_BINARY").unwrap_or(env!("CARGO_BIN_EXE_uproar").into()))
}

/// One running server.
pub struct Server {
    child: Child,
    log: Receiver<Value>,
    /// The lines of its start, "listening" the last.
    pub start: Vec<Value>,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    /// Removed when the server has ended; `None` where the test has one of its own.
    _data: Option<DataDir>,
}

impl Server {
    /// Starts the server with these arguments on free loopback ports.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    /// Starts the server with these arguments and settings (`("UPROAR_LIMITS__…", "…")`).
    pub fn start_with(arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        let mut command = binary();
        // As settings, so that arguments and other settings go over them.
        command
            .envs([("UPROAR_SERVER__LISTEN", ANY_PORT), ("UPROAR_SERVER__ADMIN_LISTEN", ANY_PORT)]);
        command.args(arguments).envs(settings.iter().copied());
        Self::spawn(command)
    }

    /// Runs a prepared command and waits until the server says where it listens. It gets a data directory of its own,
    /// unless the command has one.
    pub fn spawn(mut command: Command) -> Self {
        let data = DataDir::new().lend(&mut command);
        let mut child =
            command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let stderr = child.stderr.take().expect("stderr is piped");
        // Far more lines than a test causes; a full channel would only hold the server's log up.
        let (lines, log) = sync_channel(100_000);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if lines.send(value).is_err() {
                    break;
                }
            }
        });
        let mut seen = Vec::new();
        loop {
            let Ok(line) = log.recv_timeout(PATIENCE) else {
                panic!("the server did not start: {seen:?}, {:?}", child.try_wait());
            };
            if line["message"] == "listening" {
                let address = |key: &str| {
                    line[key].as_str().and_then(|text| text.parse().ok()).expect("an address")
                };
                let (address, admin) = (address("listen"), address("admin_listen"));
                seen.push(line);
                return Self { child, log, start: seen, address, admin, _data: data };
            }
            seen.push(line);
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Ends the process where it stands, as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.wait();
    }

    /// Waits until the process has ended.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the server ends", || self.child.try_wait().expect("a child has a status"))
    }

    /// The next line of the log that satisfies `wanted`; lines before it are skipped.
    pub fn log_line(&self, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        loop {
            let line = self.log.recv_timeout(PATIENCE).expect("the log has the line");
            if wanted(&line) {
                return line;
            }
        }
    }

    /// Connects clients to a path until each shard has some of them.
    pub fn crowd(&self, path: &str, shards: usize) -> Vec<Client> {
        let mut clients = Vec::new();
        let has_some = |shard: usize| {
            let shard = format!("shard=\"{shard}\"");
            self.metric("uproar_sessions", &[&shard]) > 0.0
        };
        loop {
            clients.extend((0..4).map(|_| Client::connect(self.address, path)));
            let open = clients.len() as f64;
            self.wait_for_metric("uproar_sessions", &[], |sessions| sessions == open);
            if (0..shards).all(has_some) {
                return clients;
            }
        }
    }

    /// Fetches a page of the admin address: status code and body.
    pub fn admin(&self, path: &str) -> (u16, String) {
        get(self.admin, path)
    }

    /// The sum of a metric's samples whose labels contain all of `labels` (such as `reason="lost"`).
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        metric(self.admin, name, labels)
    }

    /// Waits until a metric has a value; counters of shards take a moment to show.
    pub fn wait_for_metric(
        &self,
        name: &str,
        labels: &[&str],
        wanted: impl Fn(f64) -> bool,
    ) -> f64 {
        wait_for(&format!("{name} {labels:?}"), || {
            Some(self.metric(name, labels)).filter(|value| wanted(*value))
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The sum of a metric's samples at an admin address, those whose labels contain all of `labels`.
pub fn metric(admin: SocketAddr, name: &str, labels: &[&str]) -> f64 {
    let (status, text) = get(admin, "/metrics");
    assert_eq!(status, 200);
    let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (found, rest) = series.split_once('{').unwrap_or((series, ""));
        (found == name && labels.iter().all(|label| rest.contains(label)))
            .then(|| value.parse::<f64>().expect("a sample is a number"))
    });
    samples.sum()
}

/// For servers whose operator's address is not on loopback: the hash of the key that [`get`] shows there.
#[allow(dead_code, reason = "only some tests have such servers")]
pub const ADMIN_KEYS: &str =
    r#"["tests:metrics,health:91d56e5644f074e3d82cc20bcc111cd4b2361cd97ca3b917f073f836f965c58b"]"#;

/// One HTTP GET: status code and body.
pub fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let key = if address.ip().is_loopback() {
        ""
    } else {
        "Authorization: Bearer uproar_key_of_tests\r\n"
    };
    let mut stream = TcpStream::connect(address).expect("the address answers");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{key}Connection: close\r\n\r\n")
        .expect("a request can be sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer comes");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, body.to_owned())
}
