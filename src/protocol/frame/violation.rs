//! How a peer's bytes can be wrong, and the close reason that each way leads to.

use crate::protocol::CloseReason;

/// The peer sent what RFC 6455 or the message limit does not allow. Nothing after it can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A frame that the protocol forbids, and what is wrong with it: close code 1002.
    #[error("{0}")]
    Protocol(&'static str),
    /// A text message or a close reason that is not UTF-8: close code 1007.
    #[error("text is not UTF-8")]
    InvalidUtf8,
    /// A message above the limit, its fragments counted together: close code 1009.
    #[error("message too big")]
    TooBig,
}

impl From<Violation> for CloseReason {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::Protocol(what) => Self::Protocol(what),
            Violation::InvalidUtf8 => Self::InvalidUtf8,
            Violation::TooBig => Self::TooBig,
        }
    }
}
