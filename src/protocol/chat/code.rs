//! Why something was not done: the values of `code` in an `error`.

use crate::log::Refused;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $code:ident = $text:literal, $meaning:literal;)+) => {
        /// What an `error` is about. Each is also one value of the label under which errors are counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Code {
            $($(#[doc = $doc])+ $code,)+
        }

        impl Code {
            /// All of them, each at the position of its [`index`](Self::index).
            pub(crate) const ALL: [Self; [$($text),+].len()] = [$(Self::$code),+];

            /// The same as they go over the wire.
            pub(crate) const TEXTS: [&'static str; Self::ALL.len()] = [$($text),+];

            /// As it goes over the wire.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $text,)+
                }
            }

            /// What it means, in words for the peer, where there is nothing more precise to say.
            pub(crate) const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$code => $meaning,)+
                }
            }
        }
    };
}

codes! {
    /// Not JSON, not an object, or not a text message.
    BadJson = "bad_json", "not a JSON object in a text message";
    /// A field is missing, of the wrong type or out of its bounds.
    BadMessage = "bad_message", "a field is missing, of the wrong type or out of bounds";
    /// No message has this type.
    UnknownType = "unknown_type", "no message has this type";
    /// A text is longer than it may be.
    TooLong = "too_long", "a text is longer than allowed";
    /// Nobody can be called that.
    BadName = "bad_name", "this cannot be a display name";
    /// No room can be called that.
    BadRoom = "bad_room", "this cannot be a room name";
    /// No user can have this id.
    BadUser = "bad_user", "this cannot be a user id";
    /// Something else came before `hello`.
    HelloRequired = "hello_required", "the first message must be hello";
    /// A second `hello`.
    AlreadyWelcome = "already_welcome", "this session was welcomed before";
    /// Only who has joined the room can do that.
    NotJoined = "not_joined", "join the room first";
    /// The session is in as many rooms as it may be.
    TooManyRooms = "too_many_rooms", "this session is in as many rooms as it may be";
    /// The room has as many members as it may have.
    RoomFull = "room_full", "this room has as many members as it may have";
    /// The server has as many rooms as it may have.
    ServerFull = "server_full", "this server has as many rooms as it may have";
    /// The session sends more than it may.
    RateLimited = "rate_limited", "too many messages or bytes a second; nothing came of this one";
    /// The user may not do that.
    Forbidden = "forbidden", "this user may not do that";
    /// The room does not say who is in it.
    PresenceOff = "presence_off", "this room does not say who is in it";
    /// The `client_id` was used before for another body.
    IdConflict = "id_conflict", "this client_id was used before with another body";
    /// The `client_id` is too old, or made in the future.
    IdExpired = "id_expired", "this client_id is older than the server remembers, or from the future";
    /// The log cannot be written or read at the moment.
    Unavailable = "unavailable", "the log is not available at the moment";
    /// The server does not do that.
    Unsupported = "unsupported", "this server does not support that";
    /// The token is not one of this server's.
    BadToken = "bad_token", "this token does not count here, or not any more";
    /// Nobody is let in without.
    TokenRequired = "token_required", "this server lets nobody in without a token";
    /// What the session was let in with ends soon.
    TokenExpired = "token_expired", "the token of this session expires soon: refresh it";
    /// The user may say nothing for now.
    Muted = "muted", "this user may say nothing for now";
    /// The application does not want the message.
    Denied = "denied", "this message is not wanted here";
}

impl Code {
    /// Its position in [`ALL`](Self::ALL).
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// Whether such an error counts towards a flood of bad messages. What only the log can know does not: a client
    /// that sends what it had queued, as it should, is not to be closed for the answers.
    pub(crate) const fn is_fault(self) -> bool {
        !matches!(
            self,
            Self::IdConflict
                | Self::IdExpired
                | Self::Unavailable
                | Self::TokenExpired
                | Self::Muted
                | Self::Denied
                | Self::RateLimited
        )
    }
}

impl From<Refused> for Code {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Conflict => Self::IdConflict,
            Refused::Expired => Self::IdExpired,
            Refused::Unavailable | Refused::Unanswered => Self::Unavailable,
            Refused::Denied => Self::Denied,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_at_its_position_and_unlike_the_others() {
        for (at, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code.index(), at);
            let others = Code::ALL.into_iter().filter(|other| other.as_str() == code.as_str());
            assert_eq!(others.count(), 1, "{}", code.as_str());
        }
    }
}
