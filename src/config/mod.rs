//! What can be set, and whether what was set makes sense.
//!
//! `keys` has every key with its default, bounds and meaning, `choices` the words that some of them take, `rooms` the keys
//! of the rules for rooms, `token_keys` those of the keys that tokens are verified with, `callbacks` and `webhooks` what
//! must hold for these, and `rules` what must hold between keys; `layers` puts a configuration together from a file,
//! the environment and flags. A program that embeds the server needs none of the latter:
//! `Config::default()` is complete, its fields are public, and the server checks it before it starts.
//!
//! ```
//! let mut config = uproar::Config::default();
//! config.limits.message_bytes_max = 1_048_576;
//! config.validate()?;
//!
//! config.limits.heartbeat_secs = 90;
//! let problems = config.validate().unwrap_err().to_string();
//! assert!(problems.contains("limits.heartbeat_timeout_secs = 60 and limits.heartbeat_secs = 90"));
//! # Ok::<(), uproar::config::Problems>(())
//! ```

mod annotated;
mod callbacks;
mod choices;
mod keys;
mod layers;
mod lines;
mod list;
mod problem;
mod records;
mod rooms;
mod rules;
mod secret;
mod setting;
mod suggestion;
mod table;
mod token_keys;
mod webhooks;

pub use crate::gate::allowed::{AllowedError, AllowedHost, AllowedOrigin};
pub use crate::gate::auth::TokenKey;
pub use crate::gate::keys::{AccessKey, KeyHash, NoKey};
pub use crate::gate::proxies::{NoNetwork, ProxyNetwork};
pub use crate::rooms::rules::{Engine, PresenceMode, RoomRule};
pub use choices::{
    Announce, Demo, LogFormat, LogLevel, Mode, ProxyHeader, Synchronous, TlsVersion, Ungranted,
    WebhookEvent,
};
pub use keys::{
    Api, Auth, Callbacks, Chat, Config, Echo, KEYS, Limits, Log, Origins, Relay, SECTIONS, Server,
    Telemetry, Tls, Webhooks,
};
pub use layers::{Flag, Layers};
pub use problem::{Origin, Problem, Problems};
pub use records::Field;
pub use rooms::{ROOM_KEYS, RoomKey};
pub use secret::Secret;
pub use table::{Key, Range};
pub use token_keys::{TOKEN_KEY_FIELDS, TokenKeyField};
