//! The client of `tokio-tungstenite`.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::peer::{Peer, Said, patiently};

pub(crate) struct Tungstenite(WebSocketStream<TcpStream>);

impl Peer for Tungstenite {
    async fn connect(address: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server accepts");
        let connected = client_async(format!("ws://{address}{path}"), stream);
        let (socket, _) = patiently(connected).await.expect("a session");
        Self(socket)
    }

    async fn send(&mut self, message: &Said, fragment_bytes: usize) {
        let pieces = message.pieces(fragment_bytes);
        let last = pieces.len() - 1;
        let mut kind = match message {
            Said::Text(_) => Data::Text,
            _ => Data::Binary,
        };
        for (number, piece) in pieces.into_iter().enumerate() {
            let frame = Frame::message(piece, OpCode::Data(kind), number == last);
            patiently(self.0.send(Message::Frame(frame))).await.expect("the server reads");
            kind = Data::Continue;
        }
    }

    async fn receive(&mut self) -> Said {
        let message = patiently(self.0.next()).await.expect("not the end").expect("a message");
        match message {
            Message::Text(text) => Said::Text(text.as_str().to_owned()),
            Message::Binary(bytes) => Said::Binary(bytes.to_vec()),
            Message::Close(Some(close)) => Said::Close(close.code.into()),
            other => panic!("{other:?} is not asked for"),
        }
    }

    async fn close(&mut self, code: u16) {
        let close = CloseFrame { code: code.into(), reason: "enough".into() };
        patiently(self.0.close(Some(close))).await.expect("the server reads");
    }

    async fn end(mut self) {
        let end = patiently(self.0.next()).await;
        assert!(end.is_none(), "not a proper end: {end:?}");
    }
}
