//! How long a connection is waited for that is no session: until a deadline, which moves for who has shown a key.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{self, Instant};

/// One connection's deadline.
#[derive(Clone)]
pub(super) struct Patience {
    accepted: Instant,
    /// From there on, in milliseconds.
    millis: Arc<AtomicU64>,
}

impl Patience {
    /// So long from the accepted connection.
    pub(super) fn new(accepted: Instant, timeout: Duration) -> Self {
        Self { accepted, millis: Arc::new(AtomicU64::new(millis(timeout))) }
    }

    /// So long from now, if that is later.
    pub(super) fn extend(&self, timeout: Duration) {
        self.millis.fetch_max(millis(self.accepted.elapsed() + timeout), Ordering::Relaxed);
    }

    /// Resolves when it is over.
    pub(super) async fn over(&self) {
        while Instant::now() < self.deadline() {
            time::sleep_until(self.deadline()).await;
        }
    }

    fn deadline(&self) -> Instant {
        self.accepted + Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_moves_later_and_never_earlier() {
        let start = Instant::now();
        let patience = Patience::new(start, Duration::from_secs(10));
        assert_eq!(patience.deadline(), start + Duration::from_secs(10));
        patience.extend(Duration::ZERO);
        assert_eq!(patience.deadline(), start + Duration::from_secs(10));
        patience.extend(Duration::from_secs(3600));
        assert!(patience.deadline() >= start + Duration::from_secs(3600));
    }
}
