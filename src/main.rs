//! Parses the command line, loads the configuration, runs the server, maps an error to an exit code.

mod allocator;

use std::io::{self, Write};
use std::process::ExitCode;

use uproar::cli::{self, Command, Flags};
use uproar::config::{Config, Problems};
use uproar::{Server, logs};

fn main() -> ExitCode {
    allocator::purge_at_once();
    let done = match Command::from_args() {
        Command::Serve(flags) => serve(flags),
        Command::Check { file } => cli::check(&file).map_err(refused).and_then(|text| print(&text)),
        Command::Config => print(&Config::default().to_toml()),
        Command::Key(flags) => flags.make().and_then(|text| print(&text)),
        Command::Log(command) => command.run(),
        Command::Token(command) => command.run().and_then(|text| print(&text)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do where stderr is gone as well.
            let _ = writeln!(io::stderr(), "uproar: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(flags: Flags) -> anyhow::Result<()> {
    let layers = flags.layers();
    let config = Config::load(&layers).map_err(refused)?;
    logs::init(&config.telemetry)?;
    if let Some(file) = &layers.file {
        tracing::info!(file = %file.display(), "read the configuration");
    }
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let server = Server::builder(config).bind()?;
    server.stop_on_signals();
    Ok(server.run()?)
}

/// Under each other, as there may be several.
fn refused(problems: impl Into<Problems>) -> anyhow::Error {
    anyhow::anyhow!("the configuration is refused:\n{}", problems.into())
}

/// A reader that has seen enough, such as `head`, is no failure.
fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
