//! What the members of a room are told when somebody comes or goes: the message `presence`.

use serde::Serialize;

use crate::rooms::presence::{Event, Happening};

/// In the order of the wire.
#[derive(Serialize)]
struct Presence<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    room: &'a str,
    rev: u64,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    count: usize,
}

/// The text of the message that tells a room's members what happened there.
pub(crate) fn presence_text(room: &str, event: &Event) -> String {
    let (what, user, name) = match &event.what {
        Happening::Join { user, name } => ("join", Some(&**user), Some(&**name)),
        Happening::Leave { user, name } => ("leave", Some(&**user), Some(&**name)),
        Happening::Count => ("count", None, None),
    };
    let Event { rev, count, .. } = *event;
    let presence = Presence { kind: "presence", room, rev, event: what, user, name, count };
    // Texts and numbers always become JSON.
    serde_json::to_string(&presence).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::documented::schema;
    use super::*;

    #[test]
    fn texts() {
        let (user, name) = ("guest-1".into(), "\"Ann\"\\".into());
        let table = [
            (
                Happening::Join { user, name },
                r#"{"type":"presence","room":"a/\"b\"","rev":4,"event":"join","user":"guest-1","name":"\"Ann\"\\","count":3}"#,
            ),
            (
                Happening::Leave { user: "bob".into(), name: "Bob".into() },
                r#"{"type":"presence","room":"a/\"b\"","rev":4,"event":"leave","user":"bob","name":"Bob","count":3}"#,
            ),
            (
                Happening::Count,
                r#"{"type":"presence","room":"a/\"b\"","rev":4,"event":"count","count":3}"#,
            ),
        ];
        for (what, expected) in table {
            let event = Event { rev: 4, what, count: 3 };
            assert_eq!(presence_text("a/\"b\"", &event), expected);
            schema::check_server(&serde_json::from_str(expected).expect("JSON"));
        }
    }
}
