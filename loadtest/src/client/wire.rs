//! The bytes below a connection: a socket, and TLS over it where the server speaks it. It never blocks.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;
use rustls::ClientConnection;

/// How much is encrypted before the socket has to take it: one record.
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// What a connection reads and writes.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Wire {
    /// Over that socket; `tls` has made its handshake and holds nothing to be read.
    pub(crate) const fn new(socket: TcpStream, tls: Option<Box<ClientConnection>>) -> Self {
        Self { socket, tls }
    }

    /// The socket, for the poller.
    pub(crate) const fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }
}

impl Read for Wire {
    /// As much as there is: with TLS, too, a buffer that is not filled means that the socket has no more.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.read(buffer) };
        let mut filled = 0;
        while filled < buffer.len() {
            match tls.reader().read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    match take_records(tls, &mut self.socket) {
                        Ok(()) => {}
                        // What was read comes first; an end or a failure shows again.
                        Err(_) if filled > 0 => break,
                        Err(error) => return Err(error),
                    }
                }
                Err(_) if filled > 0 => break,
                // An end that was not announced is an end all the same: whoever counts ends sees that no Close came.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// One read of the socket, decrypted.
fn take_records(tls: &mut ClientConnection, socket: &mut TcpStream) -> io::Result<()> {
    tls.read_tls(socket)?;
    let processed = tls.process_new_packets();
    // An alert, or the answer to a key update, as far as the socket takes it.
    let _ = send_records(tls, socket);
    processed.map(|_| ()).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

fn send_records(tls: &mut ClientConnection, socket: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(socket) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.write(bytes) };
        send_records(tls, &mut self.socket)?;
        let taken = tls.writer().write(&bytes[..bytes.len().min(RECORD_BYTES_MAX)])?;
        match send_records(tls, &mut self.socket) {
            // It goes out with what is written, or flushed, next.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(taken),
            sent => sent.map(|()| taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => send_records(tls, &mut self.socket),
            None => Ok(()),
        }
    }
}
