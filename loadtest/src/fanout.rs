//! The scenario `fanout`: senders talk to rooms, and every frame is audited at every member.
//!
//! All members are connected before the first message is due. A server may send the 101 before it has put the session
//! into its room, so the first message is due a second after the last 101.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fastwebsockets::OpCode;

use crate::Verdict;
use crate::cli::FanoutArguments;
use crate::client::churn::Churn;
use crate::client::opened::Opened;
use crate::client::storm::Storm;
use crate::clock::{Clock, nanos, per_sec};
use crate::message::Codec;
use crate::plan::{Class, Pace, Plan, Room, main_rooms};
use crate::progress;
use crate::report::{self, Deliveries, FanoutReport, Load, Opening, Quiet, SentFigures, Visitors};
use crate::run::{self, Ground};
use crate::scrape::{self, ServerFigures};
use crate::target::RELAY;
use crate::worker::Log;
use crate::worker::auditor::Heard;
use crate::worker::crew::Crew;
use crate::worker::outbound::Sent;
use crate::worker::timetable::Times;

/// From the last 101 to the first message.
const SETTLE: Duration = Duration::from_secs(1);

/// After the last arrival, how long a server may take to put its counters on its metrics page.
const METRICS_LAG: Duration = Duration::from_millis(1_500);

/// Before the first message, how long the threads have to hear when it is due.
const NOTICE: Duration = Duration::from_millis(50);

/// How long nothing happens before the first message and after the last, where a program measures between the two.
const STAGE: Duration = Duration::from_millis(200);

/// Connects everyone, sends, drains, and says what came of it.
pub(crate) fn run(arguments: &FanoutArguments) -> Result<Verdict> {
    arguments.check()?;
    let members = u64::from(arguments.members) + u64::from(arguments.quiet_members);
    let ground = Ground::prepare(&arguments.common, RELAY, members + arguments.visitors_max())?;
    let several = arguments.rooms > 1 || arguments.quiet_members > 0;
    if several && !ground.dialer.target.has_rooms() {
        let url = &arguments.common.url;
        bail!("{url} has no {{room}} in its path, so it is one room; more were asked for");
    }
    let plan = Arc::new(plan(arguments, ground.run));
    let fanout = Fanout { arguments, ground, plan, clock: Clock::start() };
    let seen = fanout.drive()?;
    let report = fanout.summarize(&seen);
    report::print(&report, arguments.common.json)?;
    Ok(Verdict::of(report.passed))
}

fn plan(arguments: &FanoutArguments, run: u32) -> Plan {
    let opcode = if arguments.binary { OpCode::Binary } else { OpCode::Text };
    let prefix = arguments.room.clone().unwrap_or_else(|| format!("loadtest-{run:08x}"));
    let mut rooms = main_rooms(&prefix, arguments.members, arguments.rooms, arguments.senders);
    if arguments.quiet_members > 0 {
        rooms.push(Room {
            name: format!("{prefix}-quiet"),
            members: arguments.quiet_members,
            senders: 1,
            class: Class::Quiet,
            first_sender: (arguments.rooms * arguments.senders) as usize,
        });
    }
    Plan {
        codec: Codec::new(run, arguments.size, opcode),
        rooms,
        main_workers: arguments.common.threads(),
        pace: arguments.window.map_or(Pace::Rate(arguments.rate), Pace::Window),
        quiet_rate: arguments.quiet_rate,
    }
}

/// One run of the scenario.
struct Fanout<'a> {
    arguments: &'a FanoutArguments,
    ground: Ground,
    plan: Arc<Plan>,
    clock: Clock,
}

/// Everything that was seen, before it becomes a report.
struct Seen {
    opened: Opened,
    visitors: Option<Opened>,
    server: Option<ServerFigures>,
    logs: Vec<Log>,
}

impl Fanout<'_> {
    fn drive(&self) -> Result<Seen> {
        let crew = Crew::start_threads(&self.plan, self.clock, self.arguments.drain)?;
        let opened = self.gather(&crew)?;
        crew.hold(SETTLE, || {})?;
        let before = self.scrape()?;
        self.enter(&crew, "sending")?;
        let times = self.times();
        crew.start(times)?;
        let visitors = self.start_churn(times, &crew)?;
        self.watch(&crew)?;
        self.enter(&crew, "settled")?;
        // Visitors that have not left yet leave with everybody else.
        let visitors = visitors.map(|thread| {
            thread.join().ok().context("the thread of the visitors panicked").and_then(|seen| seen)
        });
        let visitors = visitors.transpose()?;
        if before.is_some() {
            crew.hold(METRICS_LAG, || {})?;
        }
        let server = before.zip(self.scrape()?).map(|(before, after)| before.until(&after));
        Ok(Seen { opened, visitors, server, logs: crew.leave()? })
    }

    /// Connects every member that stays; one that cannot be connected ends the run.
    fn gather(&self, crew: &Crew) -> Result<Opened> {
        let common = &self.arguments.common;
        let storm = Storm {
            threads: common.threads(),
            rate: 0.0,
            concurrency: common.concurrency as usize,
            stop_at_first_failure: true,
            clock: self.clock,
        };
        let seats = self.plan.seats().len();
        let bar = progress::connecting(seats);
        let opened = storm.run(&self.ground.dialer, &self.plan, &crew.doorman(), &bar)?;
        bar.finish_and_clear();
        if let Some(failure) = opened.failures.values().next() {
            bail!("only {} of {seats} members connected: {}", opened.count, failure.first);
        }
        Ok(opened)
    }

    /// Says what comes now, if that was asked for, and waits until whoever measures has heard it.
    fn enter(&self, crew: &Crew, stage: &str) -> Result<()> {
        if self.arguments.stages {
            progress::stage(stage)?;
            crew.hold(STAGE, || {})?;
        }
        Ok(())
    }

    fn times(&self) -> Times {
        let start_ns = self.clock.now_ns() + nanos(NOTICE);
        let measure_ns = start_ns + nanos(self.arguments.warmup);
        Times { start_ns, measure_ns, stop_ns: measure_ns + nanos(self.arguments.duration) }
    }

    fn start_churn(&self, times: Times, crew: &Crew) -> Result<Option<JoinHandle<Result<Opened>>>> {
        let Self { arguments, ground, plan, clock } = self;
        let churn =
            Churn { rate: arguments.churn, stay: arguments.churn_stay, clock: *clock, times };
        (arguments.churn > 0.0)
            .then(|| churn.start_thread(ground.dialer.clone(), plan.clone(), crew.doorman()))
            .transpose()
    }

    /// Waits until all that was sent has arrived, or will not.
    fn watch(&self, crew: &Crew) -> Result<()> {
        let bar = progress::running(self.arguments.warmup + self.arguments.duration);
        bar.set_prefix("sending");
        let (mut before, mut looked) = (0, Instant::now());
        crew.wait_until_settled(|| {
            bar.set_position(bar.elapsed().as_secs());
            let elapsed = looked.elapsed();
            if elapsed >= Duration::from_secs(1) {
                let delivered = crew.delivered();
                bar.set_message(format!(
                    "{:.0} deliveries/s",
                    per_sec(delivered - before, elapsed)
                ));
                (before, looked) = (delivered, Instant::now());
            }
        })?;
        bar.finish_and_clear();
        Ok(())
    }

    fn scrape(&self) -> Result<Option<scrape::Sample>> {
        self.arguments.common.metrics.as_deref().map(scrape::scrape).transpose()
    }

    fn summarize(&self, seen: &Seen) -> FanoutReport {
        let Self { arguments, plan, .. } = self;
        let (mut heard, mut sent) = (Heard::nothing(), Sent::nothing());
        let (main, quiet) = seen.logs.split_at(plan.main_workers);
        for log in main {
            heard.add(&log.heard);
            sent.add(&log.sent);
        }
        let mut audit = heard.faults;
        quiet.iter().for_each(|log| audit.add(&log.heard.faults));
        let connections = run::endings(&seen.logs);
        let visitors_failed = seen.visitors.as_ref().map_or(0, Opened::failed);
        let seats = plan.seats().len() as u64;
        FanoutReport {
            scenario: "fanout",
            target: arguments.common.url.clone(),
            load: Load::new(arguments),
            opening: Opening::new(seats, &seen.opened),
            sent: SentFigures {
                messages: sent.messages,
                per_sec: per_sec(sent.messages, arguments.warmup + arguments.duration),
                withheld: sent.withheld,
            },
            deliveries: Deliveries::new(arguments, &heard, sent.deliveries),
            latency_us: heard.latency.percentiles(),
            send_lag_us: sent.lag.percentiles(),
            quiet: quiet.first().map(|log| Quiet {
                deliveries: log.heard.delivered,
                latency_us: log.heard.latency.percentiles(),
            }),
            audit,
            churn: seen.visitors.as_ref().map(|opened| Visitors {
                joined: opened.count,
                left: seen.logs.iter().map(|log| log.left).sum(),
                deliveries: heard.delivered_to_visitors,
                handshake_us: opened.handshake.percentiles(),
                failed: visitors_failed,
                failures: opened.kinds(),
            }),
            server: seen.server.clone(),
            generator: run::generator(&seen.logs),
            passed: audit.none() && connections.lost == 0 && visitors_failed == 0,
            connections,
        }
    }
}
