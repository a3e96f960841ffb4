//! What a server needs for its API: the measures that outlive it, and what the API acts on.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::gate::rate::Rate;
use crate::handle::Handle;
use crate::http::Connections;
use crate::http::api::{self, Api, Bounds, Parts};
use crate::hub::Hub;
use crate::log::data_dir::DataDir;
use crate::measures::Measures;
use crate::server::chat::Chat;
use crate::server::start_error::StartError;
use crate::users::Users;

/// Puts what was kept of an earlier run in force, and makes the API where there are keys for it.
pub(super) fn new(
    config: &Config,
    hub: &Arc<Hub>,
    directory: Option<Arc<DataDir>>,
    chat: Option<&Chat>,
    (connections, patterns): (&Arc<Connections>, &[String]),
) -> Result<Option<Api>, StartError> {
    let Some(directory) = directory else { return Ok(None) };
    let users = Users::new(Arc::clone(hub));
    let measures = Measures::open(users.clone(), directory)?;
    if config.api.keys.is_empty() {
        return Ok(None);
    }
    let handle = |pattern: &str| {
        let route = patterns.iter().position(|found| found == pattern)?;
        Some(Handle::new(Arc::clone(hub), route))
    };
    let relay = handle("/relay/{room}").zip(handle("/")).filter(|_| config.relay.enabled);
    let parts = Parts {
        keys: config.api.keys.clone(),
        bounds: bounds(config),
        hub: Arc::clone(hub),
        users,
        measures,
        chat: chat.map(|chat| chat_of(config, chat)),
        relay: relay.map(|(rooms, lobby)| api::Relay { rooms, lobby }),
        connections: Arc::clone(connections),
        asks_certificate: config.tls.api_client_ca_file.is_some(),
    };
    Ok(Some(Api::new(parts)))
}

fn chat_of(config: &Config, chat: &Chat) -> api::Chat {
    api::Chat {
        route: usize::from(chat.settings.route),
        log: chat.client.clone(),
        rules: Arc::clone(&chat.settings.rules),
        message_bytes_max: config.limits.message_bytes_max,
        history_messages_max: u64::from(config.chat.history_messages_max),
    }
}

fn bounds(config: &Config) -> Bounds {
    let api = &config.api;
    Bounds {
        body_bytes_max: api.body_bytes_max,
        request_timeout: Duration::from_secs(api.request_timeout_secs),
        requests_in_flight_max: api.requests_in_flight_max,
        message_bytes_max: config.limits.message_bytes_max,
        rate: Rate::new(api.requests_per_sec, api.requests_burst),
    }
}
