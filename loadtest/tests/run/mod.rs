//! Runs the `loadtest` binary and takes what it says.

use std::process::Command;

/// What a run printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs it with those arguments, which are separated by spaces.
#[allow(clippy::expect_used, reason = "a run that cannot start is a failed test")]
pub(crate) fn loadtest(arguments: &str) -> Outcome {
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(arguments.split_whitespace())
        .output()
        .expect("the binary is built with the tests");
    Outcome {
        code: output.status.code().expect("it was not killed"),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

impl Outcome {
    /// Standard output as one JSON object.
    #[allow(dead_code, reason = "other test binaries use it")]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("JSON, not {self:?}"))
    }
}
