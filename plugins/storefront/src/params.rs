//! The query parameters of an address: decoded and checked.
//!
//! A page never sees a control character, an overlong value or a number out of range.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::list_view::{self, ListView};
use crate::paging::PAGE_MAX;
use crate::seams::Sorting;

/// Characters in one value: longer than any artist's name, short enough for every index.
pub const VALUE_CHARS_MAX: usize = 200;
/// Bytes of a query string. Two values of the greatest length, percent-encoded, fit.
const QUERY_BYTES_MAX: usize = 4096;
/// Words and bytes in one search, as the catalog takes them.
pub const WORDS_MAX: usize = 8;
const WORDS_BYTES_MAX: usize = 400;
/// The decades in which records were made.
const DECADES: std::ops::RangeInclusive<u16> = 1880..=2100;

/// Why an address or a form cannot be read. `text` is for the visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadInput {
    Encoding,
    TooLong,
    Words,
    Control,
    Page,
    Decade,
    Sort,
    Date,
}

impl BadInput {
    pub fn text(self) -> &'static str {
        match self {
            BadInput::Encoding => {
                "Part of the address is not properly encoded: after a percent sign come two hexadecimal digits, and \
                 together they have to be UTF-8."
            }
            BadInput::TooLong => "That is more than we can look for at once. A hundred characters will do.",
            BadInput::Words => "That is more than we can look for at once. The eight words that tell most will do.",
            BadInput::Control => "There are control characters in the address.",
            BadInput::Page => "Pages are counted 1, 2, 3 and so on.",
            BadInput::Date => "A date is written year, month, day: 2026-03-31.",
            BadInput::Decade => "A decade is given by its first year, such as 1970.",
            BadInput::Sort => "Lists are sorted by newest, cheapest, dearest or artist.",
        }
    }
}

/// The query parameters of a page. Unknown ones are ignored, because trackers add their own.
#[derive(Debug, PartialEq, Eq)]
pub struct Params<'a> {
    /// Trimmed, with single spaces.
    pub q: Option<Cow<'a, str>>,
    pub genre: Option<Cow<'a, str>>,
    pub artist: Option<Cow<'a, str>>,
    pub decade: Option<u16>,
    /// From 1 to `PAGE_MAX` + 1, which stands for every later page.
    pub page: Option<u32>,
    /// `sort=` and `stock=`.
    pub view: ListView,
    /// The version of a cover.
    pub v: Option<Cow<'a, str>>,
    /// The word for the sentence at the top of the page, see `pages::note`.
    pub note: Option<Cow<'a, str>>,
    /// Where to go after signing in.
    pub next: Option<Cow<'a, str>>,
}

impl Default for Params<'_> {
    fn default() -> Self {
        let (q, genre, artist, v, note, next) = Default::default();
        Params { q, genre, artist, decade: None, page: None, view: ListView::PLAIN, v, note, next }
    }
}

impl<'a> Params<'a> {
    /// Reads a query string. An empty value counts as missing; of two equal names the last one counts.
    pub fn parse(query: Option<&'a str>) -> Result<Params<'a>, BadInput> {
        let mut params = Params::default();
        let query = query.unwrap_or_default();
        if query.len() > QUERY_BYTES_MAX {
            return Err(BadInput::TooLong);
        }
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "q" => params.q = search_text(value)?,
                "genre" => params.genre = tidied(value)?,
                "artist" => params.artist = tidied(value)?,
                "decade" => params.decade = tidied(value)?.map(|value| decade(&value)).transpose()?,
                "page" => params.page = tidied(value)?.map(|value| page(&value)).transpose()?,
                "sort" => params.view.sorting = tidied(value)?.map_or(Ok(Sorting::Best), |value| sorting(&value))?,
                "stock" => params.view.in_stock = tidied(value)?.is_some_and(|value| value == list_view::IN_STOCK),
                "v" => params.v = tidied(value)?,
                "note" => params.note = tidied(value)?,
                "next" => params.next = tidied(value)?,
                _ => {}
            }
        }
        Ok(params)
    }
}

/// The words of a search, within the catalog's bounds.
fn search_text(value: &str) -> Result<Option<Cow<'_, str>>, BadInput> {
    let text = tidied(value)?;
    if text.as_ref().is_some_and(|text| text.len() > WORDS_BYTES_MAX) {
        return Err(BadInput::TooLong);
    }
    let many = text.as_ref().is_some_and(|text| search_words(text) > WORDS_MAX);
    if many { Err(BadInput::Words) } else { Ok(text) }
}

/// How many words the catalog finds in a text: runs of letters and digits.
pub fn search_words(text: &str) -> usize {
    text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).count()
}

/// The decoded value, trimmed and with single spaces; `None` if it is empty.
fn tidied(value: &str) -> Result<Option<Cow<'_, str>>, BadInput> {
    let text = decode(value, true)?;
    if text.chars().nth(VALUE_CHARS_MAX).is_some() {
        return Err(BadInput::TooLong);
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

fn decade(value: &str) -> Result<u16, BadInput> {
    match value.parse() {
        Ok(year) if DECADES.contains(&year) && year % 10 == 0 => Ok(year),
        _ => Err(BadInput::Decade),
    }
}

fn sorting(value: &str) -> Result<Sorting, BadInput> {
    list_view::sorting(value).ok_or(BadInput::Sort)
}

fn page(value: &str) -> Result<u32, BadInput> {
    if value.is_empty() || !value.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(BadInput::Page);
    }
    match value.parse::<u32>() {
        Ok(0) => Err(BadInput::Page),
        Ok(page) => Ok(page.min(PAGE_MAX + 1)),
        // Only digits: the number is too large for the type.
        Err(_) => Ok(PAGE_MAX + 1),
    }
}

/// Undoes percent-encoding; in a query (`plus`) a plus sign is a space. Control characters are errors, except tabs and
/// line ends in a query or form.
pub fn decode(encoded: &str, plus: bool) -> Result<Cow<'_, str>, BadInput> {
    let two_digits = |rest: &[u8]| rest.len() >= 2 && rest.iter().take(2).all(u8::is_ascii_hexdigit);
    // The decoder leaves a percent sign without two digits as it is; a browser never sends one.
    if !encoded.as_bytes().split(|&byte| byte == b'%').skip(1).all(two_digits) {
        return Err(BadInput::Encoding);
    }
    let text = if plus && encoded.contains('+') {
        let spaced = encoded.replace('+', " ");
        Cow::Owned(percent_decode_str(&spaced).decode_utf8().map_err(|_| BadInput::Encoding)?.into_owned())
    } else {
        percent_decode_str(encoded).decode_utf8().map_err(|_| BadInput::Encoding)?
    };
    let refused = |letter: char| letter.is_control() && !(plus && matches!(letter, '\t' | '\n' | '\r'));
    if text.chars().any(refused) { Err(BadInput::Control) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_read_from_the_address() {
        let view = |query: &'static str| Params::parse(Some(query)).map(|params| params.view);
        assert_eq!(view("q=a&sort=cheapest&stock=in"), Ok(ListView { sorting: Sorting::Cheapest, in_stock: true }));
        assert_eq!(view("sort=&stock="), Ok(ListView::PLAIN));
        assert_eq!(view("sort=best&stock=out"), Ok(ListView::PLAIN));
        assert_eq!(view("sort=rank;drop"), Err(BadInput::Sort));
    }

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
            ("q=%", BadInput::Encoding),
            ("q=%4", BadInput::Encoding),
            ("q=%zz", BadInput::Encoding),
            ("q=%ff", BadInput::Encoding),
            ("q=%c3%28", BadInput::Encoding),
            ("q=1+2+3+4+5+6+7+8+9", BadInput::Words),
            ("q=1-2-3-4-5-6-7-8.9", BadInput::Words),
            ("q=a%00b", BadInput::Control),
            ("q=%1b%5b", BadInput::Control),
            ("artist=%7f", BadInput::Control),
            ("page=abc", BadInput::Page),
            ("page=0", BadInput::Page),
            ("page=-1", BadInput::Page),
            ("page=%2B1", BadInput::Page),
            ("page=1.5", BadInput::Page),
            ("decade=1975", BadInput::Decade),
            ("decade=70s", BadInput::Decade),
            ("decade=99990", BadInput::Decade),
            (long.as_str(), BadInput::TooLong),
            (huge.as_str(), BadInput::TooLong),
        ] {
            assert_eq!(Params::parse(Some(query)), Err(bad), "{query}");
        }
    }

    #[test]
    fn every_page_beyond_the_last_is_one_past_the_last() {
        for query in ["page=417", "page=1000000000", "page=99999999999999999999999"] {
            assert_eq!(Params::parse(Some(query)).ok().and_then(|params| params.page), Some(PAGE_MAX + 1), "{query}");
        }
    }

    #[test]
    fn the_longest_value_counts_characters() {
        let query = format!("q={}", "%C3%A9".repeat(VALUE_CHARS_MAX));
        assert!(Params::parse(Some(&query)).is_ok());
        let query = format!("q={}", "%E6%97%A5".repeat(VALUE_CHARS_MAX));
        assert_eq!(Params::parse(Some(&query)), Err(BadInput::TooLong), "the catalog takes no more bytes");
    }

    #[test]
    fn a_plus_in_a_path_is_a_plus() {
        assert_eq!(decode("a+b%20c", false), Ok("a+b c".into()));
        assert_eq!(decode("a%0ab", false), Err(BadInput::Control));
    }
}
