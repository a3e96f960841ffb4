//! The yardstick: what Uproar costs, next to the least that a process on this kernel can cost, in the same run.
//!
//! ```sh
//! cargo bench --bench limit                    # a look: every workload once and briefly, nothing is written
//! cargo bench --bench limit -- workloads       # the table, its chart and the raw results
//! cargo bench --bench limit -- scaling         # how the cost grows with members, rooms, shards and bytes
//! cargo bench --bench limit -- instructions    # what a delivery costs in user space: a count, and a gate
//! ```
//!
//! `docs/performance.md` says what the workloads are and how a figure is made. A run reads top-down: [`workload`] and
//! [`scaling`] say what is measured, [`server`] starts the other programs, [`generator`] and [`crowd`] are the clients,
//! [`process`] looks at the server from outside, [`sample`] makes figures of it, [`table`], [`chart`] and [`record`]
//! show them.

#![allow(clippy::expect_used, reason = "a benchmark ends where what it expects is not so")]

mod arguments;
mod bare;
mod chart;
mod connect;
mod cores;
mod crowd;
mod embedded;
mod exchange;
mod frame;
mod generator;
mod handshake;
mod hop;
mod idle;
mod instructions;
mod machine;
mod process;
mod record;
mod sample;
mod scaling;
mod seats;
mod server;
#[path = "../../tests/support/mod.rs"]
mod support;
mod table;
mod workload;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use arguments::{Arguments, Run};
use bare::{Bare, Mode};

/// What the binary has, and so what the server within this program should have.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whether everything arrived once, in order and unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(Verdict::Passed) => ExitCode::SUCCESS,
        Ok(Verdict::Failed) => ExitCode::from(1),
        Err(error) => {
            // Where nobody reads, nobody needs to know that.
            let _ = writeln!(io::stderr(), "limit: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: Arguments) -> Result<Verdict> {
    match arguments.run {
        Some(Run::BareSend) => Bare::bind(Mode::Send)?.run().map(|()| Verdict::Passed),
        Some(Run::BareTurn) => Bare::bind(Mode::Turn)?.run().map(|()| Verdict::Passed),
        Some(Run::Embedded { shards }) => embedded::run(shards).map(|()| Verdict::Passed),
        Some(Run::Workloads(extent)) => workload::run(&extent),
        Some(Run::Scaling(extent)) => scaling::run(&extent),
        Some(Run::Instructions) => instructions::run(),
        None => workload::run(&arguments::Extent::look()),
    }
}
