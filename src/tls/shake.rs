//! One handshake on a socket, up to where the secrets are known and the first byte of the stream may be.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::tls::channel::Channel;
use crate::tls::failure::Failure;

/// What a peer may have sent of a message that is not complete: a chain of client certificates can be long.
const INCOMING_BYTES_MAX: usize = 80 * 1024;

/// How much is read at once: a whole `ClientHello`, as a rule.
const READ_BYTES: usize = 4 * 1024;

/// What a handshake came to.
pub(super) struct Shaken {
    pub(super) channel: Channel,
    /// What came of the stream in the same packets as the handshake's end.
    pub(super) plain: Vec<u8>,
    pub(super) is_resumed: bool,
    /// It has shown a certificate of an authority that was asked for.
    pub(super) is_known: bool,
}

/// Makes the handshake. The peer is told why where it fails, as far as TLS has a word for it.
pub(super) async fn shake(
    rules: Arc<ServerConfig>,
    socket: &mut TcpStream,
) -> Result<Shaken, Failure> {
    let connection = UnbufferedServerConnection::new(rules).map_err(|_| Failure::Internal)?;
    let mut shaking =
        Shaking { connection, incoming: Vec::new(), outgoing: Vec::new(), plain: Vec::new() };
    let outcome = shaking.run(socket).await;
    if outcome.is_err() {
        shaking.last_words();
        // Whether the peer is still there to be told makes no difference.
        let _ = socket.write_all(&shaking.outgoing).await;
    }
    outcome?;
    shaking.finish()
}

struct Shaking {
    connection: UnbufferedServerConnection,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    plain: Vec<u8>,
}

/// What is to be done before another step.
enum Step {
    Next,
    /// There is nothing more to be done with what came.
    Idle,
    Failed(Failure),
}

impl Shaking {
    async fn run(&mut self, socket: &mut TcpStream) -> Result<(), Failure> {
        loop {
            match self.step() {
                Step::Next => continue,
                Step::Failed(failure) => return Err(failure),
                Step::Idle => {}
            }
            if !self.outgoing.is_empty() {
                socket.write_all(&self.outgoing).await.map_err(|_| Failure::Lost)?;
                self.outgoing.clear();
            }
            if !self.connection.is_handshaking() {
                return Ok(());
            }
            if self.incoming.len() >= INCOMING_BYTES_MAX {
                return Err(Failure::Malformed);
            }
            self.incoming.reserve(READ_BYTES);
            let read = socket.read_buf(&mut self.incoming).await;
            if read.map_err(|_| Failure::Lost)? == 0 {
                return Err(Failure::Lost);
            }
        }
    }

    fn step(&mut self) -> Step {
        let UnbufferedStatus { mut discard, state } =
            self.connection.process_tls_records(&mut self.incoming);
        let step = match state {
            Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, &mut self.outgoing),
            Ok(ConnectionState::TransmitTlsData(data)) => {
                // It goes out before anything else is waited for.
                data.done();
                Step::Next
            }
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                let mut step = Step::Next;
                while let Some(record) = traffic.next_record() {
                    match record {
                        Ok(record) => {
                            discard += record.discard;
                            self.plain.extend_from_slice(record.payload);
                        }
                        Err(error) => step = Step::Failed(Failure::of(&error)),
                    }
                }
                step
            }
            Ok(ConnectionState::WriteTraffic(_) | ConnectionState::BlockedHandshake) => Step::Idle,
            // The peer has left, or wants to send before it may.
            Ok(_) => Step::Failed(Failure::Lost),
            Err(error) => Step::Failed(Failure::of(&error)),
        };
        self.incoming.drain(..discard.min(self.incoming.len()));
        step
    }

    /// Encodes the alert that a failure left behind.
    fn last_words(&mut self) {
        self.outgoing.clear();
        loop {
            let UnbufferedStatus { state, .. } =
                self.connection.process_tls_records(&mut self.incoming);
            match state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    if let Step::Failed(_) = encode(&mut data, &mut self.outgoing) {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    fn finish(self) -> Result<Shaken, Failure> {
        let is_known = self.connection.peer_certificates().is_some();
        let is_resumed = self.connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        let (secrets, updates) =
            self.connection.dangerous_into_kernel_connection().map_err(|_| Failure::Internal)?;
        let channel = Channel::new(secrets, updates, self.incoming);
        Ok(Shaken { channel, plain: self.plain, is_resumed, is_known })
    }
}

fn encode(
    data: &mut EncodeTlsData<'_, rustls::server::ServerConnectionData>,
    outgoing: &mut Vec<u8>,
) -> Step {
    let start = outgoing.len();
    let mut room = 0;
    loop {
        outgoing.resize(start + room, 0);
        match data.encode(&mut outgoing[start..]) {
            Ok(length) => {
                outgoing.truncate(start + length);
                return Step::Next;
            }
            Err(EncodeError::InsufficientSize(needed)) if needed.required_size > room => {
                room = needed.required_size;
            }
            Err(_) => return Step::Failed(Failure::Internal),
        }
    }
}
