//! The messages in the queue that are in no log, so that those can be taken back that nobody is to see any more: their
//! text is gone at once, and their places in the queue say nothing.

use std::fmt::{Debug, Formatter, Result};
use std::sync::Arc;

use dashmap::DashMap;

use super::event::{Place, Text};
use crate::log::Message;
use crate::log::removal::Removal;

/// No more than there are places in the queue.
#[derive(Default)]
pub(super) struct Waiting(DashMap<Place, Said>);

/// A message by its author, who is nobody where it is an event: that stays.
struct Said {
    user: Arc<str>,
    text: Text,
}

impl Waiting {
    /// Before its place goes into the queue.
    pub(super) fn add(&self, place: Place, message: &Message, text: Text) {
        self.0.insert(place, Said { user: Arc::clone(&message.user), text });
    }

    /// What is to be told for a place, if it still is.
    pub(super) fn take(&self, place: &Place) -> Option<Text> {
        self.0.remove(place).map(|(_, said)| said.text)
    }

    /// Takes back what nobody is to see any more of all that is there now.
    pub(super) fn remove(&self, removal: &Removal) {
        match removal {
            Removal::Redact { conversation, seqs } => {
                for seq in seqs {
                    self.0.remove_if(&(conversation.clone(), *seq), |_, said| said.is_of_user());
                }
            }
            Removal::Clear { conversation } => {
                self.0.retain(|(of, _), said| of != conversation || !said.is_of_user());
            }
            Removal::Erase { user } => {
                self.0.retain(|_, said| said.user != *user || !said.is_of_user());
            }
        }
    }
}

impl Debug for Waiting {
    /// Without what was said.
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

impl Said {
    fn is_of_user(&self) -> bool {
        !self.user.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::removal::{cleared, event};
    use crate::rooms::conversation::Conversation;

    #[test]
    fn what_nobody_is_to_see_any_more_is_not_told_and_the_rest_is() {
        let (a, b) = (Conversation::room("a"), Conversation::room("b"));
        let waiting = Waiting::default();
        let said = [(&a, 1, "ann"), (&a, 2, "ann"), (&b, 3, "eve"), (&b, 4, ""), (&b, 5, "ann")];
        for (of, seq, user) in said {
            let message = Message { user: user.into(), ..event(cleared(seq), (seq, 0, 0)) };
            waiting.add((of.clone(), seq), &message, "told".into());
        }
        assert!(!format!("{waiting:?}").contains("told"));
        waiting.remove(&Removal::Redact { conversation: a.clone(), seqs: vec![1, 3] });
        waiting.remove(&Removal::Erase { user: "eve".into() });
        waiting.remove(&Removal::Erase { user: "".into() });
        let left = |of: &Conversation, seq| waiting.0.contains_key(&(of.clone(), seq));
        assert_eq!(said.map(|(of, seq, _)| left(of, seq)), [false, true, false, true, true]);
        waiting.remove(&Removal::Clear { conversation: b.clone() });
        assert_eq!(said.map(|(of, seq, _)| left(of, seq)), [false, true, false, true, false]);
        assert!(waiting.take(&(a.clone(), 1)).is_none());
        assert!(waiting.take(&(a, 2)).is_some() && waiting.take(&(b, 4)).is_some());
        assert!(waiting.0.is_empty(), "what is told is kept no longer");
    }
}
