//! A TLS connection after its handshake: what is sent becomes records, what comes in becomes a stream again. Pure: it
//! reads and writes memory, never a socket, so that a shard can do it in its turn and the control plane in a task.
//!
//! rustls makes the handshake and derives the secrets, those of later key updates too; the records are made here,
//! because its own connections hold several kilobytes each for as long as they live.

use std::io::IoSlice;

use rustls::kernel::KernelConnection;
use rustls::server::ServerConnectionData;
use rustls::{ExtractedSecrets, ProtocolVersion};

use crate::tls::fault::Fault;
use crate::tls::half::{HEAD_BYTES, Half, Version, kind};

/// So many key updates may come with nothing else between them.
const UPDATES_MAX: u8 = 32;

/// A whole `KeyUpdate` message, but for its last byte.
const KEY_UPDATE: [u8; 4] = [24, 0, 0, 1];

const WARNING: u8 = 1;
const FATAL: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;
const NO_RENEGOTIATION: u8 = 100;

/// The secrets of one connection, and what lies between two reads or writes.
pub(crate) struct Channel {
    incoming: Half,
    outgoing: Half,
    /// Derives further secrets; TLS 1.2 has none.
    updates: Option<Box<KernelConnection<ServerConnectionData>>>,
    /// The beginning of a record whose rest has not come.
    partial: Vec<u8>,
    /// Records that go out before anything else does: what a socket did not take, and what was not asked for.
    pending: Vec<u8>,
    pending_sent: usize,
    /// When the partial record began, in the units of whoever looks at it.
    pub(crate) partial_since: Option<u32>,
    updates_in_a_row: u8,
    is_update_pending: bool,
    /// The peer said that nothing more comes, or cannot be understood any more.
    is_deaf: bool,
    /// It was told that nothing more comes.
    is_mute: bool,
}

/// What a run of records came to.
#[derive(Debug)]
pub(crate) struct Opened {
    /// So much of the stream lies at the front of the buffer.
    pub(crate) plain: usize,
    /// In so many records.
    pub(crate) records: usize,
    /// Whether that was all that will ever come.
    pub(crate) end: Option<End>,
}

/// Why nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The peer said so.
    Notified,
    /// What came cannot be what the peer sent, or has no place; the alert is pending.
    Broken(Fault),
}

impl Channel {
    /// Goes on where a handshake ended; `partial` is what came behind it, less than a record.
    pub(crate) fn new(
        secrets: ExtractedSecrets,
        updates: KernelConnection<ServerConnectionData>,
        partial: Vec<u8>,
    ) -> Self {
        let is_new = updates.protocol_version() == ProtocolVersion::TLSv1_3;
        let version = if is_new { Version::Tls13 } else { Version::Tls12 };
        Self {
            incoming: Half::new(version, secrets.rx),
            outgoing: Half::new(version, secrets.tx),
            updates: is_new.then(|| Box::new(updates)),
            partial,
            pending: Vec::new(),
            pending_sent: 0,
            partial_since: None,
            updates_in_a_row: 0,
            is_update_pending: false,
            is_deaf: false,
            is_mute: false,
        }
    }

    /// The beginning of a record: to be put in front of the next bytes that come.
    pub(crate) fn partial(&self) -> &[u8] {
        &self.partial
    }

    /// Whether nothing more will come of the peer.
    pub(crate) fn is_deaf(&self) -> bool {
        self.is_deaf
    }

    /// Decrypts the records in `buffer`, which begins with [`partial`](Self::partial), in place: the stream that they
    /// carry is at the buffer's front afterwards, and what is not a whole record is kept.
    pub(crate) fn open(&mut self, buffer: &mut [u8]) -> Opened {
        let mut opened = Opened { plain: 0, records: 0, end: None };
        let mut at = 0;
        while opened.end.is_none() && !self.is_deaf {
            let Some(head) = buffer[at..].first_chunk::<HEAD_BYTES>() else { break };
            match Half::record_len(*head) {
                Ok(length) if buffer.len() - at < length => break,
                Ok(length) => {
                    opened.end = self.open_record(buffer, &mut opened.plain, at..at + length).err();
                    opened.records += 1;
                    at += length;
                }
                Err(fault) => opened.end = Some(End::Broken(fault)),
            }
        }
        match opened.end {
            Some(end) => self.fall_deaf(end),
            None => self.keep(&buffer[at..], at == 0),
        }
        opened
    }

    /// Keeps the beginning of a record: of the one that was kept before, or of a later one.
    fn keep(&mut self, rest: &[u8], is_same: bool) {
        if !is_same || rest.is_empty() {
            self.partial_since = None;
        }
        if rest.is_empty() {
            self.partial = Vec::new();
        } else {
            self.partial.clear();
            self.partial.extend_from_slice(rest);
        }
    }

    fn fall_deaf(&mut self, end: End) {
        self.is_deaf = true;
        self.partial = Vec::new();
        self.partial_since = None;
        if let End::Broken(fault) = end {
            self.say(kind::ALERT, &[FATAL, fault.alert()]);
            self.is_mute = true;
        }
    }

    fn open_record(
        &mut self,
        buffer: &mut [u8],
        plain: &mut usize,
        record: std::ops::Range<usize>,
    ) -> Result<(), End> {
        let broken = End::Broken;
        let (kind, length) = self.incoming.open(buffer, *plain, record).map_err(broken)?;
        let content = &buffer[*plain..*plain + length];
        match kind {
            kind::DATA => {
                *plain += length;
                self.updates_in_a_row = 0;
                Ok(())
            }
            kind::ALERT => alert(content),
            kind::HANDSHAKE => self.update(content).map_err(broken),
            _ => Err(broken(Fault::Unexpected)),
        }
    }

    /// The one message of a handshake that may come behind it: the peer's next records have another key.
    fn update(&mut self, message: &[u8]) -> Result<(), Fault> {
        let Some(updates) = &mut self.updates else { return Err(Fault::Unexpected) };
        let &[kind, 0, 0, 1, request] = message else { return Err(Fault::Unexpected) };
        self.updates_in_a_row += 1;
        if kind != KEY_UPDATE[0] || self.updates_in_a_row > UPDATES_MAX {
            return Err(Fault::Unexpected);
        }
        let secret = updates.update_rx_secret().map_err(|_| Fault::Internal)?;
        self.incoming.renew(secret);
        match request {
            0 => Ok(()),
            1 => self.renew_outgoing(),
            _ => Err(Fault::Malformed),
        }
    }

    /// Says that what follows has another key. One answer is enough for all who asked before it went out.
    fn renew_outgoing(&mut self) -> Result<(), Fault> {
        if self.is_update_pending || self.is_mute {
            return Ok(());
        }
        let [kind, high, middle, low] = KEY_UPDATE;
        self.say(kind::HANDSHAKE, &[kind, high, middle, low, 0]);
        self.is_update_pending = true;
        let Some(updates) = &mut self.updates else { return Err(Fault::Internal) };
        let secret = updates.update_tx_secret().map_err(|_| Fault::Internal)?;
        self.outgoing.renew(secret);
        Ok(())
    }

    /// Puts a record of its own behind what is pending.
    fn say(&mut self, kind: u8, content: &[u8]) {
        if self.is_mute {
            return;
        }
        let whole = self.pending.len();
        let begun = self.outgoing.begin(&mut self.pending);
        self.pending.extend_from_slice(content);
        if self.outgoing.finish(kind, &begun, &mut self.pending).is_err() {
            self.pending.truncate(whole);
            self.is_mute = true;
        }
    }

    /// Encrypts what is to be sent to the end of `out`; nothing where the peer was told that nothing more comes. What
    /// is [pending](Self::pending) must have gone out before.
    pub(crate) fn seal(&mut self, pieces: &[IoSlice<'_>], out: &mut Vec<u8>) {
        if self.is_mute {
            return;
        }
        let whole = out.len();
        if self.seal_all(pieces, out).is_err() {
            // A cipher that failed once is not asked again.
            out.truncate(whole);
            self.is_mute = true;
        }
    }

    fn seal_all(&mut self, pieces: &[IoSlice<'_>], out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut begun = None;
        for piece in pieces {
            let mut rest = &piece[..];
            while !rest.is_empty() {
                let record = begun.get_or_insert_with(|| self.outgoing.begin(out));
                let (now, later) = rest.split_at(rest.len().min(Half::room(record, out)));
                out.extend_from_slice(now);
                rest = later;
                if Half::room(record, out) == 0 {
                    self.outgoing.finish(kind::DATA, record, out)?;
                    begun = None;
                }
            }
        }
        match begun {
            Some(record) => self.outgoing.finish(kind::DATA, &record, out),
            None => Ok(()),
        }
    }

    /// Says that nothing more comes, once.
    pub(crate) fn close(&mut self) {
        self.say(kind::ALERT, &[WARNING, CLOSE_NOTIFY]);
        self.is_mute = true;
    }

    /// The records for the last that is sent, and for the word that nothing more comes.
    pub(crate) fn last_words(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut records = Vec::new();
        self.seal(&[IoSlice::new(bytes)], &mut records);
        self.keep_unsent(&records);
        self.close();
        self.pending().to_vec()
    }

    /// Whether the peer was told that nothing more comes.
    pub(crate) fn is_mute(&self) -> bool {
        self.is_mute
    }

    /// Records that go out before anything else is encrypted.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.pending[self.pending_sent..]
    }

    /// So many of the pending bytes were taken by the socket.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.pending_sent += bytes;
        if self.pending_sent == self.pending.len() {
            self.pending = Vec::new();
            self.pending_sent = 0;
            self.is_update_pending = false;
        }
    }

    /// Keeps what a socket did not take of what was encrypted.
    pub(crate) fn keep_unsent(&mut self, records: &[u8]) {
        self.pending.extend_from_slice(records);
    }

    /// To be called now and then: changes a key that was used for long, and lets go of what only speeds up a
    /// connection that is used. False where a worn key cannot be changed: then the connection has to end.
    pub(crate) fn tend(&mut self) -> bool {
        self.incoming.rest();
        self.outgoing.rest();
        if !self.outgoing.is_worn() {
            return true;
        }
        self.updates.is_some() && self.renew_outgoing().is_ok()
    }
}

/// What the peer says of the connection as a whole. But for three of them every alert ends it, and after none of those
/// that end it anything comes.
fn alert(content: &[u8]) -> Result<(), End> {
    match *content {
        [WARNING, USER_CANCELED | NO_RENEGOTIATION] => Ok(()),
        [_, _] => Err(End::Notified),
        _ => Err(End::Broken(Fault::Malformed)),
    }
}

#[cfg(test)]
mod tests;
