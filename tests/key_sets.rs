//! Keys that an issuer publishes: fetched, changed and fetched again, never more often than they should be, and good for
//! that issuer alone.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]
#![allow(clippy::disallowed_types, reason = "between the threads of a backend and the test")]

mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use support::backend::{Backend, Reply};
use support::chat::ChatClient;
use support::client::{Client, request};
use support::server::Server;
use support::token::{SECRET, now, signed};
use support::wait_for;

const ISSUER: &str = "https://login.example";
const OTHER: &str = "https://other.example";

/// A key of an issuer.
struct Pair {
    id: &'static str,
    key: Ed25519KeyPair,
}

impl Pair {
    fn new(id: &'static str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        Self { id, key: Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("the same") }
    }

    fn public(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.key.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": self.id, "x": x })
    }

    /// A token of that issuer, whose header says that beside.
    fn token_with(&self, issuer: &str, more: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let mut head = json!({ "alg": "EdDSA", "typ": "JWT", "kid": self.id });
        let more = more.as_object().expect("an object").clone();
        head.as_object_mut().expect("an object").extend(more);
        let rooms = json!({ "*": ["join", "send"] });
        let claims = json!({ "sub": "alice", "iss": issuer, "exp": now() + 3600, "rooms": rooms });
        let message = format!("{}.{}", part(&head), part(&claims));
        let signature = self.key.sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    fn token(&self) -> String {
        self.token_with(ISSUER, &json!({}))
    }
}

fn set(pairs: &[&Pair]) -> Reply {
    let keys: Vec<_> = pairs.iter().map(|pair| pair.public()).collect();
    Reply::Status(200, json!({ "keys": keys }).to_string())
}

type Rule = Box<dyn Fn() -> Reply + Send>;

/// An issuer whose answer a test changes as it goes.
fn issuer(first: impl Fn() -> Reply + Send + 'static) -> (Backend, Arc<Mutex<Rule>>) {
    let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Box::new(first)));
    let now = Arc::clone(&rule);
    let backend = Backend::start(move |asked| {
        assert!(asked.head.starts_with("GET /uproar?app=1 HTTP/1.1"), "{}", asked.head);
        now.lock().expect("no panic")()
    });
    (backend, rule)
}

fn change(rule: &Mutex<Rule>, to: impl Fn() -> Reply + Send + 'static) {
    *rule.lock().expect("no panic") = Box::new(to);
}

fn keys(entries: &[(&Backend, &str)]) -> String {
    let entry = |(backend, issuer): &(&Backend, &str)| {
        format!("{{issuer = \"{issuer}\", jwks_url = \"{}\"}}", backend.url())
    };
    format!("[{}]", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
}

fn server(keys: &str, settings: &[(&str, &str)]) -> Server {
    let mut all = vec![
        ("UPROAR_AUTH__MODES", "[\"token\"]"),
        ("UPROAR_AUTH__KEYS", keys),
        ("UPROAR_AUTH__JWKS_PAUSE_SECS", "1"),
        ("UPROAR_LIMITS__AUTH_FAILURES_PER_ADDRESS_MAX", "0"),
        ("UPROAR_LIMITS__HANDSHAKES_PER_ADDRESS_PER_SEC", "0"),
    ];
    all.extend_from_slice(settings);
    Server::start_with(&[], &all)
}

/// The status of a handshake with a token.
fn ask(server: &Server, token: &str) -> u16 {
    ask_at(server.address, token)
}

fn ask_at(address: SocketAddr, token: &str) -> u16 {
    let mut client = Client::raw(address);
    let request = request("/relay/a");
    let head = request.strip_suffix("\r\n").expect("its end");
    client.write(format!("{head}Authorization: Bearer {token}\r\n\r\n").as_bytes());
    let head = client.read_head();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    assert_eq!(status == 503, head.contains("retry-after: "), "{head}");
    status
}

fn fetches(server: &Server, result: &str) -> f64 {
    server.metric("uproar_key_fetches_total", &[&format!("result=\"{result}\"")])
}

fn tokens(server: &Server, result: &str) -> f64 {
    server.metric("uproar_tokens_total", &[&format!("result=\"{result}\"")])
}

#[test]
fn keys_change_and_old_ones_are_no_longer_good() {
    let (old, new) = (Pair::new("old"), Pair::new("new"));
    let (first, second) = (old.token(), new.token());
    let (both, only) =
        (json!({ "keys": [old.public(), new.public()] }), json!({ "keys": [new.public()] }));
    let (backend, rule) = issuer(move || set(&[&old]));
    // A key of the server's own that has no id may be any, and is none of the issuer's.
    let entries =
        keys(&[(&backend, ISSUER)]).replacen('[', &format!("[{{secret = \"{SECRET}\"}}, "), 1);
    let server = server(&entries, &[]);
    assert_eq!(ask(&server, &first), 101);
    let text = both.to_string();
    change(&rule, move || Reply::Status(200, text.clone()));
    wait_for("the new key is fetched", || (ask(&server, &second) == 101).then_some(()));
    assert_eq!(ask(&server, &first), 101);
    // Nobody names a key that is not known, so the next fetch is that of another server's interval.
    let text = only.to_string();
    change(&rule, move || Reply::Status(200, text.clone()));
    let refreshing =
        self::server(&keys(&[(&backend, ISSUER)]), &[("UPROAR_AUTH__JWKS_REFRESH_SECS", "1")]);
    assert_eq!((ask(&refreshing, &second), ask(&refreshing, &first)), (101, 401));
    refreshing.wait_for_metric("uproar_key_fetches_total", &["fetched"], |count| count >= 3.0);
}

#[test]
fn unknown_keys_make_no_storm_of_requests() {
    let known = Pair::new("known");
    let token = known.token();
    let (backend, _) = issuer(move || set(&[&known]));
    let patient = server(&keys(&[(&backend, ISSUER)]), &[("UPROAR_AUTH__JWKS_PAUSE_SECS", "3600")]);
    assert_eq!(ask(&patient, &token), 101);
    let stranger = Pair::new("stranger");
    let strange = stranger.token();
    storm(&patient, &strange);
    assert_eq!(backend.asked.try_iter().count(), 1, "it was fetched just before");
    let start = Instant::now();
    let quick = server(&keys(&[(&backend, ISSUER)]), &[]);
    for _ in 0..3 {
        storm(&quick, &strange);
        // Nobody else waits for any of it.
        assert_eq!(ask(&quick, &token), 101);
    }
    let most = start.elapsed().as_secs() as usize + 2;
    let asked = backend.asked.try_iter().count();
    assert!((1..=most).contains(&asked), "{asked} fetches, at most {most}");
    // A secret is never among them, whatever its token says of a key.
    let before = fetches(&patient, "fetched");
    let hmac = signed(&json!({ "sub": "alice", "exp": now() + 60, "iss": ISSUER }), SECRET);
    assert_eq!(ask(&patient, &hmac), 401);
    assert_eq!(fetches(&patient, "fetched"), before);
}

/// Many handshakes at once, all refused.
fn storm(server: &Server, token: &str) {
    let address = server.address;
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(move || (0..5).for_each(|_| assert_eq!(ask_at(address, token), 401)));
        }
    });
}

#[test]
fn without_keys_nobody_comes_in_and_with_them_they_hold() {
    let pair = Pair::new("1");
    let token = pair.token();
    let good = json!({ "keys": [pair.public()] }).to_string();
    let rules: Vec<Rule> = vec![
        Box::new(|| Reply::Status(500, String::new())),
        Box::new(|| Reply::Status(200, "<html>".into())),
        Box::new(|| Reply::Status(200, "{\"keys\": []}".into())),
        Box::new(move || {
            let many: Vec<_> = (0..101).map(|_| Pair::new("n").public()).collect();
            Reply::Status(200, json!({ "keys": many }).to_string())
        }),
        Box::new(|| Reply::Status(404, "{}".into())),
        Box::new(|| Reply::Endless),
        Box::new(|| {
            Reply::Raw(b"HTTP/1.1 302 Away\r\nlocation: http://127.0.0.1:1/\r\n\r\n".into())
        }),
        Box::new(|| Reply::Raw(b"what?".into())),
    ];
    let (backend, rule) = issuer(|| Reply::Hang);
    let entries = format!(
        "[{{id = \"own\", secret = \"{SECRET}\"}}, {}",
        keys(&[(&backend, ISSUER)]).strip_prefix('[').expect("a list")
    );
    let server = server(&entries, &[]);
    // Whoever comes while they are fetched waits for that, as long as it takes to give it up.
    assert_eq!(ask(&server, &token), 503);
    server.log_line(|line| {
        line["message"] == "keys cannot be fetched; those that are known hold"
            && line["key"] == "auth.keys[1]"
    });
    let own =
        signed(&json!({ "sub": "bob", "exp": now() + 60, "rooms": { "*": ["join"] } }), SECRET);
    for bad in rules {
        *rule.lock().expect("no panic") = bad;
        let so_far = fetches(&server, "failed") + fetches(&server, "invalid");
        let more =
            |server: &Server| fetches(server, "failed") + fetches(server, "invalid") > so_far;
        wait_for("another fetch", || more(&server).then_some(()));
        assert_eq!((ask(&server, &token), ask(&server, &own)), (503, 101));
    }
    assert_eq!(server.admin("/readyz").0, 200, "others come in all the while");
    assert!(tokens(&server, "keys_unavailable") >= 9.0);
    let text = good.clone();
    change(&rule, move || Reply::Status(200, text.clone()));
    wait_for("keys are fetched", || (ask(&server, &token) == 101).then_some(()));
    server.log_line(|line| line["message"] == "keys were fetched again");
    // From now on they hold, whatever becomes of the issuer.
    change(&rule, || Reply::Status(200, "{\"keys\": [{}]}".into()));
    let stranger = Pair::new("stranger").token();
    let invalid = fetches(&server, "invalid");
    wait_for("a fetch in vain", || {
        assert_eq!((ask(&server, &stranger), ask(&server, &token)), (401, 101));
        (fetches(&server, "invalid") > invalid).then_some(())
    });
    let sizes = server.metric("uproar_outbound_requests_total", &["keys", "too_large"]);
    assert_eq!(sizes, 1.0);
}

#[test]
fn a_key_is_good_for_its_issuer_and_its_algorithm_alone() {
    // Both call theirs the same.
    let (one, two) = (Pair::new("1"), Pair::new("1"));
    let (of_one, of_two) = (json!({ "keys": [one.public()] }), json!({ "keys": [two.public()] }));
    let (first, _) = issuer(move || Reply::Status(200, of_one.to_string()));
    let (second, _) = issuer(move || Reply::Status(200, of_two.to_string()));
    let elsewhere = Backend::start(|_| Reply::Hang);
    let server = server(&keys(&[(&first, ISSUER), (&second, OTHER)]), &[]);
    let none = json!({});
    assert_eq!(ask(&server, &one.token_with(ISSUER, &none)), 101);
    assert_eq!(ask(&server, &two.token_with(OTHER, &none)), 101);
    assert_eq!(ask(&server, &one.token_with(OTHER, &none)), 401);
    assert_eq!(ask(&server, &two.token_with(ISSUER, &none)), 401);
    assert_eq!(ask(&server, &two.token_with("https://nobody.example", &none)), 401);
    assert_eq!(tokens(&server, "issuer"), 3.0);
    // What a token says of where its key is, is not looked at.
    let url = elsewhere.url();
    let away = json!({ "jku": url, "x5u": url, "jwk": Pair::new("1").public(), "kid": "unknown" });
    assert_eq!(ask(&server, &Pair::new("1").token_with(ISSUER, &away)), 401);
    assert_eq!(elsewhere.connections(), 0);
    // The public key is no secret.
    let x = one.public()["x"].as_str().expect("text").to_owned();
    let claims = json!({ "sub": "alice", "exp": now() + 60, "iss": ISSUER });
    assert_eq!(ask(&server, &signed(&claims, &x)), 401);
    for algorithm in ["none", "ES256", "RS256", "HS256"] {
        let token = one.token_with(ISSUER, &json!({ "alg": algorithm }));
        assert_eq!(ask(&server, &token), 401, "{algorithm}");
    }
}

#[test]
fn a_chat_session_that_shows_a_token_is_told_to_come_again() {
    let pair = Pair::new("1");
    let (token, good) = (pair.token(), json!({ "keys": [pair.public()] }).to_string());
    let (backend, rule) = issuer(|| Reply::Status(503, String::new()));
    let server = server(&keys(&[(&backend, ISSUER)]), &[]);
    let hello = json!({ "type": "hello", "token": token });
    let mut client = Client::connect(server.address, "/chat");
    client.send(&hello.to_string());
    let error: Value = serde_json::from_str(client.next().text()).expect("JSON");
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("unavailable")));
    change(&rule, move || Reply::Status(200, good.clone()));
    server.wait_for_metric("uproar_key_fetches_total", &["fetched"], |count| count >= 1.0);
    assert_eq!(ChatClient::hello(client, &hello).user(), "alice");
}
