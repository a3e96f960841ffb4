//! What the application has said of a draft before it comes to the log, and what that makes of it.

use crate::log::{Draft, Refused};

/// What is to become of a draft that the application was asked about. What is in the log already stays there, whatever
/// is said when it is sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// It is stored as it is.
    Allowed,
    /// This is stored in the place of its body: valid JSON.
    Replaced(Box<str>),
    /// It is not stored; the application's reason, in words for its sender.
    Denied(Option<Box<str>>),
    /// It is not stored, because there was no answer that counts.
    Unanswered,
}

impl Draft {
    /// What is stored of it. Its key stands for the body that its sender knows, which need not be this one.
    pub(crate) fn stored_body(&self) -> &str {
        self.replacement().unwrap_or(&self.body)
    }

    /// The body that is stored in the place of its own, if there is one.
    pub(crate) fn replacement(&self) -> Option<&str> {
        match self.ruling.as_deref() {
            Some(Ruling::Replaced(body)) => Some(body),
            _ => None,
        }
    }

    /// Why it is not stored, if it is not in the log already.
    pub(crate) fn refused(&self) -> Option<Refused> {
        match self.ruling.as_deref()? {
            Ruling::Denied(_) => Some(Refused::Denied),
            Ruling::Unanswered => Some(Refused::Unanswered),
            Ruling::Allowed | Ruling::Replaced(_) => None,
        }
    }
}
