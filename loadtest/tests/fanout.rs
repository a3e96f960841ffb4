//! `loadtest fanout` against a relay that is right, and against one for each fault that the audit must see.

#![allow(clippy::unwrap_used, reason = "a report without the figure is a failed test")]

#[allow(dead_code, reason = "other test binaries use the rest")]
mod relay;
mod run;

use std::sync::atomic::Ordering;

use serde_json::Value;

use self::relay::{Behaviour, Relay};
use self::run::{Outcome, loadtest};

/// A short open loop: 8 members, one sender, 60 messages.
const SHORT: &str = "fanout --members 8 --rate 60 --duration 1 --warmup 0 --drain 1 --json";

/// Runs `fanout` with those arguments against a server that behaves so.
fn fanout(behaviour: Behaviour, arguments: &str) -> (Outcome, Relay) {
    let relay = Relay::start("127.0.0.1:0", behaviour);
    (loadtest(&format!("{arguments} --url {}", relay.url())), relay)
}

/// Sees that everything was sent, arrived, and was found right.
fn check_clean(behaviour: Behaviour, arguments: &str) -> Value {
    let (outcome, _relay) = fanout(behaviour, arguments);
    let report = outcome.json();
    assert_eq!(outcome.code, 0, "{arguments}\n{report:#}");
    for (fault, count) in report["audit"].as_object().unwrap() {
        assert_eq!(count, 0, "{arguments}: {fault}");
    }
    let deliveries = &report["deliveries"];
    assert!(deliveries["received"].as_u64().unwrap() > 0, "{arguments}");
    assert_eq!(deliveries["received"], deliveries["expected"], "{arguments}");
    assert_eq!(report["connections"]["lost"], 0);
    assert_eq!(report["passed"], true);
    report
}

/// Sees that the two faulty messages are counted as that fault and as nothing else.
fn check_fault(behaviour: Behaviour, fault: &str) {
    let (outcome, _relay) = fanout(behaviour, SHORT);
    let report = outcome.json();
    assert_eq!(outcome.code, 1, "{behaviour:?}\n{report:#}");
    assert_eq!(report["passed"], false);
    for (name, count) in report["audit"].as_object().unwrap() {
        let expected = if name == fault { 2 } else { 0 };
        assert_eq!(count, expected, "{behaviour:?}: {name}\n{report:#}");
    }
    assert_eq!(report["connections"]["lost"], 0);
}

#[test]
fn an_open_loop_sends_its_timetable_and_times_every_delivery() {
    let report = check_clean(Behaviour::Right, SHORT);
    assert_eq!(report["sent"]["messages"], 60);
    assert_eq!(report["sent"]["withheld"], 0);
    assert_eq!(report["deliveries"]["expected"], 60 * 7);
    assert_eq!(report["latency_us"]["samples"], 60 * 7);
    assert_eq!(report["opening"]["opened"], 8);
    assert!(report["generator"]["cpu_secs"].as_f64().unwrap() > 0.0, "{report:#}");
    let latency = &report["latency_us"];
    let figures = ["p50", "p90", "p99", "p99_9", "p99_99", "max"];
    let figures = figures.map(|name| latency[name].as_f64().unwrap());
    assert!(figures[0] > 0.0 && figures.is_sorted(), "{latency}");
}

#[test]
fn the_warm_up_is_audited_but_not_timed() {
    let arguments = "fanout --members 4 --rate 100 --duration 0.5 --warmup 0.5 --json";
    let report = check_clean(Behaviour::Right, arguments);
    assert_eq!(report["sent"]["messages"], 100);
    assert_eq!(report["latency_us"]["samples"], 50 * 3);
}

#[test]
fn saturation_keeps_the_window_full_on_one_thread_and_on_several() {
    for threads in [1, 3] {
        let arguments = format!(
            "fanout --members 20 --senders 3 --window 4 --threads {threads} \
             --duration 1 --warmup 0.1 --json"
        );
        let report = check_clean(Behaviour::Right, &arguments);
        // A window that never moved would have stopped at 3 times 4.
        assert!(report["sent"]["messages"].as_u64().unwrap() > 12, "{report:#}");
    }
}

#[test]
fn rooms_sizes_and_kinds_pass() {
    for arguments in [
        "fanout --members 30 --rooms 7 --senders 2 --rate 500 --threads 2",
        "fanout --members 30 --rooms 7 --senders 4 --window 2 --threads 2",
        "fanout --members 5 --senders 5 --rate 200 --size 56",
        "fanout --members 5 --window 8 --size 16384 --binary",
        "fanout --members 3 --window 2 --size 1048576",
    ] {
        check_clean(Behaviour::Right, &format!("{arguments} --duration 0.5 --warmup 0 --json"));
    }
}

#[test]
fn visitors_come_and_go_and_are_audited() {
    let report = check_clean(
        Behaviour::Right,
        "fanout --members 6 --window 4 --churn 60 --churn-stay 0.2 --duration 1 --warmup 0 --json",
    );
    let churn = &report["churn"];
    assert_eq!((&churn["joined"], &churn["failed"]), (&60.into(), &0.into()));
    assert_eq!(churn["left"], 60);
    assert!(churn["deliveries"].as_u64().unwrap() > 0, "{churn}");
}

#[test]
fn the_quiet_room_is_reported_apart() {
    let report = check_clean(
        Behaviour::Right,
        "fanout --members 10 --window 8 --quiet-members 3 --quiet-rate 50 --duration 1 \
         --warmup 0 --json",
    );
    assert_eq!(report["quiet"]["deliveries"], 50 * 2);
    assert_eq!(report["quiet"]["latency_us"]["samples"], 50 * 2);
}

#[test]
fn fragments_and_pings_between_them_are_understood() {
    check_clean(Behaviour::Fragment, SHORT);
}

#[test]
fn each_fault_is_counted_as_itself_and_fails_the_run() {
    let cases = [
        (Behaviour::Lose, "lost"),
        (Behaviour::Duplicate, "duplicated"),
        (Behaviour::Reorder, "reordered"),
        (Behaviour::Inject, "foreign"),
        (Behaviour::Echo, "echoed"),
    ];
    for (behaviour, fault) in cases {
        check_fault(behaviour, fault);
    }
}

#[test]
fn a_changed_message_is_corrupted_and_the_original_lost() {
    for behaviour in [Behaviour::Corrupt, Behaviour::WrongKind] {
        let (outcome, _relay) = fanout(behaviour, SHORT);
        let report = outcome.json();
        assert_eq!(outcome.code, 1, "{report:#}");
        assert_eq!(
            (&report["audit"]["corrupted"], &report["audit"]["lost"]),
            (&2.into(), &2.into())
        );
    }
}

#[test]
fn losses_do_not_stop_a_window() {
    let arguments = "fanout --members 6 --window 2 --duration 1 --warmup 0 --drain 1 --json";
    let (outcome, _relay) = fanout(Behaviour::Lose, arguments);
    let report = outcome.json();
    assert_eq!((outcome.code, &report["audit"]["lost"]), (1, &2.into()));
    // The 16th message is the last that is hit; a window of 2 that stuck would have stopped there.
    assert!(report["sent"]["messages"].as_u64().unwrap() > 18, "{report:#}");
}

#[test]
fn messages_of_another_room_are_foreign() {
    let arguments =
        "fanout --members 4 --rooms 2 --rate 20 --duration 0.5 --warmup 0 --drain 1 --json";
    let (outcome, _relay) = fanout(Behaviour::OneRoom, arguments);
    // Each of the 10 messages reaches the two members of the other room as well.
    let audit = &outcome.json()["audit"];
    assert_eq!((outcome.code, &audit["foreign"], &audit["lost"]), (1, &20.into(), &0.into()));
}

#[test]
fn lost_connections_fail_the_run_with_their_reason_and_hold_nobody_up() {
    for (behaviour, reason) in [
        (Behaviour::CloseMember, "closed with 1013"),
        (Behaviour::CutMember, "end of stream without a Close"),
    ] {
        let arguments = "fanout --members 6 --window 2 --duration 1 --warmup 0 --drain 1 --json";
        let (outcome, _relay) = fanout(behaviour, arguments);
        let report = outcome.json();
        assert_eq!(outcome.code, 1, "{report:#}");
        assert_eq!(report["connections"]["reasons"][reason], 2, "{report:#}");
        assert_eq!(report["connections"]["lost"], 2);
        // The 16th message is the last that is hit; a window of 2 that stuck would have stopped there.
        // The 16th message is the last that is hit; a window of 2 that stuck would have stopped there.
        assert!(report["sent"]["messages"].as_u64().unwrap() > 18, "{report:#}");
    }
}

#[test]
fn pings_are_answered_and_everybody_says_goodbye() {
    let (outcome, relay) = fanout(Behaviour::Right, SHORT);
    assert_eq!(outcome.code, 0);
    assert_eq!(relay.counts.pongs.load(Ordering::Relaxed), 8);
    // The members and the connection that tried the server out.
    assert_eq!(relay.counts.closes.load(Ordering::Relaxed), 9);
}

#[test]
fn the_servers_own_figures_are_reported_and_missing_ones_named() {
    let relay = Relay::start("127.0.0.1:0", Behaviour::Right);
    let arguments =
        format!("{SHORT} --url {} --metrics http://{}/metrics", relay.url(), relay.address);
    let report = loadtest(&arguments).json();
    let server = &report["server"];
    assert_eq!(server["deliveries"], 60.0 * 7.0);
    for figure in ["cpu_seconds", "cpu_us_per_delivery", "writes", "frames_per_write"] {
        assert!(server[figure].as_f64().unwrap() > 0.0, "{figure}: {server}");
    }
    assert_eq!(server["missing"], serde_json::json!(["process_resident_memory_bytes"]));

    let table = loadtest(&arguments.replace(" --json", "")).out;
    assert!(table.contains("the endpoint has no process_resident_memory_bytes"), "{table}");
}

#[test]
fn the_table_says_what_matters() {
    let (outcome, _relay) = fanout(Behaviour::Lose, &SHORT.replace(" --json", ""));
    assert_eq!(outcome.code, 1);
    for part in [
        "8 members in 1 rooms, 1 senders each, 128 bytes of text",
        "open loop, 60 messages/s",
        "418 of 420",
        "p99.99",
        "lost 2  duplicated 0  reordered 0",
        "FAILED",
    ] {
        assert!(outcome.out.contains(part), "{part} is not in\n{}", outcome.out);
    }
    assert_eq!(outcome.err, "", "no progress line where standard error is no terminal");
}

#[test]
fn what_cannot_be_set_up_exits_with_2_and_says_why() {
    let cases = [
        (Behaviour::Unavailable, "", "HTTP 503"),
        (Behaviour::WrongAccept, "", "Sec-WebSocket-Accept does not belong to the key"),
        (Behaviour::Silent, "--timeout 0.3", "no answer within 0.3 s"),
        (Behaviour::Right, "--size 10", "--size"),
        (Behaviour::Right, "--senders 9", "--senders 9"),
        (Behaviour::Right, "--metrics http://127.0.0.1:1/metrics", "cannot scrape"),
    ];
    for (behaviour, more, reason) in cases {
        let (outcome, _relay) = fanout(behaviour, &format!("fanout --members 8 {more}"));
        assert_eq!((outcome.code, outcome.out.as_str()), (2, ""), "{more}: {}", outcome.err);
        assert!(outcome.err.contains(reason), "{reason} is not in: {}", outcome.err);
    }
}

#[test]
fn a_path_without_a_room_takes_one_room_only() {
    let relay = Relay::start("127.0.0.1:0", Behaviour::Right);
    let arguments = SHORT.replace("--members 8", "--members 8 --rooms 2");
    let outcome = loadtest(&format!("{arguments} --url {}/lobby", relay.url()));
    assert_eq!(outcome.code, 2);
    assert!(outcome.err.contains("{room}"), "{}", outcome.err);
    assert_eq!(loadtest(&format!("{SHORT} --url {}/lobby", relay.url())).code, 0);
}
