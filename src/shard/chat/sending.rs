//! From a session's messages to the log: one submission a turn, and senders that wait where it is behind.

use crate::log::{Draft, Submission};
use crate::protocol::Message;
use crate::protocol::frame;
use crate::shard::counters::Drop;
use crate::shard::session::flag;
use crate::shard::state::State;

impl State {
    /// Takes a draft for this turn's submission. Its sender waits while the log has too much to do, and while the
    /// room it writes to is behind somewhere.
    pub(crate) fn submit_draft(&mut self, slot: u32, room: Option<u32>, draft: Draft) {
        let Some(shared) = &mut self.chat else { return };
        if shared.asking.as_ref().is_some_and(|asking| asking.covers(&draft)) {
            self.submit_question(slot, draft);
        } else {
            shared.drafts.push(draft);
            shared.in_flight += 1;
            if shared.in_flight > shared.drafts_max {
                self.pause_for_log(slot);
            }
        }
        if let Some(room) = room {
            let entry = &self.rooms.get(room).entry;
            if entry.wait(self.shard) {
                self.hold(entry.clone(), slot);
            }
        }
    }

    fn pause_for_log(&mut self, slot: u32) {
        let Some(shared) = &mut self.chat else { return };
        if !self.sessions[slot as usize].has(flag::PAUSED_BY_LOG) {
            shared.paused.push(slot);
            self.pause(slot, flag::PAUSED_BY_LOG);
        }
    }

    /// Hands the log what this turn brought. What it does not take is kept, and its senders wait.
    pub(crate) fn submit_drafts(&mut self) {
        self.submit_questions();
        let Some(shared) = &mut self.chat else { return };
        if !shared.drafts.is_empty() {
            let drafts = std::mem::take(&mut shared.drafts);
            if let Err(submission) = shared.log.try_submit(Submission { drafts }) {
                shared.drafts = submission.drafts;
                self.pause_senders();
            }
        }
        let Some(shared) = &mut self.chat else { return };
        if shared.drafts.is_empty() && shared.in_flight <= shared.drafts_max / 2 {
            for slot in std::mem::take(&mut shared.paused) {
                self.resume(slot, flag::PAUSED_BY_LOG);
            }
        }
    }

    #[cold]
    fn pause_senders(&mut self) {
        let Some(shared) = &self.chat else { return };
        let senders: Vec<_> = shared.drafts.iter().map(|draft| draft.origin.session).collect();
        for slot in senders.into_iter().filter_map(|session| self.slot(session)).collect::<Vec<_>>()
        {
            self.pause_for_log(slot);
        }
    }

    /// Gathers a signal for a room's other members. It is let go where anything would have to wait for it.
    pub(crate) fn signal(&mut self, room: u32, slot: u32, text: &str) {
        let (found, own) = (self.rooms.get(room), self.shard);
        let is_behind = found.is_congested || found.entry.is_behind();
        if is_behind
            || found
                .entry
                .shards
                .iter()
                .any(|target| target != own && self.outgoing.is_blocked_at(target))
        {
            self.counters.dropped[Drop::Signal as usize] += 1;
            return;
        }
        self.publish(room, slot, Message::Text(text));
    }

    /// The same for every session of another user.
    pub(crate) fn signal_to_user(&mut self, slot: u32, inbox: &str, text: &str) {
        let Some(route) = self.chat.as_ref().map(|shared| shared.route) else { return };
        if self.outgoing.is_blocked() {
            self.counters.dropped[Drop::Signal as usize] += 1;
            return;
        }
        let mut bytes = Vec::new();
        frame::encode(Message::Text(text), &mut bytes);
        let except = self.id(slot);
        self.publish_frame(route, inbox, Some(except), &bytes);
    }
}
