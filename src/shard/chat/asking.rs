//! Messages that the application is asked about before they go to the log: how many a session and a shard may have on the
//! way, and who waits for that.

use crate::log::Draft;
use crate::log::ruling::Ruling;
use crate::protocol::SessionId;
use crate::protocol::chat::{Code, reply};
use crate::screening::Screening;
use crate::shard::chat::stored::RETRY_AFTER_MS;
use crate::shard::session::flag;
use crate::shard::state::State;

/// Messages of one session that wait for the application's answer; with more it is not read itself.
const SESSION_MAX: u16 = 32;

/// What a shard has of messages that the application is asked about.
pub(crate) struct Asking {
    screening: Screening,
    /// What this turn brought.
    drafts: Vec<Draft>,
    /// Messages that were not answered yet.
    waiting: usize,
    /// Sessions that wait until it is less.
    paused: Vec<SessionId>,
}

impl Asking {
    pub(crate) fn new(screening: Screening) -> Self {
        Self { screening, drafts: Vec::new(), waiting: 0, paused: Vec::new() }
    }

    pub(crate) fn covers(&self, draft: &Draft) -> bool {
        self.screening.covers(&draft.conversation)
    }

    /// Whether there is so much that who sends more waits: before there is no room for what others send.
    fn is_pressed(&self) -> bool {
        self.waiting > self.screening.waiting_max / 4 * 3
    }

    fn is_relieved(&self) -> bool {
        self.waiting <= self.screening.waiting_max / 2
    }
}

impl State {
    /// Takes a message that the application is to be asked about. Its sender waits while too many do.
    pub(crate) fn submit_question(&mut self, slot: u32, draft: Draft) {
        let Some(asking) = self.chat.as_mut().and_then(|shared| shared.asking.as_mut()) else {
            return;
        };
        if asking.waiting >= asking.screening.waiting_max {
            asking.screening.count_full();
            self.refuse_question(slot, &draft);
            return;
        }
        asking.drafts.push(draft);
        asking.waiting += 1;
        let is_pressed = asking.is_pressed();
        let Some(chat) = &mut self.sessions[slot as usize].chat else { return };
        chat.asked += 1;
        if is_pressed || chat.asked >= SESSION_MAX {
            self.pause_for_application(slot);
        }
    }

    fn pause_for_application(&mut self, slot: u32) {
        let session = self.id(slot);
        let Some(asking) = self.chat.as_mut().and_then(|shared| shared.asking.as_mut()) else {
            return;
        };
        if !self.sessions[slot as usize].has(flag::PAUSED_BY_APPLICATION) {
            asking.paused.push(session);
            self.pause(slot, flag::PAUSED_BY_APPLICATION);
        }
    }

    /// Hands over what this turn brought, and reads those again that have waited long enough.
    pub(crate) fn submit_questions(&mut self) {
        let Some(asking) = self.chat.as_mut().and_then(|shared| shared.asking.as_mut()) else {
            return;
        };
        if !asking.drafts.is_empty()
            && let Err(drafts) = asking.screening.hand(std::mem::take(&mut asking.drafts))
        {
            self.give_up_questions(drafts);
        }
        self.resume_askers();
    }

    fn resume_askers(&mut self) {
        let Some(asking) = self.chat.as_mut().and_then(|shared| shared.asking.as_mut()) else {
            return;
        };
        if asking.paused.is_empty() || !asking.is_relieved() {
            return;
        }
        let (mut still, mut resumed) = (std::mem::take(&mut asking.paused), Vec::new());
        still.retain(|session| {
            let Some(slot) = self.slot(*session) else { return false };
            let chat = self.sessions[slot as usize].chat.as_ref();
            let waits = chat.is_some_and(|chat| chat.asked > SESSION_MAX / 2);
            if !waits {
                resumed.push(slot);
            }
            waits
        });
        if let Some(asking) = self.chat.as_mut().and_then(|shared| shared.asking.as_mut()) {
            asking.paused = still;
        }
        resumed.into_iter().for_each(|slot| self.resume(slot, flag::PAUSED_BY_APPLICATION));
    }

    /// Notes that a message was answered that the application was asked about.
    pub(crate) fn note_answered(&mut self, session: SessionId) {
        if let Some(asking) = self.chat.as_mut().and_then(|shared| shared.asking.as_mut()) {
            asking.waiting -= 1;
        }
        let Some(slot) = self.slot(session) else { return };
        if let Some(chat) = &mut self.sessions[slot as usize].chat {
            chat.asked -= 1;
        }
    }

    /// Nobody asks any more: the server is on its way down.
    #[cold]
    fn give_up_questions(&mut self, drafts: Vec<Draft>) {
        for draft in drafts {
            self.note_answered(draft.origin.session);
            if let Some(slot) = self.slot(draft.origin.session) {
                self.refuse_question(slot, &draft);
            }
        }
    }

    #[cold]
    fn refuse_question(&mut self, slot: u32, draft: &Draft) {
        let error = reply::Error {
            message: UNANSWERED,
            client_id: Some(draft.client_id),
            address: Some(draft.origin.view.field()),
            reference: draft.origin.reference.as_deref(),
            retry_after_ms: Some(RETRY_AFTER_MS),
            ..reply::Error::from(Code::Unavailable)
        };
        self.send_error(slot, &error);
    }
}

/// What the sender is told of a message that was not stored because of a ruling; `None` where the code says enough.
pub(super) fn words(ruling: Option<&Ruling>) -> Option<&str> {
    match ruling? {
        Ruling::Denied(reason) => reason.as_deref(),
        Ruling::Unanswered => Some(UNANSWERED),
        Ruling::Allowed | Ruling::Replaced(_) => None,
    }
}

const UNANSWERED: &str = "the application has to be asked about this and does not answer";
