//! What is accepted: keys, numbers, lines, and the address that a customer typed.

use std::collections::BTreeSet;

use super::{PAGE_MAX, PAGE_SIZE, invalid};
use crate::wit::{Address, Error, FieldProblem, Line};

/// Lines of an order.
pub const LINES_MAX: usize = 50;
/// Copies in a line.
pub const COPIES_MAX: u32 = 20;
const SKU_CHARS_MAX: usize = 32;
const KEY_CHARS_MAX: usize = 64;
const NUMBER_CHARS_MAX: usize = 32;
const CUSTOMER_CHARS_MAX: usize = 64;
const FROM_CHARS_MAX: usize = 100;
/// Of a reason that the operator types.
pub const NOTE_CHARS_MAX: usize = 200;
/// Of a name and of each line of an address.
const LINE_CHARS_MAX: usize = 100;
const POSTCODE_CHARS_MAX: usize = 16;

pub fn key(key: &str) -> Result<(), Error> {
    text("key", key, 1, KEY_CHARS_MAX)
}

pub fn customer(customer: &str) -> Result<(), Error> {
    text("customer", customer, 1, CUSTOMER_CHARS_MAX)
}

/// The account of an operator.
pub fn author(by: &str) -> Result<(), Error> {
    text("by", by, 1, CUSTOMER_CHARS_MAX)
}

pub fn from(from: &str) -> Result<(), Error> {
    text("from", from, 1, FROM_CHARS_MAX)
}

pub fn number(number: &str) -> Result<(), Error> {
    text("number", number, 1, NUMBER_CHARS_MAX)
}

/// The numbers on a page of orders.
pub fn asked(numbers: &[String]) -> Result<(), Error> {
    if numbers.len() > PAGE_SIZE as usize {
        return Err(invalid("numbers", format_args!("{} of them; {PAGE_SIZE} are allowed", numbers.len())));
    }
    numbers.iter().try_for_each(|one| number(one))
}

pub fn note(field: &str, note: &str) -> Result<(), Error> {
    text(field, note, 0, NOTE_CHARS_MAX)
}

pub fn page(page: u32) -> Result<(), Error> {
    match page {
        1..=PAGE_MAX => Ok(()),
        _ => Err(invalid("page", format_args!("{page} does not lie between 1 and {PAGE_MAX}"))),
    }
}

fn text(field: &str, text: &str, chars_min: usize, chars_max: usize) -> Result<(), Error> {
    let chars = text.chars().count();
    if !(chars_min..=chars_max).contains(&chars) || text.chars().any(char::is_control) {
        let wanted = format_args!("{chars_min} to {chars_max} characters, none of them a control character");
        return Err(invalid(field, format_args!("it needs {wanted}")));
    }
    Ok(())
}

/// Lines of a quote, an order or a return.
pub fn lines(lines: &[Line]) -> Result<(), Error> {
    every_line(lines.iter().map(|line| (line.sku.as_str(), line.copies)), COPIES_MAX)
}

pub(super) fn every_line<'a>(
    lines: impl ExactSizeIterator<Item = (&'a str, u32)>,
    copies_max: u32,
) -> Result<(), Error> {
    match lines.len() {
        0 => return Err(invalid("lines", "there are none")),
        1..=LINES_MAX => {}
        count => return Err(invalid("lines", format_args!("{count} of them; {LINES_MAX} are allowed"))),
    }
    let mut seen = BTreeSet::new();
    for (i, (sku, copies)) in lines.enumerate() {
        let row = |field: &str| format!("row {}, {field}", i + 1);
        let good = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-';
        if sku.is_empty() || sku.len() > SKU_CHARS_MAX || !sku.bytes().all(good) {
            let shown: String = sku.chars().take(SKU_CHARS_MAX).collect();
            let why = format_args!("{shown:?} is not 1 to {SKU_CHARS_MAX} capital letters, digits and hyphens");
            return Err(invalid(&row("sku"), why));
        }
        if !(1..=copies_max).contains(&copies) {
            let why = format_args!("{copies} does not lie between 1 and {copies_max}");
            return Err(invalid(&row("copies"), why));
        }
        if !seen.insert(sku) {
            return Err(invalid(&row("sku"), format_args!("`{sku}` stands there already")));
        }
    }
    Ok(())
}

/// What an order can keep and the post can read. Whether a parcel gets there is `customer`'s rule
/// (`accounts.check-address`), which the storefront asks before it places an order.
///
/// The address without blanks around its lines, or all that is wrong with it. `countries` has lines of `GB United
/// Kingdom`; without it any two capital letters are a country.
pub fn address(address: &Address, countries: Option<&str>) -> Result<Address, Error> {
    let mut problems = Vec::new();
    let mut line = |field: &str, text: &str, chars_max: usize, missing: Option<&str>| {
        let text = text.trim();
        let problem = match (text.chars().count(), missing) {
            _ if text.chars().any(unprintable) => "Please use one line of plain text.".into(),
            (0, Some(missing)) => missing.into(),
            (chars, _) if chars > chars_max => format!("Please use at most {chars_max} characters."),
            _ => return text.to_owned(),
        };
        problems.push(FieldProblem { field: field.into(), problem });
        String::new()
    };
    let checked = Address {
        name: line("name", &address.name, LINE_CHARS_MAX, Some("Please tell us who the parcel is for.")),
        street: line("street", &address.street, LINE_CHARS_MAX, Some("Please enter the street and the number.")),
        extra: line("extra", &address.extra, LINE_CHARS_MAX, None),
        city: line("city", &address.city, LINE_CHARS_MAX, Some("Please enter the town or city.")),
        // Some countries have none. The customer context knows which.
        postcode: line("postcode", &address.postcode, POSTCODE_CHARS_MAX, None),
        country: address.country.trim().into(),
    };
    if !is_country(&checked.country, countries) {
        let problem = match checked.country.is_empty() {
            true => "Please choose a country.",
            false => "We do not ship to this country yet. Please choose one from the list.",
        };
        problems.push(FieldProblem { field: "country".into(), problem: problem.into() });
    }
    if problems.is_empty() { Ok(checked) } else { Err(Error::Fields(problems)) }
}

fn is_country(code: &str, countries: Option<&str>) -> bool {
    code.len() == 2
        && code.bytes().all(|b| b.is_ascii_uppercase())
        && countries.is_none_or(|lines| lines.lines().any(|line| line.split_whitespace().next() == Some(code)))
}

/// Control characters, line breaks, and those that turn the direction of the text around them.
fn unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Address {
        Address {
            name: " Ann Lee ".into(),
            street: "1 High Street".into(),
            extra: String::new(),
            city: "Leeds".into(),
            postcode: "LS1 1AA".into(),
            country: "GB".into(),
        }
    }

    fn wrong(change: impl FnOnce(&mut Address)) -> Vec<String> {
        let mut changed = good();
        change(&mut changed);
        match address(&changed, Some("AT Austria\nGB United Kingdom\n")) {
            Err(Error::Fields(problems)) => problems.into_iter().map(|p| p.field).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_address_is_trimmed_and_every_wrong_field_named() {
        let checked = address(&good(), Some("GB United Kingdom"));
        assert_eq!(checked, Ok(Address { name: "Ann Lee".into(), ..good() }));
        assert_eq!(wrong(|a| a.name = "  ".into()), ["name"]);
        assert_eq!(wrong(|a| a.street = "x".repeat(101)), ["street"]);
        assert_eq!(wrong(|a| a.extra = "a\nb".into()), ["extra"]);
        assert_eq!(wrong(|a| a.postcode = "1".repeat(17)), ["postcode"]);
        assert_eq!(wrong(|a| a.city = "\u{202e}sdeeL".into()), ["city"]);
        for country in ["FR", "gb", "", "GBR", "G", "United"] {
            assert_eq!(wrong(|a| a.country = country.into()), ["country"], "{country}");
        }
        let all = wrong(|a| {
            *a = Address {
                name: String::new(),
                street: String::new(),
                city: String::new(),
                country: String::new(),
                ..good()
            }
        });
        assert_eq!(all, ["name", "street", "city", "country"]);
        assert!(address(&Address { country: "FR".into(), ..good() }, None).is_ok());
        assert!(address(&Address { country: "fr".into(), ..good() }, None).is_err());
    }

    #[test]
    fn lines_are_bounded_and_a_sku_stands_once() {
        let line = |sku: &str, copies| Line { sku: sku.into(), copies };
        assert_eq!(lines(&[line("A", 1), line("B-2", COPIES_MAX)]), Ok(()));
        for (bad, expect) in [
            (vec![], "lines: there are none"),
            ((0..51).map(|i| line(&format!("A{i}"), 1)).collect(), "lines: 51 of them; 50 are allowed"),
            (vec![line("A", 0)], "row 1, copies: 0 does not lie between 1 and 20"),
            (vec![line("A", 1), line("B", 21)], "row 2, copies: 21 does not lie between 1 and 20"),
            (vec![line("a", 1)], "row 1, sku: \"a\" is not 1 to 32 capital letters, digits and hyphens"),
            (vec![line("A", 1), line("A", 1)], "row 2, sku: `A` stands there already"),
        ] {
            assert_eq!(lines(&bad), Err(Error::Invalid(expect.into())));
        }
    }

    #[test]
    fn names_are_bounded() {
        for bad in ["", "a\n", &"k".repeat(65)] {
            assert!(key(bad).is_err() && number(bad).is_err() && customer(bad).is_err(), "{bad:?}");
        }
        assert_eq!((key(&"k".repeat(64)), number("MC-100001"), customer("C-1")), (Ok(()), Ok(()), Ok(())));
        assert!(note("reason", "").is_ok() && note("reason", &"r".repeat(201)).is_err());
        assert!(page(1).is_ok() && page(500).is_ok() && page(0).is_err() && page(501).is_err());
    }
}
