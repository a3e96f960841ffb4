//! Taking out what nobody is to see any more: which messages, how that is told, and how far it has come.
//!
//! What goes is replaced by events: messages of nobody, each with a position of its own in the conversation's order,
//! that say which ones are gone. An engine does a removal in steps, each of them whole: what has gone in it and the
//! events that say so are stored together or not at all.

use std::fmt::Write;
use std::sync::Arc;

use serde::Deserialize;

use crate::log::kind::Kind;
use crate::log::{Message, Millis, Seq};
use crate::protocol::chat::ClientId;
use crate::rooms::conversation::Conversation;

/// The most positions that one event names.
pub(crate) const EVENT_SEQS_MAX: usize = 256;

/// What is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// These messages of one conversation, those of them that are there.
    Redact { conversation: Conversation, seqs: Vec<Seq> },
    /// Everything in one conversation.
    Clear { conversation: Conversation },
    /// What one user said, in every conversation.
    Erase { user: Arc<str> },
}

impl Removal {
    /// The one conversation that it is about, if it is.
    pub(crate) fn conversation(&self) -> Option<&Conversation> {
        match self {
            Self::Redact { conversation, .. } | Self::Clear { conversation } => Some(conversation),
            Self::Erase { .. } => None,
        }
    }
}

/// A removal on its way through one engine.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) removal: Removal,
    /// What is later than this stays: it was said since the first step. Set by that step.
    pub(crate) to: Option<Seq>,
    /// How far an engine has looked, as it reckons that,
    pub(crate) place: Seq,
    /// and the conversation that it is in the middle of.
    pub(crate) rest: Option<(Conversation, Seq)>,
}

impl Errand {
    pub(crate) fn new(mut removal: Removal) -> Self {
        if let Removal::Redact { seqs, .. } = &mut removal {
            seqs.sort_unstable();
            seqs.dedup();
        }
        Self { removal, to: None, place: 0, rest: None }
    }
}

/// What one step has done.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    /// Messages that are gone.
    pub(crate) removed: usize,
    /// What is to be told, in order.
    pub(crate) events: Vec<(Conversation, Message)>,
    /// There is nothing left to do.
    pub(crate) is_over: bool,
}

/// Says that these are gone; at most [`EVENT_SEQS_MAX`].
pub(crate) fn redacted(seqs: &[Seq]) -> (Kind, Box<str>) {
    let mut body = String::from(r#"{"seqs":["#);
    for (at, seq) in seqs.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // What is written to memory is always written.
        let _ = write!(body, "{comma}{seq}");
    }
    body.push_str("]}");
    (Kind::Redact, body.into())
}

/// Says that everything up to a position is gone.
pub(crate) fn cleared(to: Seq) -> (Kind, Box<str>) {
    (Kind::Clear, format!(r#"{{"to":{to}}}"#).into())
}

/// An event of nobody's.
pub(crate) fn event(
    (kind, body): (Kind, Box<str>),
    (seq, prev, time): (Seq, Seq, Millis),
) -> Message {
    let (user, name): (Arc<str>, Arc<str>) = ("".into(), "".into());
    Message { seq, prev, time, user, name, client_id: client_id(seq, time), kind, body }
}

/// An id that no other message of that conversation has: nobody but the log speaks as nobody, and a position comes once.
fn client_id(seq: Seq, time: Millis) -> ClientId {
    let version = 7_u128 << 76 | 0b10 << 62;
    let made = u128::from(time & 0xffff_ffff_ffff) << 80;
    ClientId::from_bytes((made | version | u128::from(seq)).to_be_bytes())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seqs {
    seqs: Vec<Seq>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct To {
    to: Seq,
}

/// Whether a body is that of an event at a position.
pub(crate) fn is_body(kind: Kind, body: &str, seq: Seq) -> bool {
    let is_before = |of: &Seq| (1..seq).contains(of);
    match kind {
        Kind::Text => false,
        Kind::Redact => serde_json::from_str(body).is_ok_and(|Seqs { seqs }| {
            (1..=EVENT_SEQS_MAX).contains(&seqs.len()) && seqs.iter().all(is_before)
        }),
        Kind::Clear => serde_json::from_str(body).is_ok_and(|To { to }| is_before(&to)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_events() {
        let (kind, body) = redacted(&[3, 5, 8]);
        assert_eq!((kind, &*body), (Kind::Redact, r#"{"seqs":[3,5,8]}"#));
        assert!(is_body(kind, &body, 9) && !is_body(kind, &body, 8));
        let (kind, body) = cleared(7);
        assert_eq!((kind, &*body), (Kind::Clear, r#"{"to":7}"#));
        assert!(is_body(kind, &body, 8) && !is_body(kind, &body, 7));
        for (kind, wrong) in [
            (Kind::Text, "{}"),
            (Kind::Redact, r#"{"seqs":[]}"#),
            (Kind::Redact, r#"{"seqs":[0]}"#),
            (Kind::Redact, r#"{"to":1}"#),
            (Kind::Clear, r#"{"to":1,"user":"ada"}"#),
        ] {
            assert!(!is_body(kind, wrong, 9), "{wrong}");
        }
    }

    #[test]
    fn an_event_has_an_id_like_any_message() {
        let message = event(cleared(1), (1 << 53, 1, 1_800_000_000_000));
        let id = message.client_id;
        assert_eq!(ClientId::parse(&id.to_string()), Some(id));
        assert_eq!(id.made_ms(), 1_800_000_000_000);
    }
}
