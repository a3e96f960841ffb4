//! One message at a time: a member says something, everyone who should hear it does, byte for byte, and only then the
//! next one speaks. What is heard twice, by the wrong one, changed or not at all ends the run.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::crowd::Crowd;
use super::frame::{TEXT, client_text, server_head};
use super::process::Process;
use super::seats::{ROOM_BYTES, room_name};

/// The least size of a message: its room and its number.
const NUMBER_BYTES: usize = 8;

/// Messages before the measured ones, at least.
const WARMUP_MESSAGES: u64 = 3;

/// An empty ping.
const PING: [u8; 2] = [0x89, 0];

/// How much of what is wrong is shown.
const SHOWN_BYTES: usize = 64;

/// A room, who speaks in it, and who hears that.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) room: usize,
    pub(crate) sender: usize,
    pub(crate) receivers: Vec<usize>,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) messages: u64,
    pub(crate) deliveries: u64,
    /// CPU time of the server.
    pub(crate) cpu_secs: f64,
    pub(crate) elapsed: Duration,
}

impl Measured {
    /// CPU time of the server for each delivery, in microseconds.
    pub(crate) fn cpu_us_per_delivery(&self) -> f64 {
        self.cpu_secs * 1e6 / self.deliveries as f64
    }
}

/// A crowd that talks.
pub(crate) struct Exchange {
    crowd: Crowd,
    size: usize,
    said: u64,
    payload: Vec<u8>,
    request: Vec<u8>,
    /// What a receiver is to hear.
    frame: Vec<u8>,
    /// How much of it each member has still to hear.
    missing: Vec<usize>,
}

impl Exchange {
    /// Messages of `size` bytes, 16 at least.
    pub(crate) fn new(crowd: Crowd, size: usize) -> Self {
        let missing = vec![0; crowd.len()];
        let (payload, request, frame) = (Vec::new(), Vec::new(), Vec::new());
        Self { crowd, size, said: 0, payload, request, frame, missing }
    }

    /// Lets them talk for that long, after a warm-up of a quarter of it.
    pub(crate) fn measure(
        &mut self,
        server: Process,
        seconds: Duration,
        mut next: impl FnMut() -> Turn,
    ) -> Result<Measured> {
        let began = Instant::now();
        while began.elapsed() < seconds / 4 || self.said < WARMUP_MESSAGES {
            self.say(&next())?;
        }
        let (began, cpu) = (Instant::now(), server.cpu_secs()?);
        let (mut messages, mut deliveries) = (0, 0);
        while began.elapsed() < seconds {
            let turn = next();
            self.say(&turn)?;
            messages += 1;
            deliveries += turn.receivers.len() as u64;
        }
        let elapsed = began.elapsed();
        Ok(Measured { messages, deliveries, cpu_secs: server.cpu_secs()? - cpu, elapsed })
    }

    fn say(&mut self, turn: &Turn) -> Result<()> {
        self.compose(turn.room);
        for receiver in &turn.receivers {
            self.missing[*receiver] = self.frame.len();
        }
        self.crowd.write(turn.sender, &self.request)?;
        let (mut waiting, frame, missing) = (turn.receivers.len(), &self.frame, &mut self.missing);
        while waiting > 0 {
            self.crowd.hear(|member, bytes| {
                let at = frame.len() - missing[member];
                // A heartbeat may come between frames; that what was said before got through answers it.
                let is_between = missing[member] == 0 || at == 0;
                let bytes = bytes.strip_prefix(&PING).filter(|_| is_between).unwrap_or(bytes);
                if bytes.is_empty() {
                    return Ok(());
                }
                match frame[at..].get(..bytes.len()) {
                    _ if missing[member] == 0 => {
                        bail!("member {member} heard what was not for it, or heard it twice")
                    }
                    Some(expected) if expected == bytes => missing[member] -= bytes.len(),
                    _ => bail!(
                        "member {member} heard {:?}, and there was {:?} to be heard",
                        String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES)]),
                        String::from_utf8_lossy(&frame[at..frame.len().min(at + SHOWN_BYTES)]),
                    ),
                }
                waiting -= usize::from(missing[member] == 0);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn compose(&mut self, room: usize) {
        self.said += 1;
        self.payload.clear();
        self.payload.extend_from_slice(room_name(room).as_bytes());
        self.payload.extend_from_slice(format!("{:0NUMBER_BYTES$}", self.said).as_bytes());
        debug_assert_eq!(self.payload.len(), ROOM_BYTES + NUMBER_BYTES);
        self.payload.resize(self.size, b'.');
        client_text(&self.payload, &mut self.request);
        self.frame.clear();
        server_head(TEXT, self.payload.len(), &mut self.frame);
        self.frame.extend_from_slice(&self.payload);
    }
}
