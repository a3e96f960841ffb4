//! What the server knows of who it has let in.

use std::sync::{Arc, LazyLock};

use crate::gate::permissions::Permissions;
use crate::protocol::chat::Identity;

/// Who a session speaks for, what they may do, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The user.
    pub identity: Identity,
    /// What the user may do.
    pub permissions: Arc<Permissions>,
    /// When that ends, in milliseconds since 1970 UTC; `None` for never.
    pub expires_at: Option<u64>,
}

impl Access {
    /// To everything, for ever: what a program that lets its users in by itself grants, and a server that lets in
    /// everybody.
    #[must_use]
    pub fn full(identity: Identity) -> Self {
        // The same for everybody: a guest costs nothing for what a guest may do.
        static ALL: LazyLock<Arc<Permissions>> = LazyLock::new(|| Arc::new(Permissions::all()));
        Self { identity, permissions: Arc::clone(&ALL), expires_at: None }
    }

    /// Whether the user has conversations with other users: no guest has.
    pub(crate) fn has_direct(&self) -> bool {
        !self.identity.is_guest && self.permissions.allows_direct()
    }
}
