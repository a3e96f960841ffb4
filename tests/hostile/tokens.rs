//! Tokens that are none, of somebody else, for another time or place, or a weapon: by every way that a token may come, each
//! lets nobody in, is counted as what it is, and costs no more than the reading of it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::arena::{Arena, closed, refused, tokens};
use crate::handshakes::{check_answer, exchange, with_fields};
use crate::support::chat::ChatClient;
use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::token::now;

const SECRET: &str = "the secret of the hostile tests, 32 bytes";
const OTHER: &str = "somebody else's secret, of 32 bytes, too";

/// A token, what it is, and what it has to be counted as.
struct Forged {
    what: &'static str,
    token: String,
    label: &'static str,
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn mac(message: &str, secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key will do");
    mac.update(message.as_bytes());
    encoded(mac.finalize().into_bytes())
}

/// That header and those claims, to the letter, under an HMAC.
fn signed(head: &str, claims: &str, secret: &str) -> String {
    let message = format!("{}.{}", encoded(head), encoded(claims));
    let signature = mac(&message, secret);
    format!("{message}.{signature}")
}

/// What a good token says, with those claims over it; those that are null are left out.
fn claims(over: &Value) -> String {
    let mut all = json!({
        "sub": "mallory", "exp": now() + 600, "aud": "here", "iss": "us",
        "rooms": {"*": ["join", "send"]},
    });
    let members = all.as_object_mut().expect("an object");
    members.extend(over.as_object().expect("an object").clone());
    members.retain(|_, value| !value.is_null());
    all.to_string()
}

/// A token of the server's own secret with those claims.
fn saying(over: &Value) -> String {
    signed(r#"{"alg":"HS256","kid":"ours"}"#, &claims(over), SECRET)
}

fn head(over: &Value) -> String {
    let mut all = json!({"alg": "HS256", "kid": "ours"});
    all.as_object_mut().expect("an object").extend(over.as_object().expect("an object").clone());
    all.to_string()
}

/// A server that takes tokens of a secret and of a public key, and guests, who are the neighbours.
fn server(dir: &std::path::Path, public: &str) -> Server {
    let (secret, pem) = (dir.join("secret"), dir.join("public.pem"));
    std::fs::write(&secret, SECRET).expect("it is written");
    std::fs::write(&pem, public).expect("it is written");
    let keys = format!(
        "[{{id = \"ours\", issuer = \"us\", secret_file = \"{}\"}}, \
         {{id = \"public\", issuer = \"us\", public_key_file = \"{}\"}}]",
        secret.display(),
        pem.display()
    );
    let settings = [
        ("UPROAR_AUTH__KEYS", &*keys),
        ("UPROAR_AUTH__MODES", "[\"token\", \"open\"]"),
        ("UPROAR_AUTH__AUDIENCE", "here"),
        ("UPROAR_AUTH__COOKIE", "session"),
        ("UPROAR_AUTH__QUERY_PARAMETER", "token"),
        ("UPROAR_ORIGINS__MISSING_ALLOWED", "true"),
        // All of them come from one address, which is the neighbours', too.
        ("UPROAR_LIMITS__AUTH_FAILURES_PER_ADDRESS_MAX", "0"),
        ("UPROAR_LIMITS__HANDSHAKES_PER_ADDRESS_PER_SEC", "0"),
        ("UPROAR_LIMITS__MESSAGES_PER_SEC", "0"),
        ("UPROAR_LIMITS__BYTES_PER_SEC", "0"),
    ];
    Server::start_with(&["--echo", "--shards", "2"], &settings)
}

/// Signed by the wrong hand, or in the wrong way.
fn signatures(public: &str) -> Vec<Forged> {
    let forged = |what, label, token| Forged { what, token, label };
    let good = claims(&json!({}));
    let unsigned =
        |alg: &str| format!("{}.{}.", encoded(head(&json!({"alg": alg}))), encoded(&good));
    let es256 = r#"{"alg":"ES256","kid":"public"}"#;
    let right = saying(&json!({}));
    let (message, signature) = right.rsplit_once('.').expect("three parts");
    let root = format!(
        "{}.{}.{signature}",
        encoded(head(&json!({}))),
        encoded(claims(&json!({"sub": "root"})))
    );
    vec![
        forged("alg none", "algorithm", unsigned("none")),
        forged("alg nOnE", "algorithm", unsigned("nOnE")),
        forged(
            "alg none, and signed",
            "algorithm",
            signed(&head(&json!({"alg": "none"})), &good, SECRET),
        ),
        forged("no signature", "signature", unsigned("HS256")),
        forged("HS384", "algorithm", signed(&head(&json!({"alg": "HS384"})), &good, SECRET)),
        forged(
            "the public key as a secret",
            "algorithm",
            signed(r#"{"alg":"HS256","kid":"public"}"#, &good, public),
        ),
        forged("the same without a kid", "signature", signed(r#"{"alg":"HS256"}"#, &good, public)),
        forged("an HMAC for a signature", "signature", signed(es256, &good, public)),
        forged(
            "zeros for a signature",
            "signature",
            format!("{}.{}.{}", encoded(es256), encoded(&good), encoded([0; 64])),
        ),
        forged(
            "ES256 by the secret's name",
            "algorithm",
            signed(&head(&json!({"alg": "ES256"})), &good, SECRET),
        ),
        forged("somebody else's secret", "signature", signed(&head(&json!({})), &good, OTHER)),
        forged("no secret at all", "signature", signed(&head(&json!({})), &good, "")),
        forged("another's signature", "signature", root),
        forged("half a signature", "signature", format!("{message}.{}", &signature[..20])),
        forged("two signatures", "malformed", format!("{right}.{signature}")),
    ]
}

/// What leads to a key.
fn keys() -> Vec<Forged> {
    let of = |what, label, over: Value, secret: &str| {
        let token = signed(&head(&over), &claims(&json!({})), secret);
        Forged { what, token, label }
    };
    let key = json!({"kty": "oct", "k": encoded(OTHER)});
    vec![
        of("kid of nobody", "unknown_key", json!({"kid": "nobody"}), SECRET),
        of("kid that is a path", "unknown_key", json!({"kid": "../../../../dev/null"}), ""),
        of("kid that is SQL", "unknown_key", json!({"kid": "x' union select 'secret"}), "secret"),
        of("kid that is a command", "unknown_key", json!({"kid": "ours|reboot"}), SECRET),
        of("kid with a zero", "unknown_key", json!({"kid": "ours\u{0}"}), SECRET),
        of("kid of 4,000 letters", "unknown_key", json!({"kid": "k".repeat(4000)}), SECRET),
        of("kid that is a number", "malformed", json!({"kid": 0}), SECRET),
        of("kid that is a list", "malformed", json!({"kid": ["ours"]}), SECRET),
        of("a key of its own", "signature", json!({"jwk": key}), OTHER),
        of(
            "addresses of keys",
            "signature",
            json!({"jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/"}),
            OTHER,
        ),
        of("an extension", "malformed", json!({"crit": ["b64"], "b64": false}), SECRET),
        of("alg that is a list", "malformed", json!({"alg": ["HS256"]}), SECRET),
    ]
}

/// Signed rightly, with claims that do not hold here and now.
fn contents() -> Vec<Forged> {
    let of = |what, label, over: Value| Forged { what, token: saying(&over), label };
    let text = |what, label, claims: String| Forged {
        what,
        token: signed(&head(&json!({})), &claims, SECRET),
        label,
    };
    let later = now() + 600;
    vec![
        of("expired", "expired", json!({"exp": now() - 3600})),
        of("before 1970", "expired", json!({"exp": -1})),
        of("not yet", "not_yet_valid", json!({"nbf": now() + 3600})),
        of("without an end", "no_expiry", json!({"exp": null})),
        of("an end in words", "claims", json!({"exp": later.to_string()})),
        text(
            "an end beyond numbers",
            "claims",
            format!(r#"{{"sub":"m","aud":"here","iss":"us","exp":1{}}}"#, "0".repeat(400)),
        ),
        of("for somebody else", "audience", json!({"aud": ["there", "elsewhere"]})),
        of("for nobody", "audience", json!({"aud": null})),
        of("from somebody else", "issuer", json!({"iss": "them"})),
        of("from nobody", "issuer", json!({"iss": null})),
        text(
            "two subjects",
            "claims",
            format!(r#"{{"sub":"m","sub":"root","aud":"here","iss":"us","exp":{later}}}"#),
        ),
        text("no object", "claims", "[]".to_owned()),
        of("nobody", "claims", json!({"sub": null})),
        of("a guest", "claims", json!({"sub": "guest-1"})),
        of("a name that deceives", "claims", json!({"sub": "a\u{202e}b"})),
        of("a right that there is not", "grant", json!({"rooms": {"*": ["fly"]}})),
        of(
            "a hundred and one patterns",
            "grant",
            json!({"rooms": (0..101).map(|n| (n.to_string(), json!(["join"]))).collect::<serde_json::Map<_, _>>()}),
        ),
        text(
            "depth",
            "claims",
            format!(
                r#"{{"sub":"m","aud":"here","iss":"us","exp":{later},"rooms":{}{}}}"#,
                "[".repeat(2000),
                "]".repeat(2000)
            ),
        ),
        of("8 KiB", "too_long", json!({"padding": "x".repeat(6200)})),
    ]
}

/// What is no token; by the field and by `hello`, since a path cannot have all of it.
fn noise() -> Vec<Forged> {
    let of = |what, label, token: &str| Forged { what, token: token.to_owned(), label };
    let deep = format!("{}.e30.x", encoded("[".repeat(3000)));
    vec![
        of("one dot", "malformed", "."),
        of("dots", "malformed", "....."),
        of("three letters", "malformed", "a.b.c"),
        of("base64 of another kind", "malformed", "e30=.e30=.e30="),
        of("a header of brackets", "malformed", &deep),
        of("a header that is not text", "malformed", &format!("{}.e30.x", encoded([0xff; 40]))),
        of("12,000 letters", "too_long", &"x".repeat(12_000)),
    ]
}

/// How often a token is shown to the door, and what does that.
type Door = (usize, fn(&Server, &str));

/// Shows it by the one way that can have any letter: 401.
fn by_the_field(server: &Server, token: &str) {
    let field = format!("Authorization: Bearer {token}\r\n");
    check_answer(server, with_fields("/relay/a", &field).as_bytes(), 401);
}

/// Shows it by each way that a handshake has: 401.
fn at_the_door(server: &Server, token: &str) {
    by_the_field(server, token);
    let fields = [
        format!("Cookie: session={token}\r\n"),
        format!("Sec-WebSocket-Protocol: uproar.token, uproar.token.{token}\r\n"),
    ];
    for field in &fields {
        check_answer(server, with_fields("/relay/a", field).as_bytes(), 401);
    }
    let path = format!("/chat?token={token}");
    check_answer(server, with_fields(&path, "").as_bytes(), 401);
}

/// Shows it to the chat: it is told so and closed, and at `refresh` it changes nothing.
fn in_the_chat(server: &Server, token: &str) {
    let mut client = Client::connect(server.address, "/chat");
    client.send(&json!({"type": "hello", "token": token}).to_string());
    let error: Value = serde_json::from_slice(&client.next().payload).expect("JSON");
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("bad_token")));
    let frames = client.rest();
    assert_eq!(frames.last().expect("a Close").close_code(), 4401);

    let hello = json!({"type": "hello", "token": saying(&json!({}))});
    let mut session = ChatClient::hello(Client::connect(server.address, "/chat"), &hello);
    session.send(&json!({"type": "refresh", "token": token}));
    assert_eq!(session.await_type("error")["code"], "bad_token");
    assert_eq!(session.user(), "mallory");
    session.join("a");
}

/// Shows each of them, by those ways of a handshake and to the chat.
fn show(arena: &mut Arena, what: &str, corpus: &[Forged], (ways, door): Door) {
    let counts =
        [refused("bad_token", ways * corpus.len()), closed("unauthenticated", corpus.len())];
    arena.case(what, &counts, |server| {
        for Forged { what, token, label } in corpus {
            let counted = tokens(label, ways + 2);
            let before = counted.now(server);
            door(server, token);
            in_the_chat(server, token);
            assert_eq!(counted.now(server) - before, ways + 2, "{what}: {label}");
        }
    });
}

#[test]
fn tokens_of_every_wrong_kind() {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let public = key.public_key_pem();
    let mut arena = Arena::around(server(dir.path(), &public));
    show(&mut arena, "signed by the wrong hand", &signatures(&public), (4, at_the_door));
    show(&mut arena, "other keys", &keys(), (4, at_the_door));
    show(&mut arena, "claims that do not hold", &contents(), (4, at_the_door));
    show(&mut arena, "no tokens at all", &noise(), (1, by_the_field));
}

#[test]
fn floods_of_tokens() {
    let dir = tempfile::tempdir().expect("a directory can be made");
    let public = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key").public_key_pem();
    let mut arena = Arena::around(server(dir.path(), &public));
    let es256 = r#"{"alg":"ES256","kid":"public"}"#;
    let costly = format!("{}.{}.{}", encoded(es256), encoded(claims(&json!({}))), encoded([7; 64]));
    let counts = [refused("bad_token", 1000), tokens("signature", 1000)];
    arena.case("1,000 signatures to be computed", &counts, |server| {
        let field = format!("Authorization: Bearer {costly}\r\n");
        let request = with_fields("/relay/a", &field);
        let address = server.address;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..250 {
                        assert!(exchange(address, request.as_bytes()).starts_with("HTTP/1.1 401 "));
                    }
                });
            }
        });
    });
    // A request that can be read takes a little off what a wrong one costs, so that it is some more than 65.
    let counts = [tokens("too_long", 74), closed("handler", 1)];
    arena.case("refreshes without end", &counts, |server| {
        let hello = json!({"type": "hello", "token": saying(&json!({}))});
        let mut session = ChatClient::hello(Client::connect(server.address, "/chat"), &hello);
        let long = json!({"type": "refresh", "token": "x".repeat(60_000)}).to_string();
        for _ in 0..74 {
            session.client.send(&long);
        }
        assert_eq!(session.client.rest().last().expect("a Close").close_code(), 4400);
    });
}
