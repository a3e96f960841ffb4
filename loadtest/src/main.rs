//! The load generator: parses the command line, runs one scenario, maps its verdict to an exit code.
//!
//! A run reads top-down: [`cli`] says what is asked, [`target`] where; a scenario ([`connect`], [`fanout`] or [`chat`]) lays out
//! who sits where ([`plan`]), lets [`client`] open the connections and the threads of [`worker`] drive them; every
//! frame that arrives is a [`message`] held against the [`audit`], and [`report`] says what came of it.

mod audit;
mod chat;
mod cli;
mod client;
mod clock;
mod connect;
mod descriptors;
mod fanout;
mod latency;
mod message;
mod plan;
mod progress;
mod report;
mod run;
mod scrape;
mod target;
mod worker;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a scenario that ran to its end came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every frame and every connection as it should be: exit code 0.
    Passed,
    /// Something was lost, wrong or closed: exit code 1.
    Failed,
}

impl Verdict {
    /// The verdict of a run in which `passed` holds.
    pub(crate) const fn of(passed: bool) -> Self {
        if passed { Self::Passed } else { Self::Failed }
    }
}

fn main() -> ExitCode {
    let outcome = match cli::Cli::parse().scenario {
        cli::Scenario::Connect(arguments) => connect::run(&arguments),
        cli::Scenario::Fanout(arguments) => fanout::run(&arguments),
        cli::Scenario::Chat(arguments) => chat::run(&arguments),
    };
    match outcome {
        Ok(Verdict::Passed) => ExitCode::SUCCESS,
        Ok(Verdict::Failed) => ExitCode::from(1),
        // clap exits with 2 on a wrong command line; a run that could not be set up does the same.
        Err(error) => {
            report::print_error(&error);
            ExitCode::from(2)
        }
    }
}
