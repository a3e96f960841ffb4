//! What a configuration must fulfil as a whole: bounds, and keys that must agree with each other.

use std::net::SocketAddr;

use super::problem::{Problem, Problems};
use super::{
    AllowedHost, AllowedOrigin, Config, Demo, KEYS, Mode, ProxyNetwork, callbacks, rooms,
    token_keys, webhooks,
};
use crate::http::{ADMIN_SCOPES, API_SCOPES};

impl Config {
    /// Checks every bound and every rule between keys. A server does this before it binds a port.
    ///
    /// # Errors
    /// Everything that is wrong. Rules between keys are only looked at once each key is good by itself.
    pub fn validate(&self) -> Result<(), Problems> {
        let out_of_range = KEYS
            .iter()
            .filter(|key| !key.in_range(&key.value(self)))
            .map(|key| Problem::among(self, &[key.path], format!("must be {}", key.accepts())));
        Problems::check(out_of_range.collect())?;

        let rules: &[fn(&Self) -> Option<Problem>] = &[
            heartbeat_fits_its_timeout,
            addresses_differ,
            public_address_is_meant,
            admin_address_is_meant,
            admin_keys_are_of_use,
            certificate_and_key_go_together,
            client_certificates_need_one,
            data_dir_is_a_directory,
            all_may_read_what_one_may,
            wildcards_are_meant,
            proxies_are_named,
            api_keys_are_of_use,
        ];
        let found = rules.iter().filter_map(|rule| rule(self));
        let lists = rooms::problems(self).into_iter().chain(token_keys::problems(self));
        let lists = lists.chain(callbacks::problems(self)).chain(webhooks::problems(self));
        Problems::check(found.chain(lists).collect())
    }

    /// What is allowed but worth a second thought, one sentence each, for the log and for `uproar check`.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.auth.open_to_network {
            warnings.push(format!(
                "auth.open_to_network = true: whoever reaches {}, if only through a proxy, can read and write every \
                 room without authentication",
                self.server.listen
            ));
        }
        let lets_guests_in = self.auth.modes.contains(&Mode::Open);
        if lets_guests_in && self.auth.modes.len() > 1 && !is_loopback(self.server.listen) {
            warnings.push(format!(
                "auth.modes has \"open\": whoever reaches {} without a token is a guest who can read and write every \
                 room",
                self.server.listen
            ));
        }
        if self.server.proxies.iter().any(ProxyNetwork::is_everything) {
            warnings.push(
                "server.proxies has a network of all there is: whoever connects may say that they are anybody"
                    .to_owned(),
            );
        }
        warnings.extend(rooms::warnings(self));
        warnings
    }

    /// The threads that serve sessions: `server.shards`, or one for each core that the process may use.
    #[must_use]
    pub fn shards(&self) -> usize {
        let most = super::Key::find("server.shards")
            .and_then(|key| key.range)
            .map_or(1, |range| range.max);
        match self.server.shards {
            // Without an answer from the system one core is what there surely is.
            0 => std::thread::available_parallelism()
                .map_or(1, usize::from)
                .min(usize::try_from(most).unwrap_or(1)),
            shards => shards,
        }
    }

    /// Whether the server is for this machine's own programs and pages: it listens to no others, and asks nobody who
    /// they are.
    #[must_use]
    pub fn is_private(&self) -> bool {
        let is_open = self.auth.modes.contains(&Mode::Open);
        is_loopback(self.server.listen) && is_open && !self.auth.open_to_network
    }

    /// Whether programs of this machine may do as they like: nobody else was let in.
    #[must_use]
    pub fn exempts_loopback(&self) -> bool {
        self.limits.loopback_exempt
            && self.is_private()
            && self.auth.modes.iter().all(|mode| *mode == Mode::Open)
    }

    /// Whether the demo page is served.
    #[must_use]
    pub fn shows_demo(&self) -> bool {
        match self.server.demo {
            Demo::On => true,
            Demo::Off => false,
            Demo::Auto => is_loopback(self.server.listen),
        }
    }
}

fn heartbeat_fits_its_timeout(config: &Config) -> Option<Problem> {
    (config.limits.heartbeat_timeout_secs <= config.limits.heartbeat_secs).then(|| {
        let reason = "the timeout must be above the interval, or a quiet peer is given up before it can answer a ping";
        Problem::among(config, &["limits.heartbeat_timeout_secs", "limits.heartbeat_secs"], reason)
    })
}

fn addresses_differ(config: &Config) -> Option<Problem> {
    let (public, admin) = (config.server.listen, config.server.admin_listen);
    let overlap =
        public.ip() == admin.ip() || public.ip().is_unspecified() || admin.ip().is_unspecified();
    (overlap && public.port() == admin.port() && public.port() != 0).then(|| {
        let reason = "both would take the same port; the operator's address must be another one";
        Problem::among(config, &["server.listen", "server.admin_listen"], reason)
    })
}

fn public_address_is_meant(config: &Config) -> Option<Problem> {
    let asks = config.auth.modes.iter().any(|mode| *mode != Mode::Open);
    (!is_loopback(config.server.listen) && !asks && !config.auth.open_to_network).then(|| {
        let reason = "other machines reach this address and nobody has to authenticate; listen on 127.0.0.1, take \
                      tokens, or set auth.open_to_network = true to let everyone in";
        Problem::among(config, &["server.listen", "auth.open_to_network"], reason)
    })
}

fn admin_address_is_meant(config: &Config) -> Option<Problem> {
    let asks = !config.server.admin_keys.is_empty() || config.tls.admin_client_ca_file.is_some();
    (!is_loopback(config.server.admin_listen) && !asks).then(|| {
        let reason = "other machines reach this address and there is no key that they could show; listen on 127.0.0.1, \
                      make one with \"uproar key\", or ask for certificates with tls.admin_client_ca_file";
        Problem::among(config, &["server.admin_listen", "server.admin_keys"], reason)
    })
}

fn admin_keys_are_of_use(config: &Config) -> Option<Problem> {
    let keys = &config.server.admin_keys;
    let is_known = |scope: &String| ADMIN_SCOPES.contains(&scope.as_str());
    (!keys.iter().all(|key| key.scopes.iter().all(is_known))).then(|| {
        let reason = "the scopes at the operator's address are metrics and health";
        Problem::among(config, &["server.admin_keys"], reason)
    })
}

fn certificate_and_key_go_together(config: &Config) -> Option<Problem> {
    (config.tls.certificate_file.is_some() != config.tls.key_file.is_some()).then(|| {
        let reason = "neither is of use without the other";
        Problem::among(config, &["tls.certificate_file", "tls.key_file"], reason)
    })
}

fn client_certificates_need_one(config: &Config) -> Option<Problem> {
    let asks = [
        ("tls.admin_client_ca_file", &config.tls.admin_client_ca_file),
        ("tls.api_client_ca_file", &config.tls.api_client_ca_file),
    ];
    let (key, _) = asks.into_iter().find(|(_, file)| file.is_some())?;
    config.tls.certificate_file.is_none().then(|| {
        let reason = "who asks for a certificate must show one";
        Problem::among(config, &[key, "tls.certificate_file"], reason)
    })
}

fn data_dir_is_a_directory(config: &Config) -> Option<Problem> {
    let data_dir = &config.server.data_dir;
    (data_dir.exists() && !data_dir.is_dir())
        .then(|| Problem::among(config, &["server.data_dir"], "exists and is not a directory"))
}

fn all_may_read_what_one_may(config: &Config) -> Option<Problem> {
    (config.log.read_total_bytes_per_sec < config.log.read_bytes_per_sec).then(|| {
        let reason = "all sessions together must be given at least what one is";
        Problem::among(config, &["log.read_total_bytes_per_sec", "log.read_bytes_per_sec"], reason)
    })
}

fn proxies_are_named(config: &Config) -> Option<Problem> {
    (config.server.proxy_protocol && config.server.proxies.is_empty()).then(|| {
        let reason =
            "the PROXY protocol is believed of nobody but proxies whose networks are named";
        Problem::among(config, &["server.proxy_protocol", "server.proxies"], reason)
    })
}

fn wildcards_are_meant(config: &Config) -> Option<Problem> {
    let origins = &config.origins;
    let list = match () {
        () if origins.wildcards => return None,
        () if origins.allowed.iter().any(AllowedOrigin::is_wildcard) => "origins.allowed",
        () if origins.hosts.iter().any(AllowedHost::is_wildcard) => "origins.hosts",
        () => return None,
    };
    let reason = "whoever has any name below the one with the wildcard is let in; name each, or set origins.wildcards = \
                  true";
    Some(Problem::among(config, &[list, "origins.wildcards"], reason))
}

fn api_keys_are_of_use(config: &Config) -> Option<Problem> {
    let is_known = |scope: &String| API_SCOPES.contains(&scope.as_str());
    (!config.api.keys.iter().all(|key| key.scopes.iter().all(is_known))).then(|| {
        let reason = "the scopes of the API are publish, read, users and moderate";
        Problem::among(config, &["api.keys"], reason)
    })
}

/// An IPv4 address in IPv6 clothes counts as what it is.
fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AccessKey, KeyHash};

    #[track_caller]
    fn check(change: impl FnOnce(&mut Config), expected: &str) {
        let mut config = Config::default();
        change(&mut config);
        let problems = config.validate().map_err(|problems| problems.to_string());
        match problems {
            Ok(()) => assert_eq!(expected, "", "nothing was found"),
            Err(problems) => {
                assert!(!expected.is_empty() && problems.contains(expected), "{problems}")
            }
        }
    }

    /// One key with those scopes.
    fn keys(scopes: &str) -> Vec<AccessKey> {
        vec![format!("a:{scopes}:{}", KeyHash::of("secret")).parse().unwrap()]
    }

    #[test]
    fn a_configuration_made_in_code_is_checked_too() {
        check(|_| (), "");
        check(
            |c| c.limits.headers_max = 0,
            "limits.headers_max = 0: must be a whole number from 16 to 1000 (headers)",
        );
        check(
            |c| c.limits.connections_max = usize::MAX,
            "limits.connections_max = 9223372036854775807: must be",
        );
        check(
            |c| c.limits.heartbeat_secs = 60,
            "heartbeat_timeout_secs = 60 and limits.heartbeat_secs = 60: the",
        );
        check(
            |c| c.server.data_dir = "Cargo.toml".into(),
            "data_dir = \"Cargo.toml\": exists and is not a directory",
        );
    }

    #[test]
    fn addresses_that_other_machines_reach_need_a_word() {
        let at = |address: &str| address.parse::<SocketAddr>().unwrap();
        check(|c| c.server.listen = at("127.8.0.1:80"), "");
        check(|c| c.server.listen = at("[::1]:80"), "");
        check(|c| c.server.listen = at("[::ffff:127.0.0.1]:80"), "");
        check(
            |c| c.server.listen = at("0.0.0.0:80"),
            "\"0.0.0.0:80\" and auth.open_to_network = false: other",
        );
        check(|c| c.server.listen = at("[::]:80"), "auth.open_to_network");
        check(|c| c.server.listen = at("[::ffff:10.0.0.1]:80"), "auth.open_to_network");
        check(|c| c.server.admin_listen = at("10.0.0.1:80"), "server.admin_keys = []: other");
        check(|c| (c.server.listen, c.auth.open_to_network) = (at("0.0.0.0:80"), true), "");
        check(
            |c| (c.server.admin_listen, c.server.admin_keys) = (at("0.0.0.0:80"), keys("metrics")),
            "",
        );
        check(
            |c| c.server.admin_keys = keys("metrics,publish"),
            "server.admin_keys = [\"a:metrics,publish:",
        );
    }

    #[test]
    fn the_two_addresses_cannot_share_a_port() {
        let at = |address: &str| address.parse::<SocketAddr>().unwrap();
        let both = |public: &str, admin: &str, expected: &str| {
            let change = |c: &mut Config| {
                (c.server.listen, c.server.admin_listen) = (at(public), at(admin));
                (c.auth.open_to_network, c.server.admin_keys) = (true, keys("health"));
            };
            check(change, expected);
        };
        both("127.0.0.1:80", "127.0.0.1:80", "same port");
        both("0.0.0.0:80", "127.0.0.1:80", "same port");
        both("127.0.0.1:80", "0.0.0.0:80", "same port");
        both("127.0.0.1:80", "127.0.0.2:80", "");
        both("127.0.0.1:0", "127.0.0.1:0", "");
    }

    #[test]
    fn proxies_need_a_name() {
        check(
            |c| c.server.proxy_protocol = true,
            "server.proxy_protocol = true and server.proxies = []",
        );
        let named = |c: &mut Config| {
            c.server.proxy_protocol = true;
            c.server.proxies = vec!["0.0.0.0/0".parse().unwrap()];
        };
        check(named, "");
        let mut config = Config::default();
        named(&mut config);
        assert!(config.warnings()[0].starts_with("server.proxies"));
    }

    #[test]
    fn a_wildcard_needs_a_word() {
        let origin =
            |c: &mut Config| c.origins.allowed = vec!["https://*.a.example".parse().unwrap()];
        let host = |c: &mut Config| c.origins.hosts = vec!["*.a.example".parse().unwrap()];
        check(
            origin,
            "origins.allowed = [\"https://*.a.example\"] and origins.wildcards = false: who",
        );
        check(host, "origins.hosts = [\"*.a.example\"] and origins.wildcards = false: whoever");
        let meant = |c: &mut Config| {
            origin(c);
            host(c);
            c.origins.wildcards = true;
        };
        check(meant, "");
    }

    #[test]
    fn what_is_open_is_warned_about() {
        let mut config = Config::default();
        assert_eq!(config.warnings(), [""; 0]);
        config.auth.open_to_network = true;
        assert!(config.warnings()[0].contains("127.0.0.1:8080"), "a proxy may open it to others");
        config.server.listen = "0.0.0.0:80".parse().unwrap();
        let warnings = config.warnings();
        assert!(warnings[0].contains("0.0.0.0:80"), "{warnings:?}");
    }

    #[test]
    fn the_demo_page_stays_at_home() {
        let mut config = Config::default();
        assert!(config.shows_demo());
        config.server.listen = "0.0.0.0:80".parse().unwrap();
        assert!(!config.shows_demo());
        config.server.demo = Demo::On;
        assert!(config.shows_demo());
        config.server.listen = "127.0.0.1:80".parse().unwrap();
        config.server.demo = Demo::Off;
        assert!(!config.shows_demo());
    }

    #[test]
    fn shards_follow_the_cores() {
        let mut config = Config::default();
        assert!((1..=128).contains(&config.shards()));
        config.server.shards = 3;
        assert_eq!(config.shards(), 3);
    }
}
