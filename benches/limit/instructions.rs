//! What a delivery costs in user space, counted by callgrind: Uproar's instructions against the yardstick's.
//!
//! Instructions do not depend on what else the machine does, so that this, unlike times, can be a gate: one message at a
//! time to a room full of members may take at most [`RATIO_MAX`] times what a bare loop of `send` takes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::Verdict;
use crate::support::client::{Client, frame};
use crate::support::server::Server;

/// How many times the instructions of the yardstick a delivery may take.
const RATIO_MAX: f64 = 1.5;

const MEMBERS: usize = 900;
const MESSAGES: usize = 200;
const PAYLOAD: [u8; 128] = [b'u'; 128];

/// Counts, prints, and fails when the ratio is too large.
pub(crate) fn run() -> Result<Verdict> {
    let valgrind = Command::new("valgrind").arg("--version").output();
    ensure!(valgrind.is_ok(), "this count needs valgrind: apt-get install valgrind");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let bare = count(&Bare::start(&directory.join("callgrind.bare"))?)?;
    let uproar = count(&Uproar::start(&directory.join("callgrind.uproar")))?;
    let ratio = uproar / bare;
    writeln!(
        io::stdout(),
        "instructions in user space for each delivery: bare send {bare:.1}, Uproar {uproar:.1}, \
         ratio {ratio:.2} (at most {RATIO_MAX})"
    )?;
    Ok(if ratio > RATIO_MAX { Verdict::Failed } else { Verdict::Passed })
}

/// A server under callgrind.
trait Counted {
    fn address(&self) -> SocketAddr;
    fn pid(&self) -> u32;
    fn counts(&self) -> PathBuf;
}

fn callgrind(counts: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--tool=callgrind"]);
    command.arg(format!("--callgrind-out-file={}", counts.display()));
    command
}

struct Bare {
    child: Child,
    address: SocketAddr,
    counts: PathBuf,
}

impl Bare {
    fn start(counts: &Path) -> Result<Self> {
        let mut command = callgrind(counts);
        command.arg(std::env::current_exe()?).arg("bare-send").stdout(Stdio::piped());
        let mut child = command.spawn().context("valgrind")?;
        let mut line = String::new();
        let output = child.stdout.take().context("standard output is piped")?;
        BufReader::new(output).read_line(&mut line)?;
        Ok(Self { child, address: line.trim().parse()?, counts: counts.to_owned() })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Counted for Bare {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn counts(&self) -> PathBuf {
        self.counts.clone()
    }
}

struct Uproar {
    server: Server,
    counts: PathBuf,
}

impl Uproar {
    fn start(counts: &Path) -> Self {
        let mut command = callgrind(counts);
        command.arg(env!("CARGO_BIN_EXE_uproar")).args(["--shards", "1"]);
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        Self { server: Server::spawn(command), counts: counts.to_owned() }
    }
}

impl Counted for Uproar {
    fn address(&self) -> SocketAddr {
        self.server.address
    }

    fn pid(&self) -> u32 {
        self.server.pid()
    }

    fn counts(&self) -> PathBuf {
        self.counts.clone()
    }
}

/// Instructions for each delivery, all threads together, between two moments at which everyone is connected; less what
/// the server does in as much time when nobody speaks, which is more the slower the machine is.
fn count(server: &impl Counted) -> Result<f64> {
    let mut members: Vec<_> =
        (0..MEMBERS).map(|_| Client::connect(server.address(), "/").stream).collect();
    let mut sender = Client::connect(server.address(), "/");
    let message = frame(0x81, &PAYLOAD);
    let mut read = [0; 4 + PAYLOAD.len()];
    let mut talk = |messages: usize, members: &mut [TcpStream]| -> Result<()> {
        for _ in 0..messages {
            sender.write(&message);
            members.iter_mut().try_for_each(|member| member.read_exact(&mut read))?;
        }
        Ok(())
    };
    talk(5, &mut members)?;
    control(server.pid(), "--zero")?;
    let began = Instant::now();
    talk(MESSAGES, &mut members)?;
    control(server.pid(), "--dump=talk")?;
    let lasted = began.elapsed();
    control(server.pid(), "--zero")?;
    // Nothing waits for this thread.
    #[allow(clippy::disallowed_methods, reason = "the thread has nothing else to do")]
    std::thread::sleep(lasted);
    control(server.pid(), "--dump=silence")?;
    let (talk, silence) = (total(&server.counts(), 1)?, total(&server.counts(), 2)?);
    Ok((talk as f64 - silence as f64) / (MEMBERS * MESSAGES) as f64)
}

fn control(pid: u32, what: &str) -> Result<()> {
    let output = Command::new("callgrind_control")
        .arg(what)
        .arg(pid.to_string())
        .output()
        .context("callgrind_control, which comes with valgrind")?;
    ensure!(output.status.success(), "callgrind_control {what}: {output:?}");
    Ok(())
}

/// The sum that a dump ends with. Dumps on demand are numbered from 1.
fn total(counts: &Path, dump: u32) -> Result<u64> {
    let path = counts.with_extension(format!(
        "{}.{dump}",
        counts.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default()
    ));
    let dump = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut sums = dump.lines().filter_map(|line| {
        line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: "))
    });
    let sum = sums.next_back().context("the dump has a sum")?;
    Ok(sum.trim().parse()?)
}
