//! What is counted of those who come in, for the bounds on one address and one user.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::gate::access::Access;
use crate::gate::addresses::{AddressLimits, AddressPlace, Addresses, Arrival, Excess};
use crate::gate::users::{UserPlace, Users};

/// Sessions of one address from which on it may well be a proxy.
const CROWD: usize = 100;

/// How often a proxy that nobody declared is told of.
const HINT_PERIOD: Duration = Duration::from_secs(3600);

/// The counts of all who come in; one for all shards.
#[derive(Debug)]
pub struct Turnstile {
    /// By address.
    pub addresses: Arc<Addresses>,
    /// By user.
    pub users: Arc<Users>,
    hint: Hint,
}

/// What a session gives back at its end, and by which it is bound until then.
#[derive(Debug)]
pub struct Place {
    _address: Option<AddressPlace>,
    user: Option<UserPlace>,
    /// Whether the bounds on messages and bytes per second are not for this session.
    pub(crate) is_exempt: bool,
}

impl Turnstile {
    /// Nobody came in yet.
    #[must_use]
    pub fn new(limits: AddressLimits, user_sessions_max: usize) -> Self {
        Self {
            addresses: Arc::new(Addresses::new(limits)),
            users: Arc::new(Users::new(user_sessions_max)),
            hint: Hint::default(),
        }
    }

    /// Takes the places of a session; `total` is how many sessions there are. `None` for one that needs none.
    pub(crate) fn admit(
        &self,
        arrival: &Arrival,
        access: Option<&Arc<Access>>,
        total: usize,
    ) -> Result<Option<Box<Place>>, Excess> {
        let address = arrival.admit()?;
        if let Some(address) = &address
            && address.sessions >= CROWD
            && address.sessions * 2 > total
        {
            self.hint.crowd(address.sessions, total);
        }
        let identity = access.map(|access| &access.identity).filter(|identity| !identity.is_guest);
        let user = identity.map(|identity| self.users.enter(&identity.user)).transpose()?;
        let is_exempt = arrival.is_exempt();
        let is_needed = !is_exempt || user.is_some();
        Ok(is_needed.then(|| Box::new(Place { _address: address, user, is_exempt })))
    }

    /// Notes that a request from `address`, which is no proxy that anybody declared, says that it was forwarded.
    pub(crate) fn note_forwarded(&self, address: IpAddr) {
        self.hint.forwarded(address);
    }
}

impl Place {
    /// One of a session that was let in without, and is bound by nothing but what is taken later.
    pub(crate) const fn exempt() -> Self {
        Self { _address: None, user: None, is_exempt: true }
    }

    /// Takes a place among the sessions of the user that it turned out to be of.
    pub(crate) fn set_user(&mut self, user: UserPlace) {
        self.user = Some(user);
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
    use crate::protocol::chat::Identity;

    fn access(user: &str, is_guest: bool) -> Arc<Access> {
        Arc::new(Access::full(Identity { user: user.into(), name: user.into(), is_guest }))
    }

    #[test]
    fn users_are_counted_and_guests_are_not() {
        let turnstile = Turnstile::new(AddressLimits::NONE, 1);
        let arrive = || turnstile.addresses.arrive([127, 0, 0, 1].into()).expect("exempt");
        let admit = |access: &Arc<Access>| turnstile.admit(&arrive(), Some(access), 0);
        let first = admit(&access("ann", false)).expect("there is room");
        assert!(first.as_ref().is_some_and(|place| place.is_exempt));
        assert_eq!(admit(&access("ann", false)).err(), Some(Excess::UserConnections));
        assert!(admit(&access("guest-1", true)).expect("there is room").is_none());
        drop(first);
        assert!(admit(&access("ann", false)).is_ok());
    }

    #[test]
    fn whoever_is_not_let_in_as_a_user_leaves_no_trace() {
        let limits = AddressLimits { exempts_loopback: false, ..AddressLimits::NONE };
        let turnstile = Turnstile::new(limits, 1);
        let arrive = || turnstile.addresses.arrive([10, 0, 0, 1].into()).expect("there is room");
        let ann = access("ann", false);
        let place = turnstile.admit(&arrive(), Some(&ann), 0).expect("there is room");
        let refused = turnstile.admit(&arrive(), Some(&ann), 1);
        assert_eq!(refused.err(), Some(Excess::UserConnections));
        drop(place);
        assert!(turnstile.addresses.is_empty() && turnstile.users.is_empty());
    }

    #[test]
    fn advice_is_given_once_in_a_while() {
        let hint = Hint::default();
        assert!(hint.is_due());
        assert!(!hint.is_due());
    }
}
