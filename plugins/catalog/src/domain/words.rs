//! What a shopper typed into the search box, as words that FTS5 can take.

use seam_sdk::Invalid;

/// Bytes of the whole question.
const TYPED_BYTES_MAX: usize = 400;
/// Each word costs a walk along its matches.
const WORDS_MAX: usize = 8;
/// Shorter beginnings match nearly everything.
const BEGINNING_CHARS_MIN: usize = 2;

/// Words to search for; letters and digits only, so that nothing typed has a meaning in the query language.
#[derive(Debug, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    pub fn new(typed: &str) -> Result<Self, Invalid> {
        if typed.len() > TYPED_BYTES_MAX {
            return Err(Invalid(format!("a search of {} bytes; {TYPED_BYTES_MAX} are allowed", typed.len())));
        }
        // A combining accent belongs to the letter before it.
        let part_of_word = |c: char| c.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&c);
        let words: Vec<_> = typed
            .split(|c| !part_of_word(c))
            .filter(|word| word.contains(char::is_alphanumeric))
            .map(String::from)
            .collect();
        match words.len() {
            0 => Err(Invalid("a search needs a letter or a digit".into())),
            count if count > WORDS_MAX => Err(Invalid(format!("a search for {count} words; {WORDS_MAX} are allowed"))),
            _ => Ok(Self(words)),
        }
    }

    /// The FTS5 query for all of these words.
    pub fn whole(&self) -> String {
        self.0.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" ")
    }

    /// The same, with the last word being the beginning of one; `None` when it is too short for that.
    pub fn beginning(&self) -> Option<String> {
        let long = self.0.last().is_some_and(|word| word.chars().count() >= BEGINNING_CHARS_MIN);
        long.then(|| self.whole() + "*")
    }
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
    fn nothing_typed_reaches_the_query_language() {
        for typed in [r#"a" OR "b"#, "artist:x", "NEAR(a b)", "a*", "-a ^b", "{artist}: (x)", "a\0b", "'; --x"] {
            let words = Words::new(typed).unwrap_or_else(|Invalid(why)| panic!("{typed:?}: {why}"));
            let inside: String = words.whole().split('"').skip(1).step_by(2).collect();
            assert!(inside.chars().all(char::is_alphanumeric), "{typed:?} became {}", words.whole());
        }
    }

    #[test]
    fn a_search_is_bounded() {
        for empty in ["", "   ", "!!!", "\"*\"", "\u{301}"] {
            assert_eq!(Words::new(empty), Err(Invalid("a search needs a letter or a digit".into())), "{empty:?}");
        }
        assert_eq!(Words::new(&"a ".repeat(9)), Err(Invalid("a search for 9 words; 8 are allowed".into())));
        assert_eq!(Words::new(&"a".repeat(401)), Err(Invalid("a search of 401 bytes; 400 are allowed".into())));
    }
}
