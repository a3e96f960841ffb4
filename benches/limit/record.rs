//! The raw results, one line a sample, and the tables that were made of them.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::arguments::Extent;
use super::machine::Machine;
use super::sample::Sample;
use super::workload::progress;

/// Everything that was measured in one go.
pub(crate) struct Record<'a> {
    /// Of the command, and of the files.
    pub(crate) name: &'static str,
    pub(crate) machine: &'a Machine,
    pub(crate) extent: &'a Extent,
    pub(crate) samples: &'a [Sample],
}

impl Record<'_> {
    /// Writes `NAME.json` and `NAME.md`, replacing what is there.
    pub(crate) fn write(&self, directory: &Path, tables: &str) -> Result<()> {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let text = self.json()?;
        for (ending, text) in [("json", text.as_str()), ("md", tables)] {
            let path = directory.join(self.name).with_extension(ending);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        progress(&format!("written to {}", directory.display()));
        Ok(())
    }

    fn json(&self) -> Result<String> {
        let Self { machine, extent, samples, .. } = self;
        let head = json!({
            "machine": machine,
            "rounds": extent.rounds,
            "seconds": extent.seconds.as_secs_f64(),
        });
        let mut text = format!("{{\"run\": {head},\n\"samples\": [\n");
        for (index, sample) in samples.iter().enumerate() {
            let comma = if index + 1 < samples.len() { "," } else { "" };
            writeln!(text, "{}{comma}", serde_json::to_string(sample)?)?;
        }
        text.push_str("]}\n");
        Ok(text)
    }
}
