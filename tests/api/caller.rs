//! A program with a key: it asks, and holds each answer to the document that describes the API.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::LazyLock;

use serde_json::{Value, json};
use uproar::config::KeyHash;

use crate::support::PATIENCE;
use crate::support::chat::ChatClient;
use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::token;

/// Good for everything.
pub(crate) const KEY: &str = "uproar_key_of_the_tests_that_is_good_for_everything";

/// The document as it is in the repository.
pub(crate) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../src/http/api/openapi.json")).expect("JSON")
});

/// The setting with these keys: name, scopes, key.
pub(crate) fn keys(keys: &[(&str, &str, &str)]) -> String {
    let entry = |(name, scopes, key): &(&str, &str, &str)| {
        format!("\"{name}:{scopes}:{}\"", KeyHash::of(key))
    };
    format!("[{}]", keys.iter().map(entry).collect::<Vec<_>>().join(","))
}

/// A server that takes [`KEY`], and users by token beside guests.
pub(crate) fn server(settings: &[(&str, &str)]) -> Server {
    let (name, secret) = token::keys();
    let api = keys(&[("all", "publish,read,users,moderate", KEY)]);
    let mut all = vec![
        ("UPROAR_API__KEYS", &*api),
        (name, &*secret),
        ("UPROAR_AUTH__MODES", "[\"token\", \"open\"]"),
        // The tests are one address that does everybody's part.
        ("UPROAR_LIMITS__AUTH_FAILURES_PER_ADDRESS_MAX", "0"),
        ("UPROAR_LIMITS__HANDSHAKES_PER_ADDRESS_PER_SEC", "0"),
    ];
    all.extend(settings);
    Server::start_with(&["--shards", "2"], &all)
}

/// A session of a user who may do everything.
pub(crate) fn enter(server: &Server, user: &str) -> ChatClient {
    enter_at(server.address, user)
}

pub(crate) fn enter_at(address: SocketAddr, user: &str) -> ChatClient {
    let rights = json!({"*": ["join", "send", "signal", "history", "members"]});
    let token = token::token(user, &json!({"rooms": rights, "direct": true}));
    ChatClient::hello(Client::connect(address, "/chat"), &json!({"type": "hello", "token": token}))
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: BTreeMap<String, String>,
    /// Null where there is none.
    pub(crate) body: Value,
}

/// A request that is sent as it is put together here.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// Below the prefix.
    pub(crate) path: &'a str,
    pub(crate) fields: Vec<String>,
    pub(crate) body: Option<Vec<u8>>,
}

impl<'a> Request<'a> {
    /// With [`KEY`] and no body.
    pub(crate) fn new(method: &'a str, path: &'a str) -> Self {
        Self { method, path, fields: vec![format!("Authorization: Bearer {KEY}")], body: None }
    }

    /// With this text, said to be JSON.
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.body = Some(text.into());
        self.field("Content-Type: application/json")
    }

    pub(crate) fn field(mut self, field: &str) -> Self {
        self.fields.push(field.to_owned());
        self
    }

    /// In place of [`KEY`].
    pub(crate) fn key(mut self, key: &str) -> Self {
        self.fields[0] = format!("Authorization: Bearer {key}");
        self
    }

    fn bytes(&self, more: &str) -> Vec<u8> {
        let Self { method, path, fields, body } = self;
        let mut head = format!("{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\n{more}");
        fields.iter().for_each(|field| head.push_str(&format!("{field}\r\n")));
        if let Some(body) = body {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        let mut bytes = format!("{head}\r\n").into_bytes();
        bytes.extend_from_slice(body.as_deref().unwrap_or_default());
        bytes
    }

    /// Sends it over a connection of its own.
    #[track_caller]
    pub(crate) fn send(&self, address: SocketAddr) -> Answer {
        let mut stream = TcpStream::connect(address).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        // It may be refused before it is read to its end.
        let _ = stream.write_all(&self.bytes("Connection: close\r\n"));
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("a proper end");
        self.examine(&String::from_utf8(bytes).expect("text"))
    }

    /// Sends it over a connection that goes on.
    #[track_caller]
    pub(crate) fn send_over(&self, client: &mut Client) -> Answer {
        client.write(&self.bytes(""));
        let head = client.read_head();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
        let body = client.read_bytes(length);
        self.examine(&(head + &String::from_utf8(body).expect("text")))
    }

    /// Takes the answer apart, and fails where it is none that the document has.
    #[track_caller]
    fn examine(&self, text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let field = |line: &str| {
            let (name, value) = line.split_once(": ").expect("a field");
            (name.to_owned(), value.to_owned())
        };
        let body = match body {
            "" => Value::Null,
            body => serde_json::from_str(body).expect("JSON"),
        };
        let answer =
            Answer { status: status.expect("a status"), fields: lines.map(field).collect(), body };
        check(self.method, self.path, &answer);
        answer
    }
}

/// Fails where an answer is none that the document has for this.
#[track_caller]
fn check(method: &str, path: &str, answer: &Answer) {
    let status = answer.status.to_string();
    let operation = operation(method, path);
    let documented = match operation {
        Some(operation) => &operation["responses"][&status],
        // What is not in the document is no path or no method.
        None => &DOCUMENT["components"]["responses"][&status],
    };
    let documented = match documented["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(&reference[1..]).expect("it is there"),
        None => documented,
    };
    if method == "OPTIONS" && answer.status == 204 {
        return;
    }
    assert!(documented.is_object(), "{method} {path}: {status} is not documented: {answer:?}");
    for (name, _) in documented["headers"].as_object().into_iter().flatten() {
        assert!(answer.fields.contains_key(&name.to_lowercase()), "{name}: {answer:?}");
    }
    let Some(content) = documented["content"].as_object() else {
        assert_eq!(answer.body, Value::Null, "{method} {path}");
        return;
    };
    let (kind, schema) = content.iter().next().expect("a type");
    assert_eq!(answer.fields.get("content-type"), Some(kind), "{method} {path}");
    if method == "HEAD" {
        return;
    }
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "allOf": [schema["schema"]],
        "components": DOCUMENT["components"],
    });
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let errors: Vec<_> = validator
        .iter_errors(&answer.body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{method} {path}: {}\n{}", answer.body, errors.join("\n"));
    if answer.status >= 400 {
        assert_eq!(answer.body["status"], answer.status);
    }
}

/// What the document says of this.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next().unwrap_or_default();
    let method = if method == "HEAD" { "get".to_owned() } else { method.to_lowercase() };
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let is_it = |template: &str| {
        let (template, path): (Vec<_>, Vec<_>) =
            (template.split('/').collect(), path.split('/').collect());
        template.len() == path.len()
            && template.iter().zip(&path).all(|(of_template, of_path)| {
                of_template == of_path || of_template.starts_with('{') && !of_path.is_empty()
            })
    };
    let found = paths.iter().find(|(template, _)| is_it(template))?.1;
    found.get(&method)
}

/// Asks with [`KEY`]; what comes back must have that status.
#[track_caller]
pub(crate) fn ask(
    server: &Server,
    method: &str,
    path: &str,
    body: Option<Value>,
    status: u16,
) -> Value {
    let request = Request::new(method, path);
    let request = match body {
        Some(body) => request.text(&body.to_string()),
        None => request,
    };
    let answer = request.send(server.address);
    assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
    answer.body
}

#[track_caller]
pub(crate) fn get(server: &Server, path: &str) -> Value {
    ask(server, "GET", path, None, 200)
}
