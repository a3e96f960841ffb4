//! What can be wrong with a record or its content, and the alert that says so to the peer (RFC 8446, section 6.2).

/// Why a connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not a record, or not the message that it begins as.
    Malformed,
    /// It is longer than a record may be.
    TooLong,
    /// It was not encrypted by the peer, or not in this place of the stream.
    Mac,
    /// It has no place here.
    Unexpected,
    /// The cipher does not do what it should.
    Internal,
}

impl Fault {
    /// The number of the alert.
    pub(crate) const fn alert(self) -> u8 {
        match self {
            Self::Malformed => 50,
            Self::TooLong => 22,
            Self::Mac => 20,
            Self::Unexpected => 10,
            Self::Internal => 80,
        }
    }

    /// For the log.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "not a TLS record",
            Self::TooLong => "a TLS record is too long",
            Self::Mac => "a TLS record cannot be decrypted",
            Self::Unexpected => "a TLS message has no place here",
            Self::Internal => "the cipher failed",
        }
    }
}
