//! The files that are served, and to whom.

use super::{answers::check, *};

#[test]
fn pages() {
    serve(
        |_| {},
        async |server| {
            let mut client = server.connect().await;
            for (path, kind) in [
                ("/", "text/html"),
                ("/page.js", "text/javascript"),
                ("/page.css", "text/css"),
                ("/relay.html", "text/html"),
                ("/page/links.js", "text/javascript"),
                ("/uproar.js", "text/javascript"),
                ("/uproar.d.ts", "application/typescript"),
            ] {
                client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
                let page = client.answer().await;
                assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
                assert_eq!(
                    header(&page, "content-type"),
                    Some(format!("{kind}; charset=utf-8").as_str())
                );
                assert!(
                    header(&page, "content-security-policy")
                        .is_some_and(|policy| policy.contains("default-src 'none'"))
                );
                assert_eq!(header(&page, "x-content-type-options"), Some("nosniff"));
                assert_eq!(header(&page, "referrer-policy"), Some("no-referrer"));
                assert_eq!(header(&page, "cache-control"), Some("no-cache"));
                let length = header(&page, "content-length").map(str::to_owned);
                let etag = header(&page, "etag").expect("a tag").to_owned();

                client
                    .send(format!(
                        "GET {path} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {etag}\r\n\r\n"
                    ))
                    .await;
                let known = client.answer().await;
                assert!(known.starts_with("HTTP/1.1 304 "), "{known}");
                assert_eq!(header(&known, "etag"), Some(etag.as_str()));

                let head = server.exchange(format!(
                    "HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                ));
                let head = head.await;
                assert!(
                    head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"),
                    "{head}"
                );
                assert_eq!(header(&head, "content-length").map(str::to_owned), length);
            }
            drop(client);
            server.quiet().await;
            assert_eq!(server.refused("lost"), 0.0);
        },
    );
}

#[test]
fn no_pages_where_the_demo_is_not_shown() {
    serve(
        |options| options.demo = false,
        async |server| {
            check(
                &server,
                "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                (426, "upgrade: websocket", "upgrade_required"),
            )
            .await;
            check(
                &server,
                "GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n",
                (404, "", "not_found"),
            )
            .await;
        },
    );
}

#[test]
fn the_clients_module_is_for_pages_of_anywhere() {
    serve(
        |options| (options.demo, options.origin_rule) = (false, OriginRule::Any),
        async |server| {
            for (path, word) in
                [("/uproar.js", "export class Uproar "), ("/uproar.d.ts", "export class Uproar ")]
            {
                let request = format!(
                    "GET {path} HTTP/1.1\r\nHost: chat.example.com\r\n\
                     Origin: https://shop.example.com\r\nConnection: close\r\n\r\n"
                );
                let answer = server.exchange(request).await;
                assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
                assert_eq!(header(&answer, "access-control-allow-origin"), Some("*"));
                assert_eq!(header(&answer, "cross-origin-resource-policy"), Some("cross-origin"));
                assert!(answer.contains(word), "{path}");
            }
        },
    );
    serve(
        |_| {},
        async |server| {
            let request = "GET /page.js HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            let answer = server.exchange(request).await;
            assert_eq!(header(&answer, "access-control-allow-origin"), None, "the page is its own");
            assert_eq!(header(&answer, "cross-origin-resource-policy"), None);
        },
    );
}
