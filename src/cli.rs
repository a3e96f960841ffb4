//! The command line: what was asked for, and what is printed for the commands that only print.

mod key;
mod log;
mod token;

use std::env;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

pub use self::key::KeyFlags;
pub use self::log::{LogCommand, Place, PruneFlags};
pub use self::token::TokenCommand;
use crate::config::{Config, Flag, Layers, Problems};
use crate::tls::Tls;

/// The file that is read where `--config` is not given and it exists.
const DEFAULT_FILE: &str = "uproar.toml";

/// What was asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Run the server.
    Serve(Flags),
    /// Say whether a file would be accepted.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Print the configuration with all its defaults.
    Config,
    /// Make a key.
    Key(KeyFlags),
    /// Do something with the log.
    Log(LogCommand),
    /// Make a token, or a secret.
    Token(TokenCommand),
}

/// The flags of `uproar serve`; each goes over the file and the environment.
#[derive(Args, Clone, Debug, Default)]
pub struct Flags {
    /// The configuration file; "uproar.toml" in the working directory is read by itself where it exists
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The public address, for WebSocket connections [server.listen]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The operator's address, for metrics and health [server.admin_listen]
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin_listen: Option<String>,
    /// Threads that serve sessions; 0 for one on each usable core [server.shards]
    #[arg(long, value_name = "COUNT")]
    shards: Option<String>,
    /// The directory for what must outlive the process [server.data_dir]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Serve the echo on /echo [echo.enabled]
    #[arg(long)]
    echo: bool,
    /// error, warn, info, debug or trace [telemetry.log_level]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

/// A WebSocket chat and broadcast server.
///
/// Without a command it serves. A configuration file, then the environment (UPROAR_LIMITS__MESSAGE_BYTES_MAX=…),
/// then the flags go over the defaults; `uproar config` prints every key.
#[derive(Parser)]
#[command(name = "uproar", version, args_conflicts_with_subcommands = true)]
struct Line {
    #[command(subcommand)]
    command: Option<Word>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Subcommand)]
enum Word {
    /// Run the server
    Serve(Flags),
    /// Say whether the server would accept a configuration file, in this environment
    Check {
        /// The file
        file: PathBuf,
    },
    /// Print every key with its default, bounds, unit and meaning, as a file that can be used
    Config,
    /// Make a key for a program that operates the server: the key for the program, its hash for the configuration
    Key(KeyFlags),
    /// Check, export, import or prune the log of the chat
    #[command(subcommand)]
    Log(LogCommand),
    /// Print a token for a user, or a new secret to sign tokens with
    Token(TokenCommand),
}

impl Command {
    /// Reads the process's arguments. Prints help, the version or a mistake in the arguments and ends the process
    /// where they ask for it.
    #[must_use]
    pub fn from_args() -> Self {
        let line = Line::parse();
        match line.command {
            None => Self::Serve(line.flags),
            Some(Word::Serve(flags)) => Self::Serve(flags),
            Some(Word::Check { file }) => Self::Check { file },
            Some(Word::Config) => Self::Config,
            Some(Word::Key(flags)) => Self::Key(flags),
            Some(Word::Log(command)) => Self::Log(command),
            Some(Word::Token(command)) => Self::Token(command),
        }
    }
}

impl Flags {
    /// Those that only name a file, if that.
    fn of_file(config: Option<PathBuf>) -> Self {
        Self { config, ..Self::default() }
    }

    /// Where the configuration comes from: the file that was named or lies in the working directory, the process's
    /// environment, and these flags.
    #[must_use]
    pub fn layers(self) -> Layers {
        let texts = [
            ("--listen", "server.listen", self.listen),
            ("--admin-listen", "server.admin_listen", self.admin_listen),
            ("--shards", "server.shards", self.shards),
            ("--data-dir", "server.data_dir", self.data_dir),
            ("--echo", "echo.enabled", self.echo.then(|| "true".to_owned())),
            ("--log-level", "telemetry.log_level", self.log_level),
        ];
        let flags = texts
            .into_iter()
            .filter_map(|(name, key, value)| Some(Flag { name, key, value: value? }))
            .collect();
        let lies_there = || Path::new(DEFAULT_FILE).exists().then(|| DEFAULT_FILE.into());
        Layers {
            file: self.config.or_else(lies_there),
            environment: env::vars_os().collect(),
            flags,
        }
    }
}

/// What `uproar check` prints: that the file is accepted, and what is worth a second thought.
///
/// # Errors
/// Everything that would keep the server from starting with this file in this environment.
pub fn check(file: &Path) -> Result<String, Problems> {
    let layers = Layers {
        file: Some(file.to_owned()),
        environment: env::vars_os().collect(),
        ..Layers::default()
    };
    let config = Config::load(&layers)?;
    Tls::load(&config)?;
    let mut text = format!("{}: ok\n", file.display());
    for warning in config.warnings() {
        // Writing to a string does not fail.
        let _ = writeln!(text, "warning: {warning}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::Key;

    #[test]
    fn the_command_line_is_sound() {
        Line::command().debug_assert();
    }

    #[test]
    fn every_flag_sets_a_key_that_exists_and_names_it_in_its_help() {
        let all = [
            "uproar",
            "--listen=",
            "--admin-listen=",
            "--shards=",
            "--data-dir=",
            "--echo",
            "--log-level=",
        ];
        let flags = Line::try_parse_from(all).unwrap().flags.layers().flags;
        assert_eq!(flags.len(), all.len() - 1);
        let command = Line::command();
        for flag in flags {
            let key = Key::find(flag.key).unwrap();
            let argument = command.get_arguments().find(|argument| {
                argument.get_long().is_some_and(|long| format!("--{long}") == flag.name)
            });
            let help = argument.and_then(clap::Arg::get_help).unwrap().to_string();
            assert!(help.ends_with(&format!("[{}]", key.path)), "{}: {help}", flag.name);
        }
    }
}
