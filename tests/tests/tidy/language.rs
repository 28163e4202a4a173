//! How prose and comments are written: lines that fit a window, and none of the words that leave a reader guessing who
//! is meant.

use crate::{none, texts};

/// The width of prose and comments, in characters; `rustfmt.toml` has the same for code.
const COLUMNS_MAX: usize = 120;

/// Words without a subject: say which part does it (the caller, the operator, the client, the guest). Each in two
/// halves, so that this file does not find itself.
const DIALECT: [(&str, &str); 9] = [
    ("who", "ever"),
    ("some", "body"),
    ("no", "body"),
    ("any", "body"),
    ("a", "new"),
    ("is ", "told"),
    ("are ", "told"),
    ("breaks ", "off"),
    ("beg", "un"),
];
const PLAIN: [&str; 5] = ["host/", "plugins/", "wit/", "docs/", "tests/"];

/// Lines with comments, and all lines of prose.
fn is_prose(name: &str, line: &str) -> bool {
    !name.ends_with(".rs") || line.contains("// ") || line.trim_start().starts_with("//")
}

#[test]
fn prose_and_comments_fit_a_window() {
    let mut wrong = Vec::new();
    for (name, text) in texts(&[".md", ".rs", ".wit"]) {
        let mut fenced = false;
        for (number, line) in text.lines().enumerate() {
            let fence = name.ends_with(".md") && line.trim_start().starts_with("```");
            fenced ^= fence;
            let columns = line.chars().count();
            // An address cannot be broken, and commands and transcripts stand as they are typed and printed.
            let fits = columns <= COLUMNS_MAX || fenced || !line.trim().contains(' ');
            if !fits && is_prose(&name, line) {
                wrong.push(format!("{name}:{}: {columns} columns", number + 1));
            }
        }
    }
    none(&wrong);
}

#[test]
fn sentences_say_who_does_what() {
    let mut wrong = Vec::new();
    for (name, text) in texts(&[".md", ".rs", ".wit", ".sql", ".toml", ".html", ".txt", ".js", ".py", ".cljs"]) {
        // A migration that has run keeps its text: the host checks it.
        if !PLAIN.iter().any(|folder| name.starts_with(folder)) || name.contains("/migrations/") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            for (a, b) in DIALECT {
                if has_word(line, &format!("{a}{b}")) {
                    wrong.push(format!("{name}:{}: `{a}{b}`", number + 1));
                }
            }
        }
    }
    none(&wrong);
}

/// Whether the line has these words as a whole; `_` ends a word as a blank does.
fn has_word(line: &str, words: &str) -> bool {
    let line = line.to_lowercase().replace('_', " ");
    let mut matches = line.match_indices(words);
    matches.any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(char::is_alphanumeric);
        let after = line[at + words.len()..].chars().next().is_some_and(char::is_alphanumeric);
        !before && !after
    })
}

#[test]
fn words_are_found_as_wholes() {
    let word = DIALECT.map(|(a, b)| format!("{a}{b}"));
    assert!(has_word(&format!("fn a_{}_b()", word[2]), &word[2]));
    assert!(has_word(&format!("It {} so.", word[5].to_uppercase()), &word[5]));
    assert!(!has_word(&format!("{}s", word[4]), &word[4]));
}
