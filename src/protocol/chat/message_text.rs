//! A stored message as everyone reads it: one JSON object, its fields in a fixed order.

use std::io::Write;

use crate::log::Message;
use crate::rooms::conversation::View;

/// Appends `message` as those see it who look at its conversation through `view`.
///
/// The same object is a frame's whole text and an element of a list of messages. It begins with its type and its
/// position, so that these can be read without parsing the rest.
pub(crate) fn message_text(message: &Message, view: &View, out: &mut Vec<u8>) {
    let (field, name) = view.field();
    let Message { seq, prev, time, client_id, .. } = message;
    let kind = message.kind.name();
    // What is written to memory is always written.
    let _ = write!(out, r#"{{"type":"message","seq":{seq},"prev":{prev},"{field}":"#);
    string(name, out);
    out.extend_from_slice(br#","from":{"user":"#);
    string(&message.user, out);
    out.extend_from_slice(br#","name":"#);
    string(&message.name, out);
    let _ = write!(
        out,
        r#"}},"client_id":"{client_id}","time":{time},"kind":"{kind}","body":{}}}"#,
        message.body
    );
}

/// Appends a JSON string.
fn string(text: &str, out: &mut Vec<u8>) {
    // Neither text nor memory can fail to be written.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::kind::Kind;
    use crate::protocol::chat::ClientId;

    const ID: &str = "019aae5c-5d20-7abc-8def-0123456789ab";

    fn text(view: &View, name: &str) -> String {
        let message = Message {
            seq: 12,
            prev: 9,
            time: 1_764_000_000_000,
            user: "ada".into(),
            name: name.into(),
            client_id: ClientId::parse(ID).expect("a UUIDv7"),
            kind: Kind::Text,
            body: r#"{"text": "hi"}"#.into(),
        };
        let mut out = b"before".to_vec();
        message_text(&message, view, &mut out);
        String::from_utf8(out).expect("text").strip_prefix("before").expect("appended").to_owned()
    }

    #[test]
    fn the_fields_come_in_one_order() {
        let rest = format!(
            r#""from":{{"user":"ada","name":"Ada"}},"client_id":"{ID}","time":1764000000000,"kind":"text","body":{{"text": "hi"}}}}"#
        );
        assert_eq!(
            text(&View::room("lobby"), "Ada"),
            format!(r#"{{"type":"message","seq":12,"prev":9,"room":"lobby",{rest}"#)
        );
        assert_eq!(
            text(&View::direct("bob", "ada"), "Ada"),
            format!(r#"{{"type":"message","seq":12,"prev":9,"with":"ada",{rest}"#)
        );
    }

    #[test]
    fn names_cannot_break_out_of_their_strings() {
        let (room, name) = ("a\"b\\c</script>\u{2028}", "\"}\n\\\u{1}");
        let value: serde_json::Value =
            serde_json::from_str(&text(&View::room(room), name)).expect("JSON");
        assert_eq!(value["room"], room);
        assert_eq!(value["from"]["name"], name);
        assert_eq!(value["body"]["text"], "hi");
    }
}
