//! The query parameters of the office's pages.

use crate::params::{BadInput, VALUE_CHARS_MAX, decode, search_words};
use crate::seams::ordering::State;
use crate::time::Date;

use super::notice::Done;
use super::view::state_named;

/// The last page that `orders` lists.
pub const PAGE_MAX: u32 = 500;
const QUERY_BYTES_MAX: usize = 4096;
/// The catalog's bound on the words of a search.
const WORDS_MAX: usize = 8;

/// Unknown parameters, states and results are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Trimmed, with single spaces.
    pub q: String,
    /// From 1 to `PAGE_MAX` + 1, which stands for every later page.
    pub page: u32,
    pub state: Option<State>,
    /// The first and the last day.
    pub from: Option<Date>,
    pub to: Option<Date>,
    pub id: String,
    pub done: Option<Done>,
    /// The amount to give back, as it was typed.
    pub amount: Option<String>,
    /// Records that are no longer sold, after this SKU.
    pub gone: bool,
    pub after: String,
}

impl Query {
    pub fn parse(query: Option<&str>) -> Result<Query, BadInput> {
        let query = query.unwrap_or_default();
        if query.len() > QUERY_BYTES_MAX {
            return Err(BadInput::TooLong);
        }
        let mut parsed = Query { page: 1, ..Query::default() };
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = || -> Result<String, BadInput> {
                let text = decode(value, true)?;
                match text.chars().nth(VALUE_CHARS_MAX) {
                    Some(_) => Err(BadInput::TooLong),
                    None => Ok(text.split_whitespace().collect::<Vec<_>>().join(" ")),
                }
            };
            match name {
                "q" => parsed.q = value()?,
                "page" => parsed.page = page(&value()?)?,
                "state" => parsed.state = state_named(&value()?),
                "from" => parsed.from = date(&value()?)?,
                "to" => parsed.to = date(&value()?)?,
                "amount" => parsed.amount = Some(value()?),
                "gone" => parsed.gone = !value()?.is_empty(),
                "after" => parsed.after = value()?,
                "id" => parsed.id = value()?,
                "done" => parsed.done = Done::named(&value()?),
                _ => {}
            }
        }
        if search_words(&parsed.q) > WORDS_MAX { Err(BadInput::Words) } else { Ok(parsed) }
    }
}

fn date(text: &str) -> Result<Option<Date>, BadInput> {
    match text.is_empty() {
        true => Ok(None),
        false => Date::parse(text).map(Some).ok_or(BadInput::Date),
    }
}

fn page(text: &str) -> Result<u32, BadInput> {
    match text.parse() {
        _ if text.is_empty() => Ok(1),
        _ if !text.bytes().all(|digit| digit.is_ascii_digit()) => Err(BadInput::Page),
        Ok(0) => Err(BadInput::Page),
        Ok(page) => Ok(u32::min(page, PAGE_MAX + 1)),
        Err(_) => Ok(PAGE_MAX + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_and_its_unknown_parts_are_ignored() {
        let query = Query::parse(Some("q=+kind+of%20blue&page=3&state=placed&done=shipped&from=2026-03-02&to=&x=%zz"));
        let expected = Query {
            q: "kind of blue".into(),
            page: 3,
            state: Some(State::Placed),
            from: Date::parse("2026-03-02"),
            done: Some(Done::Shipped),
            ..Query::default()
        };
        assert_eq!(query, Ok(expected));
        assert_eq!(Query::parse(None).map(|query| query.page), Ok(1));
        for (query, bad) in [
            ("q=%ff", BadInput::Encoding),
            ("q=%00", BadInput::Control),
            ("q=1+2+3+4+5+6+7+8+9", BadInput::Words),
            ("page=0", BadInput::Page),
            ("page=-1", BadInput::Page),
            ("from=2026-02-30", BadInput::Date),
            ("to=yesterday", BadInput::Date),
        ] {
            assert_eq!(Query::parse(Some(query)), Err(bad), "{query}");
        }
        assert_eq!(
            Query::parse(Some("state=nonsense&done=%3Cb%3E")).map(|query| (query.state, query.done)),
            Ok((None, None))
        );
        assert_eq!(Query::parse(Some("page=99999999999999")).map(|query| query.page), Ok(PAGE_MAX + 1));
        assert_eq!(Query::parse(Some(&"x".repeat(5000))), Err(BadInput::TooLong));
    }
}
