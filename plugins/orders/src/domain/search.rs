//! What the operator looks for, checked and in the form in which the store asks for it.

use super::past::OWN_NUMBERS;
use super::{check, invalid};
use crate::desk;
use crate::wit::{Error, State};

/// Orders of a list.
const LIST_MAX: u32 = 10_000;
/// Orders in one answer.
const COUNT_MAX: u32 = 1_000;
/// Orders of the list of those that were cut off.
const CUT_OFF_MAX: u32 = 200;
/// Orders whose recipients are asked for in one call.
const RECIPIENTS_MAX: usize = 200;
/// Words and characters of a name.
const WORDS_MAX: usize = 8;
const NAME_CHARS_MAX: usize = 200;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Search {
    /// The number as it was given, and as one of the shop's own.
    pub numbers: [Option<String>; 2],
    pub state: Option<State>,
    pub customer: Option<String>,
    /// The FTS5 query for the beginnings of words.
    pub recipient: Option<String>,
    pub since: Option<u64>,
    pub before: Option<u64>,
}

/// Which orders of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub skip: u32,
    pub count: u32,
}

pub fn range(range: desk::Range) -> Result<Range, Error> {
    let desk::Range { skip, count } = range;
    if !(1..=COUNT_MAX).contains(&count) {
        return Err(invalid("range.count", format_args!("{count} does not lie between 1 and {COUNT_MAX}")));
    }
    if skip > LIST_MAX - count {
        return Err(invalid("range.skip", format_args!("{skip} and {count} are more than {LIST_MAX}")));
    }
    Ok(Range { skip, count })
}

pub fn count(count: u32) -> Result<(), Error> {
    match count {
        1..=CUT_OFF_MAX => Ok(()),
        _ => Err(invalid("count", format_args!("{count} does not lie between 1 and {CUT_OFF_MAX}"))),
    }
}

pub fn search(search: desk::Search) -> Result<Search, Error> {
    let desk::Search { number, state, customer, recipient, since, before } = search;
    if let Some(customer) = &customer {
        check::customer(customer)?;
    }
    let numbers = match number {
        None => [None, None],
        Some(number) => {
            check::number(&number)?;
            let number = number.to_ascii_uppercase();
            let digits = number.bytes().all(|byte| byte.is_ascii_digit());
            let own = digits.then(|| format!("{OWN_NUMBERS}{number}"));
            [Some(number), own]
        }
    };
    let recipient = recipient.map(|name| beginnings(&name)).transpose()?;
    Ok(Search { numbers, state, customer, recipient, since, before })
}

pub fn numbers(orders: &[String]) -> Result<(), Error> {
    if orders.len() > RECIPIENTS_MAX {
        return Err(invalid("orders", format_args!("{} of them; {RECIPIENTS_MAX} are allowed", orders.len())));
    }
    orders.iter().try_for_each(|order| check::number(order))
}

/// The FTS5 query for a name that has words with these beginnings. It holds letters and digits only, so that nothing
/// typed has a meaning in the query language.
fn beginnings(name: &str) -> Result<String, Error> {
    if name.chars().nth(NAME_CHARS_MAX).is_some() {
        return Err(invalid("recipient", format_args!("it has more than {NAME_CHARS_MAX} characters")));
    }
    let part_of_word = |c: char| c.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&c);
    let words: Vec<&str> =
        name.split(|c| !part_of_word(c)).filter(|word| word.contains(char::is_alphanumeric)).collect();
    match words.len() {
        0 => Err(invalid("recipient", "it has no letter and no digit")),
        1..=WORDS_MAX => Ok(words.iter().map(|word| format!("\"{word}\"*")).collect::<Vec<_>>().join(" ")),
        count => Err(invalid("recipient", format_args!("it has {count} words; {WORDS_MAX} are allowed"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: Option<&str>, recipient: Option<&str>) -> Result<Search, Error> {
        let (number, recipient) = (number.map(String::from), recipient.map(String::from));
        search(desk::Search { number, state: None, customer: None, recipient, since: None, before: None })
    }

    #[test]
    fn a_number_is_one_in_capitals_and_digits_are_also_one_of_the_shops_own() {
        let numbers = |number| of(Some(number), None).map(|search| search.numbers);
        assert_eq!(numbers("mc-100001"), Ok([Some("MC-100001".into()), None]));
        assert_eq!(numbers("100001"), Ok([Some("100001".into()), Some("MC-100001".into())]));
        assert!(numbers("").is_err() && numbers(&"1".repeat(33)).is_err());
        assert_eq!(of(None, None), Ok(Search::default()));
    }

    #[test]
    fn a_name_is_a_query_of_words_alone() {
        let query = |name| of(None, Some(name)).map(|search| search.recipient.unwrap_or_default());
        assert_eq!(query(" Ann  O'Lee "), Ok("\"Ann\"* \"O\"* \"Lee\"*".into()));
        assert_eq!(query("a\" OR name:\"b*"), Ok("\"a\"* \"OR\"* \"name\"* \"b\"*".into()));
        for bad in ["", " - ", "1 2 3 4 5 6 7 8 9", &"x".repeat(201)] {
            assert!(query(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_ends_after_ten_thousand() {
        let of = |skip, count| range(desk::Range { skip, count }).is_ok();
        assert!(of(0, 1) && of(9_000, 1_000) && of(9_999, 1));
        for (skip, count) in [(0, 0), (0, 1_001), (10_000, 1), (9_001, 1_000), (u32::MAX, 1)] {
            assert!(!of(skip, count), "{skip} {count}");
        }
    }
}
