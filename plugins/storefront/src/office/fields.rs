//! Fields of the office's forms: typed values, their problems, and how amounts and texts are read.

use crate::draft::Draft;
use crate::form::Form;

/// The hidden field of a form that replaces a value: the value that the form was made from, in digits. The form counts
/// only while that is still the value.
pub const WAS: &str = "was";

/// A field as the page shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    pub value: String,
    /// A sentence for the operator.
    pub problem: Option<String>,
}

impl Field {
    pub fn of(value: impl Into<String>) -> Field {
        Field { value: value.into(), problem: None }
    }

    /// The field of this name as a draft has it.
    pub fn drafted(draft: &Draft<'_>, name: &str) -> Field {
        Field { value: draft.form().text(name), problem: draft.problem(name) }
    }

    /// The draft with this field.
    pub fn keep(&self, name: &str, draft: Draft<'static>) -> Draft<'static> {
        let draft = draft.with(name, &self.value);
        match &self.problem {
            Some(problem) => draft.with_problem(name, problem),
            None => draft,
        }
    }

    /// One line of `least` to `most` characters.
    pub fn line(form: &Form<'_>, name: &str, least: usize, most: usize) -> Field {
        Field::text(form.line(name), least, most)
    }

    pub fn text(value: String, least: usize, most: usize) -> Field {
        let problem = match value.chars().count() {
            0 if least > 0 => Some("Something has to stand here.".into()),
            count if count < least => Some(format!("At least {least} characters.")),
            count if count > most => Some(format!("At most {most} characters.")),
            _ => None,
        };
        // A text that is much too long is not sent back completely.
        Field { value: value.chars().take(most * 2).collect(), problem }
    }

    /// A whole number from `least` to `most`; 0 if it is invalid.
    pub fn number(form: &Form<'_>, name: &str, least: u32, most: u32) -> (Field, u32) {
        let value: String = form.line(name).chars().take(20).collect();
        match form.number(name).and_then(|number| u32::try_from(number).ok()) {
            Some(number) if (least..=most).contains(&number) => (Field::of(value), number),
            _ => {
                let problem = Some(format!("A whole number from {least} to {most}."));
                (Field { value, problem }, 0)
            }
        }
    }

    /// An amount of money in minor units, typed with at most `digits` digits after the point; 0 if it is invalid.
    pub fn amount(form: &Form<'_>, name: &str, digits: u32, most: u64) -> (Field, u64) {
        let value: String = form.line(name).chars().take(20).collect();
        let problem = match minor_units(&form.line(name), digits) {
            None => format!("An amount such as {}.", plain(1299, digits)),
            Some(0) => "More than nothing.".into(),
            Some(amount) if amount > most => format!("At most {}.", plain(most, digits)),
            Some(amount) => return (Field::of(value), amount),
        };
        (Field { value, problem: Some(problem) }, 0)
    }

    pub fn wrong(&self) -> bool {
        self.problem.is_some()
    }
}

/// `12.99` and `12` are 1299 and 1200 in a currency with two digits after the point.
pub fn minor_units(text: &str, digits: u32) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digit = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = (1..=12).contains(&whole.len()) && part.len() <= digits as usize;
    if !fits || !digit(whole) || !digit(part) || (part.is_empty() && text.contains('.')) {
        return None;
    }
    let padded = format!("{whole}{part:0<width$}", width = digits as usize);
    padded.parse().ok()
}

/// An amount as a field shows it: `12.99`.
pub fn plain(minor_units: u64, digits: u32) -> String {
    let unit = 10u64.pow(digits);
    match digits {
        0 => minor_units.to_string(),
        _ => format!("{}.{:0width$}", minor_units / unit, minor_units % unit, width = digits as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_to_the_penny() {
        for (text, digits, amount) in [
            ("12.99", 2, Some(1299)),
            ("12.9", 2, Some(1290)),
            ("12", 2, Some(1200)),
            ("0.05", 2, Some(5)),
            ("0", 2, Some(0)),
            ("2800", 0, Some(2800)),
            ("999999999999.99", 2, Some(99_999_999_999_999)),
            ("2800.5", 0, None),
            ("12.999", 2, None),
            ("12.", 2, None),
            (".5", 2, None),
            ("1,299.00", 2, None),
            ("-1", 2, None),
            ("+1", 2, None),
            ("1e3", 2, None),
            ("\u{663}", 2, None),
            ("\u{a3}5", 2, None),
            ("9999999999999", 2, None),
            ("", 2, None),
        ] {
            assert_eq!(minor_units(text, digits), amount, "{text}");
        }
        for (amount, digits, text) in [(1299, 2, "12.99"), (5, 2, "0.05"), (2800, 0, "2800"), (1, 3, "0.001")] {
            assert_eq!(plain(amount, digits), text);
            assert_eq!(minor_units(text, digits), Some(amount));
        }
    }

    #[test]
    fn texts_are_measured_in_characters() {
        for (text, problem) in [("", true), ("\u{e9}", false), ("four", false), ("five5", true)] {
            assert_eq!(Field::text(text.into(), 1, 4).wrong(), problem, "{text}");
        }
        assert_eq!(Field::text("x".repeat(100), 1, 4).value.len(), 8);
    }
}
