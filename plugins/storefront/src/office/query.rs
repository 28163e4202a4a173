//! What the address of a page of the office says after its question mark.

use crate::params::{Bad, VALUE_CHARS_MAX, decode, search_words};
use crate::seams::ordering::State;

use super::notice::Done;
use super::view::state_named;

/// As the order desk leafs.
pub const PAGE_MAX: u32 = 500;
const QUERY_BYTES_MAX: usize = 4096;
/// As the catalog searches.
const WORDS_MAX: usize = 8;

/// What we do not know, or what makes no sense there, is as if it were not given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Trimmed, with single blanks.
    pub q: String,
    /// From 1; whatever lies beyond is one past the last.
    pub page: u32,
    pub state: Option<State>,
    pub id: String,
    pub done: Option<Done>,
}

impl Query {
    pub fn parse(query: Option<&str>) -> Result<Query, Bad> {
        let query = query.unwrap_or_default();
        if query.len() > QUERY_BYTES_MAX {
            return Err(Bad::TooLong);
        }
        let mut parsed = Query { page: 1, ..Query::default() };
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = || -> Result<String, Bad> {
                let text = decode(value, true)?;
                match text.chars().nth(VALUE_CHARS_MAX) {
                    Some(_) => Err(Bad::TooLong),
                    None => Ok(text.split_whitespace().collect::<Vec<_>>().join(" ")),
                }
            };
            match name {
                "q" => parsed.q = value()?,
                "page" => parsed.page = page(&value()?)?,
                "state" => parsed.state = state_named(&value()?),
                "id" => parsed.id = value()?,
                "done" => parsed.done = Done::named(&value()?),
                _ => {}
            }
        }
        if search_words(&parsed.q) > WORDS_MAX { Err(Bad::Words) } else { Ok(parsed) }
    }
}

fn page(text: &str) -> Result<u32, Bad> {
    match text.parse() {
        _ if text.is_empty() => Ok(1),
        _ if !text.bytes().all(|digit| digit.is_ascii_digit()) => Err(Bad::Page),
        Ok(0) => Err(Bad::Page),
        Ok(page) => Ok(u32::min(page, PAGE_MAX + 1)),
        Err(_) => Ok(PAGE_MAX + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_it_says_and_no_more() {
        let query = Query::parse(Some("q=+kind+of%20blue&page=3&state=placed&done=shipped&x=%zz"));
        let expected = Query {
            q: "kind of blue".into(),
            page: 3,
            state: Some(State::Placed),
            id: "".into(),
            done: Some(Done::Shipped),
        };
        assert_eq!(query, Ok(expected));
        assert_eq!(Query::parse(None).map(|query| query.page), Ok(1));
        for (query, bad) in [
            ("q=%ff", Bad::Encoding),
            ("q=%00", Bad::Control),
            ("q=1+2+3+4+5+6+7+8+9", Bad::Words),
            ("page=0", Bad::Page),
            ("page=-1", Bad::Page),
        ] {
            assert_eq!(Query::parse(Some(query)), Err(bad), "{query}");
        }
        assert_eq!(
            Query::parse(Some("state=nonsense&done=%3Cb%3E")).map(|query| (query.state, query.done)),
            Ok((None, None))
        );
        assert_eq!(Query::parse(Some("page=99999999999999")).map(|query| query.page), Ok(PAGE_MAX + 1));
        assert_eq!(Query::parse(Some(&"x".repeat(5000))), Err(Bad::TooLong));
    }
}
