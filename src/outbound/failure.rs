//! Why a request of the server's own has no answer that counts.

use std::fmt;

/// What went wrong. Nothing that the other side sent is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Not all of the answer was there in time.
    Timeout,
    /// Nobody was reached: the name has no address, the connection or its TLS failed.
    Connect,
    /// The name has only addresses that must not be connected to.
    Forbidden,
    /// The connection broke, or what came is not HTTP/1.
    Lost,
    /// The answer says to ask somewhere else, which is not done.
    Redirect,
    /// The answer's head or body is too large.
    TooLarge,
    /// The other side says that it, or what it needs, is down.
    Down,
    /// As many requests as may be are on their way.
    Busy,
    /// Too many failed before; for a while nothing is tried.
    Open,
}

impl Failure {
    /// Every value that [`label`](Self::label) can take.
    pub(crate) const LABELS: [&'static str; 9] = [
        "timeout",
        "connect",
        "forbidden_address",
        "lost",
        "redirect",
        "too_large",
        "down",
        "busy",
        "breaker_open",
    ];

    /// The label under which it is counted.
    pub(crate) const fn label(self) -> &'static str {
        Self::LABELS[self as usize]
    }

    /// Whether it says something of the other side's health, rather than of one request. What somebody can cause by
    /// what they send must not shut the door on everybody else.
    pub(super) const fn is_outage(self) -> bool {
        matches!(self, Self::Timeout | Self::Connect | Self::Forbidden | Self::Lost | Self::Down)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "no whole answer came in time",
            Self::Connect => "there is no connection",
            Self::Forbidden => "its addresses are private, which the configuration does not allow",
            Self::Lost => "the connection broke, or the answer is not HTTP/1",
            Self::Redirect => "the answer is a redirect, which is not followed",
            Self::TooLarge => "the answer is too large",
            Self::Down => "the answer is 502, 503 or 504",
            Self::Busy => "too many requests are on their way",
            Self::Open => "too many requests failed before",
        })
    }
}

impl std::error::Error for Failure {}
