//! Who is answered, and what of what they send: keys, scopes, methods, bodies, bounds.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::json;

use super::caller::{KEY, Request, ask, get, keys, server};
use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::{PATIENCE, pause};

const OLD: &str = "uproar_key_old";
const NEW: &str = "uproar_key_new";

fn status(server: &Server, request: &Request<'_>) -> u16 {
    request.send(server.address).status
}

#[test]
fn without_keys_there_is_no_api() {
    let server = Server::start(&[]);
    let (status, body) = crate::support::server::get(server.address, "/api/v1/stats");
    assert_eq!((status, &*body), (404, "nothing lives at this path\n"));
}

#[test]
fn nobody_is_answered_without_a_key_and_nobody_beyond_its_scopes() {
    let keys = keys(&[("old", "read", OLD), ("new", "publish,users", NEW)]);
    let server = Server::start_with(&[], &[("UPROAR_API__KEYS", &keys)]);
    for path in ["/stats", "/openapi.json", "/nowhere", "/users/ann/ban", ""] {
        let hash = uproar::config::KeyHash::of(OLD).to_string();
        for wrong in ["", "x", &hash, &OLD[1..], &format!("{OLD}x")] {
            let answer = Request::new("GET", path).key(wrong).send(server.address);
            assert_eq!(answer.status, 401, "{path} {wrong}");
            assert_eq!(answer.body["code"], "no_key");
            assert_eq!(answer.fields["www-authenticate"], "Bearer realm=\"uproar-api\"");
        }
        let none = Request { fields: Vec::new(), ..Request::new("GET", path) };
        assert_eq!(status(&server, &none), 401);
        let two = Request::new("GET", path).key(OLD).field(&format!("Authorization: Bearer {NEW}"));
        assert_eq!(status(&server, &two), 401);
    }
    let with = |method, path, key| status(&server, &Request::new(method, path).key(key));
    assert_eq!(with("GET", "/stats", OLD), 200);
    assert_eq!(with("GET", "/stats", NEW), 403);
    assert_eq!(with("DELETE", "/users/ann/ban", OLD), 403);
    assert_eq!(with("DELETE", "/users/ann/ban", NEW), 204);
    assert_eq!(with("POST", "/publish", OLD), 403);
    for key in [OLD, NEW] {
        assert_eq!(with("GET", "/openapi.json", key), 200, "both hold at once");
    }
    let page = server.admin("/metrics").1;
    assert!(!page.contains(OLD) && !page.contains(NEW), "no key in the metrics");
    let refused = ["route=\"/users/{user}/ban\"", "status=\"401\""];
    assert_eq!(server.metric("uproar_api_requests_total", &refused), 7.0);
    assert_eq!(
        server.metric("uproar_api_requests_total", &["route=\"none\"", "status=\"401\""]),
        14.0
    );
}

#[test]
fn who_guesses_keys_is_turned_away_for_a_while() {
    let settings = [("UPROAR_LIMITS__AUTH_FAILURES_PER_ADDRESS_MAX", "3")];
    let server = server(&settings);
    let guess = Request::new("GET", "/stats").key("uproar_key_guessed");
    // So many may fail, and the one that is too many.
    for _ in 0..4 {
        assert_eq!(status(&server, &guess), 401);
    }
    let mut client = Client::raw(server.address);
    client.write(b"GET /api/v1/stats HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = client.read_head();
    assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
}

#[test]
fn a_foreign_page_is_not_answered_even_with_a_key() {
    let server = server(&[]);
    let request = Request::new("GET", "/stats").field("Origin: https://evil.example");
    let answer = request.send(server.address);
    assert_eq!(answer.status, 403);
    assert!(answer.fields.keys().all(|name| !name.starts_with("access-control-")), "{answer:?}");
}

#[test]
fn methods_and_paths() {
    let server = server(&[]);
    let answer = |method, path| Request::new(method, path).send(server.address);
    for path in ["", "/", "/x", "/rooms/", "/rooms/a/b/history", "/users/ann/ban/", "/Stats"] {
        assert_eq!(answer("GET", path).status, 404, "{path}");
    }
    let wrong = answer("PUT", "/users/ann/ban");
    assert_eq!((wrong.status, &*wrong.fields["allow"]), (405, "POST, DELETE, OPTIONS"));
    assert_eq!(answer("POST", "/stats").fields["allow"], "GET, HEAD, OPTIONS");
    let options = answer("OPTIONS", "/rooms");
    assert_eq!((options.status, &*options.fields["allow"]), (204, "GET, HEAD, OPTIONS"));
    assert!(options.fields.keys().all(|name| !name.starts_with("access-control-")));
    let head = answer("HEAD", "/stats");
    assert_eq!((head.status, head.body), (200, json!(null)));
    assert!(head.fields["content-length"].parse::<u64>().expect("a number") > 10);
}

#[test]
fn bodies_are_read_strictly() {
    let server = server(&[("UPROAR_API__BODY_BYTES_MAX", "2000")]);
    let post = |text: &str| Request::new("POST", "/users/ann/mute").text(text);
    for (text, expected) in [
        ("{}", 200),
        (" {\"for_secs\": 5}\n", 200),
        ("{\"for_secs\": 5.0}", 200),
        ("", 400),
        ("{", 400),
        ("{}{}", 400),
        ("{\"for_secs\": 5,}", 400),
        ("null", 422),
        ("[5]", 422),
        ("{\"for_secs\": null}", 422),
        ("{\"for_secs\": 0}", 422),
        ("{\"for_secs\": 5.5}", 422),
        ("{\"for_secs\": \"5\"}", 422),
        ("{\"for_secs\": 99999999999999999999}", 422),
        ("{\"for_secs\": 5, \"for_secs\": 5}", 422),
        ("{\"forever\": true}", 422),
    ] {
        assert_eq!(status(&server, &post(text)), expected, "{text}");
    }
    let large = format!("{{{}}}", " ".repeat(1999));
    assert_eq!(status(&server, &post(&large)), 413);
    let mut bytes = post("{}");
    bytes.body = Some(vec![b'{', 0xff, b'}']);
    assert_eq!(status(&server, &bytes), 400);
    for kind in ["text/plain", "application/json; charset=latin-1", "application/jsonp"] {
        let mut request = post("{}");
        request.fields[1] = format!("Content-Type: {kind}");
        assert_eq!(status(&server, &request), 415, "{kind}");
    }
    let mut request = post("{}");
    request.fields[1] = "content-type: Application/JSON; charset=UTF-8".to_owned();
    assert_eq!(status(&server, &request), 200);
    let mut with_body = Request::new("GET", "/stats");
    with_body.body = Some(b"{}".to_vec());
    assert_eq!(status(&server, &with_body), 400);
    for path in ["/stats?x=1", "/rooms?limit=0", "/rooms?limit=a", "/rooms?limit=1&limit=1"] {
        assert_eq!(status(&server, &Request::new("GET", path)), 422, "{path}");
    }
    assert_eq!(status(&server, &Request::new("GET", "/users/%zz")), 400);
    assert_eq!(status(&server, &Request::new("GET", "/users/%ff")), 400);
    assert_eq!(status(&server, &Request::new("GET", "/users/%00")), 422);
    assert_eq!(status(&server, &Request::new("GET", "/rooms/%2e%2e/history")), 422);
}

/// Chunks that add up to too much, without ever saying so.
#[test]
fn a_body_of_unknown_length_is_bounded_too() {
    let server = server(&[("UPROAR_API__BODY_BYTES_MAX", "2000")]);
    let mut client = Client::raw(server.address);
    let head = format!(
        "POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    client.write(head.as_bytes());
    client.write(format!("7d1\r\n{}\r\n", " ".repeat(2001)).as_bytes());
    assert!(client.read_head().starts_with("HTTP/1.1 413 "));
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let server = server(&[("UPROAR_API__REQUEST_TIMEOUT_SECS", "1")]);
    let mut client = Client::raw(server.address);
    let head = format!(
        "POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{{"
    );
    client.write(head.as_bytes());
    assert!(client.read_head().starts_with("HTTP/1.1 408 "));
}

/// A client that asks whether it may send its body is told to, at once.
#[test]
fn a_body_is_asked_for() {
    let server = server(&[]);
    let mut client = Client::raw(server.address);
    let head = format!(
        "POST /api/v1/users/ann/mute HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    );
    client.write(head.as_bytes());
    assert!(client.read_head().starts_with("HTTP/1.1 100 "));
    client.write(b"{}");
    assert!(client.read_head().starts_with("HTTP/1.1 200 "));
}

/// Longer than a handshake may take.
#[test]
fn a_connection_with_a_key_serves_request_after_request() {
    let server = server(&[("UPROAR_LIMITS__HANDSHAKE_TIMEOUT_SECS", "1")]);
    let mut client = Client::raw(server.address);
    for _ in 0..3 {
        assert_eq!(Request::new("GET", "/stats").send_over(&mut client).status, 200);
        pause(std::time::Duration::from_millis(700));
    }
    assert_eq!(Request::new("GET", "/nowhere").send_over(&mut client).status, 404);
    assert_eq!(Request::new("GET", "/stats").send_over(&mut client).status, 200);
    // Who shows none is sent away.
    let mut stranger = TcpStream::connect(server.address).expect("the server accepts");
    stranger.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stranger
        .write_all(b"GET /api/v1/stats HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("it takes bytes");
    let mut answer = String::new();
    stranger.read_to_string(&mut answer).expect("a proper end");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[test]
fn a_key_that_asks_too_often_is_told_so_and_others_are_not() {
    let keys = keys(&[("one", "read", OLD), ("other", "read", NEW)]);
    let server = Server::start_with(
        &[],
        &[
            ("UPROAR_API__KEYS", &keys),
            ("UPROAR_API__REQUESTS_PER_SEC", "1"),
            ("UPROAR_API__REQUESTS_BURST", "3"),
        ],
    );
    let mut answers = (0..20).map(|_| Request::new("GET", "/stats").key(OLD).send(server.address));
    let refused = answers.find(|answer| answer.status == 429).expect("20 are too many");
    assert!(refused.fields["retry-after"].parse::<u64>().expect("a number") >= 1);
    assert_eq!(status(&server, &Request::new("GET", "/stats").key(NEW)), 200);
}

#[test]
fn requests_that_are_being_answered_are_bounded() {
    let server = server(&[("UPROAR_API__REQUESTS_IN_FLIGHT_MAX", "1")]);
    let mut slow = Client::raw(server.address);
    let head = format!(
        "POST /api/v1/users/ann/mute HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    );
    slow.write(head.as_bytes());
    // It is being read, so it has its place.
    assert!(slow.read_head().starts_with("HTTP/1.1 100 "));
    let busy = Request::new("GET", "/stats").send(server.address);
    assert_eq!((busy.status, &busy.body["code"]), (503, &json!("unavailable")));
    slow.write(b"{}");
    assert!(slow.read_head().starts_with("HTTP/1.1 200 "));
    assert_eq!(get(&server, "/stats")["shards"], 2);
}

#[test]
fn what_is_cut_off_leaves_nothing_behind() {
    let server = server(&[("UPROAR_API__REQUESTS_IN_FLIGHT_MAX", "2")]);
    for _ in 0..5 {
        let mut client = Client::raw(server.address);
        let head = format!(
            "POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\
             Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{{"
        );
        client.write(head.as_bytes());
        client.stream.shutdown(Shutdown::Both).expect("it was open");
    }
    server.wait_for_metric("uproar_handshakes_pending", &[], |pending| pending == 0.0);
    assert_eq!(ask(&server, "GET", "/rooms", None, 200)["more"], false);
}
