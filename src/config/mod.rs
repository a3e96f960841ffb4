//! What can be set, and whether what was set makes sense.
//!
//! `keys` has every key with its default, bounds and meaning.

mod keys;
mod setting;
mod table;

pub use keys::{
    Announce, Auth, Config, Demo, Echo, KEYS, Limits, LogFormat, LogLevel, Relay, SECTIONS, Server,
    Telemetry,
};
pub use table::{Key, Range};
