//! The client of `fastwebsockets`.

use std::net::SocketAddr;

use bytes::Bytes;
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, handshake};
use http_body_util::Empty;
use hyper::Request;
use hyper::header::{CONNECTION, HOST, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::peer::{Peer, Said, patiently};

pub(crate) struct Fast(FragmentCollector<TokioIo<Upgraded>>);

impl Peer for Fast {
    async fn connect(address: SocketAddr, path: &str) -> Self {
        let request = Request::get(format!("http://{address}{path}"))
            .header(HOST, address.to_string())
            .header(UPGRADE, "websocket")
            .header(CONNECTION, "upgrade")
            .header("Sec-WebSocket-Key", handshake::generate_key())
            .header("Sec-WebSocket-Version", "13")
            .body(Empty::<Bytes>::new())
            .expect("a request");
        let stream = TcpStream::connect(address).await.expect("the server accepts");
        let executor = TokioExecutor::new();
        let connected = handshake::client(&executor, request, stream);
        let (socket, _) = patiently(connected).await.expect("a session");
        Self(FragmentCollector::new(socket))
    }

    async fn send(&mut self, message: &Said, fragment_bytes: usize) {
        let pieces = message.pieces(fragment_bytes);
        let last = pieces.len() - 1;
        let mut opcode = match message {
            Said::Text(_) => OpCode::Text,
            _ => OpCode::Binary,
        };
        for (number, piece) in pieces.into_iter().enumerate() {
            let frame = Frame::new(number == last, opcode, None, Payload::Owned(piece));
            patiently(self.0.write_frame(frame)).await.expect("the server reads");
            opcode = OpCode::Continuation;
        }
    }

    async fn receive(&mut self) -> Said {
        let frame = patiently(self.0.read_frame()).await.expect("a frame");
        let payload = frame.payload.to_vec();
        match frame.opcode {
            OpCode::Text => Said::Text(String::from_utf8(payload).expect("UTF-8")),
            OpCode::Binary => Said::Binary(payload),
            OpCode::Close => {
                let code = payload.first_chunk().expect("a code");
                Said::Close(u16::from_be_bytes(*code))
            }
            other => panic!("{other:?} is not asked for"),
        }
    }

    async fn close(&mut self, code: u16) {
        let close = Frame::close(code, b"enough");
        patiently(self.0.write_frame(close)).await.expect("the server reads");
    }

    async fn end(self) {
        let rest = patiently(self.0.into_inner().read_u8()).await;
        let error = rest.expect_err("nothing comes behind a close");
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    }
}
