//! Where things stand in a configuration file: the line of each section, of each key, and of what is inside of a list.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The line, counted from 1, of each section, each `section.name`, each `section.name[0]` and `section.name[0].name`.
pub(super) fn lines_of(text: &str, positions: &DeTable<'_>) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    in_table(text, "", positions, &mut lines);
    lines
}

pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn in_table(text: &str, path: &str, table: &DeTable<'_>, lines: &mut BTreeMap<String, usize>) {
    for (name, value) in table {
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{}", name.get_ref());
        lines.insert(path.clone(), line_of(text, name.span().start));
        in_value(text, &path, value, lines);
    }
}

fn in_value(
    text: &str,
    path: &str,
    value: &Spanned<DeValue<'_>>,
    lines: &mut BTreeMap<String, usize>,
) {
    match value.get_ref() {
        DeValue::Table(table) => in_table(text, path, table, lines),
        DeValue::Array(list) => {
            for (at, value) in list.iter().enumerate() {
                let path = format!("{path}[{at}]");
                lines.insert(path.clone(), line_of(text, value.span().start));
                in_value(text, &path, value, lines);
            }
        }
        _ => {}
    }
}
