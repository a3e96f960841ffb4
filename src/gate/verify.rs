//! The question who a token is of, asked from a shard and answered by the control runtime.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::gate::access::Access;
use crate::protocol::SessionId;

/// Why a token lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unverified {
    /// It is wrong, or its time is over.
    Bad,
    /// Who could say so does not answer.
    Unavailable,
}

/// What a token was found to be.
pub(crate) type Verdict = Result<Arc<Access>, Unverified>;

/// Says who a token is of. Runs on the control runtime, and may wait.
pub(crate) type Verify =
    Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = Verdict> + Send>> + Send + Sync>;

/// Begins to verify what a session has shown; the session's shard gets a [`Verified`] in any case. Never blocks.
pub(crate) type Ask = Arc<dyn Fn(Shown) + Send + Sync>;

/// What a token was shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be welcomed.
    Hello,
    /// To stay.
    Refresh,
}

/// A token that a session has shown.
pub(crate) struct Shown {
    pub(crate) token: String,
    pub(crate) question: Question,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("question", &self.question).finish_non_exhaustive()
    }
}

/// Who has shown it, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) session: SessionId,
    pub(crate) purpose: Purpose,
    /// The `ref` of the request, as JSON text.
    pub(crate) reference: Option<Box<str>>,
}

/// The answer.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) question: Question,
    pub(crate) verdict: Verdict,
}
