//! A session's bytes not yet written: segments in the order they go out, each tagged with what may be let go.
//!
//! A segment of a broadcast refers to the buffer that its room's members share; only what is left of a large buffer
//! in small part is copied, that a slow reader cannot keep much more memory alive than it is owed. Control frames go
//! between frames, ahead of whatever is queued; a frame that was started is always finished.

mod logged;

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::ops::Range;
use std::rc::Rc;

use crate::protocol::frame;

/// How many segments one `writev` gathers.
pub(crate) const SLICES_MAX: usize = 64;

/// A shared buffer is referred to while at least this fraction of it is still to be written, else copied from.
const SHARED_FRACTION_MIN: usize = 4;

/// Small frames gather in one segment up to this size; then a new one begins, that the written part can be freed.
const OWN_BYTES_MAX: usize = 16 * 1024;

/// What a segment costs beside its bytes.
const SEGMENT_BYTES: usize = size_of::<Segment>();

/// A queue of more segments is a slow reader's: room for them is given back when it is empty, and frames of a broadcast
/// that are no larger than a segment are copied rather than referred to.
const SHORT_QUEUE: usize = 8;

/// What a segment is, and with that whether it may be let go before it was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// Ping, pong, close: ahead of everything queued.
    Control,
    /// For this session alone: never let go while the session is open.
    Private,
    /// A room's broadcast that is stored nowhere, by the room's position on the shard.
    Droppable(u32),
    /// A chat room's broadcast: logged messages, which can be read again, among what can be let go.
    Logged(u32),
}

impl Tag {
    /// Whether it is something of a room.
    pub(crate) fn is_of(self, room: u32) -> bool {
        self == Self::Droppable(room) || self == Self::Logged(room)
    }

    fn is_private(self) -> bool {
        matches!(self, Self::Control | Self::Private)
    }
}

#[derive(Debug)]
enum Bytes {
    Shared(Rc<Vec<u8>>),
    Own(Vec<u8>),
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

#[derive(Debug)]
struct Segment {
    bytes: Bytes,
    /// What of them is still to be written.
    range: Range<usize>,
    /// The start of the frame that `range` begins in, or of one before it in the same segment.
    frame: usize,
    tag: Tag,
}

impl Segment {
    fn pending(&self) -> &[u8] {
        &self.bytes.as_slice()[self.range.clone()]
    }

    /// How many frames it holds, none of them started.
    fn frames(&self) -> u64 {
        let (mut bytes, mut frames) = (self.pending(), 0);
        while !bytes.is_empty() {
            bytes = bytes.get(frame::frame_len(bytes)..).unwrap_or_default();
            frames += 1;
        }
        frames
    }

    fn private_len(&self) -> usize {
        if self.tag.is_private() { self.range.len() } else { 0 }
    }

    /// Where the frame that was started ends; the start of the range if none was.
    fn started_until(&mut self) -> usize {
        self.find_frame();
        if self.frame == self.range.start { self.frame } else { self.next_frame() }
    }

    /// Brings `frame` up to the frame that the range begins in.
    fn find_frame(&mut self) {
        while self.frame < self.range.start && self.next_frame() <= self.range.start {
            self.frame = self.next_frame();
        }
    }

    fn next_frame(&self) -> usize {
        self.frame + frame::frame_len(&self.bytes.as_slice()[self.frame..])
    }

    /// Copies what is needed of a shared buffer where that is a small part, and lets go of the buffer.
    fn let_go(&mut self) {
        let Bytes::Shared(buffer) = &self.bytes else { return };
        let shared_min = buffer.len() / SHARED_FRACTION_MIN;
        if self.range.len() >= shared_min {
            return;
        }
        self.find_frame();
        let from = self.frame;
        if self.range.end - from < shared_min {
            self.bytes = Bytes::Own(self.bytes.as_slice()[from..self.range.end].to_vec());
            self.range = self.range.start - from..self.range.end - from;
            self.frame = 0;
        }
    }
}

/// What a write came to.
#[derive(Debug)]
pub(crate) struct Written {
    /// How much the kernel took.
    pub(crate) bytes: usize,
    /// Whether that was less than it was offered: it says when it takes more.
    pub(crate) is_short: bool,
}

/// What is queued for one session.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    segments: VecDeque<Segment>,
    bytes: usize,
    private_bytes: usize,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// All bytes queued.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The memory that the queue keeps, shared buffers counted in full: many small frames are more than their bytes.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes + self.segments.len() * SEGMENT_BYTES
    }

    /// Gives memory back that a longer queue needed.
    pub(crate) fn shrink(&mut self) {
        if self.segments.is_empty() && self.segments.capacity() > SHORT_QUEUE {
            self.segments = VecDeque::new();
        }
    }

    /// The bytes queued for this session alone, control frames among them.
    pub(crate) fn private_bytes(&self) -> usize {
        self.private_bytes
    }

    /// Queues whole frames for this session alone.
    pub(crate) fn push_private(&mut self, frames: &[u8]) {
        self.push_own(frames, Tag::Private, self.segments.len());
    }

    /// Queues a control frame ahead of everything that was not started.
    pub(crate) fn push_control(&mut self, frame: &[u8]) {
        let mut at = self.split_started();
        while self.segments.get(at).is_some_and(|segment| segment.tag == Tag::Control) {
            at += 1;
        }
        self.push_own(frame, Tag::Control, at);
    }

    /// Queues a control frame behind everything else: a close that lets what is queued go out first.
    pub(crate) fn push_last(&mut self, frame: &[u8]) {
        self.push_own(frame, Tag::Control, self.segments.len());
    }

    /// Queues a range of a room's broadcast. A frame begins at `frame`, which is before the range if the kernel took
    /// the bytes between them already.
    pub(crate) fn push_shared(
        &mut self,
        buffer: &Rc<Vec<u8>>,
        range: Range<usize>,
        frame: usize,
        tag: Tag,
    ) {
        if range.is_empty() {
            return;
        }
        let is_long = self.segments.len() >= SHORT_QUEUE;
        if is_long && range.len() <= SEGMENT_BYTES && frame == range.start {
            self.push_own(&buffer[range], tag, self.segments.len());
            return;
        }
        self.bytes += range.len();
        let mut segment = Segment { bytes: Bytes::Shared(buffer.clone()), range, frame, tag };
        segment.let_go();
        self.segments.push_back(segment);
    }

    /// Where the bytes of each segment lie.
    #[cfg(test)]
    pub(crate) fn buffers(&self) -> impl Iterator<Item = *const u8> {
        self.segments.iter().map(|segment| segment.bytes.as_slice().as_ptr())
    }

    fn push_own(&mut self, frames: &[u8], tag: Tag, at: usize) {
        self.bytes += frames.len();
        if tag.is_private() {
            self.private_bytes += frames.len();
        }
        if let Some(Segment { bytes: Bytes::Own(bytes), range, tag: before, .. }) =
            at.checked_sub(1).and_then(|before| self.segments.get_mut(before))
            && *before == tag
            && bytes.len() < OWN_BYTES_MAX
        {
            bytes.extend_from_slice(frames);
            range.end += frames.len();
            return;
        }
        let segment =
            Segment { bytes: Bytes::Own(frames.to_vec()), range: 0..frames.len(), frame: 0, tag };
        self.segments.insert(at, segment);
    }

    /// Splits the first segment behind the frame that was started; the position where an unstarted one begins.
    fn split_started(&mut self) -> usize {
        let Some(first) = self.segments.front_mut() else { return 0 };
        let until = first.started_until();
        if until == first.range.start {
            return 0;
        }
        if until < first.range.end {
            let (bytes, range) = match &mut first.bytes {
                Bytes::Shared(bytes) => (Bytes::Shared(bytes.clone()), until..first.range.end),
                Bytes::Own(bytes) => {
                    let rest = bytes.split_off(until);
                    let range = 0..rest.len();
                    (Bytes::Own(rest), range)
                }
            };
            let frame = range.start;
            let tag = first.tag;
            first.range.end = until;
            self.segments.insert(1, Segment { bytes, range, frame, tag });
        }
        1
    }

    /// Lets everything go that was not started and answers `which`; how many frames that was.
    pub(crate) fn purge(&mut self, which: impl Fn(Tag) -> bool) -> u64 {
        let started = self.split_started();
        let (mut frames, mut position) = (0, 0);
        let (mut bytes, mut private_bytes) = (self.bytes, self.private_bytes);
        self.segments.retain(|segment| {
            let keep = position < started || !which(segment.tag);
            position += 1;
            if !keep {
                frames += segment.frames();
                bytes -= segment.range.len();
                private_bytes -= segment.private_len();
            }
            keep
        });
        (self.bytes, self.private_bytes) = (bytes, private_bytes);
        frames
    }

    /// One `writev` of what is queued, as far as one call can gather it. What was not taken stays queued.
    pub(crate) fn write(&mut self, stream: &mut impl Write) -> io::Result<Written> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let (mut count, mut gathered) = (0, 0);
        for (slice, segment) in slices.iter_mut().zip(&self.segments) {
            *slice = IoSlice::new(segment.pending());
            count += 1;
            gathered += segment.range.len();
        }
        let bytes = match &slices[..count] {
            [one] => stream.write(one)?,
            many => stream.write_vectored(many)?,
        };
        self.advance(bytes);
        Ok(Written { bytes, is_short: bytes < gathered })
    }

    /// Takes up to `bytes_max` bytes off its front, after `with` has done something with them; how many.
    pub(crate) fn take(&mut self, bytes_max: usize, with: impl FnOnce(&[IoSlice<'_>])) -> usize {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let (mut count, mut gathered) = (0, 0);
        for (slice, segment) in slices.iter_mut().zip(&self.segments) {
            let pending = segment.pending();
            let some = &pending[..pending.len().min(bytes_max - gathered)];
            if some.is_empty() {
                break;
            }
            *slice = IoSlice::new(some);
            count += 1;
            gathered += some.len();
        }
        with(&slices[..count]);
        self.advance(gathered);
        gathered
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(first) = self.segments.front_mut() {
            let taken = written.min(first.range.len());
            if first.tag.is_private() {
                self.private_bytes -= taken;
            }
            first.range.start += taken;
            written -= taken;
            if !first.range.is_empty() {
                first.let_go();
                break;
            }
            self.segments.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
