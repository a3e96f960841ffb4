//! The payload of a Close frame: a code and a reason, or nothing (RFC 6455, section 5.5.1).

use std::str;

use fastwebsockets::CloseCode;

use super::text::start;
use super::{CONTROL_BYTES_MAX, Violation};
use crate::protocol::Close;

/// The longest reason, in bytes: a control frame less the code.
const REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;

/// Reads the payload of a Close frame that is there in full.
pub(super) fn parse(payload: &[u8]) -> Result<Option<Close>, Violation> {
    let Some((&code, reason)) = payload.split_first_chunk() else { return Ok(None) };
    let code = u16::from_be_bytes(code);
    if !is_code_valid(code) {
        return Err(Violation::Protocol("close code not allowed"));
    }
    let reason = str::from_utf8(reason).map_err(|_| Violation::InvalidUtf8)?;
    Ok(Some(Close::new(code, reason)))
}

/// Writes the payload to `payload` and gives its length: the reason cut at a character to fit, and nothing at all
/// where the code may not be sent.
pub(super) fn format(close: Option<&Close>, payload: &mut [u8; CONTROL_BYTES_MAX]) -> usize {
    let Some(close) = close.filter(|close| is_code_valid(close.code)) else { return 0 };
    let reason = start(&close.reason, REASON_BYTES_MAX);
    payload[..2].copy_from_slice(&close.code.to_be_bytes());
    payload[2..2 + reason.len()].copy_from_slice(reason.as_bytes());
    2 + reason.len()
}

/// Whether a code may appear in a frame (RFC 6455, section 7.4, and its registry at IANA, which has added 1014).
fn is_code_valid(code: u16) -> bool {
    code == 1014 || CloseCode::from(code).is_allowed()
}
