//! Who a session speaks for: the one type that everything else knows of users.

use std::sync::Arc;

use super::{GUEST_PREFIX, check_name, check_user_id};

/// A user as the server knows it, and as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's id: 1 to 128 bytes, no control or bidi-override characters. Those of guests begin with `guest-` and
    /// are issued by the server; those of others do not begin so.
    pub user: Arc<str>,
    /// The display name: 1 to 64 characters, no control or bidi-override characters; not unique.
    pub name: Arc<str>,
    /// Not authenticated: the id is the server's, and whoever shows its token has it again.
    pub is_guest: bool,
}

impl Identity {
    /// Whether id and name keep the rules for them.
    pub(crate) fn is_sound(&self) -> bool {
        let is_guest = self.user.starts_with(GUEST_PREFIX);
        is_guest == self.is_guest
            && check_user_id(&self.user).is_ok()
            && check_name(&self.name).is_ok()
    }
}
