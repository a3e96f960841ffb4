//! What others write is heard here, and what is written here is heard by others: fastwebsockets and tungstenite.

use std::io::{self, Cursor, Read, Write};

use fastwebsockets::{Frame, OpCode, Payload, WebSocket};
use tokio_tungstenite::tungstenite;
use tungstenite::protocol::frame::CloseFrame;
use uproar::Close;
use uproar::protocol::Message;
use uproar::protocol::frame::{encode, encode_close, encode_ping, encode_pong};

use crate::peer::*;

/// Around every change of the head's form.
const LENGTHS: [usize; 9] = [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 300_000];

/// One of each kind, data frames in every length.
fn everything() -> Vec<Heard> {
    let mut said = Vec::new();
    for length in LENGTHS {
        said.push(Heard::Text("€".repeat(length / 3) + &"x".repeat(length % 3)));
        said.push(Heard::Binary((0..length).map(|at| (at % 251) as u8).collect()));
        let control: Vec<u8> = (0..length.min(125)).map(|at| at as u8).collect();
        said.push(Heard::Ping(control.clone()));
        said.push(Heard::Pong(control));
    }
    said.push(Heard::Close(Some(Close::new(4409_u16, "ersetzt – replaced"))));
    said
}

/// As the server sends it.
fn encoded(said: &[Heard]) -> Vec<u8> {
    let mut out = Vec::new();
    for said in said {
        match said {
            Heard::Text(text) => encode(Message::Text(text), &mut out),
            Heard::Binary(bytes) => encode(Message::Binary(bytes), &mut out),
            Heard::Ping(payload) => encode_ping(payload, &mut out),
            Heard::Pong(payload) => encode_pong(payload, &mut out),
            Heard::Close(close) => encode_close(close.as_ref(), &mut out),
            Heard::Violation(_) => unreachable!("nobody says that"),
        }
    }
    out
}

/// Decodes a client's `stream`, in reads of 16 KiB and at once.
#[track_caller]
fn assert_heard(stream: &[u8], said: &[Heard]) {
    assert!(hear([stream], MESSAGE_BYTES_MAX) == said, "at once");
    assert!(hear(stream.chunks(16 << 10), MESSAGE_BYTES_MAX) == said, "in reads of 16 KiB");
}

/// A socket that reads one thing and keeps what is written.
struct Socket {
    read: Cursor<Vec<u8>>,
    written: Vec<u8>,
}

impl Socket {
    fn client(read: Vec<u8>) -> tungstenite::WebSocket<Self> {
        let socket = Self { read: Cursor::new(read), written: Vec::new() };
        tungstenite::WebSocket::from_raw_socket(socket, tungstenite::protocol::Role::Client, None)
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read.read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl From<&Heard> for tungstenite::Message {
    fn from(said: &Heard) -> Self {
        match said.clone() {
            Heard::Text(text) => Self::text(text),
            Heard::Binary(bytes) => Self::binary(bytes),
            Heard::Ping(payload) => Self::Ping(payload.into()),
            Heard::Pong(payload) => Self::Pong(payload.into()),
            Heard::Close(close) => {
                Self::Close(close.map(|close| CloseFrame {
                    code: close.code.into(),
                    reason: close.reason.into(),
                }))
            }
            Heard::Violation(_) => unreachable!("nobody says that"),
        }
    }
}

#[test]
fn tungstenite_is_heard() {
    let said = everything();
    let mut client = Socket::client(Vec::new());
    for said in &said {
        client.send(said.into()).expect("memory takes every write");
    }
    assert_heard(&client.get_ref().written, &said);
}

#[test]
fn tungstenite_hears() {
    let said = everything();
    let mut client = Socket::client(encoded(&said));
    for said in &said {
        assert!(client.read().expect("a frame that tungstenite accepts") == said.into());
    }
}

/// A masked frame as fastwebsockets writes it.
fn written(is_final: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mut frame = Frame::new(
        is_final,
        opcode,
        Some([0x9a, 0x01, 0xfe, 0x42]),
        Payload::Owned(payload.to_vec()),
    );
    frame.mask();
    frame.write(&mut Vec::new()).to_vec()
}

/// Opcode and payload of a frame that says it.
fn parts(said: &Heard) -> (OpCode, Vec<u8>) {
    match said.clone() {
        Heard::Text(text) => (OpCode::Text, text.into_bytes()),
        Heard::Binary(bytes) => (OpCode::Binary, bytes),
        Heard::Ping(payload) => (OpCode::Ping, payload),
        Heard::Pong(payload) => (OpCode::Pong, payload),
        Heard::Close(Some(close)) => {
            (OpCode::Close, [&close.code.to_be_bytes(), close.reason.as_bytes()].concat())
        }
        Heard::Close(None) => (OpCode::Close, Vec::new()),
        Heard::Violation(_) => unreachable!("nobody says that"),
    }
}

#[test]
fn fastwebsockets_is_heard() {
    let said = everything();
    let mut stream = Vec::new();
    for said in &said {
        let (opcode, payload) = parts(said);
        stream.extend(written(true, opcode, &payload));
    }
    assert_heard(&stream, &said);
}

#[test]
fn fragments_of_fastwebsockets_are_heard() {
    let mut said = everything();
    said.retain(|said| matches!(said, Heard::Text(_) | Heard::Binary(_)));
    let mut stream = Vec::new();
    for said in &said {
        let (opcode, payload) = parts(said);
        let third = payload.len() / 3;
        stream.extend(written(false, opcode, &payload[..third]));
        stream.extend(written(false, OpCode::Continuation, &payload[third..third * 2]));
        stream.extend(written(true, OpCode::Continuation, &payload[third * 2..]));
    }
    assert_heard(&stream, &said);
}

#[test]
fn fastwebsockets_hears() {
    let said = everything();
    let stream = Cursor::new(encoded(&said));
    let mut client = WebSocket::after_handshake(stream, fastwebsockets::Role::Client);
    client.set_auto_pong(false);
    client.set_auto_close(false);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        for said in &said {
            let frame = client.read_frame().await.expect("a frame that fastwebsockets accepts");
            let (opcode, payload) = parts(said);
            assert!(frame.fin && frame.opcode == opcode);
            assert!(frame.payload[..] == payload[..], "{opcode:?} of {} bytes", payload.len());
        }
    });
}

#[test]
fn long_control_payloads_are_cut() {
    for encode in [encode_ping, encode_pong] {
        let mut out = Vec::new();
        encode(&[7; 126], &mut out);
        assert_eq!(out[1..], [&[125][..], &[7; 125]].concat());
    }
}
