//! Tokens: what nobody has signed lets nobody in, and what was signed lets in whom it says, for as long as it says, to
//! what it says.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use uproar::fuzzing::{Admitted, Verifier};

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| Verifier::new().expect("the key is right"));

/// What clocks may differ, by default.
const LEEWAY_MS: u64 = 30_000;

fn check_refusal((label, words): (&'static str, String)) {
    assert!(!label.is_empty() && !words.is_empty(), "a reason");
    assert!(!words.chars().any(char::is_control), "words");
}

/// Whether a pattern without more than its stars matches the room `a`, seen as simply as can be.
fn is_of_room(pattern: &str) -> bool {
    pattern.contains('*') && matches!(pattern.replace('*', "").as_str(), "" | "a") || pattern == "a"
}

/// Holds what the token came to against what another reader sees in it.
fn check(head: &Value, claims: &Value, found: &Admitted) {
    assert_eq!(head["alg"], "HS256");
    assert!(head["kid"].is_null() || head["kid"] == "ours", "{head}");
    assert_eq!((&claims["sub"], &claims["iss"]), (&Value::from(&*found.user), &"us".into()));
    let audience = &claims["aud"];
    let is_here = |value: &Value| value == "here";
    assert!(is_here(audience) || audience.as_array().is_some_and(|all| all.iter().any(is_here)));
    assert!(claims["name"].is_null() || claims["name"] == *found.name, "{claims}");
    assert!(
        (1..=128).contains(&found.user.len()) && (1..=64).contains(&found.name.chars().count())
    );
    for text in [&found.user, &found.name] {
        assert!(!text.chars().any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)));
    }
    assert!(!found.user.starts_with("guest-"));

    let end = claims["exp"].as_f64().expect("an end");
    let expires_at = found.expires_at.expect("an end");
    assert_eq!(expires_at, ((end * 1000.0) as u64).saturating_add(LEEWAY_MS));
    assert!(expires_at > Verifier::NOW_MS, "it holds");
    if let Some(begin) = claims["nbf"].as_f64() {
        assert!((begin * 1000.0) as u64 <= Verifier::NOW_MS + LEEWAY_MS, "it has begun");
    }

    assert_eq!(found.has_direct, claims["direct"] == true);
    let rooms = claims["rooms"].as_object();
    let grants =
        |rights: &Value| rights.as_array().is_some_and(|all| all.iter().any(|r| r == "join"));
    let granted =
        rooms.is_some_and(|rooms| rooms.iter().any(|(room, all)| is_of_room(room) && grants(all)));
    assert_eq!(found.may_join, granted, "{claims}");
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        check_refusal(VERIFIER.verify(text).expect_err("nobody has signed it"));
    }
    // A header and claims, which are signed as they are.
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (head, claims) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let token = VERIFIER.sign(head, claims);
    match VERIFIER.verify(&token) {
        Err(error) => check_refusal(error),
        Ok(found) => {
            // Stricter than what is read, in what is ignored: where it fails, nothing can be compared.
            let (head, claims) = (serde_json::from_slice(head), serde_json::from_slice(claims));
            if let (Ok(head), Ok(claims)) = (head, claims) {
                check(&head, &claims, &found);
            }
        }
    }
    // Of what was signed no part may be another.
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    let swapped = format!("{message}A.{signature}");
    check_refusal(VERIFIER.verify(&swapped).expect_err("nobody has signed it"));
});
