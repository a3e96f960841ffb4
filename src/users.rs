//! Acting on users, wherever on this server they are: who has sessions, who is put out, who may not come back, who may
//! say nothing.

use std::sync::Arc;

use thiserror::Error;
use tokio::sync::mpsc;

use crate::gate::standing::{Full, Measure, Restriction};
use crate::handle::Busy;
use crate::hub::Hub;
use crate::hub::orders::{Order, Place, What};
use crate::log::writer::system_time;
use crate::protocol::{Close, SessionId};

/// Why nothing was done about a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UsersError {
    /// Too much is being done about users already.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// Too many users are restricted.
    #[error(transparent)]
    Full(#[from] Full),
}

/// Acts on the users of one server. Cheap to clone; never blocks.
///
/// What is said here is done on every shard, or on none; it is not lost, and what one caller says is done in that order.
/// Restrictions are kept in memory: who wants them to outlive the server keeps [`restrictions`](Self::restrictions), and
/// [`load`](Self::load)s them before it runs.
#[derive(Clone)]
pub struct Users {
    hub: Arc<Hub>,
}

impl Users {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    /// Ends every session of a user. What is queued for them is let go. Nothing keeps the user from coming back.
    ///
    /// # Errors
    ///
    /// [`Busy`] if too many orders are on their way.
    pub fn disconnect(&self, user: &str, close: Close) -> Result<(), Busy> {
        self.order(What::Remove { user: user.into(), close }, self.place()?);
        Ok(())
    }

    /// Ends every session of a user with 4403, and turns away every new one until that time, in milliseconds since 1970
    /// UTC; for good with `None`.
    ///
    /// # Errors
    ///
    /// [`UsersError`]; nothing was done then.
    pub fn ban(&self, user: &str, until: Option<u64>) -> Result<(), UsersError> {
        self.keep_out(user, Measure::Ban, until)
    }

    /// Ends every session of a user with 4401, and turns away every new one until that time, whatever it shows: until
    /// the last token that counts no more has expired.
    ///
    /// # Errors
    ///
    /// [`UsersError`]; nothing was done then.
    pub fn revoke(&self, user: &str, until: Option<u64>) -> Result<(), UsersError> {
        self.keep_out(user, Measure::Revocation, until)
    }

    /// Refuses whatever a user says until that time; for good with `None`.
    ///
    /// # Errors
    ///
    /// [`UsersError`]; nothing was done then.
    pub fn mute(&self, user: &str, until: Option<u64>) -> Result<(), UsersError> {
        let place = self.place()?;
        let restriction = Restriction { user: user.into(), measure: Measure::Mute, until };
        self.hub.standings.impose(&restriction, system_time())?;
        self.order(What::Mute(vec![restriction.user]), place);
        Ok(())
    }

    /// Ends a measure before its time; does nothing where it is not in force.
    ///
    /// # Errors
    ///
    /// [`Busy`] if too many orders are on their way.
    pub fn lift(&self, user: &str, measure: Measure) -> Result<(), Busy> {
        let place = self.place()?;
        self.hub.standings.lift(user, measure);
        if measure == Measure::Mute {
            self.order(What::Mute(vec![user.into()]), place);
        }
        Ok(())
    }

    /// The sessions of a user, on every path.
    ///
    /// # Errors
    ///
    /// [`Busy`] if too many orders are on their way.
    pub async fn sessions(&self, user: &str) -> Result<Vec<SessionId>, Busy> {
        let shards = self.hub.ports.len();
        let (found, mut answers) = mpsc::channel(shards);
        self.order(What::Find { user: user.into(), found }, self.place()?);
        let mut sessions = Vec::new();
        // Ends with the last shard's answer, or with the last shard.
        while let Some(some) = answers.recv().await {
            sessions.extend(some);
        }
        sessions.sort_unstable();
        Ok(sessions)
    }

    /// Every measure that is in force.
    #[must_use]
    pub fn restrictions(&self) -> Vec<Restriction> {
        self.hub.standings.all(system_time())
    }

    /// The measures against one user, each with its end.
    pub(crate) fn restrictions_of(&self, user: &str) -> Vec<(Measure, Option<u64>)> {
        self.hub.standings.of(user, system_time())
    }

    /// Puts measures in force again that were kept from an earlier run. Sessions that are open already are not looked
    /// for; those that are over are left out.
    ///
    /// # Errors
    ///
    /// [`UsersError`]; what came before the first that found no room is in force then.
    pub fn load(&self, kept: impl IntoIterator<Item = Restriction>) -> Result<(), UsersError> {
        let (place, now) = (self.place()?, system_time());
        let mut mutes = Vec::new();
        let mut loaded = Ok(());
        for restriction in kept.into_iter().filter(|kept| kept.until.is_none_or(|end| end > now)) {
            loaded = self.hub.standings.impose(&restriction, now);
            if loaded.is_err() {
                break;
            }
            if restriction.measure == Measure::Mute {
                mutes.push(restriction.user);
            }
        }
        self.order(What::Mute(mutes), place);
        Ok(loaded?)
    }

    fn keep_out(&self, user: &str, measure: Measure, until: Option<u64>) -> Result<(), UsersError> {
        let place = self.place()?;
        let restriction = Restriction { user: user.into(), measure, until };
        // Before the order: who comes in behind it is turned away by this.
        self.hub.standings.impose(&restriction, system_time())?;
        let close = match measure {
            Measure::Revocation => Close::new(4401_u16, "revoked"),
            Measure::Ban | Measure::Mute => Close::new(4403_u16, "banned"),
        };
        self.order(What::Remove { user: restriction.user, close }, place);
        Ok(())
    }

    fn place(&self) -> Result<Place, Busy> {
        self.hub.places.take().ok_or(Busy)
    }

    fn order(&self, what: What, place: Place) {
        let order = Order::new(what, place);
        self.hub.ports.iter().for_each(|port| port.order(Arc::clone(&order)));
    }
}
