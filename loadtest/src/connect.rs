//! The scenario `connect`: a storm of connections, then a while in which none of them should end.

use std::sync::Arc;

use anyhow::Result;
use fastwebsockets::OpCode;

use crate::Verdict;
use crate::cli::ConnectArguments;
use crate::client::storm::Storm;
use crate::clock::Clock;
use crate::message::{Codec, MESSAGE_BYTES_MIN};
use crate::plan::{Class, Pace, Plan, Room};
use crate::report::{self, ConnectReport, Opening};
use crate::run::{self, Ground};
use crate::target::RELAY;
use crate::worker::crew::Crew;
use crate::{progress, scrape};

/// Opens the connections, holds them, and says what came of both.
pub(crate) fn run(arguments: &ConnectArguments) -> Result<Verdict> {
    let common = &arguments.common;
    let ground = Ground::prepare(common, RELAY, u64::from(arguments.connections))?;
    let plan = Arc::new(plan(arguments, ground.run));
    let clock = Clock::start();
    let crew = Crew::start_threads(&plan, clock, std::time::Duration::ZERO)?;
    let storm = Storm {
        threads: common.threads(),
        rate: arguments.rate,
        concurrency: common.concurrency as usize,
        stop_at_first_failure: false,
        clock,
    };
    let bar = progress::connecting(arguments.connections as usize);
    let opened = storm.run(&ground.dialer, &plan, &crew.doorman(), &bar)?;
    bar.finish_and_clear();

    let bar = progress::running(arguments.hold);
    bar.set_prefix("holding");
    crew.hold(arguments.hold, || bar.set_position(bar.elapsed().as_secs()))?;
    bar.finish_and_clear();
    let after = common.metrics.as_deref().map(scrape::scrape).transpose()?;
    let server = ground.before.zip(after).map(|(before, after)| before.until(&after));
    let logs = crew.leave()?;

    let connections = run::endings(&logs);
    let report = ConnectReport {
        scenario: "connect",
        target: common.url.clone(),
        opening: Opening::new(u64::from(arguments.connections), &opened),
        hold_secs: arguments.hold.as_secs_f64(),
        passed: opened.failed() == 0 && connections.lost == 0,
        connections,
        unexpected_messages: logs.iter().map(|log| log.heard.faults.foreign).sum(),
        server,
        generator: run::generator(&logs),
    };
    report::print(&report, common.json)?;
    Ok(Verdict::of(report.passed))
}

/// One room in which nobody sends.
fn plan(arguments: &ConnectArguments, run: u32) -> Plan {
    let own = || format!("loadtest-{run:08x}");
    Plan {
        codec: Codec::new(run, MESSAGE_BYTES_MIN, OpCode::Text),
        rooms: vec![Room {
            name: arguments.room.clone().unwrap_or_else(own),
            members: arguments.connections,
            senders: 0,
            class: Class::Main,
            first_sender: 0,
        }],
        main_workers: arguments.common.threads(),
        pace: Pace::Window(1),
        quiet_rate: 1.0,
    }
}
