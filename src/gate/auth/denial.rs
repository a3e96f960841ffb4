//! Why somebody does not come in by the word of the user's backend.

/// What the backend said, or that it said nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// It said 401.
    Unauthorized,
    /// It said 403.
    Forbidden,
    /// It gave no answer that means anything; another time it may.
    Unavailable,
}
