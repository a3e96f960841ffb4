//! A message of a client that is not right, and what the answer says about it.

use std::borrow::Cow;

use super::{ClientId, Code};

/// What is wrong with one field, or with the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) message: Cow<'static, str>,
}

impl Fault {
    pub(super) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    /// Something about the shape of a message that has no code of its own.
    pub(super) fn shape(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::BadMessage, message)
    }
}

/// A message that was refused as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) code: Code,
    /// The rule that was broken, in words for the peer; never what the peer wrote.
    pub(crate) message: Cow<'static, str>,
    /// The message's `ref` as JSON text, wherever one could be made out.
    pub(crate) reference: Option<Box<str>>,
    /// The message's `client_id`, wherever one could be made out.
    pub(crate) client_id: Option<ClientId>,
}
