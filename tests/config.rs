//! Whatever is wrong with a configuration stops the start, with the key, its value, its place and the reason; what is
//! right is taken from file, environment and flags in that order.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use uproar::config::{
    Announce, Config, Demo, Flag, KEYS, Layers, LogFormat, LogLevel, Mode, RoomRule, Synchronous,
    TokenKey, Ungranted,
};

const UPROAR: &str = env!("CARGO_BIN_EXE_uproar");

/// One key of Ed25519.
const KEY_SET: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"BN9u4nC0bmBqIKsn80rbCQcKuHs7fP4nfMlzT_udU1E"}]}"#;

/// An empty directory of that name.
fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// The program in that directory, with nothing in its environment.
fn uproar(directory: &Path) -> Command {
    let mut command = Command::new(UPROAR);
    command.env_clear().current_dir(directory);
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Runs `uproar check` on that file, which must be refused.
#[track_caller]
fn check_file(name: &str, toml: &str, expected: &[&str]) {
    let directory = directory(name);
    fs::write(directory.join("a.toml"), toml).unwrap();
    refused(uproar(&directory).args(["check", "a.toml"]), expected);
}

/// Runs a command that must refuse the configuration, and looks for each of those phrases on a line of its own.
#[track_caller]
fn refused(command: &mut Command, expected: &[&str]) {
    let output = command.output().unwrap();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("uproar: the configuration is refused:"));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), expected.len(), "{text}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "{expected:?} is not in {line:?}");
    }
}

#[test]
fn a_bad_value_is_refused_with_key_line_and_reason() {
    let check = |name, toml, expected: &str| check_file(name, toml, &[expected]);
    check(
        "range",
        "[limits]\n\nmessage_bytes_max = 0",
        "limits.message_bytes_max = 0 (a.toml line 3): must be a whole number from 1 to 16777216 (bytes)",
    );
    check(
        "above",
        "limits.message_bytes_max = 16777217",
        "limits.message_bytes_max = 16777217 (a.toml line 1): must be",
    );
    check(
        "below",
        "[limits]\nheaders_max = -1",
        "limits.headers_max = -1 (a.toml line 2): must be a whole number from",
    );
    check(
        "type",
        "[relay]\nenabled = 1",
        "relay.enabled = 1 (a.toml line 2): must be true or false",
    );
    check(
        "text",
        "[limits]\nheaders_max = \"100\"",
        "limits.headers_max = \"100\" (a.toml line 2): must be a whole number",
    );
    check(
        "word",
        "[server]\ndemo = \"yes\"",
        "server.demo = \"yes\" (a.toml line 2): must be one of \"auto\" \"on\" \"off\"",
    );
    check(
        "address",
        "[server]\nlisten = \"localhost\"",
        "server.listen = \"localhost\" (a.toml line 2): must be an address",
    );
}

#[test]
fn a_name_or_a_file_that_makes_no_sense_is_refused() {
    let check = |name, toml, expected: &str| check_file(name, toml, &[expected]);
    check(
        "key",
        "[limits]\nmesage_bytes_max = 5",
        "limits.mesage_bytes_max = 5 (a.toml line 2): no such key; did you mean limits.message_bytes_max?",
    );
    check("alien", "[limits]\nzebra = 5", "limits.zebra = 5 (a.toml line 2): no such key");
    check(
        "moved",
        "listen = \"127.0.0.1:80\"",
        "listen = \"127.0.0.1:80\" (a.toml line 1): no such key; did you mean server.listen?",
    );
    check("section", "[limit]\nheaders_max = 50", "no such section; did you mean limits?");
    check(
        "scalar",
        "\nlimits = 5",
        "limits = 5 (a.toml line 2): is a section, so it must be a table",
    );
    check("syntax", "[limits]\nheaders_max = = 5", "a.toml line 2: ");
    check("twice", "[limits]\nheaders_max = 50\nheaders_max = 60", "a.toml line 3: duplicate key");
    check("huge", "[limits]\nheaders_max = 99999999999999999999", "a.toml line 2: ");
    check(
        "directory",
        "[server]\ndata_dir = \"a.toml\"",
        "server.data_dir = \"a.toml\" (a.toml line 2): exists and is not a directory",
    );
}

#[test]
fn a_key_in_the_place_of_its_hash_is_not_shown() {
    let check = |name, entry: &str, reason: &str| {
        let toml = format!("[server]\nadmin_keys = [\"{entry}\"]");
        check_file(
            name,
            &toml,
            &[&format!("server.admin_keys[0] = \"***\" (a.toml line 2): {reason}")],
        );
    };
    check("bare_key", "uproar_key_abc", "must be a name, scopes and a hash");
    check("key_for_hash", "a:metrics:uproar_key_abc", "must be the 64 hexadecimal digits");
}

#[test]
fn a_list_is_refused_with_the_entry_that_is_wrong() {
    check_file(
        "lists",
        "[server]\nproxies = [\"10.0.0.0/8\", \"proxy\"]\n[origins]\nallowed = [\"example.com\", 7]\nhosts = \"a\"",
        &[
            "server.proxies[1] = \"proxy\" (a.toml line 2): is no network",
            "origins.allowed[0] = \"example.com\" (a.toml line 4): is no origin",
            "origins.allowed[1] = 7 (a.toml line 4): is no text",
            "origins.hosts = \"a\" (a.toml line 5): must be a list of at most 1000 hosts",
        ],
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once_in_the_order_of_the_file() {
    check_file(
        "several",
        "[relay]\nannounce = 7\n[limits]\nheaders_max = 0\nzebra = [1,\n2]\n[server]\nshards = 129",
        &[
            "relay.announce = 7 (a.toml line 2)",
            "limits.headers_max = 0 (a.toml line 4)",
            "limits.zebra = [1, 2] (a.toml line 5)",
            "server.shards = 129 (a.toml line 8)",
        ],
    );
}

#[test]
fn keys_that_contradict_each_other_are_both_named() {
    check_file(
        "contradictions",
        "[server]\nlisten = \"0.0.0.0:8081\"\nadmin_listen = \"10.0.0.1:8081\"\n[limits]\nheartbeat_secs = 60\n\
         [log]\nread_total_bytes_per_sec = 65536",
        &[
            "limits.heartbeat_timeout_secs = 60 (the default) and limits.heartbeat_secs = 60 (a.toml line 5): the timeout",
            "server.listen = \"0.0.0.0:8081\" (a.toml line 2) and server.admin_listen = \"10.0.0.1:8081\" (a.toml line 3): both",
            "server.listen = \"0.0.0.0:8081\" (a.toml line 2) and auth.open_to_network = false (the default): other machines",
            "server.admin_listen = \"10.0.0.1:8081\" (a.toml line 3) and server.admin_keys = [] (the default)",
            "log.read_total_bytes_per_sec = 65536 (a.toml line 7) and log.read_bytes_per_sec = 8388608 (the default): all",
        ],
    );
}

#[test]
fn a_bad_environment_is_refused_with_its_variable() {
    let directory = directory("environment");
    let check = |name: &str, value: &str, expected: &str| {
        refused(uproar(&directory).env(name, value), &[expected]);
    };
    check(
        "UPROAR_LIMITS__HEADERS_MAX",
        "many",
        "limits.headers_max = \"many\" (UPROAR_LIMITS__HEADERS_MAX): must be a whole number",
    );
    check(
        "UPROAR_LIMITS__HEADERS_MAX",
        "",
        "limits.headers_max = \"\" (UPROAR_LIMITS__HEADERS_MAX): must be",
    );
    check(
        "UPROAR_LIMITS__HEADERS_MAX",
        "5",
        "limits.headers_max = 5 (UPROAR_LIMITS__HEADERS_MAX): must be",
    );
    check(
        "UPROAR_LIMITS_HEADERS_MAX",
        "50",
        "UPROAR_LIMITS_HEADERS_MAX: no key has this variable; did you mean UPROAR_LIMITS__HEADERS_MAX?",
    );
    check("UPROAR_PORT", "8080", "UPROAR_PORT: no key has this variable");
    check(
        "UPROAR_LISTEN",
        "",
        "UPROAR_LISTEN: no key has this variable; did you mean UPROAR_SERVER__LISTEN?",
    );
    check(
        "UPROAR_limits__headers_max",
        "50",
        "UPROAR_limits__headers_max: no key has this variable",
    );
    check(
        "UPROAR_SERVER__LISTEN",
        "0.0.0.0:80",
        "server.listen = \"0.0.0.0:80\" (UPROAR_SERVER__LISTEN) and auth.open_to_network",
    );
    let broken = OsString::from_vec(vec![0xff]);
    refused(
        uproar(&directory).env("UPROAR_SERVER__DATA_DIR", broken),
        &["UPROAR_SERVER__DATA_DIR: is not UTF-8"],
    );
    refused(
        uproar(&directory).env("UPROAR_X", "").args(["check", "none.toml"]),
        &["none.toml: cannot be read: ", "UPROAR_X: no key"],
    );
}

#[test]
fn bad_flags_are_refused() {
    let directory = directory("flags");
    let check = |args: &[&str], expected: &str| refused(uproar(&directory).args(args), &[expected]);
    check(
        &["--shards", "500"],
        "server.shards = 500 (--shards): must be a whole number from 0 to 128 (shards)",
    );
    check(&["serve", "--shards=-1"], "server.shards = -1 (--shards): must be");
    check(&["--listen", "8080"], "server.listen = \"8080\" (--listen): must be an address");
    check(
        &["--admin-listen", "0.0.0.0:9"],
        "server.admin_listen = \"0.0.0.0:9\" (--admin-listen) and server.admin_keys",
    );
    check(
        &["--log-level", "loud"],
        "telemetry.log_level = \"loud\" (--log-level): must be one of \"error\"",
    );
    check(&["--config", "none.toml"], "none.toml: cannot be read: ");
    let usage = uproar(&directory).arg("--lisen=1").output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
    assert!(text(&usage).contains("--listen"), "{}", text(&usage));
}

#[test]
fn the_file_in_the_working_directory_is_read_by_serve() {
    let directory = directory("found");
    fs::write(directory.join("uproar.toml"), "[limits]\nheaders_max = 1").unwrap();
    refused(&mut uproar(&directory), &["limits.headers_max = 1 (uproar.toml line 2): must be"]);
    refused(
        uproar(&directory).arg("serve"),
        &["limits.headers_max = 1 (uproar.toml line 2): must be"],
    );
    refused(uproar(&directory).args(["--config", "other.toml"]), &["other.toml: cannot be read"]);
}

#[test]
fn more_connections_than_files_may_be_open_is_refused() {
    let directory = directory("descriptors");
    let script = format!("ulimit -n 300 && exec {UPROAR} --shards 2");
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &script])
        .env_clear()
        .env("UPROAR_TELEMETRY__LOG_LEVEL", "error")
        .current_dir(&directory);
    let reason = "limits.connections_max = 1000 and server.shards = 2: the process may open 300 files, 80 of them";
    refused(shell.env("UPROAR_LIMITS__CONNECTIONS_MAX", "1000"), &[reason]);
}

#[test]
fn a_good_file_is_ok_and_what_is_open_is_warned_about() {
    let directory = directory("good");
    fs::write(
        directory.join("a.toml"),
        "[server]\nlisten = \"0.0.0.0:80\"\n[auth]\nopen_to_network = true",
    )
    .unwrap();
    let output = uproar(&directory).args(["check", "a.toml"]).output().unwrap();
    let printed = text(&output);
    assert!(output.status.success(), "{printed}");
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], "a.toml: ok");
    assert!(
        lines[1].starts_with("warning: auth.open_to_network = true: whoever reaches 0.0.0.0:80"),
        "{printed}"
    );
}

#[test]
fn the_printed_configuration_loads_and_is_the_default() {
    let directory = directory("printed");
    let output = uproar(&directory).arg("config").output().unwrap();
    assert!(output.status.success());
    let printed = text(&output);
    for key in KEYS {
        // Where there are no rules there is no list, or an added rule would be a second one.
        let line = match key.path {
            "chat.rooms" | "auth.keys" => format!("\n# [[{}]]\n", key.path),
            _ => format!("\n{} = {}\n", key.name, key.value(&Config::default())),
        };
        assert!(printed.contains(&line), "{}", key.path);
        assert!(printed.contains(&format!("# Takes {}.\n", key.accepts())), "{}", key.path);
        assert!(key.doc.iter().all(|line| printed.contains(line.trim())), "{}", key.path);
    }
    fs::write(directory.join("a.toml"), printed).unwrap();
    assert_eq!(load(Some(&directory.join("a.toml")), &[], &[]), Ok(Config::default()));
    let checked = uproar(&directory).args(["check", "a.toml"]).output().unwrap();
    assert_eq!(text(&checked), "a.toml: ok\n");
}

#[test]
fn help_and_version_are_printed() {
    let directory = directory("help");
    let version = text(&uproar(&directory).arg("--version").output().unwrap());
    assert_eq!(version, format!("uproar {}\n", env!("CARGO_PKG_VERSION")));
    let help = text(&uproar(&directory).arg("--help").output().unwrap());
    for word in
        ["serve", "check", "config", "--listen", "--shards", "UPROAR_LIMITS__MESSAGE_BYTES_MAX"]
    {
        assert!(help.contains(word), "{help}");
    }
}

fn load(
    file: Option<&Path>,
    environment: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<Config, String> {
    let layers = Layers {
        file: file.map(Path::to_owned),
        environment: environment.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        flags: flags
            .iter()
            .map(|(key, value)| Flag { name: "--flag", key, value: (*value).to_owned() })
            .collect(),
    };
    Config::load(&layers).map_err(|problems| problems.to_string())
}

#[test]
fn flags_go_over_the_environment_and_that_over_the_file() {
    let file = directory("precedence").join("a.toml");
    fs::write(
        &file,
        "[server]\nshards = 1\n[limits]\nheaders_max = 51\nrooms_per_session_max = 51\n",
    )
    .unwrap();
    let environment =
        [("UPROAR_SERVER__SHARDS", "2"), ("UPROAR_LIMITS__HEADERS_MAX", "52"), ("HOME", "/")];
    let config = load(Some(&file), &environment, &[("server.shards", "3")]).unwrap();
    assert_eq!(config.server.shards, 3);
    assert_eq!(config.limits.headers_max, 52);
    assert_eq!(config.limits.rooms_per_session_max, 51);
    let untouched = Config::default().limits.header_bytes_max;
    assert_eq!(config.limits.header_bytes_max, untouched);
}

#[test]
fn each_kind_of_value_comes_through_every_layer() {
    let mut expected = Config::default();
    expected.server.listen = "127.0.0.1:9000".parse().unwrap();
    expected.server.admin_listen = "[::1]:9001".parse().unwrap();
    expected.server.data_dir = "123".into();
    expected.server.demo = Demo::Off;
    expected.limits.message_timeout_secs = 7;
    expected.relay.announce = Announce::Json;
    expected.echo.enabled = true;
    expected.chat.rooms = vec![RoomRule { pattern: "a \"b\"/*".into(), ..RoomRule::default() }];
    expected.log.synchronous = Synchronous::Normal;
    expected.auth.modes = vec![Mode::Token, Mode::Open];
    expected.auth.audience = "chat \"x\"".into();
    expected.auth.without_grant = Ungranted::Everything;
    let set = directory("key_set").join("jwks.json");
    fs::write(&set, KEY_SET).unwrap();
    let issuer = Some("me".into());
    expected.auth.keys = vec![TokenKey { issuer, jwks_file: Some(set), ..TokenKey::default() }];
    expected.telemetry.log_level = LogLevel::Trace;
    expected.telemetry.log_format = LogFormat::Human;

    let file = directory("kinds").join("a.toml");
    fs::write(&file, expected.to_toml()).unwrap();
    assert_eq!(load(Some(&file), &[], &[]).as_ref(), Ok(&expected));

    let words: Vec<(&str, String, String)> = KEYS
        .iter()
        .map(|key| (key, key.value(&expected)))
        .map(|(key, value)| {
            (key.path, key.variable(), value.as_str().map_or(value.to_string(), str::to_owned))
        })
        .collect();
    let environment: Vec<(&str, &str)> =
        words.iter().map(|(_, name, value)| (&**name, &**value)).collect();
    assert_eq!(load(None, &environment, &[]).as_ref(), Ok(&expected));
    let flags: Vec<(&'static str, &str)> =
        words.iter().map(|(key, _, value)| (*key, &**value)).collect();
    assert_eq!(load(None, &[], &flags).as_ref(), Ok(&expected));
}

#[test]
fn a_host_name_is_resolved() {
    let config = load(None, &[("UPROAR_SERVER__LISTEN", "localhost:8090")], &[]).unwrap();
    assert!(config.server.listen.ip().is_loopback());
    assert_eq!(config.server.listen.port(), 8090);
}

#[test]
fn what_kubernetes_says_of_a_service_named_uproar_is_left_alone() {
    let links = [
        ("UPROAR_SERVICE_HOST", "10.0.0.1"),
        ("UPROAR_SERVICE_PORT", "8080"),
        ("UPROAR_SERVICE_PORT_WEBSOCKET", "8080"),
        ("UPROAR_PORT", "tcp://10.0.0.1:8080"),
        ("UPROAR_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("UPROAR_PORT_8080_TCP_PROTO", "tcp"),
        ("UPROAR_PORT_8080_TCP_PORT", "8080"),
        ("UPROAR_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("UPROAR_ADMIN_SERVICE_HOST", "10.0.0.2"),
    ];
    assert_eq!(load(None, &links, &[]), Ok(Config::default()));
}
