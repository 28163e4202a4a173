//! Words that are one slip of the finger apart: a letter more or less, another letter, or two neighbours exchanged
//! (Damerau: "A Technique for Computer Detection and Correction of Spelling Errors", 1964).
//!
//! A *term* is a word in small letters without marks. Near terms share a *form*, a term itself or without one of its
//! letters (Garbe: "Symmetric Delete Spelling Correction", 2012). So the terms near a word are found by looking up as
//! many forms as it has letters, however large the catalog is. Forms also meet where two letters differ: [`is_near`]
//! decides.

use std::collections::BTreeSet;

use super::spelling::{self, Chunk};

/// Letters of a term that is corrected. Shorter ones are near everything; longer ones have many forms.
const CHARS_MIN: usize = 3;
const CHARS_MAX: usize = 24;
/// Letters of each half when a missing blank is looked for.
const HALF_CHARS_MIN: usize = 3;

/// A word of a text or a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    pub term: String,
    /// As it is written: `O'Connor` for `oconnor`.
    pub shown: String,
}

/// What stands between two blanks of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    pub shown: String,
    /// Its letters as one term; `None` if they are too few or too many, or digits.
    pub term: Option<String>,
    /// Its words, if punctuation divides it into several.
    pub parts: Vec<String>,
}

/// The terms of a text, some of them twice: words, and what stands between two blanks as one word.
pub fn terms(text: &str) -> Vec<Term> {
    let mut terms = Vec::new();
    for written in text.split_whitespace() {
        let Some(words) = words(written) else { continue };
        if let [_, _, ..] = words.as_slice() {
            let shown: Vec<_> = written.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).collect();
            let parts = words.iter().enumerate();
            terms.extend(parts.filter(|(_, word)| is_term(word)).map(|(at, word)| {
                let shown = if shown.len() == words.len() { shown.get(at).copied() } else { None };
                Term { term: word.clone(), shown: shown.unwrap_or(word).to_owned() }
            }));
        }
        let term = words.concat();
        if is_term(&term) {
            terms.push(Term { term, shown: bare(written).to_owned() });
        }
    }
    terms
}

/// A question by what stands between its blanks.
pub fn typed(text: &str) -> Vec<Typed> {
    let one = |written: &str| {
        let words = words(written).unwrap_or_default();
        let term = Some(words.concat()).filter(|term| is_term(term));
        let parts = if words.len() > 1 { words } else { Vec::new() };
        Typed { shown: written.to_owned(), term, parts }
    };
    text.split_whitespace().map(one).collect()
}

/// Whether a word is one that the catalog can have among its terms.
pub fn is_term(word: &str) -> bool {
    let chars = word.chars().count();
    (CHARS_MIN..=CHARS_MAX).contains(&chars) && !word.contains(' ') && !word.chars().all(|c| c.is_ascii_digit())
}

/// The forms of a term, each once.
pub fn forms(term: &str) -> Vec<String> {
    let without = term.char_indices().map(|(at, letter)| {
        let (before, after) = term.split_at(at);
        format!("{before}{}", after.get(letter.len_utf8()..).unwrap_or_default())
    });
    // A set that is collected sorts first, and each sort of its own makes the component 10 KB larger.
    let mut forms = BTreeSet::new();
    forms.extend(std::iter::once(term.to_owned()).chain(without));
    forms.into_iter().collect()
}

/// Whether two terms are one slip apart, and not the same.
pub fn is_near(one: &str, other: &str) -> bool {
    let (mut one, mut other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let start = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    one.drain(..start);
    other.drain(..start);
    let end = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    one.truncate(one.len() - end);
    other.truncate(other.len() - end);
    match (one.as_slice(), other.as_slice()) {
        ([_], [] | [_]) | ([], [_]) => true,
        ([a, b], [c, d]) => a == d && b == c,
        _ => false,
    }
}

/// The ways to divide a term into two, where its blank may be missing.
pub fn halves(term: &str) -> Vec<(&str, &str)> {
    let chars = term.chars().count();
    let at = term.char_indices().enumerate();
    let inside = at.filter(|(nth, _)| *nth >= HALF_CHARS_MIN && nth + HALF_CHARS_MIN <= chars);
    inside.map(|(_, (at, _))| term.split_at(at)).collect()
}

/// The words of what stands between two blanks, in small letters without marks.
fn words(written: &str) -> Option<Vec<String>> {
    match spelling::chunks(written).next()? {
        Chunk::Words(words) => Some(words.iter().map(|word| word.chars().map(spelling::unmarked).collect()).collect()),
        Chunk::Signs(_) => None,
    }
}

/// Without the punctuation around it.
fn bare(written: &str) -> &str {
    written.trim_matches(|c: char| !c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        terms(text).into_iter().map(|Term { term, shown }| (term, shown)).collect()
    }

    #[test]
    fn terms_have_no_marks_and_know_how_they_are_written() {
        let expect = |list: &[(&str, &str)]| -> Vec<(String, String)> {
            list.iter().map(|(term, shown)| ((*term).to_owned(), (*shown).to_owned())).collect()
        };
        assert_eq!(pairs("Björk: Homogenic"), expect(&[("bjork", "Björk"), ("homogenic", "Homogenic")]));
        assert_eq!(
            pairs("Sinéad O'Connor"),
            expect(&[("sinead", "Sinéad"), ("connor", "Connor"), ("oconnor", "O'Connor")])
        );
        assert_eq!(pairs("AC/DC (Don't) 1999 II"), expect(&[("acdc", "AC/DC"), ("don", "Don"), ("dont", "Don't")]));
        assert_eq!(pairs("Ágætis Guðna"), expect(&[("agaetis", "Ágætis"), ("gudna", "Guðna")]));
        assert_eq!(pairs("椎名林檎 !!! a"), []);
    }

    #[test]
    fn one_slip_is_near_and_two_are_not() {
        for (one, other, near) in [
            ("homogenic", "homogenic", false),
            ("homgenic", "homogenic", true),
            ("homoogenic", "homogenic", true),
            ("homegenic", "homogenic", true),
            ("hmoogenic", "homogenic", true),
            ("xhomogenic", "homogenic", true),
            ("omogenic", "homogenic", true),
            ("homogenci", "homogenic", true),
            ("homgeni", "homogenic", false),
            ("hemegenic", "homogenic", false),
            ("abcd", "badc", false),
            ("aab", "aba", true),
            ("мумий", "мумии", true),
            ("", "a", true),
        ] {
            assert_eq!((is_near(one, other), is_near(other, one)), (near, near), "{one} {other}");
            if near {
                assert!(forms(one).iter().any(|form| forms(other).contains(form)), "{one} and {other} share a form");
            }
        }
        assert_eq!(forms("aba"), ["aa", "ab", "aba", "ba"]);
    }

    #[test]
    fn a_missing_blank_may_be_anywhere_but_near_an_end() {
        assert_eq!(halves("pinkfl"), [("pin", "kfl")]);
        assert_eq!(halves("höröeyed"), [("hör", "öeyed"), ("hörö", "eyed"), ("höröe", "yed")]);
        assert_eq!(halves("abcde"), []);
    }

    #[test]
    fn a_question_keeps_what_was_typed() {
        let [one, two, three]: [Typed; 3] = typed("O'Conor  42 !!!").try_into().unwrap_or_else(|all| panic!("{all:?}"));
        assert_eq!((one.term.as_deref(), one.parts.len(), one.shown.as_str()), (Some("oconor"), 2, "O'Conor"));
        assert_eq!((two.term, three.term), (None, None));
    }
}
