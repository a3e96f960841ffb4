//! The JSON Schema of the chat, and whether a message keeps to it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

/// The schema of each message, by its name there: `server.ack`, `client.join`.
static SCHEMAS: LazyLock<BTreeMap<String, Validator>> = LazyLock::new(|| {
    let root = root();
    let names = root["$defs"].as_object().expect("definitions").keys();
    let messages = names.filter(|name| name.contains('.'));
    messages.map(|name| (name.clone(), validator(&root, name))).collect()
});

/// The whole schema.
pub fn root() -> Value {
    serde_json::from_str(include_str!("../../docs/chat.schema.json")).expect("JSON")
}

fn validator(root: &Value, name: &str) -> Validator {
    let schema = json!({
        "$schema": root["$schema"],
        "$ref": format!("#/$defs/{name}"),
        "$defs": root["$defs"],
    });
    jsonschema::validator_for(&schema).expect("a schema")
}

/// The types of the messages of one side, `server` or `client`.
pub fn types(side: &str) -> impl Iterator<Item = &'static str> {
    SCHEMAS.keys().filter_map(move |name| name.strip_prefix(side)?.strip_prefix('.'))
}

/// Whether this is a message of that side, or what is wrong with it.
pub fn examine(side: &str, message: &Value) -> Result<(), String> {
    let kind = message["type"].as_str().ok_or("no type")?;
    let schema = SCHEMAS.get(&format!("{side}.{kind}")).ok_or("no such type")?;
    let errors: Vec<_> = schema
        .iter_errors(message)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
}

/// Fails if this is not a message of the server.
#[track_caller]
pub fn check_server(message: &Value) {
    if let Err(errors) = examine("server", message) {
        panic!("{message}\n{errors}");
    }
}
