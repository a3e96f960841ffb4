//! What the server asks and tells over https: only whom an authority vouches for that it was told of, at each of its URLs.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use serde_json::json;
use support::backend::{Asked, Backend, Reply, SECRET};
use support::chat::ChatClient;
use support::client::{Client, request};
use support::server::Server;
use support::tls::{Authority, Files};

/// One of the URLs: how it is set, what is answered there, and what it takes to have it asked.
struct Use {
    purpose: &'static str,
    ca_file: &'static str,
    settings: fn(&str) -> Vec<(&'static str, String)>,
    reply: fn(&Asked) -> Reply,
    /// Whether it went as it should.
    provoke: fn(&Server) -> bool,
}

const USES: [Use; 4] = [
    Use {
        purpose: "connect",
        ca_file: "UPROAR_CALLBACKS__CA_FILE",
        settings: |url| {
            vec![
                ("UPROAR_AUTH__MODES", "[\"callback\"]".into()),
                ("UPROAR_CALLBACKS__CONNECT_URL", url.into()),
                ("UPROAR_CALLBACKS__SECRET", SECRET.into()),
            ]
        },
        reply: |_| {
            Reply::Status(200, json!({ "user": "a", "rooms": { "*": ["join"] } }).to_string())
        },
        provoke: |server| status(server, "") == 101,
    },
    Use {
        purpose: "publish",
        ca_file: "UPROAR_CALLBACKS__CA_FILE",
        settings: |url| {
            vec![
                ("UPROAR_CALLBACKS__PUBLISH_URL", url.into()),
                ("UPROAR_CALLBACKS__SECRET", SECRET.into()),
            ]
        },
        reply: |_| Reply::Status(204, String::new()),
        provoke: |server| {
            let mut alice = ChatClient::connect(server.address, "Alice");
            alice.join("hall");
            let id = alice.say("hall", &json!(1));
            alice.await_message(|message| message["client_id"] == id.as_str())["type"] != "error"
        },
    },
    Use {
        purpose: "webhooks",
        ca_file: "UPROAR_WEBHOOKS__CA_FILE",
        settings: |url| {
            vec![
                ("UPROAR_WEBHOOKS__URL", url.into()),
                ("UPROAR_WEBHOOKS__SECRET", SECRET.into()),
                ("UPROAR_WEBHOOKS__ALLOW_PRIVATE_NETWORKS", "true".into()),
            ]
        },
        reply: |_| Reply::Status(200, String::new()),
        provoke: |server| {
            let mut alice = ChatClient::connect(server.address, "Alice");
            alice.join("hall");
            alice.say("hall", &json!(1));
            server
                .wait_for_metric("uproar_outbound_requests_total", &["webhooks"], |all| all > 0.0);
            server.metric("uproar_webhook_events_total", &["delivered"]) > 0.0
        },
    },
    Use {
        purpose: "keys",
        ca_file: "UPROAR_AUTH__JWKS_CA_FILE",
        settings: |url| {
            let key = format!("[{{issuer = \"a\", jwks_url = \"{url}\"}}]");
            vec![("UPROAR_AUTH__MODES", "[\"token\"]".into()), ("UPROAR_AUTH__KEYS", key)]
        },
        reply: |_| {
            // The example of RFC 8037, appendix A.2.
            let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
            let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
            Reply::Status(200, json!({ "keys": [key] }).to_string())
        },
        // With a key the token is wrong, without one nobody can say.
        provoke: |server| {
            let token = "eyJhbGciOiJFZERTQSJ9.e30.AAAA";
            status(server, &format!("Authorization: Bearer {token}\r\n")) == 401
        },
    },
];

fn status(server: &Server, fields: &str) -> u16 {
    let mut client = Client::raw(server.address);
    let request = request("/relay/a");
    let head = request.strip_suffix("\r\n").expect("its end");
    client.write(format!("{head}{fields}\r\n").as_bytes());
    let head = client.read_head();
    head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status")
}

fn server(tested: &Use, url: &str, ca_file: Option<&str>) -> Server {
    let mut settings = (tested.settings)(url);
    settings.extend(ca_file.map(|file| (tested.ca_file, file.to_owned())));
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, &**value)).collect();
    Server::start_with(&[], &settings)
}

fn count(server: &Server, tested: &Use, result: &str) -> f64 {
    let labels = [format!("purpose=\"{}\"", tested.purpose), format!("result=\"{result}\"")];
    server.metric("uproar_outbound_requests_total", &[&labels[0], &labels[1]])
}

#[track_caller]
fn check_distrusted(tested: &Use, backend: &Backend, server: &Server) {
    assert!(!(tested.provoke)(server), "{}", tested.purpose);
    assert!(count(server, tested, "connect") >= 1.0, "{}", tested.purpose);
    assert_eq!(count(server, tested, "answered"), 0.0);
    assert!(backend.asked.try_recv().is_err(), "nothing was said to it");
}

#[test]
fn whom_the_authority_vouches_for_is_asked_and_told() {
    for tested in &USES {
        let (authority, files) = (Authority::new(), Files::new());
        files.write("ca.pem", &authority.certificate);
        let ca_file = files.path("ca.pem");
        let backend = Backend::secure(&authority.issue(), tested.reply);
        assert!(backend.url().starts_with("https://"));
        let server = server(tested, &backend.url(), ca_file.to_str());
        if tested.purpose == "webhooks" {
            (tested.provoke)(&server);
            server.wait_for_metric("uproar_webhook_events_total", &["delivered"], |all| all == 1.0);
        } else {
            assert!((tested.provoke)(&server), "{}", tested.purpose);
        }
        let asked = backend.next();
        assert!(tested.purpose == "keys" || asked.is_signed(SECRET), "{asked:?}");
        assert!(count(&server, tested, "answered") >= 1.0);
    }
}

#[test]
fn whom_nobody_vouches_for_is_neither_asked_nor_told() {
    for tested in &USES {
        let (authority, other, files) = (Authority::new(), Authority::new(), Files::new());
        files.write("other.pem", &other.certificate);
        files.write("ca.pem", &authority.certificate);
        let (wrong, right) = (files.path("other.pem"), files.path("ca.pem"));
        let backend = Backend::secure(&authority.issue(), tested.reply);
        // Another authority's word does not count, and neither does that of a name that is not on the certificate.
        check_distrusted(tested, &backend, &server(tested, &backend.url(), wrong.to_str()));
        let elsewhere = Backend::secure_at("127.0.0.2:0", &authority.issue(), tested.reply);
        let url = elsewhere.url();
        check_distrusted(tested, &elsewhere, &server(tested, &url, right.to_str()));
        // Who speaks no TLS is nobody.
        let plain = Backend::start(tested.reply);
        let url = plain.url().replace("http://", "https://");
        check_distrusted(tested, &plain, &server(tested, &url, right.to_str()));
    }
}
