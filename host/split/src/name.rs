//! Names of tables and columns, as SQLite compares and quotes them.

/// `name` in double quotes, for a statement.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What two spellings of one name share: SQLite folds the letters of ASCII, and no others.
pub fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

pub fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_name_is_doubled() {
        assert_eq!(quoted("order"), "\"order\"");
        assert_eq!(quoted("a\"b c"), "\"a\"\"b c\"");
    }

    #[test]
    fn names_fold_in_ascii_alone() {
        assert!(is_same("Album", "aLBUM"));
        assert!(!is_same("Å", "å"));
        assert_eq!(folded("TrackÅ"), "trackÅ");
    }
}
