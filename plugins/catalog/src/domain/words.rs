//! What a shopper typed into the search box, as words that FTS5 can take.

use seam_sdk::Invalid;

use super::number::Number;
use super::spelling::{self, Chunk};

/// The FTS5 query that finds nothing: an empty text is a mistake to FTS5, an empty phrase is not.
pub const NOTHING: &str = "\"\"";
/// Bytes of the whole question.
const TYPED_BYTES_MAX: usize = 400;
/// Each word costs a walk along its matches.
const WORDS_MAX: usize = 8;
/// Shorter beginnings match nearly everything.
const BEGINNING_CHARS_MIN: usize = 2;

/// Words to search for; letters and digits only, so that nothing typed has a meaning in the query language. Signs are
/// among them as the letters that stand for them.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    /// As they were typed, cut at punctuation. Empty for a name of signs alone.
    typed: Vec<String>,
    /// In their plainest spelling, by what stood between blanks; and with `oe` for `ö`, if there is one.
    spelled: Vec<(Chunk, Option<Chunk>)>,
    text: String,
}

impl Words {
    pub fn new(typed: &str) -> Result<Self, Invalid> {
        if typed.len() > TYPED_BYTES_MAX {
            return Err(Invalid(format!("a search of {} bytes; {TYPED_BYTES_MAX} are allowed", typed.len())));
        }
        let text = typed.to_owned();
        let chunk = |written| Some((spelling::chunks(written).next()?, spelling::in_two_letters(written)));
        let mut spelled: Vec<_> = typed.split_whitespace().filter_map(chunk).collect();
        // A combining accent belongs to the letter before it.
        let part_of_word = |c: char| c.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&c);
        let typed: Vec<_> = typed
            .split(|c| !part_of_word(c))
            .filter(|word| word.contains(char::is_alphanumeric))
            .map(String::from)
            .collect();
        if !typed.is_empty() {
            // A dash between two names is no part of either.
            spelled.retain(|(chunk, _)| matches!(chunk, Chunk::Words(_)));
        }
        match typed.len().max(spelled.len()) {
            0 => Err(Invalid("a search needs a letter, a digit or a sign".into())),
            count if count > WORDS_MAX => Err(Invalid(format!("a search for {count} words; {WORDS_MAX} are allowed"))),
            _ => Ok(Self { typed, spelled, text }),
        }
    }

    /// What was typed.
    pub fn typed(&self) -> &str {
        &self.text
    }

    /// The SKU that this may be.
    pub fn number(&self) -> Option<Number> {
        Number::of(&self.text)
    }

    /// The FTS5 query for all of these words; it finds nothing for signs alone.
    pub fn whole(&self) -> String {
        if self.typed.is_empty() {
            return NOTHING.into();
        }
        self.typed.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" ")
    }

    /// The same, with the last word being the beginning of one; `None` when it is too short for that.
    pub fn beginning(&self) -> Option<String> {
        self.typed.last().is_some_and(|word| is_long(word)).then(|| self.whole() + "*")
    }

    /// Whether the plainest spelling differs from what was typed by more than case.
    pub fn respelled(&self) -> bool {
        let words = self.spelled.iter().map(|(chunk, _)| match chunk {
            Chunk::Words(words) => words.concat(),
            Chunk::Signs(word) => word.clone(),
        });
        self.spelled.iter().any(|(_, other)| other.is_some())
            || !self.typed.iter().map(|word| word.to_lowercase()).eq(words)
    }

    /// The FTS5 query for another spelling of these words. What punctuation divides may also be joined.
    pub fn whole_spelled(&self) -> String {
        self.spelled(false)
    }

    /// The same, with the last word being the beginning of one, unless it is too short for that.
    pub fn beginning_spelled(&self) -> String {
        self.spelled(true)
    }

    fn spelled(&self, beginning: bool) -> String {
        let last = self.spelled.len().saturating_sub(1);
        let chunks = self.spelled.iter().enumerate();
        let one = |i: usize, (chunk, other): &(Chunk, Option<Chunk>)| match other {
            Some(other) => {
                format!("({} OR {})", term(chunk, beginning && i == last), term(other, beginning && i == last))
            }
            None => term(chunk, beginning && i == last),
        };
        let terms: Vec<_> = chunks.map(|(i, chunk)| one(i, chunk)).collect();
        terms.join(" AND ")
    }
}

/// A chunk as a term of a query: each word a phrase, and all of them joined.
fn term(chunk: &Chunk, beginning: bool) -> String {
    let phrase = |word: &str, last: bool| match last && beginning && is_long(word) {
        true => format!("\"{word}\"*"),
        false => format!("\"{word}\""),
    };
    match chunk {
        Chunk::Signs(word) => phrase(word, true),
        Chunk::Words(words) => match words.as_slice() {
            [word] => phrase(word, true),
            words => {
                let last = words.len().saturating_sub(1);
                let each: Vec<_> = words.iter().enumerate().map(|(i, word)| phrase(word, i == last)).collect();
                format!("({} OR ({}))", phrase(&words.concat(), true), each.join(" AND "))
            }
        },
    }
}

fn is_long(word: &str) -> bool {
    word.chars().count() >= BEGINNING_CHARS_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &str, whole: &str, beginning: Option<&str>) {
        let words = Words::new(typed).unwrap_or_else(|Invalid(why)| panic!("{typed:?}: {why}"));
        assert_eq!((words.whole().as_str(), words.beginning().as_deref()), (whole, beginning));
    }

    #[test]
    fn words_are_quoted_and_the_last_may_be_a_beginning() {
        check("homogenic", r#""homogenic""#, Some(r#""homogenic"*"#));
        check("  Björk   Post ", r#""Björk" "Post""#, Some(r#""Björk" "Post"*"#));
        check("a", r#""a""#, None);
        check("don't", r#""don" "t""#, None);
        check("AC/DC", r#""AC" "DC""#, Some(r#""AC" "DC"*"#));
        check("ro\u{301}s", "\"ro\u{301}s\"", Some("\"ro\u{301}s\"*"));
        check("东京", r#""东京""#, Some(r#""东京"*"#));
    }

    #[test]
    fn another_spelling_joins_what_punctuation_divides() {
        let spelled = |typed: &str| {
            let words = Words::new(typed).unwrap_or_else(|Invalid(why)| panic!("{typed:?}: {why}"));
            (words.whole_spelled(), words.beginning_spelled())
        };
        for (typed, whole, beginning) in [
            ("Guðna - Joker", r#""gudna" AND "joker""#, r#""gudna" AND "joker"*"#),
            ("AC/DC", r#"("acdc" OR ("ac" AND "dc"))"#, r#"("acdc"* OR ("ac" AND "dc"*))"#),
            ("ø", r#"("o" OR "oe")"#, r#"("o" OR "oe"*)"#),
            ("Björk", r#"("björk" OR "bjoerk")"#, r#"("björk"* OR "bjoerk"*)"#),
            ("+/-", "\"\u{e02b}\u{e02f}\u{e02d}\"", "\"\u{e02b}\u{e02f}\u{e02d}\"*"),
        ] {
            assert_eq!(spelled(typed), (whole.into(), beginning.into()), "{typed}");
        }
        assert_eq!(Words::new("!!!").map(|words| words.whole()), Ok(NOTHING.into()));
    }

    #[test]
    fn nothing_typed_reaches_the_query_language() {
        for typed in [
            r#"a" OR "b"#,
            "artist:x",
            "NEAR(a b)",
            "a*",
            "-a ^b",
            "{artist}: (x)",
            "a\0b",
            "'; --x",
            "Bj\"örk* ö\" OR",
        ] {
            let words = Words::new(typed).unwrap_or_else(|Invalid(why)| panic!("{typed:?}: {why}"));
            for query in [words.whole(), words.whole_spelled(), words.beginning_spelled()] {
                let inside: String = query.split('"').skip(1).step_by(2).collect();
                assert!(inside.chars().all(char::is_alphanumeric), "{typed:?} became {query}");
                let outside: String = query.split('"').step_by(2).collect();
                let rest = outside.replace("AND", "").replace("OR", "");
                assert!(rest.chars().all(|c| " ()*".contains(c)), "{typed:?} became {query}");
            }
        }
    }

    #[test]
    fn a_search_is_bounded() {
        for empty in ["", "   ", "\0", "\u{301}"] {
            let why = "a search needs a letter, a digit or a sign";
            assert_eq!(Words::new(empty), Err(Invalid(why.into())), "{empty:?}");
        }
        assert_eq!(Words::new(&"! ".repeat(9)), Err(Invalid("a search for 9 words; 8 are allowed".into())));
        assert_eq!(Words::new(&"a ".repeat(9)), Err(Invalid("a search for 9 words; 8 are allowed".into())));
        assert_eq!(Words::new(&"a".repeat(401)), Err(Invalid("a search of 401 bytes; 400 are allowed".into())));
    }
}
