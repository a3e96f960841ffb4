//! The servers that are measured: processes of their own, on the server's core, each fresh for its run.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::cores::Cores;
use super::process::Process;

/// How long a server may take to say where it listens.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// One `send` for each message and member.
    BareSend,
    /// One `send` for each member and turn.
    BareTurn,
    /// The binary, with so many shards.
    Uproar { shards: usize },
    /// The library in this program, with so many shards and the handler of [`embedded`](super::embedded).
    Embedded { shards: usize },
}

/// One running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Removed when the server has ended.
    _data: TempDir,
    /// Where it accepts connections.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts it on its core and waits until it listens.
    pub(crate) fn start(program: Program, cores: Cores) -> Result<Self> {
        let data = TempDir::new().context("no directory for a server")?;
        let mut command = program.command()?;
        command.env("UPROAR_SERVER__DATA_DIR", data.path());
        // A child has the cores of the thread that started it.
        let started = std::thread::spawn(move || {
            cores.be_server()?;
            spawn(command)
        });
        let mut child =
            started.join().ok().context("the thread that starts a server panicked")??;
        match address_of(&mut child) {
            Ok(address) => Ok(Self { child, _data: data, address }),
            Err(error) => {
                end(&mut child);
                Err(error.context(format!("{program:?} did not start")))
            }
        }
    }

    /// The server seen from outside.
    pub(crate) fn process(&self) -> Process {
        Process { id: self.child.id() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

impl Program {
    fn command(self) -> Result<Command> {
        let own = |arguments: &[&str]| -> Result<Command> {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(arguments);
            Ok(command)
        };
        match self {
            Self::BareSend => own(&["bare-send"]),
            Self::BareTurn => own(&["bare-turn"]),
            Self::Embedded { shards } => own(&["embedded", &shards.to_string()]),
            Self::Uproar { shards } => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_uproar"));
                for (name, _) in std::env::vars_os() {
                    if name.to_string_lossy().starts_with("UPROAR_") {
                        command.env_remove(name);
                    }
                }
                command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
                command.args(["--shards", &shards.to_string()]);
                // The largest message that is measured.
                command.env("UPROAR_LIMITS__MESSAGE_BYTES_MAX", (1 << 20).to_string());
                command.env("UPROAR_TELEMETRY__LOG_FORMAT", "json");
                Ok(command)
            }
        }
    }
}

fn spawn(mut command: Command) -> Result<Child> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().with_context(|| format!("cannot run {command:?}"))
}

fn end(child: &mut Child) {
    // It may have ended already.
    let _ = child.kill();
    let _ = child.wait();
}

/// The yardsticks say their address on standard output, the binary in its log on standard error. Both are read to
/// their end, so that no server ever waits for that.
fn address_of(child: &mut Child) -> Result<SocketAddr> {
    let (found, addresses) = sync_channel(1);
    let said = child.stdout.take().context("stdout is piped")?;
    let logged = child.stderr.take().context("stderr is piped")?;
    let pipes: [Box<dyn Read + Send>; 2] = [Box::new(said), Box::new(logged)];
    for pipe in pipes {
        let found = found.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if let Some(address) = address_in(&line) {
                    // Only the first one is waited for.
                    let _ = found.try_send(address);
                }
            }
        });
    }
    drop(found);
    match addresses.recv_timeout(PATIENCE) {
        Ok(address) => Ok(address),
        Err(RecvTimeoutError::Disconnected) => bail!("it ended at once: {}", child.wait()?),
        Err(RecvTimeoutError::Timeout) => bail!("it does not say where it listens"),
    }
}

fn address_in(line: &str) -> Option<SocketAddr> {
    line.parse().ok().or_else(|| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        (line["message"] == "listening").then(|| line["listen"].as_str()?.parse().ok()).flatten()
    })
}
