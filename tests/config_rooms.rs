//! Rules for rooms come from a file, the environment or a program; what is wrong with one is said with its place.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};

use uproar::config::{Config, Engine, Layers, PresenceMode, ROOM_KEYS, RoomRule};
use uproar::rooms::rules::RoomRules;

/// A file of that name with this text.
fn file(name: &str, text: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("config_rooms");
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join(format!("{name}.toml"));
    fs::write(&path, text).unwrap();
    path
}

fn load(file: Option<PathBuf>, environment: &[(&str, &str)]) -> Result<Config, String> {
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let layers = Layers { file, environment, flags: Vec::new() };
    Config::load(&layers).map_err(|problems| problems.to_string())
}

/// Each line of what is found wrong with that file, without the directory of the file.
#[track_caller]
fn check_file(name: &str, text: &str, expected: &[&str]) {
    let path = file(name, text);
    let found = load(Some(path.clone()), &[]).unwrap_err();
    let found = found.replace(&*path.to_string_lossy(), "a.toml");
    check(&found, expected);
}

#[track_caller]
fn check(found: &str, expected: &[&str]) {
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{found}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "{expected:?} is not in {line:?}");
    }
}

fn rule(pattern: &str) -> RoomRule {
    RoomRule { pattern: pattern.into(), ..RoomRule::default() }
}

#[test]
fn a_file_has_its_rules_in_order() {
    let path = file(
        "good",
        "[chat]\npresence_members_max = 7\n\
         [[chat.rooms]]\npattern = \"game/chess/*\"\nretention_secs = 0\n\
         [[chat.rooms]]\npattern = \"game/*\"\nengine = \"memory\"\nretention_messages = 9\n\
         history = 3\npresence = \"count\"\nretention_secs = 60\n\
         [log]\nsynchronous = \"normal\"\n",
    );
    let config = load(Some(path), &[]).unwrap();
    let memory = RoomRule {
        engine: Engine::Memory,
        retention_secs: Some(60),
        retention_messages: Some(9),
        history: 3,
        presence: PresenceMode::Count,
        ..rule("game/*")
    };
    let chess = RoomRule { retention_secs: None, ..rule("game/chess/*") };
    assert_eq!(config.chat.rooms, [chess.clone(), memory.clone()]);
    let rules = RoomRules::new(&config.chat.rooms, config.chat.history_messages_max);
    assert_eq!(rules.of("game/chess/1"), &chess);
    assert_eq!(rules.of("game/go/1"), &memory);
    assert_eq!(rules.of("lobby"), &RoomRule::default());
}

#[test]
fn the_environment_has_other_rules_than_the_file() {
    let path = file("under", "[[chat.rooms]]\npattern = \"a\"\nengine = \"memory\"\nhistory = 70");
    let variable = "UPROAR_CHAT__ROOMS";
    let set = |value: &str| load(Some(path.clone()), &[(variable, value)]);
    let config = set("[{pattern = \"b*\", presence = \"off\"}, {pattern = \"c\"}]").unwrap();
    let silent = RoomRule { presence: PresenceMode::Off, ..rule("b*") };
    assert_eq!(config.chat.rooms, [silent, rule("c")]);
    assert_eq!(set("[]").unwrap().chat.rooms, []);

    let refused = |value: &str, expected: &[&str]| check(&set(value).unwrap_err(), expected);
    refused("lobby", &["chat.rooms = \"lobby\" (UPROAR_CHAT__ROOMS): must be at most 1000 tables"]);
    refused("[7]", &["chat.rooms[0] = 7 (UPROAR_CHAT__ROOMS): must be a table with a pattern"]);
    refused(
        "[{pattern=\"a\", size=1}]",
        &["chat.rooms[0].size = 1 (UPROAR_CHAT__ROOMS): no such key"],
    );
    // What the file said of its own rules is not said of these.
    let (short, long) =
        ("[{pattern=\"a\", history=101}]", "chat.rooms[0].history = 101 (UPROAR_CHAT__ROOMS)");
    refused(short, &[long]);
    refused(
        "[{pattern=\"..\"}]",
        &[
            "chat.rooms[0].pattern = \"..\" (UPROAR_CHAT__ROOMS): no room can have such a name: the room name may not",
        ],
    );
}

#[test]
fn a_wrong_rule_is_named_with_its_line() {
    check_file(
        "wrong",
        "[[chat.rooms]]\npattern = \"\"\nengine = \"disk\"\n[[chat.rooms]]\nretention = 5\nhistory = 1001\n\
         [[chat.rooms]]\npattern = \"a\"\npresense = \"off\"\nretention_secs = \"1d\"\nretention_messages = -1",
        &[
            "chat.rooms[0].pattern = \"\" (a.toml line 2): must be a text that is not empty",
            "chat.rooms[0].engine = \"disk\" (a.toml line 3): must be one of \"durable\" \"memory\"",
            "chat.rooms[1] = { history = 1001, retention = 5 } (a.toml line 4): has no pattern",
            "chat.rooms[1].retention = 5 (a.toml line 5): no such key",
            "chat.rooms[1].history = 1001 (a.toml line 6): must be a whole number from 0 to 1000 (messages)",
            "chat.rooms[2].presense = \"off\" (a.toml line 9): no such key; did you mean presence?",
            "chat.rooms[2].retention_secs = \"1d\" (a.toml line 10): must be a whole number from 0 to 3153600000",
            "chat.rooms[2].retention_messages = -1 (a.toml line 11): must be a whole number",
        ],
    );
    check_file(
        "single",
        "[chat.rooms]\npattern = \"a\"",
        &[
            "chat.rooms = { pattern = \"a\" } (a.toml line 1): must be at most 1000 tables, each under [[chat.rooms]]",
        ],
    );
    check_file(
        "slip",
        "[[chat.room]]\npattern = \"a\"",
        &["(a.toml line 1): no such key; did you mean chat.rooms?"],
    );
}

#[test]
fn rules_that_contradict_each_other_are_both_named() {
    check_file(
        "contradictions",
        "[chat]\nhistory_messages_max = 20\n[[chat.rooms]]\npattern = \"a/*\"\nhistory = 30\n\
         [[chat.rooms]]\npattern = \"*\"\n[[chat.rooms]]\npattern = \"a/b\"\n[[chat.rooms]]\npattern = \"c*\"",
        &[
            "chat.rooms[0].history = 30 (a.toml line 5) and chat.history_messages_max = 20 (a.toml line 2): a join",
            "chat.rooms[2].pattern = \"a/b\" (a.toml line 9) and chat.rooms[0].pattern = \"a/*\" (a.toml line 4): the first",
            "chat.rooms[3].pattern = \"c*\" (a.toml line 11) and chat.rooms[1].pattern = \"*\" (a.toml line 7): the first",
        ],
    );
}

#[test]
fn rules_that_a_program_sets_are_checked_too() {
    let found = |rules: Vec<RoomRule>| {
        let mut config = Config::default();
        config.chat.rooms = rules;
        config.validate().map_err(|problems| problems.to_string()).err().unwrap_or_default()
    };
    assert_eq!(found(vec![rule("a"), rule("b*")]), "");
    check(
        &found(vec![rule("")]),
        &["chat.rooms[0].pattern = \"\": must be a text that is not empty"],
    );
    check(
        &found(vec![rule("a"), RoomRule { retention_secs: Some(0), ..rule("b") }]),
        &["chat.rooms[1].retention_secs = 0: nothing would be kept"],
    );
    check(
        &found(vec![RoomRule { retention_messages: Some(u64::MAX), ..rule("b") }]),
        &["chat.rooms[0].retention_messages = 9223372036854775807: must be"],
    );
    check(
        &found((0..1001).map(|at| rule(&format!("{at}"))).collect()),
        &["must be at most 1000 tables"],
    );
}

#[test]
fn a_room_in_memory_without_a_bound_is_warned_about() {
    let mut config = Config::default();
    config.chat.rooms = vec![rule("a"), RoomRule { engine: Engine::Memory, ..rule("b/*") }];
    let warnings = config.warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("chat.rooms[1], pattern = \"b/*\": "), "{warnings:?}");
    config.chat.rooms[1].retention_messages = Some(10);
    assert_eq!(config.warnings(), [""; 0]);
}

#[test]
fn the_printed_example_loads() {
    let printed = Config::default().to_toml();
    for key in ROOM_KEYS {
        assert!(printed.contains(&format!("\n# - {}: {}\n", key.name, key.doc)));
        assert!(printed.contains(&format!("\n#   Takes {}; ", key.accepts())));
    }
    let lines = printed.lines().skip_while(|line| *line != "# [[chat.rooms]]");
    let example = lines.map_while(|line| line.strip_prefix('#'));
    let example: String = example.map(|line| format!("{line}\n")).collect();
    let config = load(Some(file("example", &example)), &[]).unwrap();
    assert!(!config.chat.rooms.is_empty());
    assert_eq!(config.warnings(), [""; 0]);
}

#[test]
fn printed_rules_load_and_are_the_same() {
    let mut config = Config::default();
    config.chat.rooms = vec![
        RoomRule { retention_secs: None, retention_messages: Some(5), ..rule("a/\"*\"") },
        RoomRule { presence: PresenceMode::Off, history: 0, ..rule("*") },
    ];
    let path = file("printed", &config.to_toml());
    assert_eq!(load(Some(path), &[]), Ok(config));
}
