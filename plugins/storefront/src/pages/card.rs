//! Checks a payment card without calling a context, so that a typing mistake is reported before an order starts.
//!
//! Not here: which cards the processor accepts, and the bank's answer. Number and code are neither stored nor shown
//! again.

use super::field::Problems;
use crate::seams::ordering::Card;
use crate::time;

/// ISO/IEC 7812: from the shortest number in use to the longest allowed.
const DIGITS: std::ops::RangeInclusive<usize> = 12..=19;
const HOLDER_CHARS_MAX: usize = 100;

/// Adds everything that is wrong with the card at `now`, in the order of the form.
pub fn check(card: &Card, now: u64, problems: &mut Problems) {
    if let Some(problem) = number(&card.number) {
        problems.add("number", problem);
    }
    problems.check("holder", &card.holder, HOLDER_CHARS_MAX, "Type the name on the card.");
    if let Some(problem) = expiry(&card.expiry, now) {
        problems.add("expiry", problem);
    }
    if !((3..=4).contains(&card.code.len()) && is_digits(&card.code)) {
        problems.add("code", "Type the three or four digits of your card's code.");
    }
}

fn number(typed: &str) -> Option<&'static str> {
    let digits: String = typed.chars().filter(|c| !matches!(c, ' ' | '\u{a0}' | '-')).collect();
    if digits.is_empty() {
        Some("Type the number of your card.")
    } else if !is_digits(&digits) {
        Some("A card's number has digits only. Please compare it with your card.")
    } else if !DIGITS.contains(&digits.len()) {
        Some("Some digits are missing, or there are too many. Please compare the number with your card.")
    } else {
        (!has_check_digit(&digits)).then_some("There is a mistake in this number. Please compare it with your card.")
    }
}

/// ISO/IEC 7812-1, annex B (Luhn): every second digit from the right counts twice, and the sum ends in 0. It detects
/// one wrong digit and most swaps of neighbours.
fn has_check_digit(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let digit = u32::from(digit - b'0');
            match at % 2 {
                0 => digit,
                _ if digit > 4 => 2 * digit - 9,
                _ => 2 * digit,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

fn expiry(typed: &str, now: u64) -> Option<&'static str> {
    let two = |text: &str| (text.len() == 2 && is_digits(text)).then(|| text.parse::<u64>().ok()).flatten();
    match typed.split_once('/').and_then(|(month, year)| Some((two(month)?, two(year)?))) {
        Some((month @ 1..=12, year)) if (2000 + year, month) >= time::month(now) => None,
        Some((1..=12, _)) => Some("This card has expired. Please pay with another one."),
        _ => Some("Type month and year as on the card, like 04/29."),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2 March 2026.
    const NOW: u64 = 1_772_460_309;

    fn wrong(change: impl FnOnce(&mut Card)) -> Vec<&'static str> {
        let mut card = Card {
            number: "4242 4242 4242 4242".into(),
            holder: "ANN LEE".into(),
            expiry: "03/26".into(),
            code: "123".into(),
        };
        change(&mut card);
        let mut problems = Problems::default();
        check(&card, NOW, &mut problems);
        ["number", "holder", "expiry", "code"].into_iter().filter(|field| problems.of(field).is_some()).collect()
    }

    #[test]
    fn a_plausible_card_passes() {
        assert!(wrong(|_| {}).is_empty());
        for number in ["4000-0000-0000-0002", "4000000000009995", "378282246310005", "4000\u{a0}0000 00000119"] {
            assert!(wrong(|card| card.number = number.into()).is_empty(), "{number}");
        }
        for expiry in ["04/26", "01/27", "12/99"] {
            assert!(wrong(|card| card.expiry = expiry.into()).is_empty(), "{expiry}");
        }
        assert!(wrong(|card| card.code = "1234".into()).is_empty());
    }

    #[test]
    fn a_typing_mistake_is_reported() {
        for number in [
            "",
            "4242",
            "4242 4242 4242 4243",
            "2424 4242 4242 4242",
            "4242 4242 4242 424x",
            "٤٢٤٢ ٤٢٤٢ ٤٢٤٢ ٤٢٤٢",
            "4242 4242 4242 4242 4242",
        ] {
            assert_eq!(wrong(|card| card.number = number.into()), ["number"], "{number}");
        }
        for expiry in ["", "02/26", "12/25", "13/26", "00/27", "3/26", "03/2026", "0326", "+3/26", "03/26/1"] {
            assert_eq!(wrong(|card| card.expiry = expiry.into()), ["expiry"], "{expiry}");
        }
        for code in ["", "12", "12345", "12a", "١٢٣"] {
            assert_eq!(wrong(|card| card.code = code.into()), ["code"], "{code}");
        }
        assert_eq!(wrong(|card| card.holder = "x".repeat(101)), ["holder"]);
        assert_eq!(
            wrong(|card| *card =
                Card { number: String::new(), holder: String::new(), expiry: String::new(), code: String::new() }),
            ["number", "holder", "expiry", "code"]
        );
    }
}
