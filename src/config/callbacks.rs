//! What must hold for the requests that the server makes to the user's application, and how who makes them is put
//! together. What is asked is in `gate::auth`.

use std::path::Path;
use std::time::Duration;

use hyper::header::HeaderName;

use super::problem::Problem;
use super::{Config, Mode, Secret};
use crate::gate::auth::callback::{ANSWER_BYTES_MAX, Callback};
use crate::gate::auth::key_source::SECRET_BYTES_MIN;
use crate::gate::auth::without_grant;
use crate::outbound::{Client, ClientError, Networks, Purpose, Settings, Signer, Terms, check_url};
use crate::rooms::pattern::Pattern;
use crate::screening::{Asker, Plan, Scope};

/// Names that are looked for in every handshake.
const NAMES_MAX: usize = 32;

/// Patterns that the name of a room is held against with every message.
const PATTERNS_MAX: usize = 100;

/// What an answer has around a body that takes the place of another.
const AROUND_BODY_BYTES: usize = 1024;

/// Everything that is wrong with the callbacks.
pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let rules: &[fn(&Config) -> Option<Problem>] = &[
        mode_and_url_agree,
        url_can_be_asked,
        publish_url_can_be_asked,
        publish_rooms_can_be,
        secret_is_long,
        headers_can_be,
        cookies_can_be,
        pages_are_known,
    ];
    rules.iter().filter_map(|rule| rule(config)).collect()
}

fn asks(config: &Config) -> bool {
    config.auth.modes.contains(&Mode::Callback)
}

fn mode_and_url_agree(config: &Config) -> Option<Problem> {
    let reason = match (asks(config), config.callbacks.connect_url.is_empty()) {
        (true, true) => "\"callback\" needs a URL to ask",
        (false, false) => "there is a URL to ask and nobody asks; put \"callback\" among the modes",
        _ => return None,
    };
    Some(Problem::among(config, &["auth.modes", "callbacks.connect_url"], reason))
}

fn url_can_be_asked(config: &Config) -> Option<Problem> {
    let url = &config.callbacks.connect_url;
    let fault = check_url(url, networks(config.callbacks.allow_private_networks)).err()?;
    (!url.is_empty()).then(|| Problem::among(config, &["callbacks.connect_url"], fault))
}

/// Whether the application has a say in what is stored.
fn screens(config: &Config) -> bool {
    !config.callbacks.publish_url.is_empty()
}

fn publish_url_can_be_asked(config: &Config) -> Option<Problem> {
    let url = &config.callbacks.publish_url;
    if !screens(config) {
        return None;
    }
    if !config.chat.enabled {
        let reason = "there is a URL to ask about messages of the chat and no chat";
        return Some(Problem::among(config, &["callbacks.publish_url", "chat.enabled"], reason));
    }
    let fault = check_url(url, networks(config.callbacks.allow_private_networks)).err()?;
    Some(Problem::among(config, &["callbacks.publish_url"], fault))
}

/// A pattern that no room matches would leave out rooms that somebody believes to be asked about.
fn publish_rooms_can_be(config: &Config) -> Option<Problem> {
    let callbacks = &config.callbacks;
    let patterns = &callbacks.publish_rooms;
    let can_be = |pattern: &String| Pattern::check(pattern).is_ok();
    if patterns.len() > PATTERNS_MAX || !patterns.iter().all(can_be) {
        let reason = "must be at most 100 patterns that names of rooms can match";
        return Some(Problem::among(config, &["callbacks.publish_rooms"], reason));
    }
    (screens(config) && patterns.is_empty() && !callbacks.publish_direct).then(|| {
        let reason = "nothing would be asked; leave callbacks.publish_url empty then";
        Problem::among(config, &["callbacks.publish_rooms", "callbacks.publish_direct"], reason)
    })
}

fn secret_is_long(config: &Config) -> Option<Problem> {
    let is_short = is_short(&config.callbacks.secret);
    (is_short && (asks(config) || screens(config)))
        .then(|| Problem::among(config, &["callbacks.secret"], SHORT))
}

pub(super) const SHORT: &str =
    "must have at least 32 bytes; \"uproar token --new-secret\" prints one";

pub(super) fn is_short(secret: &Secret) -> bool {
    secret.expose().len() < SECRET_BYTES_MIN
}

fn headers_can_be(config: &Config) -> Option<Problem> {
    let names = &config.callbacks.connect_headers;
    let can_be = |name: &String| name.parse::<HeaderName>().is_ok_and(|name| name != "cookie");
    (names.len() > NAMES_MAX || !names.iter().all(can_be)).then(|| {
        let reason =
            "must be at most 32 names of headers, without \"cookie\": connect_cookies has its own";
        Problem::among(config, &["callbacks.connect_headers"], reason)
    })
}

fn cookies_can_be(config: &Config) -> Option<Problem> {
    let names = &config.callbacks.connect_cookies;
    let can_be = |name: &String| {
        let is_name = |byte: u8| byte.is_ascii_graphic() && !b"=;,\"".contains(&byte);
        !name.is_empty() && name.bytes().all(is_name)
    };
    (names.len() > NAMES_MAX || !names.iter().all(can_be)).then(|| {
        Problem::among(
            config,
            &["callbacks.connect_cookies"],
            "must be at most 32 names of cookies",
        )
    })
}

/// A foreign page that may ask would ask in the name of whoever visits it.
fn pages_are_known(config: &Config) -> Option<Problem> {
    (!config.callbacks.connect_cookies.is_empty() && config.auth.open_to_network).then(|| {
        let reason = "every page may ask such a server, and browsers would send the cookies along";
        Problem::among(config, &["callbacks.connect_cookies", "auth.open_to_network"], reason)
    })
}

pub(super) fn networks(allow_private: bool) -> Networks {
    if allow_private { Networks::Any } else { Networks::Public }
}

/// An empty name names no file.
pub(super) fn file(name: &str) -> Option<&Path> {
    Some(name).filter(|name| !name.is_empty()).map(Path::new)
}

impl Config {
    /// Who asks the user's application who somebody is; `None` where nobody does. The file with authorities is read.
    pub(crate) fn connect_callback(&self) -> Result<Option<Callback>, Problem> {
        if !asks(self) {
            return Ok(None);
        }
        let callbacks = &self.callbacks;
        let client = self.callback_client("callbacks.connect_url", |settings| Settings {
            purpose: Purpose::Connect,
            url: &callbacks.connect_url,
            timeout: Duration::from_millis(callbacks.connect_timeout_ms),
            requests_max: callbacks.connect_requests_max,
            ..settings
        })?;
        let headers = callbacks.connect_headers.iter().filter_map(|name| name.parse().ok());
        let told = (headers.collect(), callbacks.connect_cookies.clone());
        let signer = Signer::new(callbacks.secret.expose());
        Ok(Some(Callback::new(client, signer, told, without_grant(&self.auth))))
    }

    /// What asks the application about messages before they are stored; `None` where nothing does.
    pub(crate) fn publish_callback(&self) -> Result<Option<Plan>, Problem> {
        if !screens(self) {
            return Ok(None);
        }
        let callbacks = &self.callbacks;
        let body_bytes_max = self.limits.message_bytes_max;
        let client = self.callback_client("callbacks.publish_url", |settings| Settings {
            purpose: Purpose::Publish,
            url: &callbacks.publish_url,
            timeout: Duration::from_millis(callbacks.publish_timeout_ms),
            answer_bytes_max: ANSWER_BYTES_MAX.max(body_bytes_max + AROUND_BODY_BYTES),
            requests_max: callbacks.publish_requests_max,
            ..settings
        })?;
        let rooms = callbacks.publish_rooms.iter().map(|pattern| Pattern::new(pattern));
        Ok(Some(Plan {
            asker: Asker { client, signer: Signer::new(callbacks.secret.expose()), body_bytes_max },
            scope: Scope { rooms: rooms.collect(), direct: callbacks.publish_direct },
            requests_max: callbacks.publish_requests_max,
            waiting_max: callbacks.publish_waiting_max,
        }))
    }

    /// A client with what all callbacks have in common, of the URL that is at `path`.
    fn callback_client<'a>(
        &'a self,
        path: &'static str,
        settings: impl FnOnce(Settings<'a>) -> Settings<'a>,
    ) -> Result<Client, Problem> {
        let callbacks = &self.callbacks;
        let common = Settings {
            purpose: Purpose::Connect,
            url: "",
            timeout: Duration::ZERO,
            answer_bytes_max: ANSWER_BYTES_MAX,
            requests_max: 0,
            networks: networks(callbacks.allow_private_networks),
            ca_file: file(&callbacks.ca_file),
            breaker: Terms {
                failures_max: callbacks.failures_max,
                pause_ms: callbacks.retry_after_ms,
            },
        };
        Client::new(&settings(common)).map_err(|error| match error {
            ClientError::Url(reason) => Problem::among(self, &[path], reason),
            ClientError::Trust(error) => {
                Problem::among(self, &["callbacks.ca_file"], error.to_string())
            }
        })
    }
}
