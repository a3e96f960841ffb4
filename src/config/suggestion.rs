//! What somebody may have meant by a name that does not exist.

/// Which share of two names must be alike for one to be taken as a slip of the other.
const LIKENESS_MIN: f64 = 0.8;

/// "; did you mean X?" where one of the known names is close.
pub(super) fn suggestion(name: &str, known: impl Iterator<Item = String>) -> String {
    known
        .map(|known| (strsim::normalized_damerau_levenshtein(name, &known), known))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| format!("; did you mean {known}?"))
        .unwrap_or_default()
}
