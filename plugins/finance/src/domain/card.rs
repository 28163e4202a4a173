//! A card as the customer typed it: checked, with a sentence for every wrong field, and reduced to what finance may
//! keep of it.
//!
//! Invariant: only this file reads the number. Other code gets the last four digits and the processor's reply.

use std::fmt;

use super::check::unprintable;
use super::processor::{self, Reply};
use crate::wit::{Card, FieldProblem};

const HOLDER_CHARS_MAX: usize = 100;

/// As it was typed. Unlike the interface's record, it can be formatted without its number.
pub struct Typed(pub Card);

/// A card that has passed. Neither number nor code is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub last_four: String,
    pub reply: Reply,
}

/// A card that gets into a message gets into a log.
impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Typed(a card)")
    }
}

impl Typed {
    /// The accepted card, or all its problems at `now`, in the order of the form.
    pub fn check(&self, now: u64) -> Result<Accepted, Vec<FieldProblem>> {
        let mut problems = Vec::new();
        let mut add = |field: &str, problem: Option<String>| {
            problems.extend(problem.map(|problem| FieldProblem { field: field.into(), problem }));
        };
        let card = self.known();
        add("number", card.is_none().then(|| self.number_problem()));
        add("holder", self.holder_problem().map(String::from));
        add("expiry", self.expiry_problem(now).map(String::from));
        let code = self.0.code.trim();
        let code_is_good = (3..=4).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_digit());
        add("code", (!code_is_good).then(|| "Please enter the three or four digits of the security code.".into()));
        card.filter(|_| problems.is_empty()).ok_or(problems)
    }

    /// What distinguishes this card from another when a request comes again; a thief could not pay with it. The code is
    /// not part of it: even a hash would give four digits away.
    pub fn marks(&self) -> [String; 3] {
        let last_four = self.known().map_or(String::new(), |card| card.last_four);
        let expiry = match self.expiry() {
            Some((year, month)) => format!("{month:02}/{:02}", year % 100),
            None => self.0.expiry.trim().into(),
        };
        [last_four, self.0.holder.trim().into(), expiry]
    }

    fn digits(&self) -> Option<String> {
        let digits: String = self.0.number.trim().chars().filter(|c| !matches!(c, ' ' | '\u{a0}' | '-')).collect();
        digits.bytes().all(|b| b.is_ascii_digit()).then_some(digits)
    }

    fn known(&self) -> Option<Accepted> {
        let digits = self.digits()?;
        let reply = processor::reply(&digits)?;
        Some(Accepted { last_four: digits.get(digits.len().saturating_sub(4)..)?.to_owned(), reply })
    }

    fn number_problem(&self) -> String {
        match self.digits() {
            Some(digits) if digits.is_empty() => format!("Please enter the card's number. {}", processor::NUMBERS),
            Some(_) => processor::NUMBERS.into(),
            None => format!("Please enter digits only. {}", processor::NUMBERS),
        }
    }

    fn holder_problem(&self) -> Option<&'static str> {
        let holder = self.0.holder.trim();
        match holder.chars().count() {
            0 => Some("Please enter the name on the card."),
            count if count > HOLDER_CHARS_MAX => Some("Please use at most 100 characters."),
            _ => holder.chars().any(unprintable).then_some("Please use one line of plain text."),
        }
    }

    /// Year and month. Browsers fill in `04/2029`, phones without a stroke on their keyboard `0429`, and some print
    /// `04 / 29` on the card. A year of two digits is of this century.
    fn expiry(&self) -> Option<(u64, u64)> {
        let blanks = [' ', '\u{a0}'];
        let typed: String = self.0.expiry.trim().chars().filter(|c| !blanks.contains(c)).collect();
        let (month, year) = match typed.split_once(['/', '-']) {
            Some(parts) => parts,
            None => typed.split_at_checked(2)?,
        };
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
        let month = digits(month).filter(|at| month.len() == 2 && (1..=12).contains(at))?;
        match year.len() {
            2 => Some((2_000 + digits(year)?, month)),
            4 => Some((digits(year).filter(|at| (2_000..2_100).contains(at))?, month)),
            _ => None,
        }
    }

    fn expiry_problem(&self, now: u64) -> Option<&'static str> {
        match self.expiry() {
            Some(last) if last >= month_of(now) => None,
            Some(_) => Some("This card has expired. Please pay with another one."),
            None => Some("Please enter month and year as on the card, like 04/29."),
        }
    }
}

/// Year and month of a time, UTC; Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn month_of(seconds: u64) -> (u64, u64) {
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Counted from March: 0 to 11.
    let month = (5 * day + 2) / 153;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 14 November 2023.
    const NOW: u64 = 1_700_000_000;

    fn typed(number: &str, holder: &str, expiry: &str, code: &str) -> Typed {
        Typed(Card { number: number.into(), holder: holder.into(), expiry: expiry.into(), code: code.into() })
    }

    fn good() -> Card {
        typed("4242 4242 4242 4242", "Anna Lind", "11/23", "123").0
    }

    fn fields(card: &Typed) -> String {
        let problems = card.check(NOW).err().unwrap_or_default();
        problems.iter().map(|p| p.field.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_good_card_passes_however_its_number_is_grouped() {
        for number in ["4242424242424242", "4242 4242 4242 4242", " 4242-4242-4242-4242\u{a0}", "42 42-42424242 4242"] {
            let card = Typed(Card { number: number.into(), ..good() }).check(NOW);
            assert_eq!(card, Ok(Accepted { last_four: "4242".into(), reply: Reply::Approved }), "{number}");
        }
        for code in ["123", "1234", " 123 "] {
            assert_eq!(fields(&Typed(Card { code: code.into(), ..good() })), "");
        }
        assert_eq!(fields(&Typed(Card { holder: "é".repeat(100), ..good() })), "");
    }

    #[test]
    fn a_real_number_gets_a_list_of_the_numbers_that_are_taken() {
        for number in
            ["5555 5555 5555 4444", "4242", "", "4242 4242 4242 424x", "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢", "1".repeat(100_000).as_str()]
        {
            let problems = Typed(Card { number: number.into(), ..good() }).check(NOW).err().unwrap_or_default();
            assert_eq!(problems.len(), 1);
            let FieldProblem { field, problem } = &problems[0];
            assert!(field == "number" && problem.contains("4242 4242 4242 4242") && problem.len() < 300, "{problem}");
        }
    }

    #[test]
    fn all_wrong_fields_have_a_problem_at_once() {
        assert_eq!(fields(&typed("", "", "", "")), "number holder expiry code");
        assert_eq!(fields(&typed("4242424242424242", "\n", "10/23", "12")), "holder expiry code");
    }

    #[test]
    fn each_field_has_its_bounds() {
        for holder in [" ", "A\tB", &"x".repeat(101), "A\u{202e}B"] {
            assert_eq!(fields(&Typed(Card { holder: holder.into(), ..good() })), "holder", "{holder}");
        }
        for code in ["", "12", "12345", "12a", "١٢٣", "-12", "1 2 3"] {
            assert_eq!(fields(&Typed(Card { code: code.into(), ..good() })), "code", "{code}");
        }
        for (expiry, expect) in [
            ("11/23", ""),
            ("12/23", ""),
            ("01/24", ""),
            ("12/99", ""),
            ("10/23", "expiry"),
            ("12/22", "expiry"),
            ("00/24", "expiry"),
            ("13/24", "expiry"),
            ("1/24", "expiry"),
            ("11/2023", ""),
            ("1123", ""),
            ("112023", ""),
            ("11 / 23", ""),
            (" 11\u{a0}/ 2023 ", ""),
            ("11-23", ""),
            ("11 23", ""),
            ("10/2023", "expiry"),
            ("1023", "expiry"),
            ("12/1999", "expiry"),
            ("12/2100", "expiry"),
            ("1/2024", "expiry"),
            ("13/2024", "expiry"),
            ("1324", "expiry"),
            ("11/204", "expiry"),
            ("11/20245", "expiry"),
            ("11", "expiry"),
            ("11/", "expiry"),
            ("2024-11", "expiry"),
            ("+1/24", "expiry"),
            ("11/24/1", "expiry"),
            ("١١/٢٤", "expiry"),
            ("é1/24", "expiry"),
            ("1é24", "expiry"),
        ] {
            assert_eq!(fields(&Typed(Card { expiry: expiry.into(), ..good() })), expect, "{expiry}");
        }
    }

    #[test]
    fn months_begin_and_end_at_midnight() {
        for (seconds, expect) in [
            (0, (1970, 1)),
            (951_782_399, (2000, 2)),
            (951_868_799, (2000, 2)),
            (951_868_800, (2000, 3)),
            (1_700_000_000, (2023, 11)),
            (1_704_067_199, (2023, 12)),
            (1_704_067_200, (2024, 1)),
            (4_107_542_400, (2100, 3)),
        ] {
            assert_eq!(month_of(seconds), expect, "{seconds}");
        }
    }

    #[test]
    fn what_is_kept_of_a_card_cannot_pay() {
        for expiry in ["11/23", "11/2023", "1123", " 11 / 23 "] {
            let typed = Typed(Card { expiry: expiry.into(), ..good() });
            assert_eq!(typed.marks(), ["4242", "Anna Lind", "11/23"], "one card, however it is written");
        }
        assert_eq!(typed("4000-0000 00009995 ", "A", "1", "9").marks(), ["9995", "A", "1"]);
        // Another card with the same end is another card.
        assert_eq!(typed("5555 5555 5555 4242", "A", "1", "9").marks()[0], "");
        assert!(!format!("{:?}", Typed(good())).contains("4242 4242"));
    }
}
