//! What comes from the log: answers to who sent, and the messages for everyone.
//!
//! Messages of a room come in order and whole, or as a notice of what there is to read. Where a shard finds that
//! some are missing it reads them itself, and takes no others of that room before it has them.

use crate::log::{Answer, Delivery, Finding, Notice, Part, Refused, Seq, Unreadable};
use crate::protocol::chat::logged_frame::{frames, seq_of};
use crate::protocol::chat::{Code, reply};
use crate::rooms::conversation::{View, inbox};
use crate::shard::chat::asking::words;
use crate::shard::chat::join::page_frames;
use crate::shard::state::State;

impl State {
    /// Takes a delivery of the log.
    pub(crate) fn take_delivery(&mut self, delivery: Delivery) {
        let Delivery { answers, bytes, parts, notices } = delivery;
        for answer in answers {
            self.take_answer(answer);
        }
        let mut start = 0;
        for part in parts {
            self.take_part(&part, &bytes[start..part.end]);
            start = part.end;
        }
        for notice in notices {
            self.take_notice(&notice);
        }
    }

    fn take_answer(&mut self, answer: Answer) {
        let Answer { origin, client_id, result, ruling } = answer;
        if ruling.is_some() {
            self.note_answered(origin.session);
        } else if let Some(chat) = &mut self.chat {
            chat.in_flight -= 1;
        }
        let Some(slot) = self.slot(origin.session) else { return };
        let reference = origin.reference.as_deref();
        match result {
            Ok(ack) => {
                let view = &origin.view;
                let ack = reply::Acknowledged { client_id, ack, view, reference };
                self.reply(slot, |out| ack.write(out));
            }
            Err(refused) => {
                let may_retry = matches!(refused, Refused::Unavailable | Refused::Unanswered);
                let retry_after_ms = may_retry.then_some(RETRY_AFTER_MS);
                let code = Code::from(refused);
                let message = words(ruling.as_deref()).unwrap_or(code.meaning());
                let error = reply::Error {
                    message,
                    client_id: Some(client_id),
                    address: Some(origin.view.field()),
                    reference,
                    retry_after_ms,
                    ..reply::Error::from(code)
                };
                self.send_error(slot, &error);
            }
        }
    }

    fn take_part(&mut self, part: &Part, bytes: &[u8]) {
        let Some(room) = self.room_of_view(&part.view, part.after) else { return };
        let Some(chat) = &mut self.rooms.get_mut(room).chat else { return };
        if let Some(behind) = &mut chat.behind {
            *behind = part.last.max(*behind);
            return;
        }
        match chat.live {
            Some(live) if part.last <= live => {}
            Some(live) if part.after > live => {
                chat.behind = Some(part.last);
                self.want_room_read(room);
            }
            Some(live) if part.after < live => self.gather_after(room, bytes, live),
            _ => self.gather_logged(room, bytes, part.frames, part.last),
        }
    }

    /// Messages were stored that did not come along.
    fn take_notice(&mut self, notice: &Notice) {
        let Some(room) = self.room_of_view(&notice.view, notice.after) else { return };
        let Some(chat) = &mut self.rooms.get_mut(room).chat else { return };
        let live = *chat.live.get_or_insert(notice.after);
        if notice.last > live {
            chat.behind = Some(chat.behind.map_or(notice.last, |behind| behind.max(notice.last)));
            self.want_room_read(room);
        }
    }

    /// A page that was read for all members of a room.
    pub(crate) fn found_for_room(&mut self, id: u64, result: Result<Finding, Unreadable>) {
        let Some(room) = self.rooms.find_id(id) else { return };
        let Some(chat) = &mut self.rooms.get_mut(room).chat else { return };
        let Ok(Finding::Page(page)) = result else {
            self.room_read_later(id);
            return;
        };
        chat.is_reading = false;
        let behind = chat.behind.unwrap_or_default();
        let view = chat.view.clone();
        if let Some((from, to)) = page.gap {
            let gap = reply::Gap { view: &view, from, to };
            self.announce(room, |out| gap.write(out));
        }
        let bytes = page_frames(&page);
        let last = page.ends.last().map(|(seq, _)| *seq);
        if let Some(last) = last {
            self.gather_logged(room, &bytes, page.ends.len() as u32, last);
        }
        let is_congested = self.rooms.get(room).is_congested;
        let Some(chat) = &mut self.rooms.get_mut(room).chat else { return };
        // What was stored since the page was read is not part of that.
        let reached = page.complete_to();
        chat.live = chat.live.max(Some(reached));
        if reached >= behind {
            chat.behind = None;
        } else if !is_congested {
            // Where too much has gathered the flush goes first, and reads on when it begins.
            self.want_room_read(room);
        }
    }

    /// Gathers messages for the members, as frames.
    fn gather_logged(&mut self, room: u32, bytes: &[u8], frames: u32, last: Seq) {
        self.gather(room, self.now).push_frames(bytes, frames, None);
        if let Some(chat) = &mut self.rooms.get_mut(room).chat {
            chat.live = Some(last);
        }
        self.is_congested(room);
    }

    /// The same of those behind a position.
    fn gather_after(&mut self, room: u32, bytes: &[u8], after: Seq) {
        for frame in frames(bytes) {
            if let Some(seq) = seq_of(&bytes[frame.clone()]).filter(|seq| *seq > after) {
                self.gather_logged(room, &bytes[frame], 1, seq);
            }
        }
    }

    /// The room of a view, with everybody in it who is to see what comes after a position.
    fn room_of_view(&mut self, view: &View, after: Seq) -> Option<u32> {
        let route = self.chat.as_ref()?.route;
        if let Some((owner, _)) = view.ends() {
            let inbox = self.rooms.find(route, &inbox(owner))?;
            for slot in self.rooms.get(inbox).members.clone() {
                self.attach(slot, view, after);
            }
        }
        self.rooms.find(route, view.name())
    }
}

/// What a client is told to wait before it sends again what could not be stored.
pub(crate) const RETRY_AFTER_MS: u64 = 1000;
