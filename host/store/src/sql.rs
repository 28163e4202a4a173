//! What the host must know about SQL before SQLite sees it: its words, its statements and their lines.
//!
//! Not a parser: SQLite decides whether SQL is correct, and the authorizer what it may touch.

/// A word or a semicolon outside strings, quoted names and comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Semicolon,
    /// Anything else that is not a space; it belongs to the statement.
    Other,
}

/// One statement of a script, with the line it starts on (the first is 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Statement<'a> {
    pub line: usize,
    pub sql: &'a str,
}

/// Whether `sql` contains `word` (upper case) outside strings, quoted names and comments.
pub(super) fn has_word(sql: &str, word: &str) -> bool {
    // Hardly any statement contains these letters at all. Only those that do are split into tokens.
    let holds = sql.as_bytes().windows(word.len()).any(|w| w.eq_ignore_ascii_case(word.as_bytes()));
    holds && Tokens::new(sql).any(|(_, _, token)| matches!(token, Token::Word(w) if w.eq_ignore_ascii_case(word)))
}

/// Whether the first word of `sql` is `word`.
pub(super) fn begins_with(sql: &str, word: &str) -> bool {
    matches!(Tokens::new(sql).next(), Some((_, _, Token::Word(first))) if first.eq_ignore_ascii_case(word))
}

/// Splits a script after each statement's semicolon. A trigger ends with `; END ;`, as in SQLite's own shell.
pub(super) fn statements(script: &str) -> Vec<Statement<'_>> {
    let mut found = Vec::new();
    // Where the statement starts, once its first token is seen, and whether it is a trigger.
    let mut start: Option<usize> = None;
    let mut trigger = Trigger::Unknown;
    let mut tail = Tail::Inside;
    for (from, to, token) in Tokens::new(script) {
        if token == Token::Semicolon && (trigger != Trigger::Yes || tail == Tail::End) {
            if let Some(begin) = start.take() {
                found.push(Statement { line: line_of(script, begin), sql: script.get(begin..to).unwrap_or("") });
            }
            (trigger, tail) = (Trigger::Unknown, Tail::Inside);
            continue;
        }
        start.get_or_insert(from);
        trigger = trigger.after(token);
        tail = match token {
            Token::Semicolon => Tail::Semicolon,
            Token::Word(w) if tail == Tail::Semicolon && w.eq_ignore_ascii_case("END") => Tail::End,
            _ => Tail::Inside,
        };
    }
    if let Some(begin) = start {
        found.push(Statement { line: line_of(script, begin), sql: script.get(begin..).unwrap_or("") });
    }
    found
}

/// The line of the byte at `offset`; the first is 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trigger {
    Unknown,
    Created,
    Yes,
    No,
}

impl Trigger {
    fn after(self, token: Token<'_>) -> Self {
        let is = |word: &str| matches!(token, Token::Word(w) if w.eq_ignore_ascii_case(word));
        match self {
            Self::Unknown if is("CREATE") => Self::Created,
            Self::Created if is("TEMP") || is("TEMPORARY") => Self::Created,
            Self::Created if is("TRIGGER") => Self::Yes,
            Self::Yes => Self::Yes,
            _ => Self::No,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tail {
    Inside,
    Semicolon,
    End,
}

/// Yields (from, to, token).
struct Tokens<'a> {
    sql: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    fn new(sql: &'a str) -> Self {
        Self { sql, at: 0 }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.sql.as_bytes().get(at).copied()
    }

    /// The position after the next `end` at or after `from`, or the end of the text.
    fn after(&self, from: usize, end: &str) -> usize {
        let rest = self.sql.get(from..).unwrap_or("");
        rest.find(end).map_or(self.sql.len(), |i| from + i + end.len())
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = (usize, usize, Token<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let from = self.at;
            let next = self.byte(from + 1);
            let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'$' || b >= 0x80;
            let (to, token) = match self.byte(from)? {
                b if b.is_ascii_whitespace() => {
                    self.at = from + 1;
                    continue;
                }
                b'-' if next == Some(b'-') => {
                    self.at = self.after(from, "\n");
                    continue;
                }
                b'/' if next == Some(b'*') => {
                    self.at = self.after(from + 2, "*/");
                    continue;
                }
                b';' => (from + 1, Token::Semicolon),
                // A doubled quote inside a string makes two strings side by side, which is the same here.
                b'\'' => (self.after(from + 1, "'"), Token::Other),
                b'"' => (self.after(from + 1, "\""), Token::Other),
                b'`' => (self.after(from + 1, "`"), Token::Other),
                b'[' => (self.after(from + 1, "]"), Token::Other),
                b if word(b) => {
                    let rest = self.sql.as_bytes().get(from..).unwrap_or(&[]);
                    let to = from + rest.iter().take_while(|b| word(**b)).count();
                    (to, Token::Word(self.sql.get(from..to).unwrap_or("")))
                }
                _ => (from + 1, Token::Other),
            };
            self.at = to;
            return Some((from, to, token));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn words_count_only_outside_strings_names_and_comments() {
        for with in [
            "INSERT OR ROLLBACK INTO t VALUES (1)",
            "x;rollback",
            "/* a */ROLLBACK",
            "-- a\nrollback",
            "'a''b' Rollback",
        ] {
            assert!(has_word(with, "ROLLBACK"), "{with}");
        }
        for without in [
            "SELECT 'ROLLBACK'",
            "SELECT \"rollback\", [rollback], `rollback`",
            "SELECT 1 -- rollback",
            "SELECT /* rollback */ 1",
            "SELECT rollbacks FROM rollback_log",
            "SELECT 'it''s a rollback'",
        ] {
            assert!(!has_word(without, "ROLLBACK"), "{without}");
        }
    }

    #[test]
    fn scripts_are_split_into_statements_with_their_lines() {
        let script = "-- schema\nCREATE TABLE a (x TEXT DEFAULT ';');\n\n/* ; */ CREATE TRIGGER t AFTER INSERT ON a BEGIN\
                      \n UPDATE a SET x = CASE WHEN 1 THEN 2 END; DELETE FROM a;\nEND;\n;;\nINSERT INTO a VALUES ('é;')";
        let found = statements(script);
        let lines: Vec<_> = found.iter().map(|s| s.line).collect();
        assert_eq!(lines, [2, 4, 8], "{found:?}");
        assert!(found[1].sql.ends_with("END;"));
        assert_eq!(found[2].sql, "INSERT INTO a VALUES ('é;')");
        assert!(statements(" -- nothing\n;").is_empty());
    }
}
