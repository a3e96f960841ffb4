//! The command line of the yardstick.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};

/// Measures Uproar next to servers that do nothing but read and send.
///
/// Without a command: a look, which is every workload once and for a second; nothing is written.
/// Exit code 0: done. 1: a message was lost, duplicated, reordered or changed,
/// or a delivery took too many instructions. 2: the run could not be made.
#[derive(Debug, Parser)]
#[command(name = "limit")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) run: Option<Run>,
    /// Given by `cargo bench` to every benchmark; means nothing here.
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Run {
    /// Run the yardsticks and Uproar in turn over the workloads; print the table, write it with its chart.
    Workloads(Extent),
    /// Cost per delivery over members, rooms, shards and message sizes; print the tables, write them with their charts.
    Scaling(Extent),
    /// Count the instructions of a delivery in user space, by callgrind, and hold them to those of the yardstick.
    Instructions,
    /// Be the server that does one `send` for each message and member.
    #[command(hide = true)]
    BareSend,
    /// Be the server that reads all there is, then does one `send` for each member.
    #[command(hide = true)]
    BareTurn,
    /// Be Uproar with a handler that puts a session into many rooms and tells it its id.
    #[command(hide = true)]
    Embedded { shards: usize },
}

/// What is measured, for how long, and where it is written.
#[derive(Args, Clone, Debug)]
pub(crate) struct Extent {
    /// The ones to run [default: all].
    pub(crate) names: Vec<String>,
    /// Interleaved rounds; each gives one ratio.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Seconds to measure for, each time.
    #[arg(long, value_name = "SECS", default_value = "3", value_parser = secs)]
    pub(crate) seconds: Duration,
    /// The directory for results and charts; what is there is replaced.
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_TARGET_TMPDIR"), "/limit"))]
    pub(crate) out: Option<PathBuf>,
}

impl Extent {
    /// Everything, briefly; nothing is written.
    pub(crate) fn look() -> Self {
        Self { names: Vec::new(), rounds: 1, seconds: Duration::from_secs(1), out: None }
    }

    /// Those of `all` that were asked for, in their own order.
    pub(crate) fn choose<'a, T>(
        &self,
        all: &'a [T],
        name: impl Fn(&T) -> &'static str,
    ) -> Result<Vec<&'a T>> {
        let known: Vec<_> = all.iter().map(&name).collect();
        if let Some(wrong) = self.names.iter().find(|wanted| !known.contains(&wanted.as_str())) {
            bail!("{wrong} is none of {}", known.join(", "));
        }
        let is_wanted =
            |one: &&T| self.names.is_empty() || self.names.iter().any(|wanted| wanted == name(one));
        Ok(all.iter().filter(is_wanted).collect())
    }
}

fn secs(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(secs @ 0.1..=3600.0) => Ok(Duration::from_secs_f64(secs)),
        _ => Err("not between 0.1 and 3600 seconds".to_owned()),
    }
}
