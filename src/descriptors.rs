//! How many files the process may open, and so how many connections it can hold.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use crate::config::{Config, Key, Problem};

/// Kept for the process as a whole: standard streams, the control runtime, the admin address and its scrapers, files.
const RESERVE: usize = 64;

/// Kept for each shard: its poll, its waker, its listener.
const OWN_PER_SHARD: usize = 3;

/// Kept for each shard so that handshakes go on, if only to be answered that the server is full.
const HANDSHAKES_PER_SHARD: usize = 5;

/// The process's limit on open files, raised as far as it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// How many files may be open at once.
    pub limit: usize,
    /// What the limit was before.
    pub limit_before: usize,
}

impl Descriptors {
    /// Raises the soft limit to the hard one. Where the system refuses that, the soft limit stays and a line is
    /// logged.
    #[must_use]
    pub fn raise() -> Self {
        let before = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: before.maximum, maximum: before.maximum };
        if before.current != before.maximum
            && let Err(error) = setrlimit(Resource::Nofile, raised)
        {
            warn!(%error, "the limit on open files could not be raised");
        }
        Self {
            limit: count(getrlimit(Resource::Nofile).current),
            limit_before: count(before.current),
        }
    }

    /// How many sockets of peers may be open at once, whether they are sessions yet or not.
    #[must_use]
    pub fn sockets_max(&self, config: &Config) -> usize {
        self.limit.saturating_sub(RESERVE + OWN_PER_SHARD * config.shards())
    }

    /// How many connections the server holds at most: `limits.connections_max`, or what the limit on open files
    /// leaves for them.
    ///
    /// # Errors
    /// `limits.connections_max` is above what the limit allows, or the limit allows for no connection at all.
    pub fn connections_max(&self, config: &Config) -> Result<usize, Problem> {
        let reserve = RESERVE + (OWN_PER_SHARD + HANDSHAKES_PER_SHARD) * config.shards();
        let room = self.limit.saturating_sub(reserve);
        let wanted = config.limits.connections_max;
        if room == 0 || wanted > room {
            let reason = format!(
                "the process may open {} files, {reserve} of them for itself, which leaves {room} for connections; \
                 raise the limit (ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of Docker) or ask for fewer",
                self.limit
            );
            return Err(Problem::among(
                config,
                &["limits.connections_max", "server.shards"],
                reason,
            ));
        }
        Ok(if wanted == 0 { room.min(most_connections()) } else { wanted })
    }
}

/// No limit is one that is never met.
fn count(limit: Option<u64>) -> usize {
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// The key's own bound, where the limit on open files is no limit.
fn most_connections() -> usize {
    let range = Key::find("limits.connections_max").and_then(|key| key.range);
    range.and_then(|range| usize::try_from(range.max).ok()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(limit: usize, wanted: usize, expected: Result<usize, &str>) {
        let mut config = Config::default();
        config.server.shards = 2;
        config.limits.connections_max = wanted;
        let got = Descriptors { limit, limit_before: limit }.connections_max(&config);
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected),
            (Err(got), Err(expected)) => assert!(got.to_string().contains(expected), "{got}"),
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn connections_fit_the_limit_on_open_files() {
        check(1024, 0, Ok(944));
        check(1024, 944, Ok(944));
        check(
            1024,
            945,
            Err(
                "limits.connections_max = 945 and server.shards = 2: the process may open 1024 files, 80",
            ),
        );
        check(1024, 10, Ok(10));
        check(80, 0, Err("leaves 0 for connections"));
        check(usize::MAX, 0, Ok(10_000_000));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_limit_is_raised_as_far_as_it_goes() {
        let descriptors = Descriptors::raise();
        assert_eq!(descriptors.limit, count(getrlimit(Resource::Nofile).maximum));
        assert!(descriptors.limit_before <= descriptors.limit);
        assert_eq!(Descriptors::raise().limit_before, descriptors.limit);
    }
}
