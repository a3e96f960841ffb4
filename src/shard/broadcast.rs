//! What one turn brought for one room: its frames end to end, and which of them which member must not get.

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;
use std::time::Instant;

use crate::protocol::{Message, frame};
use crate::shard::chat::picking::signals;
use crate::shard::session::flag;

/// Memory kept in buffers for the next turns, and the number of buffers.
const POOLED_BYTES_MAX: usize = 4 * 1024 * 1024;
const POOLED_MAX: usize = 4096;

/// A range of a broadcast that one member does not get: its own frame, or what was sent before it joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Exclusion {
    /// The member's slot while frames are gathered, its position in the room once they are written.
    pub(crate) member: u32,
    start: u32,
    end: u32,
    frames: u32,
}

/// Frames on their way to the members of one room.
pub(crate) struct Broadcast {
    /// Shared with the outboxes of members that could not take all of it, or left before all of it was gathered.
    pub(crate) bytes: Rc<Vec<u8>>,
    /// How many frames they are.
    pub(crate) frames: u32,
    /// Some of them say who came or went, which is not for everybody.
    pub(crate) has_presence: bool,
    pub(crate) exclusions: Vec<Exclusion>,
    /// When the first of the frames was read from its socket.
    pub(crate) read_at: Instant,
    /// When the first member was served.
    pub(crate) begun_at: Instant,
    /// The member to serve next, and behind the last one: who joins during the flush is not served by it.
    pub(crate) cursor: usize,
    pub(crate) end: usize,
    /// The exclusions of members before the cursor are behind this position.
    passed: usize,
    /// How much of the bytes was looked at for signals, and how many there were.
    signals: Cell<(usize, u64)>,
}

impl Broadcast {
    fn new(read_at: Instant) -> Self {
        let (bytes, exclusions) = (Rc::new(Vec::new()), Vec::new());
        let (begun_at, signals) = (read_at, Cell::default());
        Self {
            bytes,
            frames: 0,
            has_presence: false,
            exclusions,
            read_at,
            begun_at,
            cursor: 0,
            end: 0,
            passed: 0,
            signals,
        }
    }

    /// The flags of members that do not get all of it as it is.
    pub(crate) const fn not_plain(&self) -> u32 {
        if self.has_presence { flag::NOT_PLAIN | flag::NO_PRESENCE } else { flag::NOT_PLAIN }
    }

    fn buffer(&mut self) -> &mut Vec<u8> {
        // Shared once it is written. Before that who gathers is the only owner, and nothing is copied here, unless a
        // member has closed meanwhile and waits for what there was.
        Rc::make_mut(&mut self.bytes)
    }

    /// Appends a message as a frame, not for `except`; the frame's range.
    pub(crate) fn push(&mut self, message: Message<'_>, except: Option<u32>) -> Range<usize> {
        let start = self.bytes.len();
        frame::encode(message, self.buffer());
        self.pushed(start, 1, except)
    }

    /// Appends whole frames, not for `except`; their range.
    pub(crate) fn push_frames(
        &mut self,
        bytes: &[u8],
        frames: u32,
        except: Option<u32>,
    ) -> Range<usize> {
        let start = self.bytes.len();
        self.buffer().extend_from_slice(bytes);
        self.pushed(start, frames, except)
    }

    fn pushed(&mut self, start: usize, frames: u32, except: Option<u32>) -> Range<usize> {
        self.frames += frames;
        let end = self.bytes.len();
        if let Some(member) = except {
            self.exclude(member, start..end, frames);
        }
        start..end
    }

    /// Keeps everything so far from a member that joins now.
    pub(crate) fn exclude_past(&mut self, member: u32) {
        let (end, frames) = (self.bytes.len(), self.frames);
        self.exclude(member, 0..end, frames);
    }

    fn exclude(&mut self, member: u32, range: Range<usize>, frames: u32) {
        // A turn's frames are bounded far below 4 GiB; `end` cannot be cut.
        let (start, end) = (range.start as u32, range.end as u32);
        match self.exclusions.last_mut() {
            Some(last) if last.member == member && last.end == start => {
                last.end = end;
                last.frames += frames;
            }
            _ => self.exclusions.push(Exclusion { member, start, end, frames }),
        }
    }

    /// Ends the gathering: exclusions are sorted by position, which `position` finds for a slot.
    pub(crate) fn begin(
        &mut self,
        members: usize,
        now: Instant,
        position: impl Fn(u32) -> Option<u32>,
    ) {
        self.begun_at = now;
        self.exclusions.retain_mut(|exclusion| match position(exclusion.member) {
            Some(position) => {
                exclusion.member = position;
                true
            }
            None => false,
        });
        self.sort_exclusions();
        (self.cursor, self.end, self.passed) = (0, members, 0);
    }

    fn sort_exclusions(&mut self) {
        self.exclusions.sort_unstable();
        // What was sent before a member joined may hold frames that are not for it for another reason.
        self.exclusions.dedup_by(|next, kept| {
            let overlap = next.member == kept.member && next.start < kept.end;
            if overlap && next.end > kept.end {
                *kept = *next;
            }
            overlap
        });
    }

    /// The position of the next member, the cursor's or one behind it, that does not get everything.
    pub(crate) fn next_excluded(&self) -> usize {
        self.exclusions.get(self.passed).map_or(self.end, |exclusion| exclusion.member as usize)
    }

    /// The exclusions of the member at [`next_excluded`](Self::next_excluded).
    pub(crate) fn take_exclusions(&mut self) -> Range<usize> {
        let start = self.passed;
        let rest = &self.exclusions[start..];
        let member = rest.first().map(|exclusion| exclusion.member);
        self.passed += rest.iter().take_while(|next| Some(next.member) == member).count();
        start..self.passed
    }

    /// The exclusions of the member in `slot`, while frames are still gathered.
    pub(crate) fn gathered_exclusions(&mut self, slot: u32) -> Range<usize> {
        self.sort_exclusions();
        self.find_exclusions(slot)
    }

    /// The exclusions of the member at any `position`.
    pub(crate) fn find_exclusions(&self, position: u32) -> Range<usize> {
        let start = self.exclusions.partition_point(|exclusion| exclusion.member < position);
        let end = self.exclusions.partition_point(|exclusion| exclusion.member <= position);
        start..end
    }

    /// What is left of the broadcast for a member with these exclusions, in order.
    pub(crate) fn pieces(&self, exclusions: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let mut exclusions = self.exclusions[exclusions].iter();
        let (mut at, len) = (0, self.bytes.len());
        std::iter::from_fn(move || {
            for exclusion in exclusions.by_ref() {
                let piece = at..exclusion.start as usize;
                at = at.max(exclusion.end as usize);
                if !piece.is_empty() {
                    return Some(piece);
                }
            }
            let piece = at..len;
            at = len;
            (!piece.is_empty()).then_some(piece)
        })
    }

    /// How many of the frames are signals of a chat. Looked for only where somebody does not get them.
    pub(crate) fn signals(&self) -> u64 {
        let (looked_at, mut found) = self.signals.get();
        found += signals(&self.bytes[looked_at..]);
        self.signals.set((self.bytes.len(), found));
        found
    }

    /// How many frames a member with these exclusions gets.
    pub(crate) fn frames_for(&self, exclusions: Range<usize>) -> u64 {
        let excluded: u32 =
            self.exclusions[exclusions].iter().map(|exclusion| exclusion.frames).sum();
        u64::from(self.frames.saturating_sub(excluded))
    }
}

/// Buffers that wait for the next turn, so that no room holds one between its messages.
#[derive(Default)]
pub(crate) struct Pool {
    #[allow(clippy::vec_box, reason = "rooms hold boxes, which go round whole")]
    free: Vec<Box<Broadcast>>,
    bytes: usize,
}

impl Pool {
    /// An empty broadcast, its first frame read at `read_at`.
    pub(crate) fn take(&mut self, read_at: Instant) -> Box<Broadcast> {
        match self.free.pop() {
            Some(mut broadcast) => {
                self.bytes -= broadcast.bytes.capacity();
                broadcast.read_at = read_at;
                broadcast
            }
            None => Box::new(Broadcast::new(read_at)),
        }
    }

    /// Takes one back, unless slow members still refer to its bytes or enough are kept.
    pub(crate) fn put(&mut self, mut broadcast: Box<Broadcast>) {
        let Some(bytes) = Rc::get_mut(&mut broadcast.bytes) else { return };
        let pooled = self.bytes + bytes.capacity();
        if pooled <= POOLED_BYTES_MAX && self.free.len() < POOLED_MAX {
            bytes.clear();
            broadcast.exclusions.clear();
            broadcast.frames = 0;
            broadcast.has_presence = false;
            broadcast.signals.take();
            self.bytes = pooled;
            self.free.push(broadcast);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(broadcast: &Broadcast, position: u32) -> Vec<Range<usize>> {
        broadcast.pieces(broadcast.find_exclusions(position)).collect()
    }

    #[test]
    fn a_member_gets_all_but_its_own_frames_and_those_before_it_joined() {
        let mut broadcast = Broadcast::new(Instant::now());
        let first = broadcast.push(Message::Text("one"), Some(7));
        let second = broadcast.push(Message::Text("two"), Some(8));
        broadcast.exclude_past(9);
        let third = broadcast.push(Message::Text("three"), Some(7));
        let gathered = broadcast.gathered_exclusions(8);
        assert_eq!(broadcast.pieces(gathered).collect::<Vec<_>>(), [first.clone(), third.clone()]);
        broadcast.begin(4, Instant::now(), |slot| (7..=9).contains(&slot).then(|| slot - 6));
        let all = first.start..third.end;
        assert_eq!(pieces(&broadcast, 0), [all]);
        assert_eq!(pieces(&broadcast, 1), std::slice::from_ref(&second));
        assert_eq!(pieces(&broadcast, 2), [first, third.clone()]);
        assert_eq!(pieces(&broadcast, 3), [third]);
        let counts: Vec<_> =
            (0..4).map(|at| broadcast.frames_for(broadcast.find_exclusions(at))).collect();
        assert_eq!(counts, [3, 1, 2, 1]);
        for position in 1..4 {
            assert_eq!(broadcast.next_excluded(), position);
            let found = broadcast.find_exclusions(position as u32);
            assert_eq!(broadcast.take_exclusions(), found);
        }
        assert_eq!(broadcast.next_excluded(), broadcast.end);
    }

    /// A slot given to a newcomer in the same turn brings the exclusions of the one before along.
    #[test]
    fn overlapping_exclusions_are_one() {
        let mut broadcast = Broadcast::new(Instant::now());
        broadcast.push(Message::Text("one"), Some(5));
        broadcast.push(Message::Text("two"), None);
        broadcast.exclude_past(5);
        let third = broadcast.push(Message::Text("three"), None);
        broadcast.begin(1, Instant::now(), |_| Some(0));
        assert_eq!(pieces(&broadcast, 0), [third]);
        assert_eq!(broadcast.frames_for(broadcast.find_exclusions(0)), 1);
    }
}
