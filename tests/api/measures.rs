//! Bans and mutes hold when the server was stopped, and when it was killed.

use std::process::Command;

use serde_json::json;

use super::caller::{KEY, ask, get, keys};
use crate::support::client::Client;
use crate::support::data_dir::DataDir;
use crate::support::server::Server;
use crate::support::token;

fn start(data: &DataDir) -> Server {
    let (name, secret) = token::keys();
    let mut command = Command::new(env!("CARGO_BIN_EXE_uproar"));
    command
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir"])
        .arg(data.path())
        .env("UPROAR_API__KEYS", keys(&[("all", "publish,read,users,moderate", KEY)]))
        .env(name, secret)
        .env("UPROAR_AUTH__MODES", "[\"token\"]");
    Server::spawn(command)
}

fn status(server: &Server, user: &str) -> String {
    let token = token::token(user, &json!({"rooms": {"*": ["join"]}}));
    let mut client = Client::raw(server.address);
    let request = crate::support::client::request("/chat");
    let request =
        request.replace("\r\n\r\n", &format!("\r\nAuthorization: Bearer {token}\r\n\r\n"));
    client.write(request.as_bytes());
    client.read_head().split(' ').nth(1).expect("a status").to_owned()
}

#[test]
fn bans_and_mutes_outlive_the_server() {
    let data = DataDir::new();
    let server = start(&data);
    ask(&server, "POST", "/users/ann/ban", Some(json!({})), 200);
    ask(&server, "POST", "/users/bob/ban", Some(json!({"for_secs": 1})), 200);
    ask(&server, "POST", "/users/cid/mute", Some(json!({"for_secs": 1000})), 200);
    ask(&server, "POST", "/users/dan/ban", Some(json!({})), 200);
    ask(&server, "DELETE", "/users/dan/ban", None, 204);
    let before = ["ann", "cid"].map(|user| get(&server, &format!("/users/{user}")));
    assert_eq!(status(&server, "ann"), "403");
    server.kill();
    let mut server = start(&data);
    assert_eq!(["ann", "cid"].map(|user| get(&server, &format!("/users/{user}"))), before);
    assert_eq!([status(&server, "ann"), status(&server, "dan")], ["403", "101"]);
    crate::support::wait_for("bob's time is over", || {
        (status(&server, "bob") == "101").then_some(())
    });
    ask(&server, "DELETE", "/users/ann/ban", None, 204);
    server.signal("TERM");
    server.wait();
    let server = start(&data);
    assert_eq!(status(&server, "ann"), "101");
    assert_eq!(get(&server, "/users/cid"), before[1]);
    assert_eq!(
        get(&server, "/stats")["users_restricted"],
        json!({"ban": 0, "revocation": 0, "mute": 1})
    );
}

#[test]
fn a_broken_file_stops_the_start_and_says_where_it_is() {
    let data = DataDir::new();
    let path = data.path().join("measures.json");
    std::fs::write(&path, "[{").expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_uproar"))
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir"])
        .arg(data.path())
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(path.to_str().expect("text")), "{said}");
}
