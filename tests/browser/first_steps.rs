//! The way from nothing to `wss://` with tokens, as docs/operations.md tells it: its blocks, one after the other.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};

use serde_json::json;

use super::chromium::Chromium;
use super::deadline::wait_for;
use super::server::free_port;
use crate::support::markdown;

/// A server that the page has started; gone when it goes out of scope.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A shell in that directory, with the program on its path.
fn shell(dir: &Path, script: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_uproar")).parent().expect("a directory");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").expect("a path"));
    let mut shell = Command::new("bash");
    shell.args(["-ec", script]).current_dir(dir).env("PATH", path);
    // Everything but what the page cannot know: that others use this machine's ports, too.
    shell.env("UPROAR_SERVER__ADMIN_LISTEN", "127.0.0.1:0");
    shell
}

/// Runs a block to its end; what it prints.
fn run(dir: &Path, script: &str) -> String {
    let output = shell(dir, script).output().expect("bash runs");
    let said = String::from_utf8(output.stdout).expect("text");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{said}{errors}");
    said.trim().to_owned()
}

fn start(dir: &Path, script: &str, port: u16) -> Running {
    // In place of the shell, so that ending it ends the server.
    let mut running = Running(shell(dir, &format!("exec {script}")).spawn().expect("bash runs"));
    wait_for(
        &mut running,
        |running| {
            let ended = running.0.try_wait().expect("a child has a status");
            assert!(ended.is_none(), "the server ended at its start: {ended:?}");
            TcpStream::connect(("127.0.0.1", port)).ok()
        },
        |_| format!("the server accepts no connection on port {port}"),
    );
    running
}

#[test]
fn the_way_to_wss_with_tokens_leads_there() {
    let page = markdown::read("docs/operations.md");
    let dir = tempfile::tempdir().expect("a directory can be made");
    let port = free_port();
    let section = markdown::section(&page, "## To `wss://` with tokens");
    let section = section.replace("8443", &port.to_string());
    let blocks = markdown::fenced(&section);
    let languages: Vec<_> = blocks.iter().map(|(language, _)| *language).collect();
    assert_eq!(languages, ["sh", "toml", "sh", "sh", "sh", "sh", "js", "toml"]);
    let [make, configuration, check, serve, stranger, mint, talk, public] =
        [0, 1, 2, 3, 4, 5, 6, 7].map(|at| blocks[at].1);

    run(dir.path(), make);
    fs::write(dir.path().join("uproar.toml"), configuration).expect("it is written");
    assert_eq!(run(dir.path(), check), "uproar.toml: ok");
    let _server = start(dir.path(), serve, port);
    assert_eq!(run(dir.path(), stranger), "401");
    let token = run(dir.path(), mint);

    let mut chromium = Chromium::start_trusting(&dir.path().join("certificate.pem"));
    let mut tab = chromium.open(&format!("https://localhost:{port}/"));
    tab.wait_for("document.readyState === 'complete' && isSecureContext");
    assert!(talk.contains("'THE TOKEN'"), "{talk}");
    let talked = |token: &str, more: &str| {
        format!("(async () => {{ {}\n{more} }})()", talk.replace("THE TOKEN", token))
    };
    let more = "return [chat.user, stored, seq > 0];";
    assert_eq!(tab.eval(&talked(&token, more)), json!(["alice", true, true]));

    // Whoever shows nothing, or what somebody else has signed, stays out; and Alice of where she may not be.
    let other = run(
        dir.path(),
        "uproar token --new-secret > other; uproar token --user eve --secret-file other",
    );
    for (path, token, code) in [
        (format!("wss://localhost:{port}/relay/team-a"), "", 1006),
        (format!("wss://localhost:{port}/relay/team-a"), &*other, 1006),
        (format!("wss://localhost:{port}/relay/elsewhere"), &*token, 1006),
        (format!("wss://localhost:{port}/relay/team-a"), &*token, 1000),
    ] {
        let closed = format!(
            "new Promise((closed) => {{
                const shown = {token:?} ? ['uproar.token', 'uproar.token.' + {token:?}] : [];
                const socket = new WebSocket({path:?}, shown);
                socket.onopen = () => socket.close(1000);
                socket.onclose = (event) => closed(event.code);
            }})"
        );
        assert_eq!(tab.eval(&closed), code, "{path}");
    }

    let here = dir.path().display().to_string();
    let public = public
        .replace(
            "/etc/letsencrypt/live/chat.example.org/fullchain.pem",
            &format!("{here}/certificate.pem"),
        )
        .replace("/etc/letsencrypt/live/chat.example.org/privkey.pem", &format!("{here}/key.pem"))
        .replace("/etc/uproar", &here);
    fs::write(dir.path().join("public.toml"), public).expect("it is written");
    assert_eq!(run(dir.path(), "uproar check public.toml"), "public.toml: ok");
}
