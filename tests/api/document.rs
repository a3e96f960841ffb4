//! The document says what there is, and there is what it says.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use uproar::metrics::METRICS;

use super::caller::{DOCUMENT, KEY, Request, get, server};
use crate::support::chat::client_id;
use crate::support::server::Server;

/// What is in the document, as method and path.
fn documented() -> impl Iterator<Item = (String, &'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().expect("paths").iter();
    paths.flat_map(|(path, item)| {
        let operations = item.as_object().expect("operations").iter();
        operations.map(move |(method, operation)| (method.to_uppercase(), path.as_str(), operation))
    })
}

/// A request that is right.
fn right(method: &str, template: &str) -> (String, Option<Value>) {
    let path = template.replace("{room}", "a").replace("{user}", "ann");
    let body = match template {
        "/publish" => json!({"rooms": ["a"], "from": {"user": "shop"}, "body": 1}),
        "/users/{user}/messages" => json!({"from": {"user": "shop"}, "body": 1}),
        "/rooms/{room}/redact" => json!({"seqs": [1]}),
        "/users/{user}/redact" => json!({"with": "bob", "seqs": [1]}),
        _ => json!({}),
    };
    (path, (method == "POST").then_some(body))
}

#[test]
fn it_is_served_as_it_is() {
    let server = server(&[]);
    assert_eq!(get(&server, "/openapi.json"), *DOCUMENT);
}

#[test]
fn every_path_of_the_router_is_in_it_and_the_other_way_round() {
    let routes = METRICS.iter().find_map(|metric| metric.values("route")).expect("a label");
    let routes: BTreeSet<_> = routes.iter().copied().filter(|route| *route != "none").collect();
    assert_eq!(documented().map(|(_, path, _)| path).collect::<BTreeSet<_>>(), routes);
    let server = server(&[]);
    for path in &routes {
        let (asked, _) = right("GET", path);
        let options = Request::new("OPTIONS", &asked).send(server.address);
        let allowed =
            options.fields["allow"].split(", ").filter(|it| !matches!(*it, "HEAD" | "OPTIONS"));
        let methods = documented().filter(|(_, found, _)| found == path).map(|(method, ..)| method);
        assert_eq!(
            allowed.map(str::to_owned).collect::<BTreeSet<_>>(),
            methods.collect::<BTreeSet<_>>(),
            "{path}"
        );
    }
}

/// The caller holds each answer to the document; here every status that it has is provoked where that is possible
/// without taking something away from the server.
#[test]
fn every_documented_status_is_answered() {
    let one = server(&[]);
    let hasty = server(&[("UPROAR_API__REQUEST_TIMEOUT_SECS", "1")]);
    let narrow =
        server(&[("UPROAR_API__REQUESTS_PER_SEC", "1"), ("UPROAR_API__REQUESTS_BURST", "1")]);
    let without = server(&[("UPROAR_CHAT__ENABLED", "false")]);
    let quiet = server(&[("UPROAR_CHAT__ROOMS", "[{pattern = \"*\", presence = \"off\"}]")]);
    let full = server(&[
        ("UPROAR_API__REQUESTS_IN_FLIGHT_MAX", "1"),
        // So that whoever has the place keeps it.
        ("UPROAR_API__REQUEST_TIMEOUT_SECS", "300"),
    ]);
    let mut holder = crate::support::client::Client::raw(full.address);
    let head = format!(
        "POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    );
    holder.write(head.as_bytes());
    assert!(holder.read_head().starts_with("HTTP/1.1 100 "));
    let servers = Servers {
        one: &one,
        hasty: &hasty,
        narrow: &narrow,
        without: &without,
        quiet: &quiet,
        full: &full,
    };
    for (method, template, operation) in documented() {
        let statuses = operation["responses"].as_object().expect("responses").keys();
        for status in statuses {
            servers.provoke(&method, template, status);
        }
    }
}

struct Servers<'a> {
    one: &'a Server,
    hasty: &'a Server,
    narrow: &'a Server,
    without: &'a Server,
    quiet: &'a Server,
    full: &'a Server,
}

impl Servers<'_> {
    fn provoke(&self, method: &str, template: &str, status: &str) {
        let (path, body) = right(method, template);
        let text = body.map(|body| body.to_string());
        let request = |path| {
            let request = Request::new(method, path);
            text.iter().fold(request, |request, text| request.text(text))
        };
        let foreign = request(&path).field("Origin: https://evil.example");
        let answer = match status {
            "200" | "204" => request(&path).send(self.one.address),
            "400" => request(&format!("{path}?x=%zz")).send(self.one.address),
            "401" => request(&path).key("x").send(self.one.address),
            "403" => foreign.send(self.one.address),
            "404" => match template {
                "/publish" | "/rooms" => request(&path).send(self.without.address),
                _ if template.starts_with("/rooms") => request(&path).send(self.without.address),
                _ => request(&format!("{path}/x")).send(self.one.address),
            },
            "405" => Request::new("PATCH", &path).send(self.one.address),
            "408" => {
                let mut late = request(&path);
                late.body = None;
                late.field("Content-Length: 9").send(self.hasty.address)
            }
            "409" => return self.contradict(template, &path),
            "413" => {
                let mut large = request(&path);
                large.body = Some(vec![b' '; 1_048_577]);
                large.send(self.one.address)
            }
            "415" => {
                let mut other = request(&path);
                other.fields[1] = "Content-Type: text/plain".to_owned();
                other.send(self.one.address)
            }
            "422" => request(&format!("{path}?x=1")).send(self.one.address),
            "429" => {
                let mut answers = (0..50).map(|_| request(&path).send(self.narrow.address));
                answers.find(|answer| answer.status == 429).expect("50 are too many")
            }
            "503" => request(&path).send(self.full.address),
            status => panic!("{method} {template}: how does one get {status}?"),
        };
        assert_eq!(answer.status.to_string(), status, "{method} {template}: {answer:?}");
    }

    /// What contradicts what there is. Nobody bans 100,000 users here: that refusal is the table's own test's.
    fn contradict(&self, template: &str, path: &str) {
        let answer = match template {
            "/rooms/{room}/members" => Request::new("GET", path).send(self.quiet.address),
            "/publish" | "/users/{user}/messages" => {
                let (_, body) = right("POST", template);
                let mut body = body.expect("a body");
                body["client_id"] = json!(client_id());
                let send = |body: &Value| {
                    Request::new("POST", path).text(&body.to_string()).send(self.one.address)
                };
                assert_eq!(send(&body).status, 200);
                body["body"] = json!(2);
                send(&body)
            }
            _ => return,
        };
        assert_eq!(answer.status, 409, "{template}: {answer:?}");
    }
}

/// Schemathesis makes requests of the document, right ones and wrong ones, and looks for answers that the document does
/// not have. It comes from PyPI, into a directory of its own.
#[test]
fn made_up_requests_are_answered_as_documented() {
    let server = server(&[("UPROAR_API__REQUESTS_PER_SEC", "0")]);
    let schemathesis = install();
    let output = Command::new(schemathesis)
        .args(["run", &format!("http://{}/api/v1/openapi.json", server.address)])
        .args(["--header", &format!("Authorization: Bearer {KEY}")])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "30", "--seed", "1"])
        .args(["--max-time", "30"])
        // What JSON Schema cannot say of names, such as their length in bytes, is refused with 422; and no request of its
        // own makes has the wrong shape that some schema would take.
        .args(["--exclude-checks", "positive_data_acceptance"])
        .args(["--generation-database", "none", "--no-color"])
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    let requests = server.metric("uproar_api_requests_total", &[]);
    assert!(requests > 300.0, "it has hardly asked: {requests}\n{said}");
}

fn install() -> std::path::PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools");
    let program = tools.join("bin/schemathesis");
    if !program.exists() {
        let run = |command: &mut Command| {
            let output =
                command.output().expect("python3 runs: it is in the package \"python3-venv\"");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        run(Command::new("python3").args(["-m", "venv"]).arg(&tools));
        run(Command::new(tools.join("bin/pip")).args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "schemathesis==4.32.5",
        ]));
    }
    program
}
