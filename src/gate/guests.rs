//! Guests: whoever comes without an account is let in under an id that the server issues, and keeps it by showing the
//! token that it was given.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::gate::guest_key;
use crate::protocol::chat::{Guest, GuestKey, Identity};

/// Issues ids and knows them again.
pub(crate) struct Guests {
    key: GuestKey,
}

impl Guests {
    /// Those of the server with this data directory.
    ///
    /// # Errors
    /// The key cannot be read or made.
    pub(crate) fn open(data_dir: &Path) -> io::Result<Self> {
        Ok(Self { key: guest_key::load(data_dir)? })
    }

    /// The guest that shows this token, or a new one; with its token. `None` if the token is none of ours.
    pub(crate) fn admit(
        &self,
        token: Option<&str>,
        name: Option<&str>,
    ) -> Option<(Identity, String)> {
        let guest = match token {
            Some(token) => self.key.verify(token)?,
            None => new_guest()?,
        };
        let name: Arc<str> = name.map_or_else(|| guest.default_name().into(), Into::into);
        let identity = Identity { user: guest.user().into(), name, is_guest: true };
        Some((identity, self.key.token(guest)))
    }
}

fn new_guest() -> Option<Guest> {
    guest_key::new_guest()
        .inspect_err(|error| tracing::error!(%error, "no random bytes for a guest"))
        .ok()
}
