//! Messages of chat sessions: whatever text comes, it is right or gets a reason, and what is passed on is what it said.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use uproar::fuzzing::{Read, read};

fn check_reference(reference: Option<&str>, value: Option<&Value>) {
    let (Some(reference), Some(value)) = (reference, value) else { return };
    let reference: Value = serde_json::from_str(reference).expect("a `ref` is JSON");
    assert_eq!(Some(&reference), value.get("ref"), "the `ref` that came");
}

fuzz_target!(|text: &str| {
    // Stricter than what is read, in depth and in what is ignored: where it fails, nothing can be compared.
    let value: Option<Value> = serde_json::from_str(text).ok();
    match read(text) {
        Read::Right { reference, body } => {
            assert!(value.as_ref().is_none_or(Value::is_object), "a message is an object");
            check_reference(reference, value.as_ref());
            if let Some(body) = body {
                let body: Value = serde_json::from_str(body).expect("every reader can read a body");
                assert!(
                    value.is_none_or(|value| value.get("body") == Some(&body)),
                    "the body that came"
                );
            }
        }
        Read::Wrong { code, message, reference } => {
            assert!(!code.is_empty() && !message.is_empty(), "a reason");
            assert!(!message.chars().any(char::is_control), "words");
            // Of one that is there twice it is the first, which other readers may not take.
            assert!(
                reference.is_none_or(|reference| text.contains(&reference)),
                "a `ref` that came"
            );
        }
    }
});
