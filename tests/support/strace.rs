//! The real binary under strace: what it asked of the kernel, and in which order.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::server::Server;

/// A server that is traced until it has ended.
pub struct Traced {
    pub server: Server,
    output: PathBuf,
}

impl Traced {
    /// Starts the server on free ports, with these options for strace; `name` is that of the file that it writes.
    pub fn start(name: &str, options: &[&str], arguments: &[&str]) -> Self {
        let is_there = Command::new("strace").arg("--version").output().is_ok();
        assert!(is_there, "this test needs strace: apt-get install strace");
        let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut command = Command::new("strace");
        command.arg("-f").args(options).arg("-o").arg(&output).arg(env!("CARGO_BIN_EXE_uproar"));
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).args(arguments);
        Self { server: Server::spawn(command), output }
    }

    /// Has the server end in order; what strace wrote.
    pub fn finish(mut self) -> String {
        terminate_child_of(self.server.pid());
        assert!(self.server.wait().success());
        let output = std::fs::read(&self.output).expect("strace writes a file");
        String::from_utf8_lossy(&output).into_owned()
    }
}

/// strace itself is not told: it ends when what it traces has.
fn terminate_child_of(strace: u32) {
    let children = format!("/proc/{strace}/task/{strace}/children");
    let children = std::fs::read_to_string(children).expect("strace runs");
    let child = children.trim();
    let status = Command::new("kill").args(["-s", "TERM", child]).status().expect("kill runs");
    assert!(status.success(), "{child}");
}

/// One system call of a trace.
pub struct Call {
    pub name: String,
    /// As strace writes them, without the parentheses.
    pub arguments: String,
    pub result: String,
    /// The lines on which it begins and ends.
    pub begin: usize,
    pub end: usize,
}

/// The system calls of a trace (`strace -f`) that ended, those that began first in front.
pub fn calls(trace: &str) -> Vec<Call> {
    let (mut calls, mut open) = (Vec::new(), HashMap::<_, (String, String, usize)>::new());
    for (line, text) in trace.lines().enumerate() {
        let Some((thread, text)) = text.split_once(' ') else { continue };
        let text = text.trim_start();
        if let Some(resumed) = text.strip_prefix("<... ") {
            let Some((name, arguments, begin)) = open.remove(thread) else { continue };
            let (_, rest) = resumed.split_once(" resumed>").expect("it says so");
            calls.extend(call(name, &format!("{arguments}{rest}"), (begin, line)));
        } else if let Some((name, rest)) = text.split_once('(') {
            match rest.strip_suffix(" <unfinished ...>") {
                Some(arguments) => {
                    open.insert(thread, (name.to_owned(), arguments.to_owned(), line));
                }
                None => calls.extend(call(name.to_owned(), rest, (line, line))),
            }
        }
    }
    calls.sort_by_key(|call| call.begin);
    calls
}

/// A call from what is behind its name: `arguments) = result`.
fn call(name: String, text: &str, (begin, end): (usize, usize)) -> Option<Call> {
    let (arguments, result) = text.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?.to_owned();
    Some(Call { name, arguments, result: result.to_owned(), begin, end })
}

/// The bytes of the first string among a call's arguments, as far as strace wrote it out.
pub fn bytes(arguments: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = arguments.split_once('"').map_or("", |(_, rest)| rest).as_bytes();
    loop {
        match *rest {
            [] | [b'"', ..] => return bytes,
            [b'\\', digit @ b'0'..=b'7', ref after @ ..] => {
                // At most three octal digits, of which the first is taken.
                let more = after.iter().take(2).take_while(|digit| matches!(digit, b'0'..=b'7'));
                let length = more.clone().count();
                let value = |value: u32, digit: &u8| value * 8 + u32::from(digit - b'0');
                bytes.push(more.fold(value(0, &digit), value) as u8);
                rest = &after[length..];
            }
            [b'\\', letter, ref after @ ..] => {
                bytes.push(match letter {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'v' => 0x0b,
                    b'f' => 0x0c,
                    itself => itself,
                });
                rest = after;
            }
            [byte, ref after @ ..] => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
}
