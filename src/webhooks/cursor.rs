//! How far the application has been told of the log: a small file beside it, replaced whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::log::{Epoch, Seq};

/// Its name in the data directory.
const FILE: &str = "webhook-place.json";

/// Where the place is kept. It may be behind what was told, never before it.
#[derive(Clone, Debug)]
pub(super) struct Cursor(PathBuf);

#[derive(Deserialize, Serialize)]
struct Place {
    epoch: String,
    seq: Seq,
}

impl Cursor {
    pub(super) fn in_dir(data_dir: &Path) -> Self {
        Self(data_dir.join(FILE))
    }

    /// The place in the log of that epoch; `None` where there is none yet, or it was in another log.
    pub(super) fn load(&self, epoch: &Epoch) -> io::Result<Option<Seq>> {
        let text = match fs::read(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let place: Place = serde_json::from_slice(&text)?;
        Ok((*place.epoch == **epoch).then_some(place.seq))
    }

    /// Keeps the place, whatever happens to the machine.
    pub(super) fn save(&self, epoch: &Epoch, seq: Seq) -> io::Result<()> {
        let next = self.0.with_extension("json.new");
        let mut file = File::create(&next)?;
        serde_json::to_writer(&mut file, &Place { epoch: epoch.to_string(), seq })?;
        file.flush()?;
        file.sync_all()?;
        fs::rename(&next, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_that_of_one_log() {
        let scratch = tempfile::tempdir().expect("a directory");
        let cursor = Cursor::in_dir(scratch.path());
        let (one, other): (Epoch, Epoch) = ("one".into(), "other".into());
        assert_eq!(cursor.load(&one).expect("readable"), None);
        cursor.save(&one, 7).expect("writable");
        cursor.save(&one, 8).expect("writable");
        assert_eq!(cursor.load(&one).expect("readable"), Some(8));
        assert_eq!(cursor.load(&other).expect("readable"), None);
        fs::write(scratch.path().join(FILE), "{").expect("writable");
        assert!(cursor.load(&one).is_err(), "what is broken is not taken for nothing");
    }
}
