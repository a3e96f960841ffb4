//! Tokens that are right, and everything that can be wrong with one.

mod forged;
mod samples;

use serde_json::{Value, json};

use super::*;
use crate::config::Secret;
use crate::gate::permissions::{Right, Rights};

/// A moment in 2027, in milliseconds.
const NOW: u64 = 1_800_000_000_000;

/// The same in seconds, as tokens have it.
const NOW_SECS: u64 = NOW / 1000;

const SECRET: &str = "a secret that has at least 32 bytes";
const OTHER_SECRET: &str = "another secret of 32 bytes, or more";

fn secret(text: &str) -> TokenKey {
    TokenKey { secret: Some(Secret::from(text)), ..TokenKey::default() }
}

/// What verifies with those keys, everything else as in the default.
fn tokens(keys: Vec<TokenKey>) -> Tokens {
    with(keys, |_| ())
}

fn with(keys: Vec<TokenKey>, change: impl FnOnce(&mut Auth)) -> Tokens {
    let mut config = Auth { keys, modes: vec![Mode::Token], ..Auth::default() };
    change(&mut config);
    let authenticator = Authenticator::new(&config).expect("the keys are right");
    authenticator.tokens.expect("tokens are taken")
}

/// A token with that header and those claims, signed with a secret.
fn signed(head: &Value, claims: &Value, secret: &str) -> String {
    forged::signed(&head.to_string(), &claims.to_string(), secret)
}

/// A token that holds for a minute, with those claims beside the usual.
fn token(claims: Value) -> String {
    let mut all = json!({ "sub": "alice", "exp": NOW_SECS + 60 });
    let Value::Object(claims) = claims else { panic!("claims are an object") };
    all.as_object_mut().expect("an object").extend(claims);
    all.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    signed(&json!({ "alg": "HS256" }), &all, SECRET)
}

#[track_caller]
fn refused(tokens: &Tokens, token: &str, expected: TokenError) {
    assert_eq!(tokens.verify(token, NOW), Err(expected), "{token}");
}

#[test]
fn a_token_says_who_it_is_and_what_they_may_do() {
    let token = token(json!({
        "name": "Alice A.", "rooms": { "team-*": ["join", "send"] }, "direct": true, "extra": [1],
    }));
    let access = tokens(vec![secret(SECRET)]).verify(&token, NOW).expect("it is right");
    assert_eq!((&*access.identity.user, &*access.identity.name), ("alice", "Alice A."));
    assert!(!access.identity.is_guest && access.permissions.allows_direct());
    let granted: Rights = [Right::Join, Right::Send].into_iter().collect();
    assert_eq!(access.permissions.of_room("team-a"), granted);
    assert_eq!(access.permissions.of_room("lobby"), Rights::NONE);
    assert_eq!(access.expires_at, Some(NOW + 90_000), "what the clocks may differ is added");
}

#[test]
fn what_a_token_leaves_out_is_up_to_the_configuration() {
    let plain = token(json!({}));
    let none = tokens(vec![secret(SECRET)]).verify(&plain, NOW).expect("it is right");
    assert_eq!((&*none.identity.name, &*none.permissions), ("alice", &Permissions::default()));
    let everything = |auth: &mut Auth| auth.without_grant = Ungranted::Everything;
    let generous = with(vec![secret(SECRET)], everything);
    let all = generous.verify(&plain, NOW).expect("it is right");
    assert_eq!(*all.permissions, Permissions::all());
    for some in [json!({ "rooms": {} }), json!({ "direct": false })] {
        let access = generous.verify(&token(some), NOW).expect("it is right");
        assert_eq!(*access.permissions, Permissions::default(), "it says that it grants nothing");
    }
    let endless = token(json!({ "exp": null }));
    refused(&tokens(vec![secret(SECRET)]), &endless, TokenError::NoExpiry);
    let patient = with(vec![secret(SECRET)], |auth| auth.expiry_required = false);
    assert_eq!(patient.verify(&endless, NOW).map(|access| access.expires_at), Ok(None));
}

#[test]
fn a_long_id_is_cut_for_a_name() {
    let user = "x".repeat(100);
    let token = token(json!({ "sub": user }));
    let access = tokens(vec![secret(SECRET)]).verify(&token, NOW).expect("it is right");
    assert_eq!((&*access.identity.user, &*access.identity.name), (&*user, &*"x".repeat(64)));
}

#[test]
fn times_count_with_what_clocks_may_differ() {
    let tokens = tokens(vec![secret(SECRET)]);
    let ends = |exp: Value| tokens.verify(&token(json!({ "exp": exp })), NOW).map(|_| ());
    assert_eq!(ends(json!(NOW_SECS - 29)), Ok(()));
    assert_eq!(ends(json!(NOW_SECS - 30)), Err(TokenError::Expired));
    assert_eq!(ends(json!(NOW_SECS as f64 - 29.5)), Ok(()));
    assert_eq!(ends(json!(1e300)), Ok(()));
    for past in [json!(0), json!(-1), json!(-1e300)] {
        assert_eq!(ends(past), Err(TokenError::Expired));
    }
    let begins = |nbf: Value| tokens.verify(&token(json!({ "nbf": nbf })), NOW).map(|_| ());
    assert_eq!(begins(json!(NOW_SECS + 30)), Ok(()));
    assert_eq!(begins(json!(NOW_SECS + 31)), Err(TokenError::NotYetValid));
    assert_eq!(begins(json!(1e300)), Err(TokenError::NotYetValid));
    assert_eq!(begins(json!(-1)), Ok(()));
}

#[test]
fn a_token_is_for_this_server_and_from_its_issuer() {
    let issuer = TokenKey { issuer: Some("https://app".into()), ..secret(SECRET) };
    let strict = with(vec![issuer], |auth| auth.audience = "chat".into());
    let both = |iss: Value, aud: Value| {
        strict.verify(&token(json!({ "iss": iss, "aud": aud })), NOW).map(|_| ())
    };
    let app = || json!("https://app");
    assert_eq!(both(app(), json!("chat")), Ok(()));
    assert_eq!(both(app(), json!(["shop", "chat"])), Ok(()));
    for aud in [json!("shop"), json!(["shop"]), json!([]), json!(null), json!("Chat"), json!(7)] {
        assert_eq!(both(app(), aud), Err(TokenError::Audience));
    }
    for iss in [json!("https://app/"), json!(null), json!("")] {
        assert_eq!(both(iss, json!("chat")), Err(TokenError::Issuer));
    }
    assert_eq!(both(json!(["https://app"]), json!("chat")), Err(TokenError::Claims));
    let lax = tokens(vec![secret(SECRET)]);
    assert_eq!(lax.verify(&token(json!({ "iss": "anybody" })), NOW).map(|_| ()), Ok(()));
    refused(&lax, &token(json!({ "aud": "shop" })), TokenError::Audience);
}

#[test]
fn claims_that_cannot_be_are_refused() {
    let tokens = tokens(vec![secret(SECRET)]);
    let check = |claims: Value, expected| refused(&tokens, &token(claims), expected);
    for sub in [
        json!(null),
        json!(""),
        json!("guest-AAAAAAAAAAAAAAAAAAAAAA"),
        json!("a\nb"),
        json!("a\u{202e}b"),
        json!("x".repeat(129)),
    ] {
        check(json!({ "sub": sub }), TokenError::Subject);
    }
    for name in [json!(""), json!(" "), json!("a\tb"), json!("x".repeat(65))] {
        check(json!({ "name": name }), TokenError::Name);
    }
    for claims in [
        json!({ "sub": 7 }),
        json!({ "name": ["Alice"] }),
        json!({ "exp": "2033-05-18" }),
        json!({ "exp": true }),
        json!({ "nbf": "1" }),
        json!({ "rooms": "*" }),
        json!({ "rooms": ["*"] }),
        json!({ "rooms": { "*": "join" } }),
        json!({ "rooms": { "*": [1] } }),
        json!({ "direct": "true" }),
        json!({ "direct": 1 }),
    ] {
        check(claims, TokenError::Claims);
    }
    check(json!({ "rooms": { "*": ["admin"] } }), TokenError::Grant);
    check(json!({ "rooms": { "..": ["join"] } }), TokenError::Grant);
    let many: serde_json::Map<_, _> = (0..101).map(|at| (format!("{at}"), json!([]))).collect();
    check(json!({ "rooms": many }), TokenError::Grant);
}

#[test]
fn two_keys_hold_while_one_takes_over_from_the_other() {
    let key = |id: &str, text| TokenKey { id: Some(id.into()), ..secret(text) };
    let tokens = tokens(vec![key("old", SECRET), key("new", OTHER_SECRET)]);
    let claims = json!({ "sub": "alice", "exp": NOW_SECS + 60 });
    let by = |head: Value, text| tokens.verify(&signed(&head, &claims, text), NOW).map(|_| ());
    let named = |id: &str| json!({ "alg": "HS256", "kid": id });
    assert_eq!(by(named("old"), SECRET), Ok(()));
    assert_eq!(by(named("new"), OTHER_SECRET), Ok(()));
    assert_eq!(by(named("new"), SECRET), Err(TokenError::Signature), "the other key was named");
    assert_eq!(by(named("older"), SECRET), Err(TokenError::UnknownKey));
    for text in [SECRET, OTHER_SECRET] {
        assert_eq!(by(json!({ "alg": "HS256" }), text), Ok(()), "without a name each is tried");
    }
}

#[test]
fn a_claim_of_null_was_not_left_out() {
    let generous =
        with(vec![secret(SECRET)], |config| config.without_grant = Ungranted::Everything);
    for claim in ["name", "iss", "exp", "nbf", "rooms", "direct"] {
        let mut claims = json!({ "sub": "alice", "exp": NOW_SECS + 60 });
        claims[claim] = Value::Null;
        let token = signed(&json!({ "alg": "HS256" }), &claims, SECRET);
        refused(&generous, &token, TokenError::Claims);
    }
}

#[test]
fn keys_without_names_do_not_hide_one_that_is_named() {
    let mut keys: Vec<_> = (0..9).map(|n| secret(&format!("{n} {OTHER_SECRET}"))).collect();
    keys.push(TokenKey { id: Some("b".into()), ..secret(SECRET) });
    let claims = json!({ "sub": "alice", "exp": NOW_SECS + 60 });
    let token = signed(&json!({ "alg": "HS256", "kid": "b" }), &claims, SECRET);
    assert!(tokens(keys).verify(&token, NOW).is_ok());
}

#[test]
fn what_other_software_signs_is_verified() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let pem = |name: &str, text| TokenKey {
        public_key_file: Some(file(name, text)),
        ..TokenKey::default()
    };
    let set = TokenKey { jwks_file: Some(file("jwks", samples::JWKS)), ..TokenKey::default() };
    let all = [("rsa", samples::RSA), ("ec", samples::EC), ("ed", samples::ED)];
    let of_files = tokens(all.map(|(name, text)| pem(name, text)).into());
    let of_set = tokens(vec![set]);
    for token in [samples::RS256, samples::ES256, samples::EDDSA] {
        for tokens in [&of_files, &of_set] {
            let access = tokens.verify(token, NOW).expect("it is right");
            assert_eq!(&*access.identity.user, "alice");
            assert_eq!(access.expires_at, Some(2_000_000_030_000));
            forged::every_change_is_seen(tokens, token);
        }
    }
    let only_ec = tokens(vec![pem("ec", samples::EC)]);
    refused(&only_ec, samples::RS256, TokenError::Algorithm);
    refused(&only_ec, samples::EDDSA, TokenError::Algorithm);
}

#[test]
fn a_public_key_that_is_none_or_unsafe_is_not_taken() {
    let check = |pem: &str, expected: &str| {
        let error = public_key::of_pem(pem.as_bytes()).map(|_| ()).expect_err("it is none");
        assert!(error.to_string().contains(expected), "{error}: {pem}");
    };
    check("", "BEGIN PUBLIC KEY");
    check(SECRET, "BEGIN PUBLIC KEY");
    check(&samples::RSA.replace("PUBLIC", "PRIVATE"), "BEGIN PUBLIC KEY");
    check(&samples::RSA.replace("MIIB", "MIIC"), "BEGIN PUBLIC KEY");
    check(samples::RSA_SHORT, "2048 to 8192 bits");
    check(samples::EC_P384, "P-256");
    let set = |keys: Value| key_source::key_set(json!({ "keys": keys }).to_string().as_bytes());
    assert!(set(json!([])).is_none());
    assert!(set(json!([{ "kty": "oct", "k": "c2VjcmV0" }])).is_none(), "a set is public");
    assert!(set(json!([{ "kty": "EC", "crv": "P-384", "x": "AA", "y": "AA" }])).is_none());
    assert!(set(json!([{ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" }])).is_none());
    assert!(set(json!([{ "kty": "OKP", "crv": "Ed25519", "x": "AA" }])).is_none());
    assert!(set(json!([{ "kty": "RSA", "n": "AQAB", "e": "AQAB" }])).is_none());
    assert!(key_source::key_set(b"[]").is_none() && key_source::key_set(b"{").is_none());
    let mut mixed: Value = serde_json::from_str(samples::JWKS).expect("JSON");
    let keys = mixed["keys"].as_array_mut().expect("a list");
    keys[0]["use"] = json!("enc");
    keys[1]["alg"] = json!("ES384");
    keys.push(json!({ "kty": "new" }));
    let taken = set(mixed["keys"].clone()).expect("one is left");
    assert_eq!(taken.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), [Some("ed".to_owned())]);
}

#[test]
fn a_secret_does_not_show() {
    let tokens = tokens(vec![secret(SECRET)]);
    let shown = format!("{tokens:?} {:?}", secret(SECRET));
    assert!(!shown.contains("secret that") && !shown.contains("97, 32"), "{shown}");
}

#[test]
fn a_token_of_the_command_line_is_taken() {
    let new = NewToken { sub: "alice".into(), ..NewToken::default() }.lasting(60);
    let token = new.sign(SECRET.as_bytes(), Some("one")).expect("it is signed");
    let key = TokenKey { id: Some("one".into()), ..secret(SECRET) };
    let access = tokens(vec![key]).verify(&token, now_ms()).expect("it is right");
    assert_eq!(&*access.identity.user, "alice");
    let wrong = NewToken { sub: "guest-x".into(), ..NewToken::default() }.lasting(60);
    assert!(wrong.sign(SECRET.as_bytes(), None).is_err());
    assert!(new.sign(b"short", None).is_err());
    assert!(new.clone().lasting(0).sign(SECRET.as_bytes(), None).is_err());
}
