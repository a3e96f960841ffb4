//! Tables in the documentation, taken apart.

use std::path::Path;

/// A file of the repository.
pub fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of the first table under that heading, cell by cell; the table's own head is left out.
pub fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let section =
        text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading:?}")).1;
    let lines = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// What stands between backticks in a text.
pub fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// What stands under a heading, up to the next one that is as high.
pub fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let level = heading.split(' ').next().unwrap_or_default();
    let behind =
        text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading:?}")).1;
    behind.split(&format!("\n{level} ")).next().unwrap_or_default()
}

/// The fenced blocks of a text in their order: the language, and what stands in them.
pub fn fenced(text: &str) -> Vec<(&str, &str)> {
    let parts: Vec<_> = text.split("\n```").collect();
    let blocks = parts.iter().skip(1).step_by(2);
    blocks.map(|block| block.split_once('\n').unwrap_or((block, ""))).collect()
}

/// Those of them that are of that language.
pub fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fenced = fenced(text).into_iter();
    fenced.filter(|(of, _)| *of == language).map(|(_, block)| block).collect()
}
