//! Who may come in and by which keys is checked before a port is bound; what is wrong is said with its place, and no
//! secret is said at all.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};

use uproar::config::{Config, Layers, Mode, TokenKey};

const SECRET: &str = "hunter2 hunter2 hunter2 hunter2 hunter2";

/// A file of that name with this text.
fn file(name: &str, text: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("config_auth");
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    path
}

fn load(file: Option<PathBuf>, environment: &[(&str, &str)]) -> Result<Config, String> {
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let layers = Layers { file, environment, flags: Vec::new() };
    Config::load(&layers).map_err(|problems| problems.to_string())
}

/// Each line of what is found wrong with that text, without the directory of the file, and that no secret is in it.
#[track_caller]
fn check(name: &str, text: &str, expected: &[&str]) {
    let path = file(&format!("{name}.toml"), text);
    let found = load(Some(path.clone()), &[]).unwrap_err();
    assert!(!found.contains("hunter2"), "{found}");
    let directory = path.parent().unwrap().to_string_lossy().into_owned() + "/";
    let found = found.replace(&*path.to_string_lossy(), "a.toml").replace(&directory, "");
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{found}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "{expected:?} is not in {line:?}");
    }
}

/// A configuration that takes tokens, with that under `[[auth.keys]]`.
fn with_key(key: &str) -> String {
    format!("[auth]\nmodes = [\"token\"]\n[[auth.keys]]\n{key}")
}

#[test]
fn modes_that_make_no_sense_are_refused() {
    let check = |name, modes: &str, expected: &str| {
        check(name, &format!("[auth]\nmodes = {modes}"), &[expected]);
    };
    check("none", "[]", "auth.modes = [] (a.toml line 2): nobody could come in");
    check("word", "[\"jwt\"]", "must be a list of \"token\", \"callback\" and \"open\"");
    check("kind", "\"token\"", "auth.modes = \"token\" (a.toml line 2): must be a list of");
    check("twice", "[\"open\", \"open\"]", "one mode is there twice");
    check("order", "[\"open\", \"token\"]", "it must be the last");
    check("keyless", "[\"token\"]", "and auth.keys = [] (the default): no token could be verified");
}

#[test]
fn keys_that_nobody_asks_for_are_refused() {
    check(
        "idle",
        &format!("[[auth.keys]]\nsecret = \"{SECRET}\""),
        &[
            "auth.modes = [\"open\"] (the default): there are keys in auth.keys and no token is asked for",
        ],
    );
}

#[test]
fn a_wrong_key_is_named_with_its_line_and_reason() {
    let one = |name, key: &str, expected: &str| check(name, &with_key(key), &[expected]);
    one(
        "empty",
        "id = \"a\"",
        "auth.keys[0] (a.toml line 3): must have exactly one of secret, secret_file",
    );
    one(
        "both",
        &format!("secret = \"{SECRET}\"\nsecret_file = \"x\""),
        "auth.keys[0] (a.toml line 3): must have exactly one of",
    );
    one(
        "short",
        "secret = \"hunter2\"",
        "auth.keys[0].secret = \"***\" (a.toml line 4): must have at least 32 bytes",
    );
    one(
        "missing",
        "secret_file = \"/nowhere/at/all\"",
        "auth.keys[0].secret_file = \"/nowhere/at/all\" (a.toml line 4): cannot be read: No such file",
    );
    let short = file("short", "hunter2\n");
    one(
        "short-file",
        &format!("secret_file = \"{}\"", short.display()),
        "auth.keys[0].secret_file = \"short\" (a.toml line 4): must have at least 32 bytes",
    );
    one(
        "pem",
        &format!("public_key_file = \"{}\"", short.display()),
        "auth.keys[0].public_key_file = \"short\" (a.toml line 4): must be a PEM file that begins with",
    );
    one(
        "jwks",
        &format!("jwks_file = \"{}\"", short.display()),
        "auth.keys[0].jwks_file = \"short\" (a.toml line 4): must be a JSON Web Key Set",
    );
    one("id", "id = 7", "auth.keys[0].id = 7 (a.toml line 4): must be a text that is not empty");
    one("type", "secret = 7", "auth.keys[0].secret = \"***\" (a.toml line 4): must be a text");
}

#[test]
fn keys_are_fetched_from_issuers_and_over_https() {
    let one = |name, key: &str, expected: &str| check(name, &with_key(key), &[expected]);
    one(
        "nobody",
        "jwks_url = \"https://login.example/keys\"",
        "auth.keys[0] (a.toml line 3): must name the issuer whose keys are fetched from jwks_url",
    );
    one(
        "two",
        "issuer = \"a\"\njwks_url = \"https://login.example/keys\"\njwks_file = \"a\"",
        "auth.keys[0] (a.toml line 3): must have exactly one of secret,",
    );
    for (name, url, reason) in [
        (
            "plain",
            "http://login.example/keys",
            "must begin with https://, but for one of this machine",
        ),
        ("inner", "http://10.0.0.1/keys", "must begin with https://, but for one of this machine"),
        ("scheme", "ftp://login.example/keys", "must begin with http:// or https://"),
    ] {
        one(
            name,
            &format!("jwks_url = \"{url}\"\nissuer = \"a\""),
            &format!("auth.keys[0].jwks_url = \"{url}\" (a.toml line 4): {reason}"),
        );
    }
    one(
        "who",
        "jwks_url = \"https://me:hunter2@login.example/\"\nissuer = \"a\"",
        "auth.keys[0].jwks_url = \"***\" (a.toml line 4): must have no user and no password",
    );
}

#[test]
fn a_misspelt_secret_is_not_shown() {
    let one = |name, text: &str, expected: &str| check(name, text, &[expected]);
    let key = format!("secert = \"{SECRET}\"");
    one(
        "slip",
        &with_key(&key),
        "auth.keys[0].secert = \"***\" (a.toml line 4): no such key; did you mean secret?",
    );
    one(
        "flat",
        &format!("[auth]\nsecret = \"{SECRET}\""),
        "auth.secret = \"***\" (a.toml line 2): no such key",
    );
    one(
        "single",
        &format!("[auth.keys]\nsecret = \"{SECRET}\""),
        "auth.keys = \"***\" (a.toml line 1): must be at most 100 tables, each under [[auth.keys]]",
    );
    one(
        "list",
        &format!("[auth]\nkeys = [\"{SECRET}\"]"),
        "auth.keys[0] = \"***\" (a.toml line 2): must be a table",
    );
    one(
        "section",
        &format!("[[auth.key]]\nsecret = \"{SECRET}\""),
        "auth.key = \"***\" (a.toml line 1): no such key",
    );
    one("broken", &format!("[[auth.keys]]\nsecret = \"{SECRET}\nid = 1"), "a.toml line 2: ");
    let variable = ("UPROAR_AUTH__KEYS", format!("[{{secret = {SECRET}}}]"));
    let found = load(None, &[(variable.0, &variable.1)]).unwrap_err();
    assert_eq!(
        found,
        "auth.keys = \"***\" (UPROAR_AUTH__KEYS): must be at most 100 tables, each under [[auth.keys]]"
    );
}

#[test]
fn names_that_cannot_be_sent_are_refused() {
    check(
        "names",
        "[auth]\ncookie = \"a b\"",
        &["auth.cookie = \"a b\" (a.toml line 2): must be at most 64 letters"],
    );
    check(
        "parameter",
        "[auth]\nquery_parameter = \"a=b\"",
        &["auth.query_parameter = \"a=b\" (a.toml line 2): must be"],
    );
}

#[test]
fn a_cookie_needs_pages_that_are_known() {
    check(
        "cookie",
        "[auth]\ncookie = \"session\"\nopen_to_network = true",
        &[
            "auth.cookie = \"session\" (a.toml line 2) and auth.open_to_network = true (a.toml line 3): every page",
        ],
    );
}

#[test]
fn who_asks_for_tokens_may_be_reached_by_the_network() {
    let secret = format!("[{{secret = \"{SECRET}\"}}]");
    let modes = |modes: &str| {
        let environment = [
            ("UPROAR_SERVER__LISTEN", "0.0.0.0:80"),
            ("UPROAR_AUTH__MODES", modes),
            ("UPROAR_AUTH__KEYS", &*secret),
        ];
        load(None, &environment).unwrap()
    };
    assert_eq!(modes("[\"token\"]").warnings(), [""; 0]);
    let warnings = modes("[\"token\", \"open\"]").warnings();
    assert!(warnings[0].contains("whoever reaches 0.0.0.0:80 without a token is a guest"));
    let open = [("UPROAR_SERVER__LISTEN", "0.0.0.0:80"), ("UPROAR_AUTH__MODES", "[\"open\"]")];
    assert!(load(None, &open).unwrap_err().contains("auth.open_to_network = false"));
}

#[test]
fn a_secret_is_in_no_print() {
    let mut config = Config::default();
    config.auth.modes = vec![Mode::Token];
    config.auth.keys = vec![TokenKey { secret: Some(SECRET.into()), ..TokenKey::default() }];
    config.validate().unwrap();
    let printed = format!("{config:?}\n{}", config.to_toml());
    assert!(!printed.contains("hunter2") && printed.contains("secret = \"***\""), "{printed}");
}

#[test]
fn keys_of_a_program_are_checked_too() {
    let mut config = Config::default();
    config.auth.modes = vec![Mode::Token];
    config.auth.keys = vec![TokenKey { secret: Some("short".into()), ..TokenKey::default() }];
    let found = config.validate().unwrap_err().to_string();
    assert!(found.starts_with("auth.keys[0].secret = \"***\": must have at least 32"), "{found}");
    config.auth.keys = vec![TokenKey { secret: Some(SECRET.into()), ..TokenKey::default() }; 101];
    let found = config.validate().unwrap_err().to_string();
    assert!(found.contains("must be at most 100 tables"), "{found}");
    assert!(!found.contains("hunter2"), "{found}");
}

#[test]
fn a_misspelt_secret_of_a_callback_is_not_shown() {
    for section in ["callbacks", "webhooks"] {
        let shown = format!("{section}.secrt = \"***\" (a.toml line 2): no such key");
        check(section, &format!("[{section}]\nsecrt = \"hunter2\"\n"), &[&shown]);
    }
}

#[test]
fn keys_of_the_api_have_scopes_that_there_are_and_are_not_shown() {
    let hash = uproar::config::KeyHash::of("hunter2");
    let keys = |entry: &str| format!("[api]\nkeys = [\"{entry}\"]\n");
    check(
        "api_scope",
        &keys(&format!("shop:publish,everything:{hash}")),
        &["the scopes of the API are publish, read, users and moderate"],
    );
    check("api_key", &keys("hunter2"), &["api.keys[0] = \"***\" (a.toml line 2)"]);
}
