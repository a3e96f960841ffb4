//! The examples of docs/api.md, run as they stand.

use std::process::Command;

use super::caller::{KEY, server};
use crate::support::markdown;

#[test]
fn the_examples_work() {
    let server = server(&[]);
    let page = markdown::read("docs/api.md");
    let examples: Vec<_> = page
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("\n```").map(|(example, _)| example))
        .filter(|example| example.starts_with("curl"))
        .collect();
    assert!(examples.len() >= 8, "{examples:?}");
    for example in examples {
        let script =
            example.replace("http://localhost:8080", &format!("http://{}", server.address));
        let output = Command::new("bash")
            .args(["-c", &script.replacen("curl", "curl --fail-with-body", 1)])
            .env("KEY", KEY)
            .output()
            .expect("bash and curl run");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{example}\n{said}");
    }
}
