//! The scenario `chat`: sessions talk in rooms of `/chat`, are cut off and come back, and everything that each of them is
//! told is audited.
//!
//! The [`plan`] says who is in which rooms; a [`worker`] drives the sessions of one thread, of which a [`session`] has a
//! [`seat`] in each of its rooms and perhaps a [`sender`]; the [`crew`] is all threads. Everyone is in all of their rooms
//! before the first message is due, except for those that are to come late.
//!
//! What makes a run good: whoever was there from the start to the end, cut off in between or not, has received every
//! acknowledged message of its rooms once, in rising order of `seq`, each linked by `prev` to the one before, and in the
//! same order as everyone else; an ack names the `seq` that the message then has.

mod audit;
mod board;
mod client_id;
mod closing;
mod crew;
mod dialling;
mod hearing;
mod log;
mod outbound;
mod plan;
mod seat;
mod sender;
mod session;
mod wire;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use fastwebsockets::OpCode;

pub(crate) use self::audit::Faults;
use self::crew::Crew;
use self::dialling::Dials;
use self::log::{Log, Record};
use self::plan::Plan;
use self::worker::Schedule;
use crate::Verdict;
use crate::cli::ChatArguments;
use crate::clock::{Clock, nanos, per_sec};
use crate::message::Codec;
use crate::progress;
use crate::report::chat::{AckFigures, ChatLoad, ChatReport, Delivered, Late, Storms};
use crate::report::{self, Endings, Opening, SentFigures};
use crate::run::{self, Ground};
use crate::scrape::{self, ServerFigures};
use crate::target::CHAT;
use crate::worker::timetable::Times;

/// After the last arrival, how long a server may take to put its counters on its metrics page.
const METRICS_LAG: Duration = Duration::from_millis(1_500);

/// Before the first message, how long the threads have to hear when it is due.
const NOTICE: Duration = Duration::from_millis(50);

/// Lets everyone in, sends, drains, and says what came of it.
pub(crate) fn run(arguments: &ChatArguments) -> Result<Verdict> {
    arguments.check()?;
    let sessions = u64::from(arguments.sessions) + u64::from(arguments.late);
    let ground = Ground::prepare(&arguments.common, CHAT, sessions)?;
    let codec = Codec::new(ground.run, arguments.body_bytes, OpCode::Text);
    let plan = Arc::new(Plan::new(arguments, codec, ground.run));
    let chat = Chat { arguments, ground, plan, clock: Clock::start() };
    let seen = chat.drive()?;
    let report = chat.summarize(seen);
    report::print(&report, arguments.common.json)?;
    Ok(Verdict::of(report.passed))
}

/// One run of the scenario.
struct Chat<'a> {
    arguments: &'a ChatArguments,
    ground: Ground,
    plan: Arc<Plan>,
    clock: Clock,
}

/// Everything that was seen, before it becomes a report.
struct Seen {
    server: Option<ServerFigures>,
    log: Log,
    dials: Dials,
}

impl Chat<'_> {
    fn drive(&self) -> Result<Seen> {
        let Self { arguments, ground, plan, clock } = self;
        let crew = Crew::start_threads(plan, &ground.dialer, *clock, arguments)?;
        let bar = progress::connecting(plan.on_time);
        let look = |entered| bar.set_position(entered as u64);
        crew.gather(plan.on_time, arguments.common.timeout, look)?;
        bar.finish_and_clear();
        let before = self.scrape()?;
        crew.start(&self.schedule())?;
        self.watch(&crew)?;
        if before.is_some() {
            crew.hold(METRICS_LAG)?;
        }
        let server = before.zip(self.scrape()?).map(|(before, after)| before.until(&after));
        let (log, dials) = crew.leave()?;
        Ok(Seen { server, log, dials })
    }

    fn schedule(&self) -> Schedule {
        let arguments = self.arguments;
        let start_ns = self.clock.now_ns() + nanos(NOTICE);
        let measure_ns = start_ns + nanos(arguments.warmup);
        let duration_ns = nanos(arguments.duration);
        let times = Times { start_ns, measure_ns, stop_ns: measure_ns + duration_ns };
        let each_ns = duration_ns / u64::from(arguments.storms.max(1));
        let storm = |nth| measure_ns + each_ns * nth + each_ns / 2;
        let storms = (0..u64::from(arguments.storms)).map(storm).collect();
        Schedule { times, storms, away_ns: nanos(arguments.storm_away) }
    }

    /// Waits until all that was sent has arrived, or will not.
    fn watch(&self, crew: &Crew) -> Result<()> {
        let bar = progress::running(self.arguments.warmup + self.arguments.duration);
        bar.set_prefix("chatting");
        let (mut before, mut looked) = ((0, 0), Instant::now());
        crew.wait_until_settled(|| {
            bar.set_position(bar.elapsed().as_secs());
            let elapsed = looked.elapsed();
            if elapsed >= Duration::from_secs(1) {
                let now = crew.board.progress();
                bar.set_message(format!(
                    "{:.0} acks/s, {:.0} deliveries/s",
                    per_sec(now.0 - before.0, elapsed),
                    per_sec(now.1 - before.1, elapsed)
                ));
                (before, looked) = (now, Instant::now());
            }
        })?;
        bar.finish_and_clear();
        Ok(())
    }

    fn scrape(&self) -> Result<Option<scrape::Sample>> {
        self.arguments.common.metrics.as_deref().map(scrape::scrape).transpose()
    }

    fn summarize(&self, seen: Seen) -> ChatReport {
        let Self { arguments, plan, .. } = self;
        let Seen { server, log, dials } = seen;
        let mut audit = log.faults;
        audit.diverged = diverged(&log.records);
        let connections = Endings { lost: log.endings.values().sum(), reasons: log.endings };
        let (heard, all) = (&log.heard, arguments.warmup + arguments.duration);
        let deliveries = heard.delivered + heard.by_late;
        ChatReport {
            scenario: "chat",
            target: arguments.common.url.clone(),
            load: ChatLoad::new(arguments),
            opening: Opening::new(plan.on_time as u64, &dials.first),
            join_us: log.joins.percentiles(),
            sent: SentFigures {
                messages: log.sent.messages,
                per_sec: per_sec(log.sent.messages, all),
                withheld: log.sent.withheld,
            },
            send_lag_us: log.sent.lag.percentiles(),
            acks: AckFigures {
                count: log.acks.count,
                stored: log.acks.stored,
                per_sec: per_sec(log.acks.measured, arguments.duration),
                latency_us: log.acks.latency.percentiles(),
            },
            deliveries: Delivered {
                expected: heard.expected,
                received: heard.received,
                per_sec: per_sec(heard.measured, arguments.duration),
            },
            latency_us: heard.latency.percentiles(),
            later_handshake_us: (dials.later.count > 0)
                .then(|| dials.later.handshake.percentiles()),
            storms: (arguments.storms > 0).then(|| Storms {
                cut: log.cut,
                resumed: log.resumes.percentiles().samples,
                resume_us: log.resumes.percentiles(),
                replayed: heard.replayed,
                sent_again: log.sent.again,
            }),
            late: (arguments.late > 0)
                .then_some(Late { sessions: arguments.late, deliveries: heard.by_late }),
            passed: audit.none() && connections.lost == 0 && log.errors.is_empty(),
            audit,
            errors: log.errors,
            connections,
            server,
            generator: run::used(deliveries, log.reads, log.cpu_ns, log.starved_ns),
        }
    }
}

/// How many sessions have a sound record of a room that is not the one which most have.
fn diverged(records: &[Record]) -> u64 {
    let mut rooms: HashMap<u32, HashMap<(u64, u64), u64>> = HashMap::new();
    for record in records.iter().filter(|record| record.sound) {
        let sequences = rooms.entry(record.room).or_default();
        *sequences.entry((record.count, record.digest)).or_default() += 1;
    }
    let others = |sequences: &HashMap<_, u64>| {
        sequences.values().sum::<u64>() - sequences.values().max().copied().unwrap_or(0)
    };
    rooms.values().map(others).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Pace;

    /// Two rooms with one sender, who is in both.
    pub(super) fn plan() -> Plan {
        let room = |index: usize| plan::Room {
            name: format!("r-{index}"),
            senders: vec![0],
            first_slot: index,
        };
        Plan {
            codec: Codec::new(1, 64, OpCode::Text),
            run: 1,
            rooms: vec![room(0), room(1)],
            sessions: vec![vec![0, 1]],
            on_time: 1,
            senders: 1,
            workers: 1,
            pace: Pace::Rate(1.0),
            history: 10,
            storm_share: 0.5,
        }
    }

    #[test]
    fn those_that_saw_something_else_than_most_have_diverged() {
        let record = |room, digest, sound| Record { room, count: 1, digest, sound };
        let same = [record(0, 1, true), record(0, 1, true), record(1, 2, true)];
        assert_eq!(diverged(&same), 0);
        let one_unsound = [same.as_slice(), &[record(0, 9, false)]].concat();
        assert_eq!(diverged(&one_unsound), 0, "its own faults were counted");
        let one_other = [same.as_slice(), &[record(0, 9, true)]].concat();
        assert_eq!(diverged(&one_other), 1);
    }
}
