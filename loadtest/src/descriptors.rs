//! The limit on file descriptors: raised as far as it goes before the first connection, or a clear refusal.

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are not connections: standard streams, pollers, timers, the metrics scrape.
const RESERVE: u64 = 64;

/// Sees to it that so many connections can be open at a time.
pub(crate) fn ensure(connections: u64) -> Result<()> {
    let needed = connections + RESERVE;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|soft| soft >= needed) {
        return Ok(());
    }
    if let Some(hard) = limit.maximum.filter(|hard| *hard < needed) {
        bail!(
            "{connections} connections need {needed} file descriptors, and the hard limit is {hard}: raise it \
             (`ulimit -Hn {needed}`, or LimitNOFILE= of the service), or ask for at most {} connections",
            hard.saturating_sub(RESERVE)
        );
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: limit.maximum })
        .with_context(|| format!("cannot raise the limit on file descriptors to {needed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_hard_limit_forbids_is_refused_with_figures() {
        let Some(hard) = getrlimit(Resource::Nofile).maximum else { return };
        let error = ensure(hard).unwrap_err().to_string();
        assert!(error.contains(&format!("hard limit is {hard}")), "{error}");
        assert!(error.contains(&(hard + RESERVE).to_string()), "{error}");
    }
}
