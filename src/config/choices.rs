//! The keys that take one of a few words, or a list of them: which words, and what each means.

use toml::Value;

use super::setting::{Setting, choice, word_list};

choice! {
    /// When the demo page is shown.
    Demo {
        /// Only where the public address is a loopback address.
        Auto = "auto",
        /// Always.
        On = "on",
        /// Never.
        Off = "off",
    }
}

choice! {
    /// The header in which proxies name the client.
    ProxyHeader {
        /// X-Forwarded-For.
        XForwardedFor = "x-forwarded-for",
        /// Forwarded (RFC 7239).
        Forwarded = "forwarded",
        /// None: it is told by the PROXY protocol, or not at all.
        Off = "off",
    }
}

choice! {
    /// How the sessions of a relay room are told who joins and leaves.
    Announce {
        /// They are not.
        Off = "off",
        /// By a JSON text message.
        Json = "json",
    }
}

choice! {
    /// A way to come in.
    Mode {
        /// By a token.
        Token = "token",
        /// By the word of the user's application.
        Callback = "callback",
        /// As a guest.
        Open = "open",
    }
}

choice! {
    /// A kind of events that webhooks tell of.
    WebhookEvent {
        /// A message was stored.
        Message = "message",
        /// A room is occupied, or vacated.
        Room = "room",
        /// A user joined a room, or left it.
        Member = "member",
        /// A user is online, or offline.
        User = "user",
    }
}

word_list! { WebhookEvent, "a list of \"message\", \"room\", \"member\" and \"user\"" }

word_list! { Mode, "a list of \"token\", \"callback\" and \"open\"" }

choice! {
    /// What a token grants that does not say what it grants.
    Ungranted {
        /// Nothing.
        Nothing = "nothing",
        /// Everything, in every room and in direct conversations.
        Everything = "everything",
    }
}

choice! {
    /// What has happened to a message when it is acknowledged.
    Synchronous {
        /// It was synced to the disk.
        Full = "full",
        /// It was handed to the system.
        Normal = "normal",
    }
}

choice! {
    /// The oldest version of TLS that is spoken.
    TlsVersion {
        /// TLS 1.2 and TLS 1.3.
        Tls12 = "1.2",
        /// TLS 1.3 alone.
        Tls13 = "1.3",
    }
}

choice! {
    /// The least severe level that is logged.
    LogLevel {
        /// What failed.
        Error = "error",
        /// And what looks wrong.
        Warn = "warn",
        /// And what an operator wants to have on record.
        Info = "info",
        /// And each connection.
        Debug = "debug",
        /// And everything else.
        Trace = "trace",
    }
}

choice! {
    /// How log lines look.
    LogFormat {
        /// For reading on a terminal, JSON elsewhere.
        Auto = "auto",
        /// For reading.
        Human = "human",
        /// One JSON object a line.
        Json = "json",
    }
}
