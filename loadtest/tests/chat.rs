//! `loadtest chat` against a chat server that is right, and against one for each fault that the audit must see.

#![allow(clippy::unwrap_used, reason = "a report without the figure is a failed test")]

mod chat_server;
mod run;

use serde_json::Value;

use self::chat_server::{Behaviour, ChatServer};
use self::run::{Outcome, loadtest};

/// A short open loop: 6 sessions in one room, two senders in turn, 30 messages each.
const SHORT: &str =
    "chat --sessions 6 --rooms 1 --senders 2 --rate 60 --duration 1 --warmup 0 --json";

/// Sessions that are cut off and come back while others talk.
const STORMY: &str = "chat --sessions 12 --rooms 3 --rooms-per-session 2 --senders 6 --rate 300 \
                      --duration 1.5 --warmup 0 --storms 2 --storm-share 0.7 --storm-away 0.1 \
                      --threads 2 --json";

/// The faults that a report counts, those that are not 0.
fn faults(report: &Value) -> Vec<(&str, u64)> {
    let audit = report["audit"].as_object().unwrap();
    let counted = audit.iter().map(|(name, count)| (&**name, count.as_u64().unwrap()));
    counted.filter(|(_, count)| *count > 0).collect()
}

fn chat(behaviour: Behaviour, arguments: &str) -> Outcome {
    let server = ChatServer::start(behaviour);
    loadtest(&format!("{arguments} --url {}", server.url()))
}

/// Sees that everything was sent, acknowledged, arrived, and was found right.
#[track_caller]
fn check_clean(arguments: &str) -> Value {
    let outcome = chat(Behaviour::Right, arguments);
    let report = outcome.json();
    assert_eq!(outcome.code, 0, "{arguments}\n{report:#}");
    assert_eq!(faults(&report), [], "{arguments}");
    assert_eq!(report["passed"], true);
    assert_eq!(report["connections"]["lost"], 0);
    let (sent, deliveries) = (&report["sent"]["messages"], &report["deliveries"]);
    assert!(sent.as_u64().unwrap() > 0, "{arguments}");
    assert_eq!(sent, &report["acks"]["count"], "{arguments}");
    assert_eq!(sent, &report["acks"]["stored"], "{arguments}");
    assert_eq!(deliveries["received"], deliveries["expected"], "{arguments}");
    report
}

/// Sees that a server with that fault fails the run, with exactly these faults counted.
#[track_caller]
fn check_fault(behaviour: Behaviour, arguments: &str, expected: &[(&str, u64)]) -> Value {
    let outcome = chat(behaviour, &format!("{arguments} --drain 1"));
    let report = outcome.json();
    assert_eq!(outcome.code, 1, "{behaviour:?}\n{report:#}");
    assert_eq!(report["passed"], false);
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let mut found = faults(&report);
    found.sort_unstable();
    assert_eq!(found, expected, "{behaviour:?}\n{report:#}");
    report
}

#[test]
fn an_open_loop_times_every_ack_and_every_delivery() {
    let report = check_clean(SHORT);
    assert_eq!(report["sent"]["messages"], 60);
    assert_eq!(report["sent"]["withheld"], 0);
    assert_eq!(report["deliveries"]["expected"], 60 * 6, "the sender hears itself");
    assert_eq!(report["latency_us"]["samples"], 60 * 6);
    assert_eq!(report["acks"]["latency_us"]["samples"], 60);
    assert_eq!(report["join_us"]["samples"], 6);
    assert_eq!(report["opening"]["opened"], 6);
    assert!(report["generator"]["cpu_secs"].as_f64().unwrap() > 0.0, "{report:#}");
    for latency in [&report["latency_us"], &report["acks"]["latency_us"]] {
        let figures = ["p50", "p90", "p99", "p99_9", "p99_99", "max"];
        let figures = figures.map(|name| latency[name].as_f64().unwrap());
        assert!(figures[0] > 0.0 && figures.is_sorted(), "{latency}");
    }
}

#[test]
fn saturation_goes_on_with_every_ack() {
    for threads in [1, 3] {
        let report = check_clean(&format!(
            "chat --sessions 20 --rooms 5 --rooms-per-session 2 --senders 3 --window 4 \
             --duration 1 --warmup 0.1 --threads {threads} --json"
        ));
        // A window that never moved would have stopped at 3 times 4.
        assert!(report["sent"]["messages"].as_u64().unwrap() > 12, "{report:#}");
    }
}

#[test]
fn the_warm_up_is_audited_but_not_timed() {
    let report = check_clean(
        "chat --sessions 4 --rooms 1 --senders 1 --rate 100 --duration 0.5 --warmup 0.5 --json",
    );
    assert_eq!(report["sent"]["messages"], 100);
    assert_eq!(report["latency_us"]["samples"], 50 * 4);
    assert_eq!(report["acks"]["latency_us"]["samples"], 50);
}

#[test]
fn bodies_of_every_size_pass() {
    for bytes in [56, 57, 16_384] {
        check_clean(&format!("{SHORT} --body-bytes {bytes}"));
    }
}

#[test]
fn storms_lose_nothing_and_repeat_nothing() {
    for pace in ["", " --window 3"] {
        let arguments = match pace {
            "" => STORMY.to_owned(),
            window => STORMY.replace(" --rate 300", window),
        };
        let report = check_clean(&arguments);
        let storms = &report["storms"];
        assert!(storms["cut"].as_u64().unwrap() > 0, "{report:#}");
        assert_eq!(storms["cut"], storms["resumed"], "{report:#}");
        assert!(storms["replayed"].as_u64().unwrap() > 0, "{report:#}");
    }
}

#[test]
fn those_who_come_late_get_history_and_what_follows() {
    let report = check_clean(&format!("{SHORT} --late 5 --history 7"));
    assert_eq!(report["late"]["sessions"], 5);
    assert!(report["late"]["deliveries"].as_u64().unwrap() > 5 * 7 - 7, "{report:#}");
    assert_eq!(report["join_us"]["samples"], 11);
    assert_eq!(
        (&report["opening"]["opened"], &report["later_handshake_us"]["samples"]),
        (&6.into(), &5.into())
    );
    assert_eq!(report["deliveries"]["expected"], 60 * 6, "only what nobody may miss is counted");
}

#[test]
fn what_others_said_before_is_no_fault_when_it_comes_as_history() {
    let server = ChatServer::start(Behaviour::Right);
    for _ in 0..2 {
        let outcome = loadtest(&format!("{SHORT} --room same --history 20 --url {}", server.url()));
        assert_eq!(outcome.code, 0, "{}", outcome.out);
        assert_eq!(outcome.json()["deliveries"]["expected"], 60 * 6);
    }
}

/// Holds several servers to their faults at once: most of each run is waiting.
fn check_faults(cases: &[(Behaviour, &[(&str, u64)])]) {
    std::thread::scope(|scope| {
        for (behaviour, expected) in cases {
            scope.spawn(|| check_fault(*behaviour, SHORT, expected));
        }
    });
}

#[test]
fn each_fault_is_counted_as_itself_and_fails_the_run() {
    use Behaviour::*;
    check_faults(&[
        (Lose, &[("lost", 2), ("unlinked", 2)]),
        (LoseQuietly, &[("lost", 2)]),
        (Duplicate, &[("duplicated", 2)]),
        (StoreTwice, &[("duplicated", 2 * 6)]),
        (Reorder, &[("reordered", 2), ("unlinked", 2)]),
        (Inject, &[("foreign", 2)]),
    ]);
}

#[test]
fn two_orders_that_are_each_right_by_themselves_are_seen() {
    // Slowly, so that the two that are exchanged are not of one sender, by whose count it would be seen as well.
    let slowly = SHORT.replace("--rate 60", "--rate 20");
    check_fault(Behaviour::Diverge, &slowly, &[("diverged", 1)]);
}

#[test]
fn a_broken_promise_is_seen() {
    use Behaviour::*;
    check_faults(&[
        (Forget, &[("lost", 2 * 6)]),
        (NoAck, &[("unacked", 2)]),
        (WrongAck, &[("misacked", 2)]),
        // What is changed is not what was sent, so that was lost, and what follows is linked to nothing.
        (Corrupt, &[("corrupted", 2), ("lost", 2), ("unlinked", 2)]),
    ]);
    let report = check_fault(Refuse, SHORT, &[]);
    assert_eq!(report["errors"]["unavailable"], 2);
}

/// The report of a run with storms against a server that resumes wrongly, which must fail.
#[track_caller]
fn check_resume(behaviour: Behaviour) -> (Value, impl Fn(&str) -> u64) {
    let outcome = chat(behaviour, &format!("{STORMY} --drain 1"));
    let report = outcome.json();
    assert_eq!(outcome.code, 1, "{behaviour:?}\n{report:#}");
    let audit = report["audit"].clone();
    (report, move |fault: &str| audit[fault].as_u64().unwrap())
}

#[test]
fn a_resume_that_skips_or_repeats_is_seen() {
    let (report, count) = check_resume(Behaviour::ResumeLoses);
    assert!(count("lost") > 0 && count("unlinked") > 0, "{report:#}");
    assert_eq!((count("duplicated"), count("reordered")), (0, 0), "{report:#}");
    let (report, count) = check_resume(Behaviour::ResumeRepeats);
    assert!(count("duplicated") > 0, "{report:#}");
    assert_eq!((count("lost"), count("unlinked"), count("reordered")), (0, 0, 0), "{report:#}");
}

#[test]
fn a_resume_that_begins_elsewhere_is_seen() {
    let (report, count) = check_resume(Behaviour::ResumeGap);
    assert!(count("gaps") > 0 && count("lost") > 0, "{report:#}");
    let (report, count) = check_resume(Behaviour::ResumeAnew);
    assert!(count("epochs") > 0 && count("lost") > 0, "{report:#}");
    let (report, _) = check_resume(Behaviour::ResumeStranger);
    assert!(report["connections"]["reasons"]["came back as somebody else"].is_u64(), "{report:#}");
}

#[test]
fn a_lost_connection_fails_the_run_and_is_no_loss_of_messages() {
    let report = check_fault(Behaviour::CloseMember, SHORT, &[]);
    assert_eq!(report["connections"]["reasons"]["closed with 1013"], 2, "{report:#}");
}

#[test]
fn a_server_that_lets_nobody_in_is_no_run() {
    let outcome = chat(Behaviour::Closed, SHORT);
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(outcome.err.contains("answered forbidden"), "{outcome:?}");
}

#[test]
fn people_get_a_table() {
    let arguments = STORMY.replace(" --json", " --late 2 --history 5");
    let outcome = chat(Behaviour::Right, &arguments);
    assert_eq!(outcome.code, 0, "{}", outcome.out);
    for word in ["acks", "storms", "back after", "late", "unlinked 0", "verdict            passed"]
    {
        assert!(outcome.out.contains(word), "{word}\n{}", outcome.out);
    }
}
