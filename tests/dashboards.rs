//! The dashboard's and the alert rules' promise: whatever they name is exported, and Prometheus, configured as it is
//! in `grafana/`, answers every one of their queries.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use support::backend::{self, Backend, Reply};
use support::chat::ChatClient;
use support::client::Client;
use support::server::Server;
use support::token::{keys, token};
use support::{PATIENCE, markdown, promql, scrape, wait_for};
use uproar::config::KeyHash;

const NEEDED: &str =
    "is in the package \"prometheus\" of Debian and Ubuntu, which these tests need";

/// A query of the dashboard or of a rule, and what labels it is to be shown by.
struct Shown {
    place: String,
    expression: String,
    legend: String,
}

fn dashboard() -> Vec<Shown> {
    let dashboard: Value =
        serde_json::from_str(&markdown::read("grafana/dashboards/uproar.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut shown = Vec::new();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().filter(|targets| !targets.is_empty());
        for target in targets.unwrap_or_else(|| panic!("{panel} shows nothing")) {
            shown.push(Shown {
                place: panel["title"].as_str().expect("a title").to_owned(),
                expression: target["expr"].as_str().expect("an expression").to_owned(),
                legend: target["legendFormat"].as_str().unwrap_or_default().to_owned(),
            });
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().expect("annotations") {
        shown.push(Shown {
            place: "annotation".into(),
            expression: annotation["expr"].as_str().expect("an expression").to_owned(),
            legend: annotation["titleFormat"].as_str().unwrap_or_default().to_owned(),
        });
    }
    assert!(shown.len() > 40, "all of it was found");
    shown
}

/// The rules, by a few lines of YAML that the file keeps to; that it is right as a whole is promtool's to say.
fn rules() -> Vec<Shown> {
    let text = markdown::read("grafana/prometheus/alerts.yml");
    let rules: Vec<_> = text.split("\n      - alert: ").skip(1).map(rule).collect();
    assert_eq!(rules.len(), text.matches("alert:").count());
    rules
}

fn rule(text: &str) -> Shown {
    let field = |name: &str| {
        let value =
            text.split_once(&format!("{name}: ")).unwrap_or_else(|| panic!("{name} in {text}")).1;
        let (line, rest) = value.split_once('\n').unwrap_or((value, ""));
        if line != "|" {
            return line.to_owned();
        }
        rest.lines().take_while(|line| line.starts_with("          ")).collect()
    };
    let place = text.lines().next().unwrap_or_default().to_owned();
    Shown { place, expression: field("expr"), legend: field("summary") }
}

/// As Grafana fills it in, for a window that a test can wait for.
fn filled(expression: &str) -> String {
    expression.replace("$__rate_interval", "10s").replace("$instance", ".*")
}

/// The labels that a legend or a summary names.
fn legend_labels(legend: &str) -> BTreeSet<String> {
    let inside = legend.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
    inside
        .map(|name| name.trim().trim_start_matches("$labels.").to_owned())
        .filter(|name| !name.starts_with("$value"))
        .collect()
}

#[test]
fn everything_that_is_named_is_exported() {
    let server = Server::start(&["--echo", "--shards", "2"]);
    let families = scrape::families(&server.admin("/metrics").1);
    for shown in dashboard().into_iter().chain(rules()) {
        check(&shown, &families);
    }
}

fn check(shown: &Shown, families: &BTreeMap<String, scrape::Family>) {
    let Shown { place, expression, legend } = shown;
    let query = promql::parse(&filled(expression));
    assert!(!query.selectors.is_empty(), "{place}: {expression}");
    let mut legends = legend_labels(legend);
    for selector in &query.selectors {
        // Prometheus itself adds these.
        let mut labels: BTreeSet<&str> = ["instance", "job"].into();
        let family = exported(&selector.metric, families)
            .unwrap_or_else(|| panic!("{place}: {} is not exported", selector.metric));
        if let Some(family) = family {
            labels.extend(family.labels());
        }
        if selector.metric.ends_with("_bucket") {
            labels.insert("le");
        }
        for (label, values) in &selector.matchers {
            assert!(labels.contains(label.as_str()), "{place}: {} has no {label}", selector.metric);
            let Some(family) = family.filter(|_| !["instance", "job"].contains(&label.as_str()))
            else {
                continue;
            };
            let known = family.values(label);
            for value in values {
                assert!(known.contains(value.as_str()), "{place}: {label} is never {value}");
            }
        }
        for label in &query.grouping {
            assert!(labels.contains(label.as_str()), "{place}: {} has no {label}", selector.metric);
        }
        if !query.aggregates {
            legends.retain(|label| !labels.contains(label.as_str()));
        }
    }
    legends.retain(|label| !query.grouping.contains(label));
    assert!(legends.is_empty(), "{place}: {legend} names what {expression} does not keep");
}

/// The metric of that name, which may be a part of a histogram; `Some(None)` for the one that Prometheus makes itself.
fn exported<'a>(
    metric: &str,
    families: &'a BTreeMap<String, scrape::Family>,
) -> Option<Option<&'a scrape::Family>> {
    if metric == "up" {
        return Some(None);
    }
    let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|part| metric.strip_suffix(part));
    let histogram =
        histogram.and_then(|name| families.get(name)).filter(|family| family.kind == "histogram");
    histogram.or_else(|| families.get(metric).filter(|family| family.kind != "histogram")).map(Some)
}

#[test]
fn every_metric_is_shown() {
    // Rendered by another panel, as a part of another, or a limit that is rarely set.
    const NOT_SHOWN: [&str; 2] =
        ["process_virtual_memory_bytes", "process_virtual_memory_max_bytes"];
    let shown: String = dashboard().into_iter().map(|shown| shown.expression).collect();
    for metric in uproar::metrics::METRICS.iter().chain(uproar::metrics::PROCESS_METRICS) {
        let is_shown = shown.contains(&format!("{}{{", metric.name))
            || shown.contains(&format!("{}_bucket{{", metric.name));
        assert_eq!(is_shown, !NOT_SHOWN.contains(&metric.name), "{}", metric.name);
    }
}

#[test]
fn every_alert_is_documented() {
    let text = markdown::read("docs/operations.md");
    let documented: BTreeSet<_> = markdown::table(&text, "### What to alert on")
        .into_iter()
        .map(|cells| cells[0].trim_matches('`').to_owned())
        .collect();
    assert_eq!(documented, rules().into_iter().map(|rule| rule.place).collect());
}

#[test]
fn promtool_accepts_the_configuration() {
    for (what, file) in [("config", "prometheus.yml"), ("rules", "alerts.yml")] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/prometheus").join(file);
        let output = Command::new("promtool").args(["check", what]).arg(path).output();
        let output = output.unwrap_or_else(|error| panic!("promtool: {error}; it {NEEDED}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A Prometheus that scrapes one server, with the configuration of `grafana/` but for addresses and intervals.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    directory: PathBuf,
}

impl Prometheus {
    fn start(target: SocketAddr) -> Self {
        let directory =
            std::env::temp_dir().join(format!("uproar-prometheus-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory for it");
        let config = markdown::read("grafana/prometheus/prometheus.yml");
        assert_eq!(config.matches("127.0.0.1:8081").count(), 1, "{config}");
        let config = config
            .replace("127.0.0.1:8081", &target.to_string())
            .replace("scrape_interval: 5s", "scrape_interval: 1s")
            .replace("evaluation_interval: 15s", "evaluation_interval: 1s");
        fs::write(directory.join("prometheus.yml"), config).expect("its configuration");
        let alerts = markdown::read("grafana/prometheus/alerts.yml");
        fs::write(directory.join("alerts.yml"), alerts).expect("its rules");
        let mut child = Command::new("prometheus")
            .arg(format!("--config.file={}", directory.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("prometheus: {error}; it {NEEDED}"));
        let mut seen = String::new();
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let address =
                line.split_once("msg=\"Listening on\" address=").map(|(_, rest)| rest.parse());
            seen.extend([line.as_str(), "\n"]);
            address
        });
        let address = address
            .unwrap_or_else(|| panic!("it says where it listens: {seen}"))
            .expect("an address");
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address, directory }
    }

    /// One call of its API: what is under `data`.
    fn ask(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        // In HTTP/1.0, so that the answer comes in one piece.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer comes");
        let body = answer.split_once("\r\n\r\n").expect("an answer has a body").1;
        // Not JSON until it is ready.
        let mut answer: Value = serde_json::from_str(body).unwrap_or_default();
        assert!(answer.is_null() || answer["status"] == "success", "{path}: {answer}");
        answer["data"].take()
    }

    /// What an expression comes to now: a value for each series.
    fn values(&self, expression: &str) -> Vec<f64> {
        let query = utf8_percent_encode(expression, NON_ALPHANUMERIC);
        let data = self.ask(&format!("/api/v1/query?query={query}"));
        let values = data["result"].as_array().into_iter().flatten();
        values.filter_map(|series| series["value"][1].as_str()?.parse().ok()).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        fs::remove_dir_all(&self.directory).ok();
    }
}

/// People who talk and people who come and go, until dropped.
struct Traffic {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    fn start(server: &Server) -> Self {
        let (address, over) = (server.address, Arc::new(AtomicBool::new(false)));
        let is_over = Arc::clone(&over);
        let mut room = server.crowd("/relay/room", 2);
        let echo = format!("/echo?token={}", token("ann", &serde_json::json!({})));
        let thread = std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                for sender in 0..room.len() {
                    room[sender].send("a message");
                    let others = room.iter_mut().enumerate().filter(|(other, _)| *other != sender);
                    others.for_each(|(_, other)| drop(other.next()));
                }
                let mut echo = Client::connect(address, &echo);
                echo.send("a message");
                echo.next();
                drop(echo);
                chat(address);
                ask_the_api(address);
                std::thread::park_timeout(Duration::from_millis(20));
            }
        });
        Self { over, thread: Some(thread) }
    }
}

/// Somebody says something, reads it, and asks for what there is not.
fn chat(address: SocketAddr) {
    let mut session = ChatClient::connect(address, "Ann");
    session.join("room");
    session.say("room", &"a message".into());
    session.await_type("ack");
    session.send(&serde_json::json!({"type": "history", "room": "room", "limit": 1}));
    session.await_type("history");
    session.send(&serde_json::json!({"type": "dance"}));
    session.await_type("error");
}

/// The backend's part.
fn ask_the_api(address: SocketAddr) {
    let mut backend = Client::raw(address);
    let head = "GET /api/v1/stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    backend.write(format!("{head}Authorization: Bearer {API_KEY}\r\n\r\n").as_bytes());
    let answer = backend.read_head();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it was started");
        assert!(thread.join().is_ok() || std::thread::panicking(), "the traffic stopped");
    }
}

const API_KEY: &str = "uproar_key_of_the_tests";

/// What has nothing to show while all is well.
const QUIET: [&str; 3] =
    ["Refused, by reason", "annotation", "Slow readers closed, frames dropped"];

#[test]
fn prometheus_answers_every_query() {
    let (name, keys) = keys();
    // Knows nobody, and takes everything.
    let application = Backend::start(|_| Reply::Status(204, String::new()));
    let url = application.url();
    let api_keys = format!("[\"tests:read:{}\"]", KeyHash::of(API_KEY));
    // The example of RFC 8037, appendix A.2.
    let set = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    let issuer = Backend::start(|_| Reply::Status(200, set.into()));
    let entry = format!("{{issuer = \"a\", jwks_url = \"{}\"}}, ", issuer.url());
    let keys = keys.replacen('[', &format!("[{entry}"), 1);
    let settings = [
        (name, &*keys),
        ("UPROAR_AUTH__JWKS_REFRESH_SECS", "1"),
        ("UPROAR_CALLBACKS__PUBLISH_URL", &*url),
        ("UPROAR_AUTH__MODES", "[\"token\", \"callback\", \"open\"]"),
        ("UPROAR_CALLBACKS__CONNECT_URL", &*url),
        ("UPROAR_CALLBACKS__SECRET", backend::SECRET),
        ("UPROAR_WEBHOOKS__URL", &*url),
        ("UPROAR_WEBHOOKS__SECRET", backend::SECRET),
        ("UPROAR_WEBHOOKS__ALLOW_PRIVATE_NETWORKS", "true"),
        ("UPROAR_AUTH__QUERY_PARAMETER", "token"),
        ("UPROAR_API__KEYS", &*api_keys),
        // One address does everybody's part.
        ("UPROAR_LIMITS__HANDSHAKES_PER_ADDRESS_PER_SEC", "0"),
    ];
    let server = Server::start_with(&["--echo", "--shards", "2"], &settings);
    let traffic = Traffic::start(&server);
    let prometheus = Prometheus::start(server.admin);
    wait_for("a first scrape", || (prometheus.values("up{job=\"uproar\"}") == [1.0]).then_some(()));
    for Shown { place, expression, .. } in dashboard() {
        let expression = filled(&expression);
        if QUIET.contains(&place.as_str()) {
            prometheus.values(&expression);
            continue;
        }
        wait_for(&format!("{place}: {expression}"), || {
            let values = prometheus.values(&expression);
            // A division by nothing is no data.
            values.iter().any(|value| value.is_finite()).then_some(())
        });
    }
    let instances = prometheus.ask("/api/v1/label/instance/values?match[]=uproar_build_info");
    assert_eq!(instances, serde_json::json!([server.admin.to_string()]));
    let messages = prometheus.values("sum(rate(uproar_messages_total[10s]))");
    assert!(messages[0] > 0.0, "{messages:?}");

    let rules = wait_for("every rule is evaluated", || {
        let groups = prometheus.ask("/api/v1/rules");
        let rules = groups["groups"][0]["rules"].as_array()?.clone();
        rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules)
    });
    assert_eq!(rules.len(), self::rules().len());
    for rule in rules {
        assert_eq!((&rule["health"], &rule["state"]), (&"ok".into(), &"inactive".into()), "{rule}");
    }
    drop(traffic);
}
