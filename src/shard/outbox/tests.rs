//! The outbox against a model of it that knows nothing of segments: a list of frames.

use proptest::prelude::*;

use super::*;
use crate::protocol::Message;

/// What the kernel is in these tests: it takes so many bytes and no more.
struct Kernel {
    room: usize,
    taken: Vec<u8>,
    /// It was offered more than it had room for.
    is_full: bool,
}

impl Kernel {
    fn new(room: usize) -> Self {
        Self { room, taken: Vec::new(), is_full: false }
    }
}

impl Write for Kernel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        self.is_full |= taken < bytes.len();
        self.taken.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        slices.iter().try_fold(0, |sum, slice| Ok(sum + self.write(slice)?))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes until nothing is queued.
fn drain(outbox: &mut Outbox) -> Vec<u8> {
    let mut kernel = Kernel::new(usize::MAX);
    while !outbox.is_empty() {
        outbox.write(&mut kernel).expect("memory takes everything");
    }
    kernel.taken
}

fn binary(content: u8, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::encode(Message::Binary(&vec![content; length]), &mut bytes);
    bytes
}

fn ping(content: u8, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::encode_ping(&vec![content; length], &mut bytes);
    bytes
}

const ROOM: Tag = Tag::Droppable(3);

#[test]
fn a_control_frame_waits_for_the_started_frame_and_for_nothing_else() {
    let frames = [binary(1, 10), binary(2, 200), binary(3, 5)];
    let stream = frames.concat();
    let control = ping(9, 4);
    let shared = Rc::new([&[0; 7][..], &stream].concat());
    for taken in 0..stream.len() {
        let mut private = Outbox::default();
        private.push_private(&stream);
        let mut broadcast = Outbox::default();
        broadcast.push_shared(&shared, 7..shared.len(), 7, ROOM);
        let ends = frames.iter().scan(0, |end, frame| {
            *end += frame.len();
            Some(*end)
        });
        let started_until = if taken == 0 {
            0
        } else {
            ends.into_iter().find(|end| *end >= taken).expect("an end")
        };
        let expected = [&stream[taken..started_until], &control, &stream[started_until..]].concat();
        for mut outbox in [private, broadcast] {
            outbox.write(&mut Kernel::new(taken)).expect("a write");
            outbox.push_control(&control);
            assert_eq!(outbox.bytes(), expected.len());
            assert_eq!(drain(&mut outbox), expected, "after {taken} bytes");
        }
    }
}

#[test]
fn control_frames_keep_their_order() {
    let mut outbox = Outbox::default();
    outbox.push_private(&binary(1, 100));
    outbox.write(&mut Kernel::new(50)).expect("a write");
    let pings: Vec<_> = (0..10).map(|number| ping(number, 125)).collect();
    pings.iter().for_each(|ping| outbox.push_control(ping));
    assert_eq!(drain(&mut outbox), [&binary(1, 100)[50..], &pings.concat()].concat());
}

#[test]
fn a_purge_keeps_the_started_frame() {
    let frames = [binary(1, 10), binary(2, 10), binary(3, 10)];
    let shared = Rc::new(frames.concat());
    let mut outbox = Outbox::default();
    outbox.push_shared(&shared, 0..shared.len(), 0, ROOM);
    outbox.push_shared(&shared, 0..shared.len(), 0, Tag::Droppable(4));
    outbox.push_private(&binary(4, 1));
    outbox.write(&mut Kernel::new(frames[0].len() + 1)).expect("a write");
    assert_eq!(outbox.purge(|tag| tag == ROOM), 1, "the second is started, the third let go");
    assert_eq!(outbox.purge(|tag| tag == Tag::Droppable(4)), 3);
    assert_eq!(drain(&mut outbox), [&frames[1][1..], &binary(4, 1)].concat());
}

#[test]
fn a_buffer_is_shared_while_much_of_it_is_owed_and_no_longer() {
    let frames = [binary(1, 10_000), binary(2, 100), binary(3, 100)];
    let shared = Rc::new(frames.concat());
    let mut outbox = Outbox::default();
    outbox.push_shared(&shared, 0..shared.len(), 0, ROOM);
    assert_eq!(Rc::strong_count(&shared), 2);

    outbox.write(&mut Kernel::new(9_000)).expect("a write");
    assert_eq!(Rc::strong_count(&shared), 2, "the frame is started, so all of it is needed");

    outbox.write(&mut Kernel::new(frames[0].len() - 9_000 + 1)).expect("a write");
    assert_eq!(Rc::strong_count(&shared), 1, "little is left");
    assert_eq!(outbox.bytes(), frames[1].len() - 1 + frames[2].len());
    assert_eq!(outbox.purge(|_| true), 1);
    assert_eq!(drain(&mut outbox), frames[1][1..]);

    outbox.push_shared(&shared, shared.len() - 20..shared.len(), 0, ROOM);
    assert_eq!(Rc::strong_count(&shared), 1, "the rest of what was written in part");
    assert_eq!(outbox.purge(|_| true), 0);
    assert_eq!(drain(&mut outbox), frames[2][frames[2].len() - 20..]);
}

/// What happens to an outbox.
#[derive(Clone, Debug)]
enum Step {
    Private(Vec<usize>),
    Control(usize),
    Last(usize),
    /// A room, its broadcast's frames, how many of them at either end are not for this session, and how many bytes
    /// the kernel took before the outbox came into it.
    Shared(u32, Vec<usize>, usize, usize, usize),
    Leave(u32),
    Close,
    Write(usize),
}

/// A reader that is slow where others say little each turn.
#[test]
fn small_frames_cost_what_they_are() {
    let small = Rc::new(binary(1, 10));
    let large = Rc::new(binary(2, 200));
    let mut outbox = Outbox::default();
    for _ in 0..1000 {
        outbox.push_shared(&small, 0..small.len(), 0, ROOM);
    }
    let shared = SHORT_QUEUE;
    assert_eq!((outbox.segments.len(), Rc::strong_count(&small)), (shared + 1, shared + 1));
    for _ in 0..1000 {
        outbox.push_shared(&large, 0..large.len(), 0, ROOM);
    }
    assert_eq!((outbox.segments.len(), Rc::strong_count(&large)), (shared + 1001, 1001));
    assert_eq!(outbox.bytes(), 1000 * (small.len() + large.len()));
    assert_eq!(outbox.held_bytes(), outbox.bytes() + (shared + 1001) * SEGMENT_BYTES);
    drain(&mut outbox);
    outbox.shrink();
    assert_eq!((outbox.held_bytes(), outbox.segments.capacity()), (0, 0), "nothing is kept");
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    let length =
        prop_oneof![4 => 0..150_usize, 1 => 1_000..20_000_usize, 1 => 60_000..70_000_usize];
    prop::collection::vec(length, 1..6)
}

fn step() -> impl Strategy<Value = Step> {
    let room = 0..3_u32;
    prop_oneof![
        3 => lengths().prop_map(Step::Private),
        3 => (0..=125_usize).prop_map(Step::Control),
        1 => (0..=125_usize).prop_map(Step::Last),
        4 => (room.clone(), lengths(), 0..3_usize, 0..3_usize, 0..5_000_usize)
            .prop_map(|(room, lengths, skip, cut, taken)| Step::Shared(room, lengths, skip, cut, taken)),
        1 => room.prop_map(Step::Leave),
        1 => Just(Step::Close),
        6 => prop_oneof![0..300_usize, 0..100_000_usize].prop_map(Step::Write),
    ]
}

/// Frames in the order they go out: tag, bytes, how many of them are written.
#[derive(Default)]
struct Model {
    frames: VecDeque<(Tag, Vec<u8>, usize)>,
}

impl Model {
    fn started(&self) -> usize {
        usize::from(self.frames.front().is_some_and(|(_, _, written)| *written > 0))
    }

    fn push_control(&mut self, frame: Vec<u8>) {
        let mut at = self.started();
        while self.frames.get(at).is_some_and(|(tag, ..)| *tag == Tag::Control) {
            at += 1;
        }
        self.frames.insert(at, (Tag::Control, frame, 0));
    }

    fn purge(&mut self, which: impl Fn(Tag) -> bool) -> u64 {
        let (started, before) = (self.started(), self.frames.len());
        let mut position = 0;
        self.frames.retain(|(tag, ..)| {
            position += 1;
            position <= started || !which(*tag)
        });
        (before - self.frames.len()) as u64
    }

    /// Takes so many bytes off.
    fn write(&mut self, mut bytes: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some((_, frame, written)) = self.frames.front_mut() {
            let taken = bytes.min(frame.len() - *written);
            out.extend_from_slice(&frame[*written..*written + taken]);
            *written += taken;
            bytes -= taken;
            if *written < frame.len() {
                break;
            }
            self.frames.pop_front();
        }
        out
    }

    fn bytes(&self, which: impl Fn(Tag) -> bool) -> usize {
        let counted = self.frames.iter().filter(|(tag, ..)| which(*tag));
        counted.map(|(_, frame, written)| frame.len() - written).sum()
    }
}

/// An outbox and its model, side by side.
#[derive(Default)]
struct Pair {
    outbox: Outbox,
    model: Model,
    /// Tells each frame from the others.
    content: u8,
}

impl Pair {
    fn frames(&mut self, lengths: &[usize]) -> Vec<Vec<u8>> {
        let frame = |length: &usize| {
            self.content = self.content.wrapping_add(1);
            binary(self.content, *length)
        };
        lengths.iter().map(frame).collect()
    }

    fn control(&mut self, length: usize) -> Vec<u8> {
        self.content = self.content.wrapping_add(1);
        ping(self.content, length)
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Private(lengths) => {
                let frames = self.frames(&lengths);
                self.outbox.push_private(&frames.concat());
                self.model.frames.extend(frames.into_iter().map(|frame| (Tag::Private, frame, 0)));
            }
            Step::Control(length) => {
                let frame = self.control(length);
                self.outbox.push_control(&frame);
                self.model.push_control(frame);
            }
            Step::Last(length) => {
                let frame = self.control(length);
                self.outbox.push_last(&frame);
                self.model.frames.push_back((Tag::Control, frame, 0));
            }
            Step::Shared(room, lengths, skip, cut, taken) => {
                self.share(
                    Tag::Droppable(room),
                    &lengths,
                    skip..lengths.len().saturating_sub(cut),
                    taken,
                );
            }
            Step::Leave(room) => self.purge(|tag| tag == Tag::Droppable(room)),
            Step::Close => self.purge(|tag| tag != Tag::Control),
            Step::Write(room) => self.write(room),
        }
    }

    fn share(&mut self, tag: Tag, lengths: &[usize], mine: Range<usize>, taken: usize) {
        let frames = self.frames(lengths);
        let Some(mine) = frames.get(mine.clone()).map(|_| mine) else { return };
        let buffer = Rc::new(frames.concat());
        let start: usize = frames[..mine.start].iter().map(Vec::len).sum();
        let length: usize = frames[mine.clone()].iter().map(Vec::len).sum();
        // Only into an empty outbox goes what the kernel took a part of.
        let taken = if self.outbox.is_empty() { taken.min(length) } else { 0 };
        self.outbox.push_shared(&buffer, start + taken..start + length, start, tag);
        self.model.frames.extend(frames[mine].iter().map(|frame| (tag, frame.clone(), 0)));
        self.model.write(taken);
    }

    fn purge(&mut self, which: impl Fn(Tag) -> bool) {
        assert_eq!(self.outbox.purge(&which), self.model.purge(&which));
    }

    fn write(&mut self, room: usize) {
        let mut kernel = Kernel::new(room);
        let written = self.outbox.write(&mut kernel).expect("a write");
        assert_eq!((written.bytes, written.is_short), (kernel.taken.len(), kernel.is_full));
        assert_eq!(kernel.taken, self.model.write(written.bytes));
    }

    fn check(&self) {
        assert_eq!(self.outbox.bytes(), self.model.bytes(|_| true));
        assert_eq!(self.outbox.private_bytes(), self.model.bytes(Tag::is_private));
        assert_eq!(self.outbox.is_empty(), self.model.frames.is_empty());
        let segments = self.outbox.segments.iter();
        assert_eq!(segments.map(|segment| segment.range.len()).sum::<usize>(), self.outbox.bytes);
    }
}

proptest! {
    #[test]
    fn it_behaves_like_a_list_of_frames(steps in prop::collection::vec(step(), 1..60)) {
        let mut pair = Pair::default();
        for step in steps {
            pair.take(step);
            pair.check();
        }
        let rest = pair.model.write(usize::MAX);
        prop_assert_eq!(drain(&mut pair.outbox), rest);
        prop_assert_eq!((pair.outbox.bytes(), pair.outbox.private_bytes()), (0, 0));
    }
}
