//! Chat on a shard: its sessions, its rooms with a log, and what it and the log say to each other.
//!
//! A message's way: [`requests`] → [`sending`], and [`asking`] where the application has a say → the log → [`stored`] →
//! the room's next flush, as any broadcast. Who
//! cannot simply get what everyone gets has a [`cursor`] and is given pages that [`reads`] brings.

mod answers;
mod asking;
pub(crate) mod cursor;
mod direct;
mod hello;
mod join;
pub(crate) mod picking;
mod presence;
pub(crate) mod reads;
mod requests;
pub(crate) mod room;
mod sending;
pub(crate) mod session;
mod stored;
mod token;

use std::sync::Arc;

use crate::gate::guests::Guests;
use crate::gate::verify::Ask;
use crate::log::Draft;
use crate::log::handle::Log;
use crate::protocol::chat::reply::Limits;
use crate::rooms::rules::RoomRules;
use crate::screening::Screening;
use crate::shard::chat::asking::Asking;
use crate::shard::chat::reads::{Rates, Reads};

/// What all shards know of chat.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Its position among the routes.
    pub(crate) route: u16,
    pub(crate) log: Log,
    pub(crate) rules: Arc<RoomRules>,
    pub(crate) guests: Arc<Guests>,
    /// Who has a token verified; `None` where nobody can.
    pub(crate) ask: Option<Ask>,
    /// Asks the application about what is said; `None` where it has no say.
    pub(crate) screening: Option<Screening>,
    /// Whoever shows nothing is let in as a guest.
    pub(crate) is_open: bool,
    /// What a session is told at its beginning.
    pub(crate) limits: Limits,
    pub(crate) heartbeat_secs: u64,
    /// How long it may take to say hello, in ticks.
    pub(crate) hello_ticks: u32,
    /// Drafts of a shard that the log may have at once.
    pub(crate) drafts_max: usize,
    pub(crate) rates: Rates,
    /// Users of a room above which it is only told how many there are.
    pub(crate) presence_members_max: usize,
}

/// What one shard has for chat.
pub(crate) struct Chat {
    pub(crate) settings: Settings,
    pub(crate) reads: Reads,
    /// What this turn brought for the log.
    drafts: Vec<Draft>,
    /// Drafts that were not answered yet.
    in_flight: usize,
    /// Sessions that wait for the log, by slot.
    paused: Vec<u32>,
    asking: Option<Box<Asking>>,
}

impl Chat {
    pub(crate) fn new(settings: Settings) -> Self {
        let asking = settings.screening.clone().map(Asking::new).map(Box::new);
        Self {
            settings,
            reads: Reads::default(),
            drafts: Vec::new(),
            in_flight: 0,
            paused: Vec::new(),
            asking,
        }
    }

    /// Drafts that were handed to the log and not answered.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }
}

impl std::ops::Deref for Chat {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

#[cfg(test)]
mod tests;
