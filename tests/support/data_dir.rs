//! A directory for what one server keeps, removed when its owner is gone.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use uproar::Config;

/// The environment variable of `server.data_dir`.
pub const VARIABLE: &str = "UPROAR_SERVER__DATA_DIR";

/// An empty directory that no other server has. To outlive a server, it is made before it and lent to it.
pub struct DataDir(TempDir);

impl DataDir {
    pub fn new() -> Self {
        Self(tempfile::Builder::new().prefix("uproar-").tempdir().expect("a directory can be made"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A configuration on free loopback ports that keeps its things here.
    pub fn config(&self) -> Config {
        let mut config = Config::default();
        config.server.listen.set_port(0);
        config.server.admin_listen.set_port(0);
        config.server.data_dir = self.path().to_owned();
        config
    }

    /// Lends it to a server that is about to be started, unless that has another one. Gives it back if it is used.
    pub fn lend(self, command: &mut Command) -> Option<Self> {
        let has_one = command.get_envs().any(|(name, _)| name == VARIABLE)
            || command.get_args().any(|argument| argument == "--data-dir");
        if has_one {
            return None;
        }
        command.env(VARIABLE, self.path());
        Some(self)
    }
}
