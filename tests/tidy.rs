//! What no compiler holds the source and the documentation to.

#![allow(clippy::expect_used, reason = "a test fails where what it expects is not so")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::markdown;
use uproar::config::{Config, KEYS, ROOM_KEYS, RoomKey, TOKEN_KEY_FIELDS, TokenKeyField};

/// Lines that a file under `src` may have; above it holds more than one noun.
const LINES_MAX: usize = 400;

/// The files in which a check of these finds its own words.
const SELF: &str = "tests/tidy.rs";

/// Where `unsafe` is allowed, each with its reason beside it.
const UNSAFE_ALLOWED: [&str; 5] = [
    "src/allocator.rs",
    "src/shard/unacknowledged.rs",
    "tests/allocations.rs",
    "tests/blocks.rs",
    "tests/codec_allocations.rs",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the repository with that ending, by its path from the root; what is built is left out.
fn files(ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root().to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).expect("a directory can be read") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            if path.is_dir() && name != "target" && name != ".git" {
                open.push(path);
            } else if name.ends_with(ending) && path.is_file() {
                found.push(relative(&path));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "files were found");
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("it is below").to_str().expect("a name").replace('\\', "/")
}

/// Fails with every line that `is_wrong` says of, in every file.
#[track_caller]
fn no_line(files: impl IntoIterator<Item = String>, is_wrong: impl Fn(&str, &str) -> bool) {
    let mut wrong = Vec::new();
    for file in files.into_iter().filter(|file| file != SELF) {
        for (number, line) in markdown::read(&file).lines().enumerate() {
            if is_wrong(&file, line) {
                wrong.push(format!("{file}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_lives_in_it() {
    let silent = files(".rs").into_iter().filter(|file| !markdown::read(file).starts_with("//! "));
    assert_eq!(silent.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn no_file_holds_too_much() {
    let large = files(".rs").into_iter().filter(|file| file.starts_with("src/"));
    let large = large.map(|file| (markdown::read(&file).lines().count(), file));
    assert_eq!(large.filter(|(lines, _)| *lines > LINES_MAX).collect::<Vec<_>>(), []);
}

#[test]
fn nothing_is_left_to_be_done() {
    const WORDS: [&str; 7] =
        ["TODO", "FIXME", "XXX", "HACK", "todo!", "unimplemented!", "#[ignore"];
    let all = [".rs", ".md", ".toml", ".yml", ".js", ".html", ".css"].into_iter().flat_map(files);
    no_line(all, |_, line| WORDS.iter().any(|word| line.contains(word)));
}

#[test]
fn the_project_speaks_of_itself_alone() {
    let all = [".rs", ".md", ".toml", ".yml", ".js", ".html", ".css"].into_iter().flat_map(files);
    no_line(all, |_, line| {
        let line = line.to_lowercase();
        line.contains("issue #") || line.contains("issue number")
    });
}

#[test]
fn unsafe_stays_where_it_is_allowed() {
    no_line(files(".rs"), |file, line| {
        let code = line.split("//").next().unwrap_or_default();
        let is_word = |at: usize| !code[at + "unsafe".len()..].starts_with('_');
        let is_unsafe = code.match_indices("unsafe").any(|(at, _)| is_word(at));
        is_unsafe && !UNSAFE_ALLOWED.contains(&file)
    });
}

#[test]
fn exceptions_from_lints_have_a_reason() {
    for file in files(".rs").into_iter().filter(|file| file != SELF) {
        let text = markdown::read(&file);
        for (at, _) in text.match_indices("allow(").filter(|(at, _)| text[..*at].ends_with('[')) {
            let attribute = text[at..].split(")]").next().unwrap_or_default();
            assert!(attribute.contains("reason = \""), "{file}: {attribute}");
        }
    }
}

/// Whether what stands between backticks is meant as a path of this repository.
fn is_path(code: &str) -> bool {
    let first = code.split('/').next().unwrap_or_default();
    let tops = ["src", "tests", "docs", "benches", "fuzz", "grafana", "loadtest", ".ci"];
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    tops.contains(&first) && code.contains('/') && code.chars().all(is_plain)
}

#[test]
fn paths_in_the_documentation_exist() {
    let mut paths = 0;
    for file in files(".md") {
        let text = markdown::read(&file);
        let from = root().join(&file).parent().expect("a file is somewhere").to_owned();
        let named =
            markdown::code(&text).filter(|code| is_path(code)).map(|code| root().join(code));
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let linked = links.filter(|link| !link.is_empty() && !link.contains(':'));
        let all: Vec<PathBuf> = named.chain(linked.map(|link| from.join(link))).collect();
        for path in &all {
            assert!(path.exists(), "{file} names {}, which does not exist", path.display());
        }
        paths += all.len();
    }
    assert!(paths > 20, "paths were found: {paths}");
}

#[test]
fn headings_that_are_linked_to_exist() {
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().replace(' ', "-")
    };
    for file in files(".md") {
        let text = markdown::read(&file);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for (target, fragment) in links.filter_map(|link| link.split_once('#')) {
            if target.contains(':') {
                continue;
            }
            let path = match target {
                "" => root().join(&file),
                target => root().join(&file).with_file_name("").join(target),
            };
            let there = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{file}: {target}"));
            let mut headings = there.lines().filter(|line| line.starts_with('#')).map(anchor);
            assert!(headings.any(|heading| heading == fragment), "{file}: #{fragment}");
        }
    }
}

#[test]
fn every_key_is_documented() {
    let defaults = Config::default();
    let mut expected = Vec::new();
    for key in KEYS {
        let doc: Vec<_> = key.doc.iter().map(|line| line.trim()).collect();
        let (path, value) = (key.path, key.value(&defaults));
        expected.push(format!("| `{path}` | `{value}` | {} | {} |", key.accepts(), doc.join(" ")));
    }
    let rows = markdown::table(&markdown::read("docs/operations.md"), "### Every key");
    let documented: Vec<_> =
        rows.iter().map(|cells| format!("| {} |", cells.join(" | "))).collect();
    assert!(documented == expected, "the table should be\n{}", expected.join("\n"));
}

#[test]
fn every_key_of_a_rule_for_rooms_is_documented() {
    let row = |key: &RoomKey| {
        let default =
            key.default().map_or("must be there".to_owned(), |value| format!("`{value}`"));
        format!("| `{}` | {default} | {} | {} |", key.name, key.accepts(), key.doc)
    };
    let expected: Vec<_> = ROOM_KEYS.iter().map(row).collect();
    let rows = markdown::table(&markdown::read("docs/operations.md"), "### Rules for rooms");
    let documented: Vec<_> =
        rows.iter().map(|cells| format!("| {} |", cells.join(" | "))).collect();
    assert!(documented == expected, "the table should be\n{}", expected.join("\n"));
}

#[test]
fn every_key_of_a_key_for_tokens_is_documented() {
    let row = |field: &TokenKeyField| {
        format!("| `{}` | {} | {} |", field.name, field.accepts(), field.doc)
    };
    let expected: Vec<_> = TOKEN_KEY_FIELDS.iter().map(row).collect();
    let rows = markdown::table(&markdown::read("docs/operations.md"), "### Keys");
    let documented: Vec<_> =
        rows.iter().map(|cells| format!("| {} |", cells.join(" | "))).collect();
    assert!(documented == expected, "the table should be\n{}", expected.join("\n"));
}

#[test]
fn the_documented_keys_are_those_of_the_program() {
    let output = Command::new(env!("CARGO_BIN_EXE_uproar")).arg("config").output();
    let text = String::from_utf8(output.expect("the binary runs").stdout).expect("text");
    let printed: toml::Table = text.parse().expect("it loads");
    let printed: BTreeSet<_> = printed
        .iter()
        .flat_map(|(section, keys)| {
            let keys = keys.as_table().expect("a section").iter();
            keys.map(move |(key, value)| (format!("`{section}.{key}`"), format!("`{value}`")))
        })
        .collect();
    let rows = markdown::table(&markdown::read("docs/operations.md"), "### Every key");
    // An empty list of tables is printed as nothing.
    let rows = rows.into_iter().filter(|cells| !cells[2].contains("tables, each under"));
    let documented = rows.map(|cells| (cells[0].clone(), cells[1].clone())).collect();
    assert_eq!(printed, documented);
}

#[test]
fn keys_and_metrics_that_are_named_exist() {
    let sections: BTreeSet<_> = KEYS.iter().map(|key| key.section).collect();
    let metrics: BTreeSet<_> = uproar::metrics::METRICS.iter().map(|metric| metric.name).collect();
    for file in files(".md") {
        let text = markdown::read(&file);
        for code in markdown::code(&text) {
            let word = code.split([' ', '=', '{']).next().unwrap_or_default();
            if let Some((section, name)) = word.split_once('.')
                && sections.contains(section)
                && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            {
                assert!(KEYS.iter().any(|key| key.path == word), "{file}: no key {word}");
            }
            let is_metric = word.starts_with("uproar_") && !word.ends_with('_');
            assert!(!is_metric || metrics.contains(word), "{file}: no metric {word}");
        }
    }
}
