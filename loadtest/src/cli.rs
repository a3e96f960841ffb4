//! The command line: what can be asked for, in which units, with which defaults and bounds.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};

use crate::message::{MESSAGE_BYTES_MAX, MESSAGE_BYTES_MIN};

/// Loads a WebSocket relay or chat server and audits every frame that comes back.
///
/// Exit code 0: everything arrived once, in order, unchanged, and no connection was lost. 1: something was not so.
/// 2: the run could not be set up.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) scenario: Scenario,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Scenario {
    /// Open many connections, then hold them: connections/s, handshake percentiles, failures, unexpected closes.
    Connect(ConnectArguments),
    /// Let senders talk to the members of rooms: deliveries/s, latency, and an audit of every frame at every member.
    Fanout(FanoutArguments),
    /// Let sessions talk in rooms of the chat, cut some off and let them resume: acks/s, deliveries/s, latencies, and an
    /// audit of every message at every session: everything acknowledged, once, in one order for all.
    Chat(ChatArguments),
}

/// Where to, and how.
#[derive(Args, Clone, Debug)]
pub(crate) struct CommonArguments {
    /// The server, `ws://` or `wss://`. The path may hold `{room}`; without a path it is `/relay/{room}`, or `/chat` for a chat.
    #[arg(long, default_value = "ws://127.0.0.1:8080")]
    pub(crate) url: String,
    /// Whom to trust with `wss://`: a file of certificates in PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// With `wss://`, show the tickets that the server gave to connections before; without it all handshakes are full
    /// ones, as those of many clients.
    #[arg(long)]
    pub(crate) resume: bool,
    /// The server's Prometheus endpoint, scraped before and after: CPU per delivery, frames per write, memory.
    #[arg(long, value_name = "URL")]
    pub(crate) metrics: Option<String>,
    /// Threads that drive connections [default: half of the cores, at least 1].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) threads: Option<u32>,
    /// Handshakes under way at a time.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) concurrency: u32,
    /// Seconds that TCP and handshake of one connection may take together.
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = positive_secs)]
    pub(crate) timeout: Duration,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ConnectArguments {
    #[command(flatten)]
    pub(crate) common: CommonArguments,
    /// Connections to open.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,
    /// Connections per second; 0 is as fast as they go.
    #[arg(long, default_value = "0", value_parser = rate_or_zero)]
    pub(crate) rate: f64,
    /// Seconds to hold them open.
    #[arg(long, value_name = "SECS", default_value = "5", value_parser = secs)]
    pub(crate) hold: Duration,
    /// The room that all of them join [default: one of this run's own].
    #[arg(long)]
    pub(crate) room: Option<String>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct FanoutArguments {
    #[command(flatten)]
    pub(crate) common: CommonArguments,
    /// Members in all rooms together, senders included; the rooms get equally many.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) members: u32,
    /// Rooms.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rooms: u32,
    /// Members of each room that send.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) senders: u32,
    /// Bytes of each message: 56 to 1048576.
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = message_bytes)]
    pub(crate) size: usize,
    /// Open loop: messages per second of all senders together, sent by a timetable whatever comes back.
    #[arg(long, value_name = "MSGS/S", default_value = "100", value_parser = rate)]
    pub(crate) rate: f64,
    /// Saturation: each sender keeps this many of its messages outstanding, that is, not yet received by every member
    /// of its room that stays. Latency then says how long the queue is, not how fast the server is.
    #[arg(long, value_name = "MSGS", conflicts_with = "rate")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) window: Option<u32>,
    /// Seconds to measure for, after the warm-up.
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = positive_secs)]
    pub(crate) duration: Duration,
    /// Seconds to send before measuring; these messages are audited too.
    #[arg(long, value_name = "SECS", default_value = "2", value_parser = secs)]
    pub(crate) warmup: Duration,
    /// Visitors that join per second, and as many that leave.
    #[arg(long, value_name = "JOINS/S", default_value = "0", value_parser = rate_or_zero)]
    pub(crate) churn: f64,
    /// Seconds that a visitor stays.
    #[arg(long, value_name = "SECS", default_value = "1", value_parser = positive_secs)]
    pub(crate) churn_stay: Duration,
    /// Members of one more room, with one sender, whose latency is reported apart; 0 is no such room.
    #[arg(long, value_name = "MEMBERS", default_value_t = 0)]
    pub(crate) quiet_members: u32,
    /// Messages per second in the quiet room.
    #[arg(long, value_name = "MSGS/S", default_value = "10", value_parser = rate)]
    pub(crate) quiet_rate: f64,
    /// Send binary messages instead of text.
    #[arg(long)]
    pub(crate) binary: bool,
    /// Rooms are called NAME-0, NAME-1, and so on [default: names of this run's own].
    #[arg(long, value_name = "NAME")]
    pub(crate) room: Option<String>,
    /// Say on standard error when the first message is due ("sending") and when all has arrived ("settled"), and let
    /// a moment pass after either: for a program that measures the server between the two.
    #[arg(long)]
    pub(crate) stages: bool,
    /// Seconds without any arrival, after the senders have stopped, until what is missing counts as lost.
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = positive_secs)]
    pub(crate) drain: Duration,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ChatArguments {
    #[command(flatten)]
    pub(crate) common: CommonArguments,
    /// Sessions, senders among them: guests that are in their rooms before the first message.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) sessions: u32,
    /// Rooms.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rooms: u32,
    /// Rooms that each session joins; a sender sends to its own in turn.
    #[arg(long, value_name = "ROOMS", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) rooms_per_session: u32,
    /// The exponent of Zipf's law, by which some rooms are larger than others; 0 makes all equally likely.
    #[arg(long, default_value = "1", value_parser = skew)]
    pub(crate) skew: f64,
    /// Sessions that send.
    #[arg(long, default_value_t = 50)]
    pub(crate) senders: u32,
    /// Bytes of text in each body: 56 to 1048576.
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = message_bytes)]
    pub(crate) body_bytes: usize,
    /// Messages of history that each join asks for.
    #[arg(long, value_name = "MSGS", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) history: u32,
    /// Open loop: messages per second of all senders together, sent by a timetable whatever comes back.
    #[arg(long, value_name = "MSGS/S", default_value = "100", value_parser = rate)]
    pub(crate) rate: f64,
    /// Saturation: each sender keeps this many of its messages unacknowledged.
    #[arg(long, value_name = "MSGS", conflicts_with = "rate")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) window: Option<u32>,
    /// Seconds to measure for, after the warm-up.
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = positive_secs)]
    pub(crate) duration: Duration,
    /// Seconds to send before measuring; these messages are audited too.
    #[arg(long, value_name = "SECS", default_value = "2", value_parser = secs)]
    pub(crate) warmup: Duration,
    /// Resume storms, spread over the measured time: each cuts sessions off at once, without a Close, which then come
    /// back and resume each of their rooms where they were.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub(crate) storms: u32,
    /// The share of the sessions that a storm cuts off, from 0 to 1.
    #[arg(long, value_name = "SHARE", default_value = "0.5", value_parser = share)]
    pub(crate) storm_share: f64,
    /// Seconds that they stay away before they dial.
    #[arg(long, value_name = "SECS", default_value = "0.5", value_parser = secs)]
    pub(crate) storm_away: Duration,
    /// Further sessions that join, with history, one after the other while the others send, and stay.
    #[arg(long, value_name = "SESSIONS", default_value_t = 0)]
    pub(crate) late: u32,
    /// Rooms are called NAME-0, NAME-1, and so on [default: names of this run's own].
    #[arg(long, value_name = "NAME")]
    pub(crate) room: Option<String>,
    /// Seconds in which nothing at all arrives, after the senders have stopped, until what is missing counts as lost.
    #[arg(long, value_name = "SECS", default_value = "10", value_parser = positive_secs)]
    pub(crate) drain: Duration,
}

impl ChatArguments {
    /// Refuses what contradicts itself.
    pub(crate) fn check(&self) -> Result<()> {
        if self.senders > self.sessions {
            bail!("--senders {}: there are {} sessions", self.senders, self.sessions);
        }
        Ok(())
    }
}

impl CommonArguments {
    /// Threads that drive connections.
    pub(crate) fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.map_or((cores / 2).max(1), |threads| threads as usize)
    }
}

impl FanoutArguments {
    /// Refuses what contradicts itself.
    pub(crate) fn check(&self) -> Result<()> {
        let smallest = self.members / self.rooms;
        if smallest < 2 {
            bail!(
                "--members {} in --rooms {}: a room needs at least 2 members, or nobody hears anybody",
                self.members,
                self.rooms
            );
        }
        if self.senders > smallest {
            bail!(
                "--senders {}: the rooms have {smallest} members each, and senders are members",
                self.senders
            );
        }
        if self.quiet_members == 1 {
            bail!("--quiet-members 1: a room needs at least 2 members, or nobody hears anybody");
        }
        Ok(())
    }

    /// Visitors that may be there at a time: those that stay, and as many that wait for the answer to their Close.
    pub(crate) fn visitors_max(&self) -> u64 {
        (2.0 * self.churn * self.churn_stay.as_secs_f64()).ceil() as u64
    }
}

fn secs(text: &str) -> Result<Duration, String> {
    let secs: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (0.0..=86_400.0).contains(&secs) {
        Ok(Duration::from_secs_f64(secs))
    } else {
        Err("not between 0 and 86400 seconds".to_owned())
    }
}

fn positive_secs(text: &str) -> Result<Duration, String> {
    secs(text).and_then(|secs| {
        if secs.is_zero() { Err("must be more than 0 seconds".to_owned()) } else { Ok(secs) }
    })
}

fn rate_or_zero(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number per second".to_owned())?;
    if (0.0..=1e8).contains(&rate) { Ok(rate) } else { Err("not between 0 and 1e8".to_owned()) }
}

fn rate(text: &str) -> Result<f64, String> {
    rate_or_zero(text)
        .and_then(|rate| if rate < 1e-3 { Err("less than 0.001".to_owned()) } else { Ok(rate) })
}

fn skew(text: &str) -> Result<f64, String> {
    between(text, 10.0)
}

fn share(text: &str) -> Result<f64, String> {
    between(text, 1.0)
}

fn between(text: &str, most: f64) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let fits = (0.0..=most).contains(&number);
    if fits { Ok(number) } else { Err(format!("not between 0 and {most}")) }
}

fn message_bytes(text: &str) -> Result<usize, String> {
    let size: usize = text.parse().map_err(|_| "not a number of bytes".to_owned())?;
    if (MESSAGE_BYTES_MIN..=MESSAGE_BYTES_MAX).contains(&size) {
        Ok(size)
    } else {
        Err(format!("not between {MESSAGE_BYTES_MIN} (the header) and {MESSAGE_BYTES_MAX}"))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn fanout(arguments: &[&str]) -> Result<FanoutArguments, String> {
        let words = ["loadtest", "fanout"].iter().chain(arguments);
        match Cli::try_parse_from(words).map_err(|error| error.to_string())?.scenario {
            Scenario::Fanout(arguments) => {
                arguments.check().map_err(|error| error.to_string())?;
                Ok(arguments)
            }
            _ => Err("not fanout".to_owned()),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_values_are_refused_with_the_option_that_is_meant() {
        let cases: [(&[&str], &str); 9] = [
            (&["--size", "55"], "--size"),
            (&["--size", "1048577"], "--size"),
            (&["--rate", "0"], "--rate"),
            (&["--rate", "10", "--window", "4"], "--window"),
            (&["--duration", "0"], "--duration"),
            (&["--warmup=-1"], "--warmup"),
            (&["--members", "3", "--rooms", "2"], "--members"),
            (&["--members", "8", "--rooms", "4", "--senders", "3"], "--senders"),
            (&["--quiet-members", "1"], "--quiet-members"),
        ];
        for (arguments, option) in cases {
            let error = fanout(arguments).unwrap_err();
            assert!(error.contains(option), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn wrong_values_of_a_chat_are_refused_too() {
        let cases: [(&[&str], &str); 6] = [
            (&["--senders", "4", "--sessions", "3"], "--senders"),
            (&["--body-bytes", "55"], "--body-bytes"),
            (&["--skew=-1"], "--skew"),
            (&["--storm-share", "1.1"], "--storm-share"),
            (&["--history", "1001"], "--history"),
            (&["--rate", "10", "--window", "4"], "--window"),
        ];
        for (arguments, option) in cases {
            let words = ["loadtest", "chat"].iter().chain(arguments);
            let error = match Cli::try_parse_from(words).map(|cli| cli.scenario) {
                Err(error) => error.to_string(),
                Ok(Scenario::Chat(arguments)) => arguments.check().unwrap_err().to_string(),
                Ok(other) => panic!("{other:?}"),
            };
            assert!(error.contains(option), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn the_defaults_are_accepted_and_fractions_are_too() {
        fanout(&[]).unwrap();
        let arguments = fanout(&["--duration", "0.5", "--churn", "100", "--rate", "0.5"]).unwrap();
        assert_eq!(arguments.duration, Duration::from_millis(500));
        assert_eq!(arguments.visitors_max(), 200);
    }
}
