//! The operator's endpoints.

use super::*;
use crate::exposition::Exposition;
use crate::gate::keys::{AccessKey, KeyHash, Keys};
use crate::http::{Admin, admin, serve_admin};

struct Operator {
    address: SocketAddr,
    readiness: Arc<Readiness>,
}

fn operate(test: impl AsyncFnOnce(Operator)) {
    serve(
        |_| {},
        async |server| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("an address");
            let readiness = Arc::new(Readiness::default());
            let admin = Admin {
                metrics: Exposition::new(server.metrics.clone()),
                readiness: Arc::clone(&readiness),
                keys: Keys::new(vec![scraper()]),
                tls: None,
            };
            tokio::spawn(serve_admin(listener, admin));
            test(Operator { address, readiness }).await;
        },
    );
}

/// What may scrape, by the key "secret".
fn scraper() -> AccessKey {
    format!("scraper:metrics:{}", KeyHash::of("secret")).parse().expect("a key")
}

impl Operator {
    async fn ask(&self, request: &str) -> String {
        let mut client = Client(TcpStream::connect(self.address).await.expect("it listens"));
        client.send(request).await;
        client.rest().await
    }

    async fn check(&self, line: &str, host: &str, status: u16, content: &str) {
        let answer = self
            .ask(&format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
            .await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(content),
            "{line} {host}: {answer}"
        );
    }
}

#[test]
fn a_key_opens_what_it_is_good_for_under_any_name() {
    operate(async |operator| {
        let check = async |path, key, status| {
            let lines = format!("Host: node1\r\nAuthorization: {key}\r\nConnection: close");
            let answer = operator.ask(&format!("GET {path} HTTP/1.1\r\n{lines}\r\n\r\n")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{key} {path}: {answer}");
            assert_eq!(answer.contains("www-authenticate: Bearer"), status == 401, "{answer}");
        };
        check("/metrics", "Bearer secret", 200).await;
        check("/metrics", "bearer secret", 200).await;
        check("/healthz", "Bearer secret", 403).await;
        let hash = format!("Bearer {}", KeyHash::of("secret"));
        for wrong in ["Bearer", "Bearer ", "Bearer Secret", "secret", "Basic secret", &hash] {
            check("/metrics", wrong, 401).await;
        }
    });
}

#[test]
fn endpoints() {
    operate(async |operator| {
        operator.check("GET /healthz", "localhost", 200, "\r\n\r\nok\n").await;
        operator
            .check(
                "GET /metrics",
                "127.0.0.1:9090",
                200,
                "text/plain; version=0.0.4; charset=utf-8",
            )
            .await;
        operator
            .check(
                "GET /metrics",
                "[::1]",
                200,
                "uproar_connections_refused_total{reason=\"silent\"} 0",
            )
            .await;
        operator.check("HEAD /metrics", "localhost", 200, "\r\n\r\n").await;
        operator.check("GET /", "localhost", 404, "nothing lives").await;
        operator.check("POST /metrics", "localhost", 405, "allow: GET, HEAD").await;
        operator.check("GET /metrics", "rebound.example", 403, "loopback").await;
        operator
            .check("GET /metrics", "localhost\r\nOrigin: https://evil.example", 403, "this machine")
            .await;
        operator.check("GET /metrics", "localhost\r\nHost: localhost", 400, "Host").await;
    });
}

#[test]
fn readiness_follows_the_phase() {
    operate(async |operator| {
        operator.check("GET /readyz", "localhost", 503, "\r\n\r\nstarting\n").await;
        operator.readiness.set(Phase::Ready);
        operator.check("GET /readyz", "localhost", 200, "\r\n\r\nok\n").await;
        operator.readiness.set(Phase::Draining);
        operator.check("GET /readyz", "localhost", 503, "\r\n\r\ndraining\n").await;
        operator.check("GET /healthz", "localhost", 200, "\r\n\r\nok\n").await;
    });
}

#[test]
fn a_scraper_keeps_its_connection() {
    operate(async |operator| {
        let mut client = Client(TcpStream::connect(operator.address).await.expect("it listens"));
        for _ in 0..3 {
            client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
            assert!(client.answer().await.starts_with("HTTP/1.1 200 "));
        }
    });
}

#[test]
fn connections_that_do_nothing_do_not_keep_the_operator_out_for_good() {
    operate(async |operator| {
        let mut idle = Vec::new();
        for _ in 0..admin::CONNECTIONS_MAX {
            idle.push(TcpStream::connect(operator.address).await.expect("it listens"));
        }
        // The next waits for a place, and one is free as soon as any of the others leaves.
        let mut client = Client(TcpStream::connect(operator.address).await.expect("it listens"));
        client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
        idle.pop();
        assert!(client.rest().await.starts_with("HTTP/1.1 200 "));
    });
}
