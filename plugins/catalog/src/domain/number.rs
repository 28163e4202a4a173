//! A SKU as a customer types it: in small letters, without its hyphen or its leading zeros, or its digits alone.

/// Letters and digits of a number that is looked for; longer ones are none.
const LETTERS_MAX: usize = 16;
const DIGITS_MAX: usize = 9;

/// What a customer typed, if it may be a SKU: letters or none, and then digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// Capital letters.
    letters: String,
    value: u32,
}

impl Number {
    /// `None` if the text is not letters and then digits, with blanks or hyphens between them or not.
    pub fn of(text: &str) -> Option<Self> {
        let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '.' | '#' | '/');
        if !text.chars().all(sign) {
            return None;
        }
        let plain: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
        let digits = plain.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let letters = plain.strip_suffix(digits)?.to_ascii_uppercase();
        if digits.len() > DIGITS_MAX || letters.len() > LETTERS_MAX {
            return None;
        }
        Some(Self { letters, value: digits.parse().ok()? })
    }

    /// Whether only digits were typed, which may also be words of a title: `1999`.
    pub fn is_alone(&self) -> bool {
        self.letters.is_empty()
    }

    /// The number without leading zeros, as the store's index has it.
    pub fn value(&self) -> u32 {
        self.value
    }

    /// Whether this is what `sku` looks like to a customer.
    pub fn is_of(&self, sku: &str) -> bool {
        Number::of(sku)
            .is_some_and(|known| known.value == self.value && (self.is_alone() || known.letters == self.letters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sku_is_known_however_it_is_typed() {
        for typed in ["MC-0042", "mc-0042", "MC 42", "mc42", "mc0042", "0042", "42", "#42", "mc/42"] {
            let number = Number::of(typed);
            let is_of = |sku| number.as_ref().is_some_and(|number| number.is_of(sku));
            assert_eq!(
                [is_of("MC-0042"), is_of("MC-0142"), is_of("MC-42-B"), is_of("B-")],
                [true, false, false, false],
                "{typed}"
            );
        }
        assert!(Number::of("42").is_some_and(|number| number.is_alone() && number.is_of("X-42")));
        assert!(Number::of("mc42").is_some_and(|number| !number.is_of("X-42")));
    }

    #[test]
    fn other_words_are_no_number() {
        for typed in ["", "-", "mc", "kind of blue", "4 non blondes", "ö42", "42\0", "1234567890", "abcdefghijklmnopq1"]
        {
            assert_eq!(Number::of(typed), None, "{typed}");
        }
    }
}
