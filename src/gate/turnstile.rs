//! What is counted of those who come in, for the bounds on one address and one user.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::gate::addresses::{AddressLimits, AddressPlace, Addresses, Arrival, Excess};
use crate::gate::users::UserPlace;

/// Sessions of one address from which on it may well be a proxy.
const CROWD: usize = 100;

/// How often a proxy that nobody declared is told of.
const HINT_PERIOD: Duration = Duration::from_secs(3600);

/// The counts of all who come in; one for all shards.
#[derive(Debug)]
pub struct Turnstile {
    /// By address.
    pub addresses: Arc<Addresses>,
    hint: Hint,
}

/// What a session gives back at its end, and by which it is bound until then.
#[derive(Debug)]
pub struct Place {
    address: Option<AddressPlace>,
    user: Option<UserPlace>,
    /// Whether the bounds on messages and bytes per second are not for this session.
    pub(crate) is_exempt: bool,
}

impl Turnstile {
    /// Nobody came in yet.
    #[must_use]
    pub fn new(limits: AddressLimits) -> Self {
        Self { addresses: Arc::new(Addresses::new(limits)), hint: Hint::default() }
    }

    /// Takes the place of a session among those of its address; `total` is how many sessions there are. `None` for one that needs none.
    pub(crate) fn admit(
        &self,
        arrival: &Arrival,
        total: usize,
    ) -> Result<Option<Box<Place>>, Excess> {
        let address = arrival.admit()?;
        if let Some(address) = &address
            && address.sessions >= CROWD
            && address.sessions * 2 > total
        {
            self.hint.crowd(address.sessions, total);
        }
        Ok(address.map(|address| {
            Box::new(Place { address: Some(address), user: None, is_exempt: false })
        }))
    }

    /// Notes that a request from `address`, which is no proxy that anybody declared, says that it was forwarded.
    pub(crate) fn note_forwarded(&self, address: IpAddr) {
        self.hint.forwarded(address);
    }
}

impl Place {
    /// One of a session that was let in without, and is bound by nothing but what is taken later.
    pub(crate) const fn exempt() -> Self {
        Self { address: None, user: None, is_exempt: true }
    }

    /// Takes a place among the sessions of the user that it turned out to be of.
    pub(crate) fn set_user(&mut self, user: UserPlace) {
        self.user = Some(user);
    }

    /// Notes that whoever sits here failed to authenticate.
    pub(crate) fn note_failure(&self) {
        self.address.iter().for_each(AddressPlace::note_failure);
    }
}

/// The advice to declare a proxy, given now and then.
#[derive(Debug, Default)]
struct Hint {
    /// The second after which it may be given again, counted from the process's first.
    due: AtomicU64,
}

impl Hint {
    fn crowd(&self, sessions: usize, total: usize) {
        if self.is_due() {
            tracing::warn!(
                sessions,
                total,
                "most sessions come from one address: if that is a proxy, name its network in server.proxies, or all \
                 its visitors share the limits of one address"
            );
        }
    }

    fn forwarded(&self, address: IpAddr) {
        if self.is_due() {
            tracing::warn!(
                proxy = %address,
                "requests come with the address of somebody else: if that is a proxy of yours, name its network in \
                 server.proxies, or all its visitors count as one address"
            );
        }
    }

    fn is_due(&self) -> bool {
        static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        // From 1, so that the first is due.
        let now = 1 + BEGAN.get_or_init(Instant::now).elapsed().as_secs();
        let next = now + HINT_PERIOD.as_secs();
        let is_due = |due: u64| (due <= now).then_some(next);
        self.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_due).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_exempt_needs_no_place() {
        let limits = AddressLimits { exempts_loopback: true, ..AddressLimits::NONE };
        let turnstile = Turnstile::new(limits);
        let admit = |address: [u8; 4]| {
            let arrival = turnstile.addresses.arrive(address.into()).expect("there is room");
            turnstile.admit(&arrival, 0).expect("there is room")
        };
        assert!(admit([127, 0, 0, 1]).is_none());
        let place = admit([10, 0, 0, 1]).expect("it is counted");
        assert!(!place.is_exempt);
        assert_eq!(turnstile.addresses.len(), 1);
        drop(place);
        assert!(turnstile.addresses.is_empty());
    }

    #[test]
    fn advice_is_given_once_in_a_while() {
        let hint = Hint::default();
        assert!(hint.is_due());
        assert!(!hint.is_due());
    }
}
