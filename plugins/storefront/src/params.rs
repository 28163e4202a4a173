//! From percent-encoded bytes to text and to what a page takes: query parameters with their bounds.
//!
//! Everything is checked here, so that a page never sees a control character, an overlong word or a number out of range.

use std::borrow::Cow;

use crate::paging::PAGE_MAX;

/// Characters in one value: longer than any artist's name, short enough for every index.
pub const VALUE_CHARS_MAX: usize = 200;
/// Bytes of a query string. Two values of the greatest length, percent-encoded, fit.
const QUERY_BYTES_MAX: usize = 4096;
/// Words and bytes in one search, as the catalog takes them.
const WORDS_MAX: usize = 8;
const WORDS_BYTES_MAX: usize = 400;
/// Decades that records were made in.
const DECADES: std::ops::RangeInclusive<u16> = 1880..=2100;

/// Why an address makes no sense. The text is for the visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    Encoding,
    TooLong,
    Words,
    Control,
    Page,
    Decade,
}

impl Bad {
    pub fn text(self) -> &'static str {
        match self {
            Bad::Encoding => {
                "Part of the address is not properly encoded: after a percent sign come two hexadecimal digits, and \
                 together they have to be UTF-8."
            }
            Bad::TooLong => "That is more than we can look for at once. A hundred characters will do.",
            Bad::Words => "That is more than we can look for at once. The eight words that tell most will do.",
            Bad::Control => "There are control characters in the address.",
            Bad::Page => "Pages are counted 1, 2, 3 and so on.",
            Bad::Decade => "A decade is given by its first year, such as 1970.",
        }
    }
}

/// What the query of a page says; parameters we do not know are left alone, as trackers add them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    /// Trimmed, with single blanks.
    pub q: Option<Cow<'a, str>>,
    pub genre: Option<Cow<'a, str>>,
    pub artist: Option<Cow<'a, str>>,
    pub decade: Option<u16>,
    /// From 1 to `PAGE_MAX` + 1: whatever lies beyond is one past the last.
    pub page: Option<u32>,
    /// The version of a cover.
    pub v: Option<Cow<'a, str>>,
    /// The word of a sentence of ours.
    pub note: Option<Cow<'a, str>>,
    /// Where to go after signing in.
    pub next: Option<Cow<'a, str>>,
}

impl<'a> Params<'a> {
    /// Reads a query string; an empty value counts as not given, of two equal names the last one counts.
    pub fn parse(query: Option<&'a str>) -> Result<Params<'a>, Bad> {
        let mut params = Params::default();
        let query = query.unwrap_or_default();
        if query.len() > QUERY_BYTES_MAX {
            return Err(Bad::TooLong);
        }
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "q" => params.q = sought(value)?,
                "genre" => params.genre = words(value)?,
                "artist" => params.artist = words(value)?,
                "decade" => params.decade = words(value)?.map(|value| decade(&value)).transpose()?,
                "page" => params.page = words(value)?.map(|value| page(&value)).transpose()?,
                "v" => params.v = words(value)?,
                "note" => params.note = words(value)?,
                "next" => params.next = words(value)?,
                _ => {}
            }
        }
        Ok(params)
    }
}

fn sought(value: &str) -> Result<Option<Cow<'_, str>>, Bad> {
    let text = words(value)?;
    if text.as_ref().is_some_and(|text| text.len() > WORDS_BYTES_MAX) {
        return Err(Bad::TooLong);
    }
    let many = text.as_ref().is_some_and(|text| search_words(text) > WORDS_MAX);
    if many { Err(Bad::Words) } else { Ok(text) }
}

/// How many words the catalog makes of a text: runs of letters and digits.
pub fn search_words(text: &str) -> usize {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).count()
}

fn words(value: &str) -> Result<Option<Cow<'_, str>>, Bad> {
    let text = decode(value, true)?;
    if text.chars().nth(VALUE_CHARS_MAX).is_some() {
        return Err(Bad::TooLong);
    }
    if text.is_empty() {
        return Ok(None);
    }
    let tidy = !text.starts_with(' ') && !text.ends_with(' ') && !text.contains("  ");
    if tidy && !text.chars().any(|letter| letter.is_whitespace() && letter != ' ') {
        return Ok(Some(text));
    }
    let mut joined = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(word);
    }
    Ok((!joined.is_empty()).then_some(Cow::Owned(joined)))
}

fn decade(value: &str) -> Result<u16, Bad> {
    match value.parse() {
        Ok(year) if DECADES.contains(&year) && year % 10 == 0 => Ok(year),
        _ => Err(Bad::Decade),
    }
}

fn page(value: &str) -> Result<u32, Bad> {
    if value.is_empty() || !value.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(Bad::Page);
    }
    match value.parse::<u32>() {
        Ok(0) => Err(Bad::Page),
        Ok(page) => Ok(page.min(PAGE_MAX + 1)),
        // Only digits, so it is merely too big.
        Err(_) => Ok(PAGE_MAX + 1),
    }
}

/// Undoes percent-encoding; in a query (`plus`) a plus sign is a blank. Control characters are refused, blanks and line ends of a
/// form field excepted.
pub fn decode(encoded: &str, plus: bool) -> Result<Cow<'_, str>, Bad> {
    let bytes = encoded.as_bytes();
    let text = if bytes.iter().any(|&byte| byte == b'%' || (plus && byte == b'+')) {
        let mut out = Vec::with_capacity(bytes.len());
        let mut rest = bytes.iter();
        while let Some(&byte) = rest.next() {
            out.push(match byte {
                b'%' => match (rest.next().and_then(hex), rest.next().and_then(hex)) {
                    (Some(high), Some(low)) => high << 4 | low,
                    _ => return Err(Bad::Encoding),
                },
                b'+' if plus => b' ',
                other => other,
            });
        }
        Cow::Owned(String::from_utf8(out).map_err(|_| Bad::Encoding)?)
    } else {
        Cow::Borrowed(encoded)
    };
    let refused = |letter: char| letter.is_control() && !(plus && matches!(letter, '\t' | '\n' | '\r'));
    if text.chars().any(refused) { Err(Bad::Control) } else { Ok(text) }
}

fn hex(digit: &u8) -> Option<u8> {
    char::from(*digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_as_browsers_write_them() {
        let params =
            Params::parse(Some("q=+kind+of%20%20blue%0D%0A&page=2&utm_source=x&genre=R%26B&decade=1970&artist=")).ok();
        let expected = Params {
            q: Some("kind of blue".into()),
            genre: Some("R&B".into()),
            decade: Some(1970),
            page: Some(2),
            ..Params::default()
        };
        assert_eq!(params, Some(expected));
        assert_eq!(Params::parse(None), Ok(Params::default()));
        assert_eq!(Params::parse(Some("&&=&q&page=")), Ok(Params::default()));
        assert_eq!(Params::parse(Some("q=%20++")), Ok(Params::default()));
        assert_eq!(Params::parse(Some("q=a&q=b")).ok().and_then(|params| params.q), Some("b".into()));
    }

    #[test]
    fn bad_values_are_named() {
        let long = format!("q={}", "x".repeat(VALUE_CHARS_MAX + 1));
        let huge = format!("z={}", "x".repeat(QUERY_BYTES_MAX));
        for (query, bad) in [
            ("q=%", Bad::Encoding),
            ("q=%4", Bad::Encoding),
            ("q=%zz", Bad::Encoding),
            ("q=%ff", Bad::Encoding),
            ("q=%c3%28", Bad::Encoding),
            ("q=1+2+3+4+5+6+7+8+9", Bad::Words),
            ("q=1-2-3-4-5-6-7-8.9", Bad::Words),
            ("q=a%00b", Bad::Control),
            ("q=%1b%5b", Bad::Control),
            ("artist=%7f", Bad::Control),
            ("page=abc", Bad::Page),
            ("page=0", Bad::Page),
            ("page=-1", Bad::Page),
            ("page=%2B1", Bad::Page),
            ("page=1.5", Bad::Page),
            ("decade=1975", Bad::Decade),
            ("decade=70s", Bad::Decade),
            ("decade=99990", Bad::Decade),
            (long.as_str(), Bad::TooLong),
            (huge.as_str(), Bad::TooLong),
        ] {
            assert_eq!(Params::parse(Some(query)), Err(bad), "{query}");
        }
    }

    #[test]
    fn a_page_too_far_is_one_past_the_last() {
        for query in ["page=417", "page=1000000000", "page=99999999999999999999999"] {
            assert_eq!(Params::parse(Some(query)).ok().and_then(|params| params.page), Some(PAGE_MAX + 1), "{query}");
        }
    }

    #[test]
    fn the_longest_value_counts_characters() {
        let query = format!("q={}", "%C3%A9".repeat(VALUE_CHARS_MAX));
        assert!(Params::parse(Some(&query)).is_ok());
        let query = format!("q={}", "%E6%97%A5".repeat(VALUE_CHARS_MAX));
        assert_eq!(Params::parse(Some(&query)), Err(Bad::TooLong), "the catalog takes no more bytes");
    }

    #[test]
    fn a_plus_in_a_path_is_a_plus() {
        assert_eq!(decode("a+b%20c", false), Ok("a+b c".into()));
        assert_eq!(decode("a%0ab", false), Err(Bad::Control));
    }
}
