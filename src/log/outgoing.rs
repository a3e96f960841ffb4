//! What the writer has for the shards: answers, and stored messages as frames, one delivery per shard at a time.
//!
//! A message is written as text once for each view that somebody looks through, and its frame is copied for each shard.
//! A shard whose mailbox is full keeps its answers here, of which there are no more than drafts on the way, and instead
//! of its messages one notice for each view. Until that is delivered later messages of the view only move its end, so
//! that what a shard is sent of a view is always in order and without a hole.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use crate::log::counters::Counters;
use crate::log::removal::Removal;
use crate::log::{Answer, Delivery, Message, Notice, Outlet, Part};
use crate::protocol::chat::message_text;
use crate::protocol::frame;
use crate::rooms::conversation::{Conversation, View};

/// The pending deliveries.
pub(super) struct Outgoing {
    outlet: Arc<dyn Outlet>,
    counters: Arc<Counters>,
    /// By number of the shard.
    targets: Vec<Target>,
    text: Vec<u8>,
    frames: Vec<u8>,
}

/// What one shard is to have.
#[derive(Default)]
struct Target {
    delivery: Delivery,
    /// Where in the delivery the notices are of the views that have one.
    behind: HashMap<View, usize>,
}

impl Outgoing {
    pub(super) fn new(outlet: Arc<dyn Outlet>, counters: Arc<Counters>) -> Self {
        let (targets, text, frames) = (Vec::new(), Vec::new(), Vec::new());
        Self { outlet, counters, targets, text, frames }
    }

    /// Adds an answer to what its session's shard is to have.
    pub(super) fn answer(&mut self, answer: Answer) {
        let shard = answer.origin.session.shard();
        self.target(shard).delivery.answers.push(answer);
    }

    /// Adds messages that were stored one after another in one conversation to what those shards are to have that have
    /// somebody who looks at it.
    pub(super) fn messages(&mut self, conversation: &Conversation, messages: &[Message]) {
        let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return };
        self.outlet.stored(conversation, messages);
        for view in conversation.views() {
            self.frames.clear();
            for shard in self.outlet.shards(&view) {
                let target = self.target(shard);
                if let Some(notice) = target.behind.get(&view) {
                    target.delivery.notices[*notice].last = last.seq;
                    self.counters.noticed.add(messages.len());
                    continue;
                }
                if self.frames.is_empty() {
                    self.encode(&view, messages);
                }
                let delivery = &mut self.targets[shard].delivery;
                delivery.bytes.extend_from_slice(&self.frames);
                delivery.parts.push(Part {
                    view: view.clone(),
                    end: delivery.bytes.len(),
                    frames: u32::try_from(messages.len()).unwrap_or(u32::MAX),
                    after: first.prev,
                    last: last.seq,
                });
            }
        }
    }

    /// Nobody is to see these any more.
    pub(super) fn removes(&self, removal: &Removal) {
        self.outlet.removes(removal);
    }

    #[allow(clippy::expect_used, reason = "the text is put together from text")]
    fn encode(&mut self, view: &View, messages: &[Message]) {
        for message in messages {
            self.text.clear();
            message_text(message, view, &mut self.text);
            let text = str::from_utf8(&self.text).expect("JSON is UTF-8");
            frame::encode(text.into(), &mut self.frames);
        }
        self.counters.serialised.add(messages.len());
    }

    /// Hands each shard what there is for it. How many answers were taken.
    pub(super) fn send(&mut self) -> usize {
        let mut answered = 0;
        for (shard, target) in self.targets.iter_mut().enumerate() {
            if target.is_empty() {
                continue;
            }
            let delivery = mem::take(&mut target.delivery);
            let answers = delivery.answers.len();
            match self.outlet.deliver(shard, delivery) {
                Ok(()) => {
                    target.behind.clear();
                    answered += answers;
                }
                Err(delivery) => {
                    target.delivery = delivery;
                    let frames = target.collapse();
                    self.counters.noticed.add(frames);
                }
            }
        }
        answered
    }

    /// Whether some shard did not take what there was for it.
    pub(super) fn is_waiting(&self) -> bool {
        self.targets.iter().any(|target| !target.is_empty())
    }

    fn target(&mut self, shard: usize) -> &mut Target {
        if shard >= self.targets.len() {
            self.targets.resize_with(shard + 1, Target::default);
        }
        &mut self.targets[shard]
    }
}

impl Target {
    fn is_empty(&self) -> bool {
        let Delivery { answers, parts, notices, .. } = &self.delivery;
        answers.is_empty() && parts.is_empty() && notices.is_empty()
    }

    /// Makes notices of parts; how many messages that were.
    fn collapse(&mut self) -> usize {
        let mut frames = 0;
        self.delivery.bytes = Vec::new();
        for Part { view, frames: some, after, last, .. } in self.delivery.parts.drain(..) {
            // A view has no part while it has a notice, and one part at most.
            self.behind.insert(view.clone(), self.delivery.notices.len());
            self.delivery.notices.push(Notice { view, after, last });
            frames += some as usize;
        }
        frames
    }
}
