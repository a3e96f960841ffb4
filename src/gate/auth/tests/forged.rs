//! Tokens that nobody has signed, or that were signed by the wrong hand or in the wrong way.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::json;

use super::*;

fn encoded(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// A token of that header and those claims as they are, signed with a secret.
pub(super) fn signed(head: &str, claims: &str, secret: &str) -> String {
    let message = format!("{}.{}", encoded(head), encoded(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Takes one character after the other for another.
pub(super) fn every_change_is_seen(tokens: &Tokens, token: &str) {
    for at in 0..token.len() {
        let mut changed = token.as_bytes().to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("ASCII");
        assert!(tokens.verify(&changed, NOW).is_err(), "{changed}");
    }
}

fn claims() -> String {
    json!({ "sub": "alice", "exp": NOW_SECS + 60 }).to_string()
}

#[test]
fn what_is_no_token_is_refused() {
    let tokens = tokens(vec![secret(SECRET)]);
    let right = token(json!({}));
    let parts: Vec<&str> = right.split('.').collect();
    for broken in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        "a.b.c".into(),
        format!("{right}."),
        format!(".{right}"),
        format!("{right}="),
        format!("{right} "),
        format!(" {right}"),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
        format!("{}.{}", encoded("{}"), &right[parts[0].len() + 1..]),
        format!("{}.{}", encoded("[]"), &right[parts[0].len() + 1..]),
        format!("{}.{}", encoded("null"), &right[parts[0].len() + 1..]),
        format!("{}.{}", encoded(&"[".repeat(3000)), parts[1]),
        "guest token\r\nSet-Cookie: x".into(),
        "\u{1f511}.\u{1f511}.\u{1f511}".into(),
    ] {
        refused(&tokens, &broken, TokenError::Malformed);
    }
    assert!(tokens.verify(&right, NOW).is_ok());
    every_change_is_seen(&tokens, &right);
}

#[test]
fn a_token_without_a_signature_is_refused() {
    let tokens = tokens(vec![secret(SECRET)]);
    for alg in ["none", "None", "NONE", "nOnE", "", "hs256", "HS384", "HS512", "PS256", "HS256 "] {
        let head = json!({ "alg": alg }).to_string();
        let unsigned = format!("{}.{}.", encoded(&head), encoded(&claims()));
        refused(&tokens, &unsigned, TokenError::Algorithm);
        refused(&tokens, &signed(&head, &claims(), SECRET), TokenError::Algorithm);
    }
    let head = json!({ "alg": "HS256" }).to_string();
    let unsigned = format!("{}.{}.", encoded(&head), encoded(&claims()));
    refused(&tokens, &unsigned, TokenError::Signature);
    refused(&tokens, &signed(&head, &claims(), ""), TokenError::Signature);
    refused(&tokens, &signed(&head, &claims(), OTHER_SECRET), TokenError::Signature);
    let others = signed(&head, &claims(), SECRET);
    let (_, signature) = others.rsplit_once('.').expect("three parts");
    let mine = json!({ "sub": "root", "exp": NOW_SECS + 60 }).to_string();
    let swapped = format!("{}.{}.{signature}", encoded(&head), encoded(&mine));
    refused(&tokens, &swapped, TokenError::Signature);
}

#[test]
fn a_public_key_is_no_secret() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("rsa.pem");
    std::fs::write(&file, samples::RSA).expect("a file");
    let tokens = tokens(vec![TokenKey { public_key_file: Some(file), ..TokenKey::default() }]);
    let head = json!({ "alg": "HS256" }).to_string();
    for secret in [samples::RSA, samples::RSA.trim()] {
        refused(&tokens, &signed(&head, &claims(), secret), TokenError::Algorithm);
    }
    let head = json!({ "alg": "RS256" }).to_string();
    refused(&tokens, &signed(&head, &claims(), samples::RSA), TokenError::Signature);
}

#[test]
fn a_key_that_the_token_brings_is_not_looked_at() {
    let tokens = tokens(vec![secret(SECRET)]);
    let claims = claims();
    let key = json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode(OTHER_SECRET) });
    for head in [
        json!({ "alg": "HS256", "jwk": key }),
        json!({ "alg": "HS256", "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/" }),
    ] {
        let token = signed(&head.to_string(), &claims, OTHER_SECRET);
        refused(&tokens, &token, TokenError::Signature);
    }
    let demanding = json!({ "alg": "HS256", "crit": ["b64"], "b64": false }).to_string();
    refused(&tokens, &signed(&demanding, &claims, SECRET), TokenError::Malformed);
}

#[test]
fn what_is_there_twice_is_refused() {
    let tokens = tokens(vec![secret(SECRET)]);
    let end = NOW_SECS + 60;
    for (claims, expected) in [
        (format!(r#"{{"sub":"alice","sub":"root","exp":{end}}}"#), TokenError::Claims),
        (format!(r#"{{"sub":"alice","exp":1,"exp":{end}}}"#), TokenError::Claims),
        (format!(r#"{{"sub":"alice","exp":{end},"rooms":{{}},"rooms":{{}}}}"#), TokenError::Claims),
        (format!(r#"{{"sub":"alice","exp":{end}}} x"#), TokenError::Claims),
        ("[]".to_owned(), TokenError::Claims),
        ("7".to_owned(), TokenError::Claims),
        (r#"{"sub":"\ud800"}"#.to_owned(), TokenError::Claims),
        (
            format!(
                r#"{{"sub":"alice","exp":{end},"rooms":{}1{}}}"#,
                "[".repeat(500),
                "]".repeat(500)
            ),
            TokenError::Claims,
        ),
    ] {
        let token = signed(r#"{"alg":"HS256"}"#, &claims, SECRET);
        refused(&tokens, &token, expected);
    }
    let twice = signed(r#"{"alg":"none","alg":"HS256"}"#, &claims(), SECRET);
    refused(&tokens, &twice, TokenError::Malformed);
}

#[test]
fn a_token_is_only_read_up_to_its_bound() {
    let tokens = tokens(vec![secret(SECRET)]);
    let padded = |length: usize| token(json!({ "padding": "x".repeat(length) }));
    let fits = (5900..6200).rev().map(padded).find(|token| token.len() <= 8192);
    assert!(tokens.verify(&fits.expect("one fits"), NOW).is_ok());
    refused(&tokens, &padded(6200), TokenError::TooLong);
    refused(&tokens, &"x".repeat(10_000_000), TokenError::TooLong);
}
