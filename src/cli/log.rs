//! `uproar log …`: what an operator may do with the log, from the arguments to what is printed of it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};

use super::Flags;
use crate::config::{Config, Problems};
use crate::log::engine::Window;
use crate::log::sqlite::tool::check::check;
use crate::log::sqlite::tool::export::{Exported, export};
use crate::log::sqlite::tool::import::{Imported, import};
use crate::log::sqlite::tool::prune::{Pruned, Pruning, prune, rehearse};
use crate::rooms::rules::RoomRule;

/// The standard input or output, where a file is named.
const STANDARD: &str = "-";

/// What to do with the log.
#[derive(Subcommand, Clone, Debug)]
pub enum LogCommand {
    /// Say whether the log is whole, and what is in it; beside a running server too
    Check {
        /// Where it is.
        #[command(flatten)]
        place: Place,
        /// Leave out whether indexes agree with tables, and bodies
        #[arg(long)]
        quick: bool,
    },
    /// Write the log, or what can be read of it, as lines of JSON; beside a running server too
    Export {
        /// Where it is.
        #[command(flatten)]
        place: Place,
        /// Only this room
        #[arg(long, value_name = "NAME")]
        room: Option<String>,
        /// Where to; the standard output where it is not given
        #[arg(default_value = STANDARD)]
        file: PathBuf,
    },
    /// Read an export into the log: all of it, or nothing where something is wrong; the log gets a new epoch
    Import {
        /// Where it is.
        #[command(flatten)]
        place: Place,
        /// Take an export that is cut off or that lines were taken out of
        #[arg(long)]
        partial: bool,
        /// The export; "-" for the standard input
        file: PathBuf,
    },
    /// Remove old messages and make the file smaller
    Prune(PruneFlags),
}

/// Where the log is.
#[derive(Args, Clone, Debug, Default)]
pub struct Place {
    /// The configuration file; "uproar.toml" in the working directory is read by itself where it exists
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory that the server keeps its log in [server.data_dir]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
}

/// What `uproar log prune` removes.
#[derive(Args, Clone, Debug)]
#[group(id = "bounds", required = true, multiple = true, args = ["before", "older_than", "keep"])]
pub struct PruneFlags {
    #[command(flatten)]
    place: Place,
    /// Only rooms of these names; "*" stands for any run of characters. Otherwise direct conversations too
    #[arg(long, value_name = "PATTERN")]
    room: Option<String>,
    /// Messages from before this time (UTC), such as 2026-03-31 or 2026-03-31T12:00:00Z
    #[arg(long, value_name = "DATE", value_parser = date, conflicts_with = "older_than")]
    before: Option<SystemTime>,
    /// Messages older than this, such as 30days or 12h
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    older_than: Option<Duration>,
    /// All but so many of the latest messages of each conversation
    #[arg(long, value_name = "COUNT")]
    keep: Option<u64>,
    /// Leave the file as large as it is; the server uses again what is free in it
    #[arg(long)]
    no_vacuum: bool,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

impl LogCommand {
    /// Does it, prints what came of it, and asks for help where that is needed.
    ///
    /// # Errors
    /// It could not be done, or not wholly; or the log is damaged.
    pub fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Check { place, quick } => run_check(place, quick),
            Self::Export { place, room, file } => run_export(place, room.as_deref(), &file),
            Self::Import { place, partial, file } => run_import(place, partial, &file),
            Self::Prune(flags) => run_prune(flags),
        }
    }
}

impl Place {
    fn config(self) -> anyhow::Result<Config> {
        let flags = Flags { config: self.config, data_dir: self.data_dir, ..Flags::default() };
        Config::load(&flags.layers())
            .map_err(|problems: Problems| anyhow!("the configuration is refused:\n{problems}"))
    }
}

fn run_check(place: Place, is_quick: bool) -> anyhow::Result<()> {
    let checked = check(&place.config()?.server.data_dir, is_quick).map_err(told)?;
    print(&checked.to_string())?;
    match checked.problems() {
        0 => Ok(()),
        1 => bail!("the log has a problem"),
        problems => bail!("the log has {problems} problems"),
    }
}

fn run_export(place: Place, room: Option<&str>, file: &Path) -> anyhow::Result<()> {
    let data_dir = place.config()?.server.data_dir;
    let exported = if file == Path::new(STANDARD) {
        let mut out = BufWriter::new(io::stdout().lock());
        export(&data_dir, room, &mut out).map_err(told)?
    } else {
        export_to(&data_dir, room, file)?
    };
    let Exported { messages, keys, skipped, details, is_cut } = exported;
    if is_cut {
        return Ok(());
    }
    details.iter().try_for_each(|detail| note(&format!("skipped {detail}")))?;
    // A person who reads the lines themselves sees their end.
    if !io::stdout().is_terminal() || file != Path::new(STANDARD) {
        note(&format!("exported {messages} messages and {keys} keys of messages that are gone"))?;
    }
    match skipped {
        0 => Ok(()),
        pieces => bail!("{pieces} pieces of the log could not be read and were skipped"),
    }
}

/// Writes a file that takes the place of what has its name only when all of it is on the disk.
fn export_to(data_dir: &Path, room: Option<&str>, file: &Path) -> anyhow::Result<Exported> {
    let name = file.file_name().with_context(|| format!("{} is no file", file.display()))?;
    let part = file.with_file_name(format!("{}.part", name.display()));
    let about = || part.display().to_string();
    let mut options = File::options();
    let mut out = BufWriter::new(
        options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)
            .with_context(about)?,
    );
    let exported = export(data_dir, room, &mut out).map_err(told).and_then(|exported| {
        let written = out.into_inner().map_err(io::IntoInnerError::into_error);
        written.and_then(|file| file.sync_all()).with_context(about)?;
        std::fs::rename(&part, file).with_context(about)?;
        Ok(exported)
    });
    if exported.is_err() {
        // It was not there before, and is of no use.
        let _ = std::fs::remove_file(&part);
    }
    exported
}

fn run_import(place: Place, is_partial: bool, file: &Path) -> anyhow::Result<()> {
    let data_dir = place.config()?.server.data_dir;
    let imported = if file == Path::new(STANDARD) {
        import(&data_dir, &mut io::stdin().lock(), is_partial)
    } else {
        let input = File::open(file).with_context(|| file.display().to_string())?;
        import(&data_dir, &mut BufReader::with_capacity(1 << 16, input), is_partial)
    };
    let Imported { messages, keys, conversations, relinked, skipped, last_seq, epoch } =
        imported.map_err(told)?;
    let mut text = format!(
        "imported {messages} messages and {keys} keys of messages that are gone, {conversations} new conversations\n\
         the epoch is now {epoch}, the next position is above {last_seq}\n"
    );
    if relinked > 0 {
        text += &format!("{relinked} messages came right behind others than they named\n");
    }
    if skipped > 0 {
        text += &format!("the export says that it lacks {skipped} pieces that could not be read\n");
    }
    print(&text)
}

fn run_prune(flags: PruneFlags) -> anyhow::Result<()> {
    let PruneFlags { place, room, before, older_than, keep, no_vacuum, dry_run } = flags;
    let rooms = room.map(|pattern| RoomRule { pattern, ..RoomRule::default() });
    if let Some(Err(error)) = rooms.as_ref().map(RoomRule::check_pattern) {
        bail!("no room can have a name of this pattern: {error}");
    }
    let config = place.config()?;
    let now = SystemTime::now();
    let before = match older_than {
        None => before,
        Some(age) => Some(now.checked_sub(age).unwrap_or(UNIX_EPOCH)),
    };
    let pruning = Pruning {
        rooms,
        before: before.map(millis),
        keep,
        vacuum: !no_vacuum,
        window: Window(config.log.idempotency_window_secs * 1000),
        now: millis(now),
    };
    let act = if dry_run { rehearse } else { prune };
    let pruned = act(&config.server.data_dir, &pruning).map_err(told)?;
    let Pruned { messages, bytes_before, bytes_after } = pruned;
    let what = if dry_run { "would remove" } else { "removed" };
    let mut text = format!("{what} {messages} messages\n");
    if !dry_run {
        text += &format!("the log took {bytes_before} bytes and now takes {bytes_after}\n");
    }
    print(&text)
}

/// Milliseconds since 1970; 0 for times before.
fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A day, or a day and a time.
fn date(text: &str) -> Result<SystemTime, humantime::TimestampError> {
    if text.len() == "2026-03-31".len() {
        humantime::parse_rfc3339_weak(&format!("{text}T00:00:00"))
    } else {
        humantime::parse_rfc3339_weak(text)
    }
}

/// What is said of such an error has its cause in it.
fn told(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("{error}")
}

/// For whoever runs it, beside what is printed.
fn note(text: &str) -> io::Result<()> {
    writeln!(io::stderr(), "uproar: {text}")
}

/// A reader that has seen enough, such as `head`, is no failure.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_with_and_without_a_time() {
        for (text, expected) in [
            ("1970-01-02", Some(86_400_000)),
            ("1970-01-02T00:00:01Z", Some(86_401_000)),
            ("1970-01-02 00:00:01", Some(86_401_000)),
            ("1970-01-32", None),
            ("yesterday", None),
        ] {
            assert_eq!(date(text).ok().map(millis), expected, "{text}");
        }
    }
}
