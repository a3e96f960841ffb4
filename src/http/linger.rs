//! The end of a connection that was answered: closed so that the peer reads the answer.
//!
//! Closing a socket with unread bytes in it sends a reset, which makes the peer's kernel throw away what it had
//! received and not yet handed out. So the write side is closed first and the rest of the peer's words are read,
//! within bounds.

use std::{io, time::Duration};

use tokio::{io::AsyncWriteExt, net::TcpStream, time};

use crate::http::socket::Socket;

/// How long a peer may take to read its answer and close, in seconds.
const LINGER_SECS: u64 = 2;
/// How much of what the peer still sends is read and thrown away, in bytes.
const DRAIN_BYTES_MAX: usize = 256 * 1024;

/// Writes `last_words`, if any, and closes.
pub(super) async fn close(mut socket: Socket, last_words: Option<Vec<u8>>) {
    let farewell = async {
        if let Some(last_words) = last_words {
            socket.write_all(&last_words).await?;
        }
        socket.shutdown().await?;
        drain(socket.tcp()).await
    };
    // Whether the peer is gone, slow or done, the end is the same.
    let _ = time::timeout(Duration::from_secs(LINGER_SECS), farewell).await;
}

async fn drain(stream: &TcpStream) -> io::Result<()> {
    let mut drained = 0;
    while drained < DRAIN_BYTES_MAX {
        stream.readable().await?;
        match stream.try_read(&mut [0; 4096]) {
            Ok(0) => break,
            Ok(n) => drained += n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
