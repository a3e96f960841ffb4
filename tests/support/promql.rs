//! What a PromQL expression names: metrics, labels, values. Only as much of the language as the dashboard and the
//! alert rules use; anything else is a failure.

use std::collections::BTreeSet;

/// The names in one expression.
#[derive(Debug, Default)]
pub struct Query {
    pub selectors: Vec<Selector>,
    /// The labels by which it aggregates.
    pub grouping: BTreeSet<String>,
    pub aggregates: bool,
}

/// One metric and its matchers.
#[derive(Debug)]
pub struct Selector {
    pub metric: String,
    /// Label and the values that it is compared with; none for a pattern that is more than alternatives.
    pub matchers: Vec<(String, Vec<String>)>,
}

const AGGREGATIONS: [&str; 4] = ["sum", "min", "max", "avg"];
const FUNCTIONS: [&str; 3] = ["rate", "histogram_quantile", "changes"];
const OPERATORS: [&str; 4] = ["and", "or", "unless", "offset"];

#[derive(Debug, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Sign(char),
}

/// Takes an expression apart.
pub fn parse(expression: &str) -> Query {
    let tokens = tokens(expression);
    let mut query = Query::default();
    let mut at = 0;
    while at < tokens.len() {
        let Token::Name(name) = &tokens[at] else {
            at += 1;
            continue;
        };
        let next = tokens.get(at + 1);
        at += 1;
        if name == "by" {
            let end = position(&tokens, at, ')');
            let labels = tokens[at..end].iter().filter_map(|token| match token {
                Token::Name(label) => Some(label.clone()),
                _ => None,
            });
            query.grouping.extend(labels);
            at = end;
        } else if AGGREGATIONS.contains(&name.as_str()) {
            query.aggregates = true;
        } else if FUNCTIONS.contains(&name.as_str()) {
            assert_eq!(next, Some(&Token::Sign('(')), "{expression}");
        } else if !OPERATORS.contains(&name.as_str()) {
            let mut matchers = Vec::new();
            if next == Some(&Token::Sign('{')) {
                let end = position(&tokens, at, '}');
                matchers = tokens[at..end]
                    .split(|token| *token == Token::Sign(','))
                    .map(matcher)
                    .collect();
                at = end;
            }
            query.selectors.push(Selector { metric: name.clone(), matchers });
        }
    }
    query
}

fn position(tokens: &[Token], from: usize, sign: char) -> usize {
    from + tokens[from..]
        .iter()
        .position(|token| *token == Token::Sign(sign))
        .expect("what opens closes")
}

fn matcher(tokens: &[Token]) -> (String, Vec<String>) {
    let mut words = tokens.iter().filter(|token| !matches!(token, Token::Sign(_)));
    let (Some(Token::Name(label)), Some(Token::Text(value)), None) =
        (words.next(), words.next(), words.next())
    else {
        panic!("a label and a value: {tokens:?}");
    };
    let is_plain = value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '|'));
    let values = if is_plain { value.split('|').map(str::to_owned).collect() } else { Vec::new() };
    (label.clone(), values)
}

fn tokens(expression: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = expression;
    while let Some(c) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':');
        let length = match c {
            '"' => 2 + rest[1..].find('"').expect("a string ends"),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (word, behind) = rest.split_at(length);
        rest = behind;
        match c {
            '"' => tokens.push(Token::Text(word.trim_matches('"').to_owned())),
            // A number or a duration.
            c if c.is_ascii_digit() || c.is_whitespace() => {}
            c if is_word(c) => tokens.push(Token::Name(word.to_owned())),
            c => tokens.push(Token::Sign(c)),
        }
    }
    tokens
}
