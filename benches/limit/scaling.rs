//! How the cost of a delivery grows: with members, rooms, shards and bytes. One message is under way at a time, said
//! and checked by the client of this program ([`exchange`](super::exchange)), next to the yardstick doing the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::arguments::Extent;
use super::chart::{self, Axes, Curve};
use super::cores::Cores;
use super::crowd::{self, Crowd, Welcome, connections_max};
use super::exchange::{Exchange, Turn};
use super::machine::Machine;
use super::sample::{Figure, Sample, Selection, Side};
use super::seats::Seats;
use super::server::{Program, Server};
use super::workload::{Taken, let_pass, progress, turned, verdict};
use super::{Verdict, record};

const FIGURE: Figure = Figure::CpuUsPerDelivery;
const SIDES: [Side; 2] = [Side::BareSend, Side::Uproar];
const SIZE: usize = 128;

/// Members of each of many rooms.
const ROOM_MEMBERS: usize = 20;

/// Sessions that share the seats of many rooms. A prime, so that no two rooms have the same members.
const SESSIONS: usize = 9_973;

/// From the last handshake to the first message.
const SETTLE: Duration = Duration::from_secs(1);

/// What is varied.
struct Scale {
    name: &'static str,
    axes: Axes,
    points: &'static [u64],
    /// What is measured at a point, for one side.
    setting: fn(usize, Side) -> Setting,
}

/// One server, who is there, and what is said.
#[derive(Clone, Copy, Debug)]
struct Setting {
    program: Program,
    rooms: usize,
    members: usize,
    sessions: usize,
    size: usize,
}

const CPU: &str = "server CPU, µs per delivery";

const SCALES: [Scale; 4] = [
    Scale {
        name: "members",
        axes: Axes {
            title: "Members of one room, one message of 128 bytes at a time",
            x: "members",
            y: CPU,
            x_text: count,
        },
        points: &[10, 100, 1_000, 10_000, 19_000],
        setting: |members, side| {
            Setting::one_room(relay(side, 1), members.min(connections_max()), SIZE)
        },
    },
    Scale {
        name: "rooms",
        axes: Axes {
            title: "Rooms of 20, one message of 128 bytes at a time to one of them at random",
            x: "rooms",
            y: CPU,
            x_text: count,
        },
        points: &[1, 1_000, 100_000],
        setting: Setting::many_rooms,
    },
    Scale {
        name: "shards",
        axes: Axes {
            title: "Shards on one core, one room of 1,000, one message of 128 bytes at a time",
            x: "shards (the yardstick has one thread)",
            y: CPU,
            x_text: count,
        },
        points: &[1, 2, 4, 8],
        setting: |shards, side| Setting::one_room(relay(side, shards), 1_000, SIZE),
    },
    Scale {
        name: "sizes",
        axes: Axes {
            title: "Bytes of a message, one room of 100, one message at a time",
            x: "bytes",
            y: CPU,
            x_text: bytes,
        },
        points: &[16, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20],
        setting: |size, side| Setting::one_room(relay(side, 1), 100, size),
    },
];

/// Measures what was asked for, round by round, and shows it.
pub(crate) fn run(extent: &Extent) -> Result<Verdict> {
    let scales = extent.choose(&SCALES, |scale| scale.name)?;
    let cores = Cores::choose()?;
    cores.be_client()?;
    crowd::raise_descriptors()?;
    let mut samples = Vec::new();
    for round in 0..extent.rounds {
        for scale in &scales {
            for point in scale.points {
                for side in turned(&SIDES, round) {
                    let (name, label) = (scale.name, side.label());
                    progress(&format!("{}/{} {name} {point} {label}", round + 1, extent.rounds));
                    let setting = (scale.setting)(*point as usize, side);
                    let taken = setting.measure(cores, extent.seconds);
                    let taken = taken.with_context(|| format!("{name} {point}, {label}"))?;
                    samples.push(taken.sample(round, name, Some(*point), side));
                }
            }
        }
    }
    show(extent, cores, &scales, &samples)?;
    verdict(&samples)
}

fn show(extent: &Extent, cores: Cores, scales: &[&Scale], samples: &[Sample]) -> Result<()> {
    let machine = Machine::look(cores);
    let mut tables = machine.to_string();
    scales.iter().try_for_each(|scale| scale.table(samples, &mut tables))?;
    io::stdout().write_all(tables.as_bytes())?;
    let Some(directory) = &extent.out else { return Ok(()) };
    record::Record { name: "scaling", machine: &machine, extent, samples }
        .write(directory, &tables)?;
    for scale in scales {
        let path = directory.join(format!("scaling-{}.svg", scale.name));
        chart::curves(scale.axes, &SIDES.map(|side| (side, scale.curve(side, samples))), &path)?;
    }
    Ok(())
}

impl Scale {
    const fn selection(&self, point: u64, side: Side) -> Selection {
        Selection { work: self.name, at: Some(point), side, figure: FIGURE }
    }

    fn curve(&self, side: Side, samples: &[Sample]) -> Curve {
        let points = self.points.iter();
        points
            .filter_map(|point| Some((*point, self.selection(*point, side).interval(samples)?)))
            .collect()
    }

    fn table(&self, samples: &[Sample], out: &mut String) -> Result<()> {
        writeln!(out, "\n| {} | bare send, CPU µs per delivery | Uproar | ratio |", self.name)?;
        writeln!(out, "|---|---|---|---|")?;
        for point in self.points {
            let [bare, uproar] = SIDES.map(|side| self.selection(*point, side));
            if let (Some(own), Some(value), Some(ratio)) =
                (bare.interval(samples), uproar.interval(samples), uproar.ratio_to(&bare, samples))
            {
                let point = (self.axes.x_text)(*point);
                writeln!(out, "| {point} | {own} | {value} | {ratio} |")?;
            }
        }
        Ok(())
    }
}

impl Setting {
    const fn one_room(program: Program, members: usize, size: usize) -> Self {
        Self { program, rooms: 1, members, sessions: members, size }
    }

    /// The seats of so many rooms. With Uproar they are dealt out to 9,973 sessions, which is some 200 rooms for each
    /// session where there are 100,000. The yardstick knows one room for each connection: it has as many connections,
    /// and so as many sockets that were not touched for a while, but no more rooms than that gives.
    fn many_rooms(rooms: usize, side: Side) -> Self {
        let seats = rooms * ROOM_MEMBERS;
        let (program, members, size) = (Program::Embedded { shards: 1 }, ROOM_MEMBERS, SIZE);
        if side == Side::Uproar {
            return Self { program, rooms, members, sessions: seats.min(SESSIONS), size };
        }
        let rooms = rooms.min(SESSIONS / ROOM_MEMBERS);
        Self { program: Program::BareSend, rooms, members, sessions: rooms * ROOM_MEMBERS, size }
    }

    fn measure(&self, cores: Cores, seconds: Duration) -> Result<Taken> {
        let server = Server::start(self.program, cores)?;
        let mut crowd = Crowd::new(server.address)?;
        crowd.open((0..self.sessions).map(|session| self.path(session)), self.welcome())?;
        let_pass(SETTLE);
        let mut turns = self.turns();
        let mut exchange = Exchange::new(crowd, self.size);
        let measured = exchange.measure(server.process(), seconds, || turns.next_one())?;
        let details = json!({
            "rooms": self.rooms,
            "members": self.members,
            "sessions": self.sessions,
            "cpu_secs": measured.cpu_secs,
            "messages": measured.messages,
            "deliveries": measured.deliveries,
            "elapsed_secs": measured.elapsed.as_secs_f64(),
        });
        let figures = BTreeMap::from([(FIGURE, measured.cpu_us_per_delivery())]);
        Ok(Taken { figures, details, passed: true })
    }

    const fn welcome(&self) -> Welcome {
        match self.program {
            Program::Embedded { .. } => Welcome::Greeting,
            _ => Welcome::Silent,
        }
    }

    fn path(&self, session: usize) -> String {
        match self.program {
            Program::Embedded { .. } => {
                let (step, end) = (self.sessions, self.rooms * self.members);
                let seats = Seats { first: session, step, end, in_room: self.members };
                format!("/relay/{}", seats.segment())
            }
            _ => format!("/relay/{}", session / self.members),
        }
    }

    const fn turns(&self) -> Turns {
        Turns { setting: *self, random: 0x9e37_79b9_7f4a_7c15 }
    }
}

/// Whose turn it is: any member of any room, the same ones in each run.
struct Turns {
    setting: Setting,
    random: u64,
}

impl Turns {
    fn next_one(&mut self) -> Turn {
        let Setting { rooms, members, sessions, .. } = self.setting;
        let (room, speaker) = (self.below(rooms), self.below(members));
        let session = |seat: usize| (room * members + seat) % sessions;
        let receivers = (0..members).filter(|seat| *seat != speaker).map(session).collect();
        Turn { room, sender: session(speaker), receivers }
    }

    /// An xorshift: good enough to visit rooms in no order.
    const fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) as usize % bound
    }
}

const fn relay(side: Side, shards: usize) -> Program {
    match side {
        Side::Uproar => Program::Uproar { shards },
        _ => Program::BareSend,
    }
}

/// With a comma between the thousands.
fn count(value: u64) -> String {
    match (value / 1_000, value % 1_000) {
        (0, few) => few.to_string(),
        (thousands, rest) => format!("{},{rest:03}", count(thousands)),
    }
}

fn bytes(value: u64) -> String {
    match value {
        mebi if mebi >= 1 << 20 => format!("{} MiB", mebi >> 20),
        kibi if kibi >= 1 << 10 => format!("{} KiB", kibi >> 10),
        few => format!("{few} B"),
    }
}
