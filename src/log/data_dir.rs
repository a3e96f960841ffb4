//! The directory that a server keeps its data in: made for it alone, and used by one server at a time.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// The file that is locked as long as a server uses the directory.
const LOCK: &str = "uproar.lock";

/// A directory that this process has to itself for as long as the value lives.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Closing it ends the lock; so does the end of the process, however that comes.
    _lock: File,
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataDirError {
    #[error("the data directory {path} cannot be used (server.data_dir): {source}")]
    Unusable { path: PathBuf, source: io::Error },
    #[error(
        "the data directory {path} is in use by another server: stop that one, or give this one its own server.data_dir"
    )]
    InUse { path: PathBuf },
}

impl DataDir {
    /// Makes the directory, for its owner alone (0700), if there is none, and locks it.
    pub(crate) fn lock(path: &Path) -> Result<Self, DataDirError> {
        let unusable = |source| DataDirError::Unusable { path: path.to_owned(), source };
        make(path).map_err(unusable)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK))
            .map_err(unusable)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(DataDirError::InUse { path: path.to_owned() })
            }
            Err(error) => Err(unusable(error.into())),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // What is stored in it is lost if its own name does not last.
    let path = fs::canonicalize(path)?;
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn one_server_at_a_time_has_it() {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = scratch.path().join("a/data");
        let first = DataDir::lock(&path).expect("it is made");
        assert_eq!(fs::metadata(&path).expect("made").permissions().mode() & 0o777, 0o700);
        let error = DataDir::lock(&path).expect_err("it is in use").to_string();
        assert!(error.contains("in use by another server"), "{error}");
        assert!(error.contains(path.to_str().expect("text")), "{error}");
        drop(first);
        DataDir::lock(&path).expect("it is free again");
    }

    #[test]
    fn what_is_no_directory_is_refused() {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = scratch.path().join("file");
        fs::write(&path, "x").expect("written");
        let error = DataDir::lock(&path).expect_err("a file").to_string();
        assert!(error.contains("server.data_dir"), "{error}");
    }
}
