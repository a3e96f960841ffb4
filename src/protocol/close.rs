//! Why a session ends: the close codes that go over the wire and the reasons that are counted.

use fastwebsockets::CloseCode;

/// Not to be here.
pub(crate) const FORBIDDEN: u16 = 4403;

/// A close code and its reason, as a Close frame carries them (RFC 6455, section 5.5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// 1000 to 4999, of the codes that may be sent.
    pub code: u16,
    /// At most 123 bytes; longer reasons are cut at a character.
    pub reason: String,
}

impl Close {
    /// A close of that code and reason.
    pub fn new(code: impl Into<u16>, reason: impl Into<String>) -> Self {
        Self { code: code.into(), reason: reason.into() }
    }

    /// 1000, nothing wrong.
    #[must_use]
    pub fn normal() -> Self {
        Self::new(CloseCode::Normal, "")
    }
}

/// Why a session ended. Each variant is one value of the label `reason` of `uproar_sessions_closed_total`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer sent a Close frame; `None` where it carried no code.
    Peer(Option<Close>),
    /// The peer's end of the connection closed or was reset without a Close frame.
    Lost,
    /// The handler, or a task with a handle, closed the session.
    Handler(Close),
    /// The peer broke RFC 6455 (1002).
    Protocol(&'static str),
    /// Text that is not UTF-8 (1007).
    InvalidUtf8,
    /// A message above `limits.message_bytes_max` (1009).
    TooBig,
    /// A message took longer than `limits.message_timeout_secs` from its first byte to its last (1008).
    MessageTimeout,
    /// The peer read more slowly than others wrote, past `limits.outbox_bytes_max` (1013).
    SlowReader,
    /// Nothing was heard of the peer within the heartbeat's bounds (4408).
    HeartbeatTimeout,
    /// The server is stopping (1001).
    Shutdown,
    /// The peer sent more messages or bytes a second than it may, and went on (4429).
    RateLimited,
    /// The peer did not show in time who it is, or what it showed does not count, or no more (4401).
    Unauthenticated(&'static str),
    /// The peer may not be here (4403).
    Forbidden(&'static str),
    /// The user was put out.
    Removed(Close),
    /// What came over TLS could not be what the peer sent.
    Tls(&'static str),
}

impl CloseReason {
    /// Every value that [`label`](Self::label) can take, for metrics that exist before they are first counted.
    pub const LABELS: [&'static str; 15] = [
        "peer",
        "lost",
        "handler",
        "protocol",
        "invalid_utf8",
        "too_big",
        "message_timeout",
        "slow_reader",
        "heartbeat_timeout",
        "shutdown",
        "unauthenticated",
        "forbidden",
        "removed",
        "tls",
        "rate_limited",
    ];

    /// The position of this reason in [`LABELS`](Self::LABELS).
    #[must_use]
    pub const fn index(&self) -> usize {
        match self {
            Self::Peer(_) => 0,
            Self::Lost => 1,
            // However it is said, it is the same.
            Self::Handler(close) if close.code == FORBIDDEN => 11,
            Self::Handler(_) => 2,
            Self::Protocol(_) => 3,
            Self::InvalidUtf8 => 4,
            Self::TooBig => 5,
            Self::MessageTimeout => 6,
            Self::SlowReader => 7,
            Self::HeartbeatTimeout => 8,
            Self::Shutdown => 9,
            Self::RateLimited => 14,
            Self::Unauthenticated(_) => 10,
            Self::Forbidden(_) => 11,
            Self::Removed(_) => 12,
            Self::Tls(_) => 13,
        }
    }

    /// The label under which this reason is counted.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        Self::LABELS[self.index()]
    }

    /// Which rule of the protocol the peer broke.
    #[must_use]
    pub const fn cause(&self) -> Option<&'static str> {
        match self {
            Self::Protocol(what) | Self::Tls(what) => Some(what),
            _ => None,
        }
    }

    /// Whether the peer broke the protocol or a limit.
    #[must_use]
    pub const fn is_violation(&self) -> bool {
        matches!(
            self,
            Self::Protocol(_)
                | Self::InvalidUtf8
                | Self::TooBig
                | Self::MessageTimeout
                | Self::RateLimited
        )
    }

    /// Whether what is queued for the peer still goes out ahead of the Close.
    #[must_use]
    pub(crate) const fn is_orderly(&self) -> bool {
        matches!(self, Self::Handler(_) | Self::Shutdown)
    }

    /// Whether the peer has lost what let it in: what is queued of its rooms is not for it any more.
    #[must_use]
    pub(crate) const fn is_expulsion(&self) -> bool {
        matches!(self, Self::Unauthenticated(_) | Self::Forbidden(_) | Self::Removed(_))
    }

    /// What the Close frame to the peer says; `None` where none is sent because nobody listens any more.
    #[must_use]
    pub fn close(&self) -> Option<Close> {
        Some(match self {
            Self::Peer(Some(close)) => Close::new(close.code, ""),
            Self::Peer(None) => Close::normal(),
            Self::Lost | Self::Tls(_) => return None,
            Self::Handler(close) | Self::Removed(close) => close.clone(),
            Self::Protocol(what) => Close::new(CloseCode::Protocol, *what),
            Self::InvalidUtf8 => Close::new(CloseCode::Invalid, "text is not UTF-8"),
            Self::TooBig => Close::new(CloseCode::Size, "message too big"),
            Self::MessageTimeout => Close::new(CloseCode::Policy, "message took too long"),
            Self::SlowReader => Close::new(CloseCode::Again, "reading too slowly"),
            Self::HeartbeatTimeout => Close::new(4408_u16, "no heartbeat"),
            Self::Shutdown => Close::new(CloseCode::Away, "server is stopping"),
            Self::RateLimited => Close::new(4429_u16, "too much, too fast"),
            Self::Unauthenticated(why) => Close::new(4401_u16, *why),
            Self::Forbidden(why) => Close::new(FORBIDDEN, *why),
        })
    }
}
