//! The measures against users, kept in a file of the data directory so that they outlive the server.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::task;

use crate::gate::standing::{Measure, Restriction};
use crate::log::data_dir::DataDir;
use crate::users::Users;

const FILE: &str = "measures.json";

/// Written whole and then given its name, so that there is always a whole one.
const NEW_FILE: &str = "measures.json.new";

/// What is in force, and the file that says so.
pub(crate) struct Measures {
    users: Users,
    /// Held as long as its file is written.
    directory: Arc<DataDir>,
    /// Changes that somebody wants to be in the file.
    wanted: AtomicU64,
    /// Those that are; held while it is written.
    kept: Mutex<u64>,
}

/// One measure in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    user: String,
    measure: String,
    until: Option<u64>,
}

impl Measures {
    /// Puts in force what the file says, if there is one.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or says more than can be in force.
    pub(crate) fn open(users: Users, directory: Arc<DataDir>) -> io::Result<Self> {
        let lines = read(&directory.path().join(FILE))?;
        let restrictions: Option<Vec<_>> = lines.into_iter().map(Line::restriction).collect();
        let restrictions =
            restrictions.ok_or_else(|| broken(directory.path(), "a measure that is none"))?;
        users.load(restrictions).map_err(io::Error::other)?;
        Ok(Self { users, directory, wanted: AtomicU64::new(0), kept: Mutex::new(0) })
    }

    /// Writes down what is in force. What others did meanwhile may be among it; then they need not write it again.
    ///
    /// # Errors
    ///
    /// It is in force all the same, and not on the disk.
    pub(crate) async fn keep(&self) -> io::Result<()> {
        let mine = self.wanted.fetch_add(1, Ordering::SeqCst) + 1;
        let mut kept = self.kept.lock().await;
        if *kept >= mine {
            return Ok(());
        }
        let all = self.wanted.load(Ordering::SeqCst);
        let restrictions = self.users.restrictions();
        let directory = Arc::clone(&self.directory);
        task::spawn_blocking(move || write(directory.path(), restrictions)).await??;
        *kept = all;
        Ok(())
    }
}

impl Line {
    fn new(restriction: Restriction) -> Self {
        let Restriction { user, measure, until } = restriction;
        let measure = Measure::LABELS[measure as usize].to_owned();
        Self { user: user.to_string(), measure, until }
    }

    fn restriction(self) -> Option<Restriction> {
        let at = Measure::LABELS.iter().position(|label| *label == self.measure)?;
        let (user, until) = (self.user.into(), self.until);
        Some(Restriction { user, measure: Measure::ALL[at], until })
    }
}

fn read(path: &Path) -> io::Result<Vec<Line>> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| broken(path, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn broken(path: &Path, error: impl std::fmt::Display) -> io::Error {
    let text = format!("the measures against users in {} cannot be read: {error}", path.display());
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn write(directory: &Path, restrictions: Vec<Restriction>) -> io::Result<()> {
    let lines: Vec<_> = restrictions.into_iter().map(Line::new).collect();
    let (new, path): (PathBuf, _) = (directory.join(NEW_FILE), directory.join(FILE));
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec(&lines)?)?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = scratch.path().join(FILE);
        assert!(read(&path).expect("nothing yet").is_empty());
        let restriction = |measure, until| Restriction { user: "a\"ä".into(), measure, until };
        let all = [
            restriction(Measure::Ban, None),
            restriction(Measure::Revocation, Some(7)),
            restriction(Measure::Mute, Some(u64::MAX)),
        ];
        write(scratch.path(), all.to_vec()).expect("written");
        write(scratch.path(), all.to_vec()).expect("and again");
        let found = read(&path).expect("read").into_iter().map(Line::restriction);
        assert_eq!(found.collect::<Option<Vec<_>>>().as_deref(), Some(&all[..]));
        fs::write(&path, "[{\"user\":\"a\"").expect("written");
        let error = read(&path).expect_err("cut off").to_string();
        assert!(error.contains(path.to_str().expect("text")), "{error}");
    }
}
