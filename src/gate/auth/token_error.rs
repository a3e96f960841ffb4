//! Why a token lets nobody in: the words for its bearer and the label under which it is counted.

use std::fmt;

/// Why a token is refused. Nothing of the token itself is in it, so it may be logged, counted and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Not looked at.
    TooLong,
    /// Not three parts in base64url of which the first is a header, or a header that demands an extension.
    Malformed,
    /// An algorithm that the server does not know, or not that of the key which the token names.
    Algorithm,
    /// No key has the id that the token names.
    UnknownKey,
    /// It was not signed with the key, or was changed since.
    Signature,
    /// Its time is over.
    Expired,
    /// It begins to hold later.
    NotYetValid,
    /// It has no end and must have one.
    NoExpiry,
    /// It is for somebody else.
    Audience,
    /// It is from somebody else.
    Issuer,
    /// A claim is there twice or of the wrong type.
    Claims,
    /// `sub` is missing or cannot be the id of a user.
    Subject,
    /// `name` cannot be the display name of a user.
    Name,
    /// `rooms` has a pattern that no room matches, too many of them, or a right that does not exist.
    Grant,
    /// The keys could not be fetched; another time the token may be good.
    KeysUnavailable,
    /// The server takes no tokens.
    NotTaken,
}

impl TokenError {
    /// Every value that [`label`](Self::label) can take.
    pub const LABELS: [&'static str; 14] = [
        "too_long",
        "malformed",
        "algorithm",
        "unknown_key",
        "signature",
        "expired",
        "not_yet_valid",
        "no_expiry",
        "audience",
        "issuer",
        "claims",
        "grant",
        "keys_unavailable",
        "not_taken",
    ];

    /// The label under which it is counted.
    #[must_use]
    pub const fn label(self) -> &'static str {
        let index = match self {
            Self::TooLong => 0,
            Self::Malformed => 1,
            Self::Algorithm => 2,
            Self::UnknownKey => 3,
            Self::Signature => 4,
            Self::Expired => 5,
            Self::NotYetValid => 6,
            Self::NoExpiry => 7,
            Self::Audience => 8,
            Self::Issuer => 9,
            Self::Claims | Self::Subject | Self::Name => 10,
            Self::Grant => 11,
            Self::KeysUnavailable => 12,
            Self::NotTaken => 13,
        };
        Self::LABELS[index]
    }

    /// What is wrong, in words for its bearer.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::TooLong => "the token is longer than 8192 bytes",
            Self::Malformed => "the token is no JWT",
            Self::Algorithm => "the token's algorithm is not that of the key",
            Self::UnknownKey => "no key here has the id that the token names",
            Self::Signature => "the token's signature is wrong",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::NoExpiry => "the token has no exp",
            Self::Audience => "the token's aud is not this server",
            Self::Issuer => "the token's iss is not the issuer of its key",
            Self::Claims => "a claim of the token is there twice or of the wrong type",
            Self::Subject => "the token's sub is missing or cannot be the id of a user",
            Self::Name => "the token's name cannot be a display name",
            Self::Grant => {
                "the token's rooms has a right that does not exist or a pattern that no room matches"
            }
            Self::KeysUnavailable => "the keys to check the token with are not available",
            Self::NotTaken => "this server takes no tokens",
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for TokenError {}
