//! Who a session speaks for: the one type that everything else knows of users.

use std::sync::Arc;

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
