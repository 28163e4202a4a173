//! Tokens: what stands for a card that the processor keeps.
//!
//! A processor of real cards keeps the card and gives a random token. This one knows its few cards anyway, so its token
//! says which one it is: `card-4242-1700086400-5feceb66ffc86f38`, with the last four digits, the time until which it
//! is kept, and random digits that make it unlike others.

use super::card::Accepted;
use super::processor;
use crate::wit::Error;

/// How long a card is kept.
pub const KEPT_SECONDS: u64 = 24 * 60 * 60;
/// The bound in the interface.
const CHARS_MAX: usize = 64;
const RANDOM_BYTES: usize = 8;

const OVER: &str =
    "This card was kept for 24 hours, and they are over. Nothing was charged; please type the card once more.";

/// A token for a card that has passed, from `now` on.
pub fn of(card: &Accepted, random: [u8; RANDOM_BYTES], now: u64) -> String {
    format!("card-{}-{}-{}", card.last_four, now + KEPT_SECONDS, hex::encode(random))
}

/// Whether a text can be a token.
pub fn check(token: &str) -> Result<(), Error> {
    parts(token).map(drop).ok_or_else(|| Error::Invalid("token: `keep-card` gave no such token".into()))
}

/// The card that this token stands for, with what the processor says to it at `now`.
pub fn card(token: &str, now: u64) -> Result<Accepted, Error> {
    check(token)?;
    let kept = parts(token).filter(|(_, until)| now <= *until).map(|(card, _)| card);
    kept.ok_or_else(|| Error::Declined(OVER.into()))
}

fn parts(token: &str) -> Option<(Accepted, u64)> {
    if token.len() > CHARS_MAX {
        return None;
    }
    let mut parts = token.strip_prefix("card-")?.split('-');
    let (last_four, until, random) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = random.len() == 2 * RANDOM_BYTES && random.bytes().all(|b| b.is_ascii_hexdigit());
    if !whole || parts.next().is_some() {
        return None;
    }
    let reply = processor::reply_to_end(last_four)?;
    Some((Accepted { last_four: last_four.into(), reply }, until.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::processor::Reply;
    use super::*;

    const NOW: u64 = 1_700_000_000;

    #[test]
    fn a_token_stands_for_its_card_for_a_day_and_does_not_hold_its_number() {
        let accepted = Accepted { last_four: "4242".into(), reply: Reply::Approved };
        let token = of(&accepted, [1; 8], NOW);
        assert!(token.starts_with("card-4242-1700086400-") && token.len() <= CHARS_MAX, "{token}");
        assert!(!token.contains("4242 4242") && !token.contains("42424242"), "{token}");
        assert_ne!(token, of(&accepted, [2; 8], NOW), "each call gives another one");
        assert_eq!(card(&token, NOW), Ok(accepted.clone()));
        assert_eq!(card(&token, NOW + KEPT_SECONDS), Ok(accepted));
        let over = card(&token, NOW + KEPT_SECONDS + 1);
        assert!(matches!(&over, Err(Error::Declined(why)) if why.contains("Nothing was charged")), "{over:?}");
    }

    #[test]
    fn what_keep_card_does_not_give_is_no_token() {
        let good = "card-0119-1700086400-5feceb66ffc86f38";
        assert_eq!(card(good, NOW).map(|card| card.reply), Ok(Reply::Silence));
        for bad in [
            "",
            "4242 4242 4242 4242",
            "card-",
            "card-4242",
            "card-4242-1700086400",
            "card-4242-1700086400-5feceb66ffc86f3",
            "card-4242-1700086400-5feceb66ffc86f3x",
            "card-4242-soon-5feceb66ffc86f38",
            "card-4243-1700086400-5feceb66ffc86f38",
            "card-4242-1700086400-5feceb66ffc86f38-1",
            "card-4242-00000000000000000000000000000000001700086400-5feceb66ffc86f38",
        ] {
            assert!(matches!(card(bad, NOW), Err(Error::Invalid(_))), "{bad}");
        }
    }
}
