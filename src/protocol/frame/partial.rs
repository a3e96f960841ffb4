//! What is unfinished between two reads: a head, a control frame's payload, a message.

use fastwebsockets::{OpCode, unmask};

use super::assembly::Assembly;
use super::decode::control;
use super::head::{Expected, HEAD_BYTES_MAX, Head, is_control};
use super::text::Text;
use super::{CONTROL_BYTES_MAX, Decoded, Event, Violation};

/// A message or control frame of which not every byte has come.
///
/// It lives from the first byte of one message (its head's) to the message's last, so its age is the message's;
/// control frames between the fragments neither begin nor end it. A control frame outside of a message has one of
/// its own.
pub struct Partial {
    /// For the caller to note when it first saw this value, by a clock of its own, and to judge the age by. `None`
    /// until then; the codec leaves it alone.
    pub started_tick: Option<u32>,
    /// Bytes of a head, until they are all there.
    head: [u8; HEAD_BYTES_MAX],
    head_bytes: usize,
    /// The frame whose payload is being read.
    frame: Option<Unread>,
    /// A control frame's payload, apart from the message because it may come between fragments.
    control: [u8; CONTROL_BYTES_MAX],
    control_bytes: usize,
    message: Option<Assembly>,
    /// Frames begun since they were last asked for.
    frames: u32,
    /// The message was given out; it only waits to be dropped.
    is_returned: bool,
}

/// A frame whose head is read and whose payload is not, in full.
#[derive(Clone, Copy)]
struct Unread {
    is_final: bool,
    opcode: OpCode,
    /// Turned so that its first byte is for the next byte of payload.
    mask: [u8; 4],
    bytes: usize,
}

/// What ended, when something did.
#[derive(Clone, Copy)]
enum Ended {
    Message,
    Control(OpCode),
}

impl Partial {
    /// Whether bytes of a message or control frame have come and others have not.
    #[must_use]
    pub const fn is_message_started(&self) -> bool {
        !self.is_done()
    }

    /// Bytes on the heap: this value and the message's buffer.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.message.as_ref().map_or(0, Assembly::capacity)
    }

    /// How many frames have begun since the last call: a message in many fragments is as much work as many messages.
    pub const fn take_frames(&mut self) -> u32 {
        std::mem::replace(&mut self.frames, 0)
    }

    /// Whether nothing is left that a further byte could complete.
    pub(super) const fn is_done(&self) -> bool {
        self.is_returned || (self.head_bytes == 0 && self.frame.is_none() && self.message.is_none())
    }

    /// Goes on with `input` up to the next event or the input's end.
    pub(super) fn resume<'a>(
        &'a mut self,
        input: &mut [u8],
        message_bytes_max: usize,
    ) -> Result<Decoded<'a>, Violation> {
        let mut consumed = 0;
        let ended = loop {
            let rest = &mut input[consumed..];
            let Some(mut frame) = self.frame.take() else {
                if rest.is_empty() {
                    return Ok(Decoded { consumed, event: None });
                }
                consumed += self.read_head(rest, message_bytes_max)?;
                continue;
            };
            consumed += self.read_payload(&mut frame, rest, message_bytes_max)?;
            if frame.bytes > 0 {
                self.frame = Some(frame);
                return Ok(Decoded { consumed, event: None });
            }
            if is_control(frame.opcode) {
                break Ended::Control(frame.opcode);
            }
            if frame.is_final {
                break Ended::Message;
            }
        };
        let event = self.event(ended)?;
        Ok(Decoded { consumed, event })
    }

    /// Reads a head, or as much of it as there is; gives the bytes it took of `input`.
    fn read_head(&mut self, input: &[u8], message_bytes_max: usize) -> Result<usize, Violation> {
        let message_bytes = self.message.as_ref().map_or(0, Assembly::len);
        let expected = Expected {
            is_message_open: self.message.is_some(),
            room_bytes: message_bytes_max.saturating_sub(message_bytes),
        };
        let before = self.head_bytes;
        let new = input.len().min(HEAD_BYTES_MAX - before);
        self.head[before..before + new].copy_from_slice(&input[..new]);
        let Some(head) = Head::parse(&self.head[..before + new], expected)? else {
            self.head_bytes += new;
            return Ok(new);
        };
        self.head_bytes = 0;
        self.begin(head);
        Ok(head.head_bytes - before)
    }

    /// Makes ready for the payload behind `head`.
    fn begin(&mut self, head: Head) {
        self.frames += 1;
        match head.opcode {
            OpCode::Text => self.message = Some(Assembly::Text(Text::default())),
            OpCode::Binary => self.message = Some(Assembly::Binary(Vec::new())),
            OpCode::Continuation => {}
            OpCode::Close | OpCode::Ping | OpCode::Pong => self.control_bytes = 0,
        }
        let Head { is_final, opcode, mask, payload_bytes, .. } = head;
        self.frame = Some(Unread { is_final, opcode, mask, bytes: payload_bytes });
    }

    /// Unmasks and keeps what `input` has of the frame's payload; gives the bytes it took.
    fn read_payload(
        &mut self,
        frame: &mut Unread,
        input: &mut [u8],
        message_bytes_max: usize,
    ) -> Result<usize, Violation> {
        let taken = frame.bytes.min(input.len());
        let piece = &mut input[..taken];
        unmask(piece, frame.mask);
        if is_control(frame.opcode) {
            self.control[self.control_bytes..self.control_bytes + taken].copy_from_slice(piece);
            self.control_bytes += taken;
        } else if let Some(message) = &mut self.message {
            // In its last frame the length of a message is known, and no more than that is worth reserving.
            let bytes_max =
                if frame.is_final { message.len() + frame.bytes } else { message_bytes_max };
            message.push(piece, bytes_max)?;
        }
        frame.mask.rotate_left(taken % 4);
        frame.bytes -= taken;
        Ok(taken)
    }

    /// The event that `ended` stands for, borrowed from this value.
    fn event(&mut self, ended: Ended) -> Result<Option<Event<'_>>, Violation> {
        match ended {
            Ended::Control(opcode) => {
                control(opcode, &self.control[..self.control_bytes]).map(Some)
            }
            Ended::Message => {
                self.is_returned = true;
                self.message
                    .as_ref()
                    .map(|message| Ok(Event::Message(message.finish()?)))
                    .transpose()
            }
        }
    }
}

impl Default for Partial {
    fn default() -> Self {
        Self {
            started_tick: None,
            head: [0; HEAD_BYTES_MAX],
            head_bytes: 0,
            frame: None,
            control: [0; CONTROL_BYTES_MAX],
            control_bytes: 0,
            message: None,
            frames: 0,
            is_returned: false,
        }
    }
}
