//! Looking at rooms: which there are, what was said, who is there.

use serde_json::{Value, json};

use super::caller::{ask, enter, get, server};
use crate::support::chat::ChatClient;

#[test]
fn rooms_are_listed_page_by_page() {
    let server = server(&[]);
    // Users with conversations, which are no rooms.
    let mut ann = enter(&server, "ann");
    for room in ["team/b", "team/a", "x", "team/c"] {
        ann.join(room);
    }
    let names = |path: &str| {
        let page = get(&server, path);
        let rooms: Vec<_> = page["rooms"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|room| room["room"].clone())
            .collect();
        (Value::from(rooms), page["more"] == true)
    };
    assert_eq!(names("/rooms"), (json!(["team/a", "team/b", "team/c", "x"]), false));
    assert_eq!(names("/rooms?prefix=team%2F&limit=2"), (json!(["team/a", "team/b"]), true));
    assert_eq!(names("/rooms?prefix=team/&limit=2&after=team/b"), (json!(["team/c"]), false));
    assert_eq!(names("/rooms?prefix=y"), (json!([]), false));
}

#[test]
fn history_is_read_page_by_page_in_both_directions() {
    let server = server(&[]);
    let mut seqs = Vec::new();
    for number in 0..5 {
        let body = json!({"rooms": ["caf\u{e9} / 1"], "from": {"user": "shop"}, "body": number});
        let answer = ask(&server, "POST", "/publish", Some(body), 200);
        seqs.push(answer["results"][0]["seq"].as_u64().expect("a number"));
    }
    let room = "/rooms/caf%C3%A9%20%2F%201/history";
    let bodies = |query: String| {
        let page = get(&server, &format!("{room}{query}"));
        let messages = page["messages"].as_array().expect("a list").iter();
        let bodies: Vec<_> = messages.map(|message| message["body"].clone()).collect();
        (Value::from(bodies), page["more"] == true)
    };
    assert_eq!(bodies(String::new()), (json!([0, 1, 2, 3, 4]), false));
    assert_eq!(bodies("?limit=2".into()), (json!([3, 4]), true));
    assert_eq!(bodies(format!("?limit=2&before={}", seqs[3])), (json!([1, 2]), true));
    assert_eq!(bodies(format!("?limit=3&after={}", seqs[1])), (json!([2, 3, 4]), false));
    assert_eq!(bodies("?after=0&limit=1".into()), (json!([0]), true));
    ask(&server, "GET", &format!("{room}?before=1&after=1"), None, 422);
    ask(&server, "GET", &format!("{room}?limit=101"), None, 422);
    assert_eq!(get(&server, "/rooms/nobody/history")["messages"], json!([]));
}

#[test]
fn members_are_who_the_room_is_told_of() {
    let rules =
        "[{pattern = \"quiet\", presence = \"off\"}, {pattern = \"big\", presence = \"count\"}]";
    let server = server(&[("UPROAR_CHAT__ROOMS", rules)]);
    assert_eq!(get(&server, "/rooms/a/members")["count"], 0);
    let mut sessions: Vec<ChatClient> = ["ann", "bob", "cid", "ann"]
        .iter()
        .map(|user| {
            let mut session = enter(&server, user);
            ["a", "big", "quiet"].iter().for_each(|room| drop(session.join(room)));
            session
        })
        .collect();
    let members = get(&server, "/rooms/a/members");
    let mut users: Vec<_> =
        members["users"].as_array().expect("a list").iter().map(|user| &user["user"]).collect();
    users.sort_by_key(|user| user.to_string());
    assert_eq!((&members["count"], json!(users)), (&json!(3), json!(["ann", "bob", "cid"])));
    let counted = get(&server, "/rooms/big/members");
    assert_eq!((&counted["count"], counted.get("users")), (&json!(3), None));
    let problem = ask(&server, "GET", "/rooms/quiet/members", None, 409);
    assert_eq!(problem["code"], "presence_off");
    sessions.pop();
    assert_eq!(get(&server, "/rooms/a/members")["count"], 3, "ann is still there");
}

#[test]
fn a_server_without_chat_has_no_rooms_and_says_so() {
    let server = server(&[("UPROAR_CHAT__ENABLED", "false"), ("UPROAR_RELAY__ENABLED", "false")]);
    for path in ["/rooms", "/rooms/a/history", "/rooms/a/members"] {
        ask(&server, "GET", path, None, 404);
    }
    let body = json!({"rooms": ["a"], "from": {"user": "shop"}, "body": 1});
    ask(&server, "POST", "/publish", Some(body), 404);
    ask(&server, "POST", "/publish", Some(json!({"relay": ["a"], "text": "x"})), 404);
    assert_eq!(get(&server, "/stats")["rooms"], 0);
}
