//! A page of `/metrics`, taken apart.

use std::collections::{BTreeMap, BTreeSet};

/// Everything that a page says of one metric.
#[derive(Debug, Default)]
pub struct Family {
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    pub help: String,
    pub samples: Vec<Sample>,
}

#[derive(Debug)]
pub struct Sample {
    /// The name as it stands, with the `_bucket`, `_sum` or `_count` of a histogram.
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Family {
    /// The labels of its samples, but for the `le` that makes a bucket; they must be the same for all.
    pub fn labels(&self) -> Vec<&str> {
        let mut labels = self.samples.iter().map(|sample| {
            let names = sample.labels.keys().map(String::as_str);
            names.filter(|name| *name != "le").collect::<Vec<_>>()
        });
        let first = labels.next().unwrap_or_default();
        assert!(labels.all(|others| others == first), "{self:?}");
        first
    }

    /// Every value that a label has.
    pub fn values(&self, label: &str) -> BTreeSet<&str> {
        self.samples
            .iter()
            .filter_map(|sample| sample.labels.get(label))
            .map(String::as_str)
            .collect()
    }
}

/// Takes a page apart: the metrics by name.
pub fn families(page: &str) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::<String, Family>::new();
    let mut current = String::new();
    for line in page.lines().filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let mut word = || words.next().unwrap_or_else(|| panic!("a whole line: {line}"));
            let (what, name, text) = (word(), word(), word());
            name.clone_into(&mut current);
            let family = families.entry(current.clone()).or_default();
            match what {
                "TYPE" => text.clone_into(&mut family.kind),
                "HELP" => text.clone_into(&mut family.help),
                _ => panic!("{line}"),
            }
            continue;
        }
        let sample = sample(line);
        let bare = sample.name.strip_prefix(current.as_str());
        assert!(matches!(bare, Some("" | "_bucket" | "_sum" | "_count")), "{line} under {current}");
        families.get_mut(&current).expect("a metric says what it is").samples.push(sample);
    }
    families
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let labels = labels.trim_end_matches('}').split(',').filter(|pair| !pair.is_empty());
    let label = |pair: &str| {
        let (name, value) = pair.split_once('=').expect("a label has a value");
        (name.to_owned(), value.trim_matches('"').to_owned())
    };
    let value = value.parse().expect("a value is a number");
    Sample { name: name.to_owned(), labels: labels.map(label).collect(), value }
}
