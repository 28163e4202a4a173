//! The card processor: built in, and made for tests. It answers by the card's number alone.

/// The numbers that it knows, and what it says to them.
const CARDS: &[(&str, Reply)] = &[
    ("4242424242424242", Reply::Approved),
    (
        "4000000000000002",
        Reply::Declined("The bank refuses this card. Nothing was charged; please pay with another card."),
    ),
    (
        "4000000000009995",
        Reply::Declined("There is not enough money on this card. Nothing was charged; please pay with another card."),
    ),
    ("4000000000000069", Reply::Declined("This card has expired. Nothing was charged; please pay with another card.")),
    ("4000000000000119", Reply::Silence),
];

/// What to tell a customer whose number is none of these.
pub const NUMBERS: &str = "This shop takes test cards only: 4242 4242 4242 4242 is approved, 4000 0000 0000 0002, \
4000 0000 0000 9995 and 4000 0000 0000 0069 are declined, 4000 0000 0000 0119 gets no answer.";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The money is held.
    Approved,
    /// It is not, in a sentence for the customer.
    Declined(&'static str),
    /// No answer in time: the money may be held or not.
    Silence,
}

/// What the processor says to this number, digits only; none to the number of a real card.
pub fn reply(number: &str) -> Option<Reply> {
    CARDS.iter().find(|(known, _)| *known == number).map(|(_, reply)| *reply)
}

/// The same, to the card with these last four digits, which tell its cards apart.
pub fn reply_to_end(last_four: &str) -> Option<Reply> {
    CARDS.iter().find(|(known, _)| known.get(12..) == Some(last_four)).map(|(_, reply)| *reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_numbers_in_the_hint_are_known() {
        for (number, _) in CARDS {
            let groups: Vec<_> = number.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group)).collect();
            assert!(NUMBERS.contains(&groups.join(" ")), "{number}");
        }
        assert_eq!(reply("4242424242424242"), Some(Reply::Approved));
        assert_eq!(reply("4000000000000119"), Some(Reply::Silence));
        for number in ["4000000000000002", "4000000000009995", "4000000000000069"] {
            assert!(
                matches!(reply(number), Some(Reply::Declined(why)) if why.contains("Nothing was charged")),
                "{number}"
            );
        }
        for number in ["", "4242", "4242 4242 4242 4242", "5555555555554444", "42424242424242424"] {
            assert_eq!(reply(number), None, "{number}");
        }
    }

    #[test]
    fn the_last_four_digits_tell_the_numbers_apart() {
        let mut ends: Vec<_> = CARDS.iter().map(|(number, _)| number.get(12..)).collect();
        ends.sort_unstable();
        ends.dedup();
        assert_eq!(ends.len(), CARDS.len());
        for (number, reply) in CARDS {
            assert_eq!(reply_to_end(&number[12..]), Some(*reply), "{number}");
        }
        assert_eq!(reply_to_end(""), None);
    }
}
