//! What the application is asked about a message.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::log::{Draft, Millis};

#[derive(Serialize)]
struct Question<'a> {
    event: &'static str,
    from: Author<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    /// The other end of a direct conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    with: Option<&'a str>,
    client_id: String,
    time: Millis,
    body: &'a RawValue,
}

#[derive(Serialize)]
struct Author<'a> {
    user: &'a str,
    name: &'a str,
}

/// The question as JSON, put at that time; `None` of what is no message, which no session sends.
pub(super) fn json(draft: &Draft, time: Millis) -> Option<Vec<u8>> {
    let view = &draft.origin.view;
    let question = Question {
        event: "publish",
        from: Author { user: &draft.author.user, name: &draft.author.name },
        room: view.ends().is_none().then(|| view.name()),
        with: view.ends().map(|(_, other)| other),
        client_id: draft.client_id.to_string(),
        time,
        body: serde_json::from_str(&draft.body).ok()?,
    };
    serde_json::to_vec(&question).ok()
}
