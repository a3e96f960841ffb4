//! What the server remembers of the addresses that it is called from: connections, handshakes, failures.
//!
//! An address is remembered as long as it has a connection, and until what it ran up is paid off. Of those without a
//! connection so many are kept at most; above that the older debts make room, those that are shut out last.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use dashmap::DashMap;

use crate::gate::network::Network;
use crate::gate::rate::{Debt, Rate};

/// Addresses without a connection that are remembered: about 5 MB.
const IDLE_MAX: usize = 65_536;

/// How many are forgotten at once when there are too many, so that not every next one goes through all of them.
const IDLE_KEPT: usize = IDLE_MAX / 2;

/// Bounds on what one address may do. `None`, or `usize::MAX`, is no bound.
#[derive(Clone, Copy, Debug)]
pub struct AddressLimits {
    /// Sessions.
    pub(crate) connections_max: usize,
    /// Connections that are no sessions yet.
    pub(crate) pending_max: usize,
    /// Connections begun.
    pub(crate) handshakes: Option<Rate>,
    /// Attempts to authenticate that failed.
    pub(crate) failures: Option<Rate>,
    /// Whether this machine's own programs are let in however many they are.
    pub(crate) exempts_loopback: bool,
}

impl AddressLimits {
    /// No bound at all.
    pub const NONE: Self = Self {
        connections_max: usize::MAX,
        pending_max: usize::MAX,
        handshakes: None,
        failures: None,
        exempts_loopback: true,
    };
}

/// What an address, or a user, has too many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// `limits.pending_handshakes_per_address_max`.
    Pending,
    /// `limits.handshakes_per_address_per_sec`.
    Handshakes,
    /// `limits.auth_failures_per_address_max`.
    Failures,
    /// `limits.connections_per_address_max`.
    Connections,
    /// `limits.connections_per_user_max`.
    UserConnections,
}

impl Excess {
    /// What whoever has it is told.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Pending => "this address has too many connections that are not open yet",
            Self::Handshakes => "too many connections too soon after each other",
            Self::Failures => "too many attempts to authenticate failed",
            Self::Connections => "this address has too many connections",
            Self::UserConnections => "this user has too many connections",
        }
    }
}

/// All of them.
#[derive(Debug)]
pub struct Addresses {
    limits: AddressLimits,
    entries: DashMap<Network, Entry>,
    /// Entries without a connection.
    idle: AtomicUsize,
    /// What moments are counted from.
    began: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    connections: usize,
    pending: usize,
    handshakes: Debt,
    failures: Debt,
}

impl Entry {
    fn is_idle(&self) -> bool {
        self.connections == 0 && self.pending == 0
    }

    fn is_paid(&self, now: u64) -> bool {
        self.handshakes.is_paid(now) && self.failures.is_paid(now)
    }
}

impl Addresses {
    /// None so far.
    #[must_use]
    pub fn new(limits: AddressLimits) -> Self {
        Self { limits, entries: DashMap::new(), idle: AtomicUsize::new(0), began: Instant::now() }
    }

    /// Whether whoever comes from there may do what it likes.
    #[must_use]
    pub fn exempts(&self, address: IpAddr) -> bool {
        self.limits.exempts_loopback && address.to_canonical().is_loopback()
    }

    /// A connection came from there.
    pub(crate) fn arrive(self: &Arc<Self>, address: IpAddr) -> Result<Arrival, Excess> {
        let network = Network::of(address);
        let is_exempt = self.exempts(address);
        if !is_exempt {
            self.change(network, |entry| {
                let has_room = entry.pending < self.limits.pending_max;
                entry.pending += usize::from(has_room);
                if has_room { Ok(()) } else { Err(Excess::Pending) }
            })?;
        }
        Ok(Arrival { addresses: Arc::clone(self), network, is_exempt })
    }

    /// Notes that somebody from there failed to authenticate.
    pub fn note_failure(&self, address: IpAddr) {
        self.note_failure_at(address, self.now());
    }

    fn note_failure_at(&self, address: IpAddr, now: u64) {
        if !self.exempts(address) {
            self.note_failure_of(Network::of(address), now);
        }
    }

    fn note_failure_of(&self, network: Network, now: u64) {
        if let Some(rate) = self.limits.failures {
            self.change(network, |entry| rate.charge(&mut entry.failures, now, 1));
        }
    }

    /// Whether so many attempts from there failed that there are to be no more for the moment.
    #[must_use]
    pub fn is_blocked(&self, address: IpAddr) -> bool {
        self.is_blocked_at(address, self.now())
    }

    fn is_blocked_at(&self, address: IpAddr, now: u64) -> bool {
        let Some(rate) = self.limits.failures.filter(|_| !self.exempts(address)) else {
            return false;
        };
        let entry = self.entries.get(&Network::of(address));
        entry.is_some_and(|entry| rate.excess(entry.failures, now) > 0)
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets those that owe nothing any more; to be called now and then.
    pub fn sweep(&self) {
        self.sweep_at(self.now());
    }

    fn sweep_at(&self, now: u64) {
        if self.idle.load(Ordering::Relaxed) > 0 {
            self.forget(|entry| entry.is_paid(now));
        }
        if self.entries.capacity() > 4 * self.entries.len() + IDLE_MAX {
            self.entries.shrink_to_fit();
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Changes what is remembered of one, and keeps count of those without a connection.
    fn change<T>(&self, network: Network, change: impl FnOnce(&mut Entry) -> T) -> T {
        let (result, came_to_be_idle) = {
            let mut is_new = false;
            let mut entry = self.entries.entry(network).or_insert_with(|| {
                is_new = true;
                Entry::default()
            });
            let was_idle = !is_new && entry.is_idle();
            let result = change(&mut entry);
            let is_idle = entry.is_idle();
            match (was_idle, is_idle) {
                (true, false) => drop(self.idle.fetch_sub(1, Ordering::Relaxed)),
                (false, true) => drop(self.idle.fetch_add(1, Ordering::Relaxed)),
                _ => {}
            }
            (result, is_idle && !was_idle)
        };
        if came_to_be_idle && self.idle.load(Ordering::Relaxed) > IDLE_MAX {
            self.make_room(self.now());
        }
        result
    }

    /// Makes room among those without a connection: first those go that owe nothing, then those that are not shut
    /// out, then others.
    fn make_room(&self, now: u64) {
        let is_shut_out = |entry: &Entry| {
            self.limits.failures.is_some_and(|rate| rate.excess(entry.failures, now) > 0)
        };
        self.forget(|entry| entry.is_paid(now));
        for spares_shut_out in [true, false] {
            let surplus = self.idle.load(Ordering::Relaxed).saturating_sub(IDLE_KEPT);
            let left = AtomicUsize::new(surplus);
            let take =
                || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
            self.forget(|entry| !(spares_shut_out && is_shut_out(entry)) && take().is_ok());
        }
    }

    /// Forgets those without a connection of which `is_over` says so.
    fn forget(&self, is_over: impl Fn(&Entry) -> bool) {
        self.entries.retain(|_, entry| {
            let goes = entry.is_idle() && is_over(entry);
            if goes {
                self.idle.fetch_sub(1, Ordering::Relaxed);
            }
            !goes
        });
    }

    /// Ends what was counted of one; it is forgotten at once where nothing is left to remember.
    fn end(&self, network: Network, end: impl FnOnce(&mut Entry)) {
        self.change(network, end);
        let now = self.now();
        let goes = |entry: &Entry| entry.is_idle() && entry.is_paid(now);
        if self.entries.remove_if(&network, |_, entry| goes(entry)).is_some() {
            self.idle.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A connection that is no session yet, counted until dropped.
#[derive(Debug)]
pub(crate) struct Arrival {
    addresses: Arc<Addresses>,
    network: Network,
    is_exempt: bool,
}

impl Arrival {
    /// Whether it may go on: not too soon after others, and not from an address that is shut out.
    pub(crate) fn check(&self) -> Result<(), Excess> {
        self.check_at(self.addresses.now())
    }

    fn check_at(&self, now: u64) -> Result<(), Excess> {
        let limits = &self.addresses.limits;
        if self.is_exempt {
            return Ok(());
        }
        self.addresses.change(self.network, |entry| {
            if limits.failures.is_some_and(|rate| rate.excess(entry.failures, now) > 0) {
                return Err(Excess::Failures);
            }
            let taken =
                limits.handshakes.map_or(Ok(()), |rate| rate.take(&mut entry.handshakes, now, 1));
            taken.map_err(|_| Excess::Handshakes)
        })
    }

    /// Takes a place among the sessions of its address; `None` for one that needs none.
    pub(crate) fn admit(&self) -> Result<Option<AddressPlace>, Excess> {
        if self.is_exempt {
            return Ok(None);
        }
        let sessions = self.addresses.change(self.network, |entry| {
            let has_room = entry.connections < self.addresses.limits.connections_max;
            entry.connections += usize::from(has_room);
            if has_room { Ok(entry.connections) } else { Err(Excess::Connections) }
        })?;
        let addresses = Arc::clone(&self.addresses);
        Ok(Some(AddressPlace { addresses, network: self.network, sessions }))
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if !self.is_exempt {
            self.addresses
                .end(self.network, |entry| entry.pending = entry.pending.saturating_sub(1));
        }
    }
}

/// One place among the sessions of an address, given back when dropped.
#[derive(Debug)]
pub(crate) struct AddressPlace {
    addresses: Arc<Addresses>,
    network: Network,
    /// How many sessions the address had, this one included, when it came.
    pub(crate) sessions: usize,
}

impl AddressPlace {
    /// Notes that whoever has the place failed to authenticate.
    pub(crate) fn note_failure(&self) {
        self.addresses.note_failure_of(self.network, self.addresses.now());
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        self.addresses
            .end(self.network, |entry| entry.connections = entry.connections.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests;
