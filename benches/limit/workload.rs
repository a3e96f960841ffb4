//! The workloads: what is done, which figures are taken, what they are held against, and what they should come to.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::arguments::Extent;
use super::cores::Cores;
use super::generator::{Generator, Load, Pace, Rooms};
use super::machine::Machine;
use super::sample::{Figure, Sample, Side};
use super::server::{Program, Server};
use super::table::{self, Row};
use super::{Verdict, chart, connect, crowd, hop, idle, record};

/// One workload.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    work: Work,
    pub(crate) measures: &'static [Measure],
}

/// A figure, the yardstick that it is held against, and what it should come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    pub(crate) figure: Figure,
    pub(crate) against: Side,
    pub(crate) aim: Option<Aim>,
}

/// What a figure should come to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim {
    /// At most so many times the yardstick's.
    Most(f64),
    /// At least so many times the yardstick's.
    Least(f64),
    /// At most so much, whatever the yardstick's.
    Bound(f64),
}

/// What one run gave, before it is known whose it was.
pub(crate) struct Taken {
    pub(crate) figures: BTreeMap<Figure, f64>,
    pub(crate) details: serde_json::Value,
    pub(crate) passed: bool,
}

#[derive(Clone, Copy, Debug)]
enum Work {
    Fanout(Load),
    Idle,
    Connect,
    Hop,
}

const fn measure(figure: Figure, against: Side, aim: Option<Aim>) -> Measure {
    Measure { figure, against, aim }
}

const fn fanout(rooms: Rooms, senders: usize, pace: Pace, size: usize) -> Work {
    Work::Fanout(Load { rooms, senders, pace, size })
}

const ONE_AT_A_TIME: Pace = Pace::Window(1);

const WORKLOADS: [Workload; 9] = {
    use Aim::{Bound, Least, Most};
    use Figure::{
        BytesPerConnection, ConnectionsPerSec, CpuUsPerConnection, CpuUsPerDelivery,
        DeliveriesPerSec, LatencyMsP99,
    };
    use Side::{BareSend, BareTurn, OneShard};
    [
        Workload {
            name: "single",
            work: fanout(Rooms::One(1_000), 1, ONE_AT_A_TIME, 128),
            measures: &[measure(CpuUsPerDelivery, BareSend, Some(Most(1.10)))],
        },
        Workload {
            name: "burst",
            work: fanout(Rooms::One(1_000), 16, Pace::Window(4), 128),
            measures: &[
                measure(DeliveriesPerSec, BareTurn, Some(Least(0.85))),
                measure(LatencyMsP99, BareTurn, Some(Most(1.5))),
                measure(CpuUsPerDelivery, BareTurn, None),
                measure(DeliveriesPerSec, BareSend, None),
            ],
        },
        Workload {
            name: "paced",
            work: fanout(Rooms::One(1_000), 1, Pace::Rate(100), 128),
            measures: &[
                measure(LatencyMsP99, BareTurn, Some(Most(1.35))),
                measure(CpuUsPerDelivery, BareSend, None),
            ],
        },
        Workload {
            name: "wide",
            work: fanout(Rooms::Widest, 1, ONE_AT_A_TIME, 128),
            measures: &[measure(CpuUsPerDelivery, BareSend, Some(Most(1.10)))],
        },
        Workload {
            name: "big",
            work: fanout(Rooms::One(500), 4, ONE_AT_A_TIME, 16 * 1024),
            measures: &[measure(CpuUsPerDelivery, BareSend, Some(Most(0.9)))],
        },
        Workload {
            name: "rooms",
            work: fanout(Rooms::Many { members: 20, most: 1_000 }, 1, ONE_AT_A_TIME, 128),
            measures: &[
                measure(CpuUsPerDelivery, BareSend, None),
                measure(DeliveriesPerSec, BareSend, None),
            ],
        },
        Workload {
            name: "hop",
            work: Work::Hop,
            measures: &[measure(CpuUsPerDelivery, OneShard, Some(Most(1.15)))],
        },
        Workload {
            name: "connect",
            work: Work::Connect,
            measures: &[
                measure(CpuUsPerConnection, BareTurn, Some(Most(2.0))),
                measure(ConnectionsPerSec, BareTurn, None),
            ],
        },
        Workload {
            name: "idle",
            work: Work::Idle,
            measures: &[measure(BytesPerConnection, BareTurn, Some(Bound(256.0)))],
        },
    ]
};

/// Measures what was asked for, round by round, and shows it.
pub(crate) fn run(extent: &Extent) -> Result<Verdict> {
    let workloads = extent.choose(&WORKLOADS, |workload| workload.name)?;
    let bench = Bench::set_up(extent.seconds)?;
    let mut samples = Vec::new();
    for round in 0..extent.rounds {
        for workload in &workloads {
            for side in turned(workload.sides(), round) {
                progress(&format!(
                    "{}/{} {} {}",
                    round + 1,
                    extent.rounds,
                    workload.name,
                    side.label()
                ));
                let taken = bench
                    .take(workload, side)
                    .with_context(|| format!("{}, {}", workload.name, side.label()))?;
                samples.push(taken.sample(round, workload.name, None, side));
            }
        }
    }
    let machine = Machine::look(bench.cores);
    let rows = Row::all(&workloads, &samples);
    let mut tables = machine.to_string();
    table::workloads(&rows, &mut tables)?;
    io::stdout().write_all(tables.as_bytes())?;
    if let Some(directory) = &extent.out {
        let record =
            record::Record { name: "workloads", machine: &machine, extent, samples: &samples };
        record.write(directory, &tables)?;
        chart::ratios(&rows, &directory.join("workloads.svg"))?;
    }
    verdict(&samples)
}

/// What every run needs.
struct Bench {
    cores: Cores,
    generator: Generator,
    seconds: Duration,
}

impl Bench {
    fn set_up(seconds: Duration) -> Result<Self> {
        let cores = Cores::choose()?;
        // Before this thread is held to one core: building takes all of them.
        let generator = Generator::build()?;
        cores.be_client()?;
        crowd::raise_descriptors()?;
        Ok(Self { cores, generator, seconds })
    }

    fn take(&self, workload: &Workload, side: Side) -> Result<Taken> {
        let server = Server::start(workload.program(side), self.cores)?;
        match &workload.work {
            Work::Fanout(load) => self.generator.fanout(&server, load, self.seconds),
            Work::Idle => idle::measure(&server),
            Work::Connect => connect::measure(&server),
            Work::Hop => hop::measure(&server, side, self.seconds),
        }
    }
}

impl Workload {
    const fn sides(&self) -> &'static [Side] {
        match self.work {
            Work::Hop => &[Side::OneShard, Side::Uproar],
            _ => &[Side::BareSend, Side::BareTurn, Side::Uproar],
        }
    }

    const fn program(&self, side: Side) -> Program {
        match (self.work, side) {
            (Work::Hop, _) => Program::Embedded { shards: 2 },
            (_, Side::BareSend) => Program::BareSend,
            (_, Side::BareTurn) => Program::BareTurn,
            (_, Side::Uproar | Side::OneShard) => Program::Uproar { shards: 1 },
        }
    }
}

impl Taken {
    /// With whose it was.
    pub(crate) fn sample(
        self,
        round: u32,
        work: &'static str,
        at: Option<u64>,
        side: Side,
    ) -> Sample {
        let Self { figures, details, passed } = self;
        if !passed {
            progress(&format!("{work}, {}: FAILED: {details}", side.label()));
        }
        Sample { round, work, at, side, figures, passed, details }
    }
}

/// The sides, each round beginning with another one, so that none always comes first.
pub(crate) fn turned(sides: &[Side], round: u32) -> Vec<Side> {
    let mut sides = sides.to_vec();
    let first = round as usize % sides.len();
    sides.rotate_left(first);
    sides
}

/// A line on standard error that says what goes on.
pub(crate) fn progress(what: &str) {
    // Where nobody reads, nobody waits for it.
    let _ = writeln!(io::stderr(), "{what}");
}

/// Whether every run passed.
pub(crate) fn verdict(samples: &[Sample]) -> Result<Verdict> {
    let failed = samples.iter().filter(|sample| !sample.passed).count();
    if failed == 0 {
        return Ok(Verdict::Passed);
    }
    progress(&format!("{failed} of {} runs FAILED their audit", samples.len()));
    Ok(Verdict::Failed)
}

/// Lets time pass.
pub(crate) fn let_pass(time: Duration) {
    let end = Instant::now() + time;
    while let Some(rest) = end.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(rest);
    }
}
