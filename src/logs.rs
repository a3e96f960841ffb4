//! Where log lines go and how they look: stderr, for reading on a terminal, as JSON elsewhere. What is logged is
//! decided where it happens.

use std::io::{self, IsTerminal};
use std::panic;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{LogFormat, LogLevel, Telemetry};
use crate::panics;

/// Sends the process's log lines to stderr, from now on and from every thread. For a program of its own; one that
/// embeds the server sets up `tracing` as it likes.
///
/// # Errors
/// The process has a subscriber already.
pub fn init(telemetry: &Telemetry) -> Result<(), TryInitError> {
    subscriber(telemetry, io::stderr().is_terminal(), io::stderr).try_init()?;
    // A line of the log like any other, for whoever collects it.
    panic::set_hook(Box::new(panics::log));
    Ok(())
}

fn subscriber<W>(telemetry: &Telemetry, terminal: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level = match telemetry.log_level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // The level is about the server; libraries only get a word where something is wrong.
    let filter =
        Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("uproar", level);
    let json = match telemetry.log_format {
        LogFormat::Auto => !terminal,
        LogFormat::Human => false,
        LogFormat::Json => true,
    };
    let lines = if json {
        fmt::layer().json().flatten_event(true).with_writer(writer).boxed()
    } else if terminal {
        // In colour unless NO_COLOR is set.
        fmt::layer().with_writer(writer).boxed()
    } else {
        fmt::layer().with_ansi(false).with_writer(writer).boxed()
    };
    tracing_subscriber::registry().with(filter).with(lines)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use crossbeam_channel::{Sender, bounded};
    use serde_json::Value;

    use super::*;

    struct Line(Sender<Vec<u8>>);

    impl Write for Line {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.try_send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(log_level: LogLevel, log_format: LogFormat, terminal: bool) -> String {
        let (sender, receiver) = bounded(64);
        let telemetry = Telemetry { log_level, log_format };
        let subscriber = subscriber(&telemetry, terminal, move || Line(sender.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "uproar::server", shards = 2, "started");
            tracing::debug!(target: "uproar::shard", "accepted");
            tracing::info!(target: "hyper", "chatter");
            tracing::warn!(target: "hyper", "trouble");
        });
        String::from_utf8(receiver.try_iter().flatten().collect()).unwrap()
    }

    #[test]
    fn a_collector_gets_one_object_a_line() {
        for lines in [
            logged(LogLevel::Info, LogFormat::Auto, false),
            logged(LogLevel::Info, LogFormat::Json, true),
        ] {
            let lines: Vec<Value> =
                lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(lines.len(), 2, "{lines:?}");
            assert_eq!((&lines[0]["message"], &lines[0]["shards"]), (&"started".into(), &2.into()));
            assert_eq!(
                (&lines[1]["level"], &lines[1]["target"]),
                (&"WARN".into(), &"hyper".into())
            );
        }
    }

    #[test]
    fn a_person_gets_text_and_a_file_no_colours() {
        let lines = logged(LogLevel::Info, LogFormat::Human, false);
        assert!(lines.contains("INFO uproar::server: started shards=2\n"), "{lines}");
        let lines = logged(LogLevel::Info, LogFormat::Auto, true);
        assert!(lines.contains("started") && !lines.starts_with('{'), "{lines}");
    }

    #[test]
    fn the_level_is_about_the_server_and_libraries_stay_quiet() {
        let said = |level| {
            let lines = logged(level, LogFormat::Human, false);
            ["started", "accepted", "chatter", "trouble"].map(|word| lines.contains(word))
        };
        assert_eq!(said(LogLevel::Error), [false, false, false, false]);
        assert_eq!(said(LogLevel::Warn), [false, false, false, true]);
        assert_eq!(said(LogLevel::Info), [true, false, false, true]);
        assert_eq!(said(LogLevel::Debug), [true, true, false, true]);
        assert_eq!(said(LogLevel::Trace), [true, true, false, true]);
    }
}
