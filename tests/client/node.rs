//! A program in Node that talks: started with what `talker.mjs` says, asked line by line.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// One program, killed when it goes out of scope.
pub(crate) struct Node {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Node {
    /// Starts it with so many chats at that URL, and waits until they are in the room.
    pub(crate) fn begin(url: &str, chats: usize) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client/talker.mjs");
        let mut child = Command::new("node")
            // Node 20 has a WebSocket only when asked.
            .args(["--experimental-websocket", "--no-warnings"])
            .arg(script)
            .args([url, &chats.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test needs Node 20 or later as `node` (nodejs.org, or your system's package nodejs)");
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut node = Self { child, input, output };
        assert_eq!(node.read(), "begun");
        node
    }

    /// Calls a method of its talk.
    pub(crate) fn call(&mut self, method: &str) -> Value {
        writeln!(self.input, "{method}").expect("the program listens");
        self.read()
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the program answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
