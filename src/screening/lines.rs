//! The messages that wait, a line for each conversation: questions are put for many at once, and whichever answer comes
//! first, a line only moves from its front. No network and no clock.

use std::collections::{HashMap, VecDeque};

use crate::log::Draft;
use crate::log::ruling::Ruling;
use crate::rooms::conversation::Conversation;

/// The lines.
pub(super) struct Lines {
    lines: HashMap<Conversation, Line>,
    /// Those that have something to ask and may, in the order of their turns.
    turns: VecDeque<Conversation>,
    /// Questions of one conversation at once: one that is answered slowly does not take all that there may be.
    each_max: usize,
    waiting: usize,
}

/// One conversation's messages, in the order in which they came.
#[derive(Default)]
struct Line {
    drafts: VecDeque<Draft>,
    /// The number of the first of them.
    first: u64,
    /// How many of them were asked about.
    asked: usize,
    /// How many of these have no answer.
    asking: usize,
    has_turn: bool,
}

/// Names a message that is being asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    conversation: Conversation,
    number: u64,
}

impl Lines {
    pub(super) fn new(each_max: usize) -> Self {
        Self { lines: HashMap::new(), turns: VecDeque::new(), each_max, waiting: 0 }
    }

    /// Messages in all lines.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Puts a message at the end of its line.
    pub(super) fn push(&mut self, draft: Draft) {
        let conversation = draft.conversation.clone();
        self.lines.entry(conversation.clone()).or_default().drafts.push_back(draft);
        self.waiting += 1;
        self.give_turn(conversation);
    }

    /// The message to ask about next: each line has its turn, whatever its length.
    pub(super) fn next(&mut self) -> Option<(Ticket, &Draft)> {
        let conversation = self.turns.pop_front()?;
        let line = self.lines.get_mut(&conversation)?;
        line.has_turn = false;
        let at = line.asked;
        (line.asked, line.asking) = (at + 1, line.asking + 1);
        let ticket = Ticket { conversation: conversation.clone(), number: line.first + at as u64 };
        self.give_turn(conversation);
        let draft = self.lines.get(&ticket.conversation)?.drafts.get(at)?;
        Some((ticket, draft))
    }

    /// Takes the answer to a question. What is at the front of its line and answered leaves it.
    pub(super) fn rule(&mut self, ticket: Ticket, ruling: Ruling, out: &mut Vec<Draft>) {
        let Ticket { conversation, number } = ticket;
        let Some(line) = self.lines.get_mut(&conversation) else { return };
        line.asking -= 1;
        let at = usize::try_from(number - line.first).unwrap_or(usize::MAX);
        if let Some(draft) = line.drafts.get_mut(at) {
            draft.ruling = Some(Box::new(ruling));
        }
        while line.drafts.front().is_some_and(|draft| draft.ruling.is_some())
            && let Some(draft) = line.drafts.pop_front()
        {
            (line.first, line.asked) = (line.first + 1, line.asked - 1);
            self.waiting -= 1;
            out.push(draft);
        }
        if line.drafts.is_empty() {
            self.lines.remove(&conversation);
        } else {
            self.give_turn(conversation);
        }
    }

    fn give_turn(&mut self, conversation: Conversation) {
        let Some(line) = self.lines.get_mut(&conversation) else { return };
        if !line.has_turn && line.asked < line.drafts.len() && line.asking < self.each_max {
            line.has_turn = true;
            self.turns.push_back(conversation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Origin;
    use crate::protocol::SessionId;
    use crate::protocol::chat::{ClientId, Identity};

    fn draft(room: &str, n: u64) -> Draft {
        let conversation = Conversation::room(room);
        let view = conversation.views().remove(0);
        Draft {
            conversation,
            author: Identity { user: "ada".into(), name: "Ada".into(), is_guest: false },
            client_id: ClientId::from_bytes(u128::from(n).to_be_bytes()),
            body: n.to_string().into(),
            origin: Origin { session: SessionId::new(0, 1, 1), view, reference: None },
            ruling: None,
        }
    }

    fn lines(each_max: usize, drafts: &[(&str, u64)]) -> Lines {
        let mut lines = Lines::new(each_max);
        drafts.iter().for_each(|(room, n)| lines.push(draft(room, *n)));
        lines
    }

    /// The tickets that there are, and the bodies that they are for.
    fn ask(lines: &mut Lines) -> (Vec<Ticket>, Vec<String>) {
        let (mut tickets, mut bodies) = (Vec::new(), Vec::new());
        while let Some((ticket, draft)) = lines.next() {
            bodies.push(draft.body.to_string());
            tickets.push(ticket);
        }
        (tickets, bodies)
    }

    fn rule(lines: &mut Lines, ticket: &Ticket) -> Vec<String> {
        let mut out = Vec::new();
        lines.rule(ticket.clone(), Ruling::Allowed, &mut out);
        out.iter().map(|draft| draft.body.to_string()).collect()
    }

    #[test]
    fn a_line_moves_from_its_front_whichever_answer_comes_first() {
        let mut lines = lines(3, &[("a", 1), ("a", 2), ("a", 3), ("b", 4)]);
        let (tickets, bodies) = ask(&mut lines);
        assert_eq!(bodies, ["1", "4", "2", "3"]);
        let none: [&str; 0] = [];
        assert_eq!(rule(&mut lines, &tickets[3]), none);
        assert_eq!(rule(&mut lines, &tickets[1]), ["4"]);
        assert_eq!(rule(&mut lines, &tickets[2]), none);
        lines.push(draft("a", 5));
        let (more, bodies) = ask(&mut lines);
        assert_eq!(bodies, ["5"]);
        assert_eq!(rule(&mut lines, &tickets[0]), ["1", "2", "3"]);
        assert_eq!(lines.waiting(), 1);
        assert_eq!(rule(&mut lines, &more[0]), ["5"]);
        assert!(lines.lines.is_empty() && lines.turns.is_empty() && lines.waiting() == 0);
    }

    #[test]
    fn a_long_line_leaves_room_for_the_others() {
        let long: Vec<_> = (0..100).map(|n| ("long", n)).collect();
        let mut lines = lines(2, &long);
        lines.push(draft("short", 1000));
        let (tickets, bodies) = ask(&mut lines);
        assert_eq!(bodies, ["0", "1000", "1"], "each has its turn, and none more than its share");
        assert_eq!(rule(&mut lines, &tickets[2]), [""; 0]);
        assert_eq!(ask(&mut lines).1, ["2"]);
        assert_eq!(rule(&mut lines, &tickets[0]), ["0", "1"]);
    }

    #[test]
    fn every_message_leaves_once_and_in_order_whatever_comes_when() {
        // A fixed sequence of odd choices.
        let mut seed = 1_u64;
        let mut pick = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % below
        };
        let (mut lines, mut asking, mut left) = (Lines::new(3), Vec::new(), HashMap::new());
        let (mut sent, mut n) = (HashMap::<_, Vec<_>>::new(), 0);
        while n < 2000 || !asking.is_empty() {
            if n < 2000 {
                let room = ["a", "b", "c"][pick(3)];
                lines.push(draft(room, n));
                sent.entry(room.to_owned()).or_default().push(n.to_string());
                n += 1;
            }
            while asking.len() < 7
                && let Some((ticket, _)) = lines.next()
            {
                asking.push(ticket);
            }
            for _ in 0..pick(3).min(asking.len()) {
                let ticket = asking.swap_remove(pick(asking.len()));
                let mut out = Vec::new();
                lines.rule(ticket, Ruling::Allowed, &mut out);
                for draft in out {
                    let room = draft.conversation.key().to_owned();
                    left.entry(room).or_insert_with(Vec::new).push(draft.body.to_string());
                }
            }
        }
        assert_eq!(left, sent);
        assert!(lines.lines.is_empty());
    }
}
