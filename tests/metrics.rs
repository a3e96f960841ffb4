//! The metrics' promise: what is documented is what is listed is what is exported, and the numbers add up.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use support::client::{Client, frame, request};
use support::server::Server;
use support::{markdown, scrape};
use uproar::metrics::{METRICS, Metric, PROCESS_METRICS};

fn all() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().chain(PROCESS_METRICS)
}

fn kind(metric: &Metric) -> String {
    format!("{:?}", metric.kind).to_lowercase()
}

#[test]
fn the_list_is_what_is_documented() {
    let row = |metric: &Metric| {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{}` | {} | {} | {} |", metric.name, kind(metric), labels.join(" "), metric.help)
    };
    let mut expected: Vec<_> = all().map(row).collect();
    let text = markdown::read("docs/operations.md");
    let rows = markdown::table(&text, "### Every metric");
    let mut documented: Vec<_> =
        rows.iter().map(|cells| format!("| {} |", cells.join(" | "))).collect();
    expected.sort();
    documented.sort();
    assert!(documented == expected, "the table should be\n{}", expected.join("\n"));
}

#[test]
fn every_reason_is_documented() {
    let text = markdown::read("docs/operations.md");
    let rows = markdown::table(&text, "### Reasons");
    let documented: BTreeSet<_> =
        rows.iter().map(|cells| (cells[0].trim_matches('`'), cells[1].trim_matches('`'))).collect();
    assert!(rows.iter().all(|cells| cells.len() == 3 && !cells[2].is_empty()), "{rows:?}");
    let expected: BTreeSet<_> = all()
        .flat_map(|metric| {
            let reasons = metric.labels.contains(&"reason").then(|| metric.values("reason"));
            let reasons = reasons.map(|reasons| reasons.expect("reasons are known"));
            reasons.into_iter().flatten().map(|reason| (metric.name, *reason))
        })
        .collect();
    assert_eq!(documented, expected);
}

#[test]
fn the_list_is_what_is_exported() {
    let server = Server::start(&["--echo", "--shards", "3"]);
    let (status, page) = server.admin("/metrics");
    assert_eq!(status, 200);
    let exported: BTreeMap<_, _> = scrape::families(&page)
        .into_iter()
        .map(|(name, family)| {
            let labels = family.labels().into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
            assert!(!family.samples.is_empty(), "{name}");
            (name, (family.kind, labels, family.help))
        })
        .collect();
    let listed: BTreeMap<_, _> = all()
        .map(|metric| {
            let labels = metric.labels.iter().map(|label| (*label).to_owned()).collect();
            (metric.name.to_owned(), (kind(metric), labels, metric.help.to_owned()))
        })
        .collect();
    assert_eq!(exported, listed);
}

#[test]
fn label_values_are_bounded() {
    let server = Server::start_with(&["--echo", "--shards", "2"], &[]);
    let mut clients: Vec<_> = (0..20)
        .map(|room| Client::connect(server.address, &format!("/relay/secret-room-{room}")))
        .collect();
    clients.iter_mut().for_each(|client| client.send("secret"));
    clients.push(Client::connect(server.address, "/echo?token=secret"));
    server.wait_for_metric("uproar_messages_total", &[], |messages| messages == 20.0);
    let (_, page) = server.admin("/metrics");
    assert!(!page.contains("secret") && !page.contains("127.0.0.1"), "{page}");
    let families = scrape::families(&page);
    for metric in METRICS {
        for label in metric.labels {
            let got = families[metric.name].values(label);
            let expected: BTreeSet<&str> = match *label {
                "shard" => ["0", "1"].into(),
                "protocol" => ["relay", "echo", "chat"].into(),
                "version" => [env!("CARGO_PKG_VERSION")].into(),
                label => {
                    metric.values(label).expect("a label has its values").iter().copied().collect()
                }
            };
            assert_eq!(got, expected, "{} {label}", metric.name);
        }
    }
}

#[test]
fn traffic_adds_up() {
    const MESSAGES: usize = 10;
    let server = Server::start(&["--echo", "--shards", "2"]);
    let mut clients = server.crowd("/relay/sums", 2);
    let members = clients.len();
    for client in &mut clients {
        for number in 0..MESSAGES {
            client.send(&format!("message {number}"));
        }
    }
    let mut echo = Client::connect(server.address, "/echo");
    echo.write(&frame(0x02, b"a message "));
    echo.write(&frame(0x80, b"in two fragments"));
    echo.write(&frame(0x89, b"ping"));
    let mut heads = [echo.next().head, echo.next().head];
    heads.sort_unstable();
    assert_eq!(heads, [0x82, 0x8a], "the message and the pong, which may overtake it");
    for client in &mut clients {
        for _ in 0..MESSAGES * (members - 1) {
            client.next();
        }
    }
    clients.push(echo);
    let sum = |count: fn(&Client) -> u64| clients.iter().map(count).sum::<u64>() as f64;
    let messages = (members * MESSAGES + 1) as f64;
    let deliveries = (members * (members - 1) * MESSAGES + 1) as f64;
    let check = |name: &str, labels: &[&str], expected: f64| {
        server.wait_for_metric(name, labels, |value| value == expected);
    };
    check("uproar_messages_total", &[], messages);
    check("uproar_deliveries_total", &[], deliveries);
    check("uproar_frames_total", &["direction=\"in\""], messages + 1.0);
    check("uproar_frames_total", &["direction=\"out\""], deliveries + 1.0);
    check("uproar_wire_bytes_total", &["direction=\"in\""], sum(|client| client.bytes_written));
    check("uproar_wire_bytes_total", &["direction=\"out\""], sum(|client| client.bytes_read));
    check("uproar_memberships", &[], members as f64);
    check("uproar_rooms", &[], 1.0);
    check("uproar_outbox_bytes", &[], 0.0);
    check("uproar_sessions_paused", &[], 0.0);
    check("uproar_mailbox_batches", &[], 0.0);
    let batches = server.metric("uproar_mailbox_batches_total", &["direction=\"out\""]);
    assert!(batches >= 2.0, "both shards have told the other: {batches}");
    check("uproar_mailbox_batches_total", &["direction=\"in\""], batches);
    check("uproar_hop_duration_seconds_count", &[], batches);
    check("uproar_handshake_duration_seconds_count", &[], members as f64 + 1.0);
    let fanouts = server.metric("uproar_fanout_duration_seconds_count", &[]);
    assert!((1.0..=messages * 2.0).contains(&fanouts), "{fanouts}");
    let writes = server.metric("uproar_writes_total", &[]);
    assert!((members as f64..=deliveries + 2.0 + messages).contains(&writes), "{writes}");
    assert!(server.metric("uproar_reads_total", &[]) >= members as f64);
    let (turns, timed) = ("uproar_turns_total", "uproar_turn_duration_seconds_count");
    assert!(server.metric(turns, &[]) > 0.0 && server.metric(timed, &[]) > 0.0);
    assert!(server.metric("uproar_shard_busy_seconds_total", &[]) > 0.0);
}

/// The first line of the answer to these bytes; empty if there is none.
fn ask(server: &Server, bytes: &str) -> String {
    let mut stream = TcpStream::connect(server.address).expect("the server accepts");
    stream.set_read_timeout(Some(support::PATIENCE)).expect("a timeout can be set");
    stream.write_all(bytes.as_bytes()).expect("the server takes bytes");
    stream.shutdown(std::net::Shutdown::Write).expect("the server is there");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("no reset");
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn every_end_and_every_refusal_is_counted() {
    let server = Server::start_with(
        &["--shards", "1"],
        &[("UPROAR_LIMITS__CONNECTIONS_MAX", "5"), ("UPROAR_LIMITS__MESSAGE_BYTES_MAX", "100")],
    );
    let mut clients: Vec<_> = (0..5).map(|_| Client::connect(server.address, "/")).collect();
    let refusals = [
        (request("/"), "503", "connections_max"),
        (request("/nowhere"), "404", "not_found"),
        (request("/").replace("Version: 13", "Version: 8"), "426", "version"),
        (request("/").replace("localhost", "evil.example"), "403", "host"),
        (request("/relay/..%2f").replace("..%2f", "%zz"), "400", "bad_request"),
        ("GET /relay/a HTTP/1.1\r\nHost: localhost\r\n\r\n".into(), "426", "upgrade_required"),
        ("POST /relay/a HTTP/1.1\r\nHost: localhost\r\n\r\n".into(), "405", "method_not_allowed"),
        (format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000)), "431", "header_too_large"),
        ("GET / HT".into(), "", "lost"),
    ];
    for (bytes, status, reason) in &refusals {
        let line = ask(&server, bytes);
        assert_eq!(line.split(' ').nth(1).unwrap_or_default(), *status, "{reason}: {line}");
        let label = format!("reason=\"{reason}\"");
        server.wait_for_metric("uproar_connections_refused_total", &[&label], |count| count == 1.0);
    }
    clients[0].write(&frame(0x88, &1000_u16.to_be_bytes()));
    clients[1].write(&[0xff, 0x80]);
    clients[2].write(&frame(0x81, &[0xff]));
    clients[3].write(&frame(0x81, &[b'x'; 101]));
    drop(clients.pop());
    for reason in ["peer", "protocol", "invalid_utf8", "too_big", "lost"] {
        let label = format!("reason=\"{reason}\"");
        server.wait_for_metric("uproar_sessions_closed_total", &[&label], |count| count == 1.0);
    }
    let count = |name: &str| server.metric(name, &[]);
    server.wait_for_metric("uproar_sessions", &[], |sessions| sessions == 0.0);
    assert_eq!(count("uproar_sessions_opened_total"), 5.0);
    assert_eq!(count("uproar_sessions_closed_total"), 5.0);
    assert_eq!(count("uproar_connections_refused_total"), refusals.len() as f64);
    assert_eq!(count("uproar_connections_accepted_total"), 5.0 + refusals.len() as f64);
    server.wait_for_metric("uproar_handshakes_pending", &[], |pending| pending == 0.0);
}

#[test]
fn the_process_is_seen() {
    let server = Server::start(&["--shards", "1"]);
    let before = server.metric("process_open_fds", &[]);
    let _clients: Vec<_> = (0..10).map(|_| Client::connect(server.address, "/")).collect();
    assert_eq!(server.metric("process_open_fds", &[]), before + 10.0);
    assert!(server.metric("process_resident_memory_bytes", &[]) > 1e6);
    assert!(server.metric("process_max_fds", &[]) > before);
    let started = server.metric("process_start_time_seconds", &[]);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs_f64();
    assert!((now - 3600.0..=now + 2.0).contains(&started), "{started} is not about {now}");
    server.wait_for_metric("process_cpu_seconds_total", &[], |cpu| cpu > 0.0);
}

#[test]
fn promtool_has_nothing_to_say() {
    let server = Server::start(&["--echo"]);
    let (_, page) = server.admin("/metrics");
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs: it is in the package \"prometheus\" of Debian and Ubuntu");
    let mut stdin = promtool.stdin.take().expect("stdin is piped");
    stdin.write_all(page.as_bytes()).expect("promtool reads");
    drop(stdin);
    let output = promtool.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}
