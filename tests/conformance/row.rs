//! One row of a table: bytes in, frames out, and the end.

use crate::support::client::{Client, Frame, close_frame};
use crate::support::server::Server;

/// Streams up to this length are sent byte by byte, too.
const DRIPPED_BYTES_MAX: usize = 256;

/// What the server is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Text(String),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    /// A Close with that code and whatever reason.
    Close(u16),
    /// A Close without a payload.
    CloseWithoutCode,
}

impl From<Frame> for Said {
    fn from(frame: Frame) -> Self {
        match (frame.head, frame.payload.len()) {
            (0x81, _) => Self::Text(frame.text().to_owned()),
            (0x82, _) => Self::Binary(frame.payload),
            (0x8a, _) => Self::Pong(frame.payload),
            (0x88, 0) => Self::CloseWithoutCode,
            (0x88, 2..) => {
                assert!(std::str::from_utf8(&frame.payload[2..]).is_ok(), "the reason is UTF-8");
                Self::Close(frame.close_code())
            }
            _ => panic!("no frame that a server may send: {frame:?}"),
        }
    }
}

pub(crate) fn text(content: &str) -> Said {
    Said::Text(content.to_owned())
}

pub(crate) fn binary(content: &[u8]) -> Said {
    Said::Binary(content.to_vec())
}

pub(crate) fn pong(content: &[u8]) -> Said {
    Said::Pong(content.to_vec())
}

/// The peer breaks a rule: it is told so, and that is the end.
pub(crate) const PROTOCOL: Said = Said::Close(1002);
pub(crate) const INVALID_UTF8: Said = Said::Close(1007);
pub(crate) const TOO_BIG: Said = Said::Close(1009);

/// The server that the rows of a table are sent to: the echo, with the largest messages there are.
pub(crate) struct Table(Server);

impl Table {
    pub(crate) fn new() -> Self {
        Self(Server::start_with(&["--echo"], &[("UPROAR_LIMITS__MESSAGE_BYTES_MAX", "16777216")]))
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.0.address, "/echo")
    }

    /// Sends `frames` and requires that the echo says exactly `expected`, ends its stream behind its Close and resets
    /// nothing. A row that ends without a Close gets one of the peer's, so that it is seen that the session lives.
    #[track_caller]
    pub(crate) fn check(&self, rule: &str, frames: &[Vec<u8>], expected: &[Said]) {
        let (mut stream, mut expected) = (frames.concat(), expected.to_vec());
        if !matches!(expected.last(), Some(Said::Close(_) | Said::CloseWithoutCode)) {
            stream.extend(close_frame(1000));
            expected.push(Said::Close(1000));
        }
        let mut client = self.connect();
        client.write(&stream);
        assert_eq!(said(&mut client), expected, "{rule}, at once");
        if stream.len() <= DRIPPED_BYTES_MAX {
            let mut client = self.connect();
            client.stream.set_nodelay(true).expect("an option can be set");
            stream.chunks(1).for_each(|byte| client.write(byte));
            assert_eq!(said(&mut client), expected, "{rule}, byte by byte");
        }
    }
}

/// All that is said up to the end of the stream.
pub(crate) fn said(client: &mut Client) -> Vec<Said> {
    client.rest().into_iter().map(Said::from).collect()
}

/// The head of a masked frame that announces `length` bytes in 64 bits, shortest form or not.
pub(crate) fn long_head(first: u8, length: u64) -> Vec<u8> {
    [&[first, 0x80 | 127], &length.to_be_bytes()[..], &[1, 2, 3, 4]].concat()
}
