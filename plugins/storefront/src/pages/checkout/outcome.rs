//! Why a checkout form was not done, and how the browser carries that and what was typed to the page that shows it.
//!
//! Every form of the checkout is answered with a redirect, also one that could not be done. So neither the back button
//! nor a reload ever asks whether to send a card again. Between the form and the page lies a draft: a cookie of a few
//! minutes that counts for the visitor whose form it was, and for one page. Invariant: a card's number and code are
//! never in it.

use crate::csrf;
use crate::form::Form;
use crate::href::Encoded;
use crate::pages::field::{AddressInput, Alarm, Field, Problems};

/// Bytes of a draft. Browsers keep 4,096 of a cookie, with its name and attributes.
const DRAFT_BYTES_MAX: usize = 3_600;
/// Before the name of a field, in front of what is wrong with it.
const PROBLEM: &str = "problem-";

/// What the form carries but for the secrets of the card.
#[derive(Debug, Default)]
pub struct Typed {
    pub address: AddressInput,
    pub save: bool,
    pub holder: String,
    pub expiry: String,
}

/// Why nothing was ordered.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Fields(Problems),
    /// Prices or records are not what the page showed.
    Changed,
    /// The form was made from another version of the cart.
    MovedOn,
    /// What the bank says.
    Declined(String),
    /// What `orders` says.
    Refused(String),
    Failed,
}

impl Typed {
    /// From the form itself or from its draft.
    pub fn of(form: &Form<'_>) -> Typed {
        Typed {
            address: AddressInput::of(form),
            save: form.has("save"),
            holder: form.line("holder"),
            expiry: form.line("expiry"),
        }
    }

    /// Writes the draft for the holder of this form token; `None` if no cookie can hold it. Without an outcome the page
    /// shows only what was typed.
    pub fn draft(&self, token: &str, outcome: Option<&Outcome>) -> Option<String> {
        let AddressInput { name, street, extra, city, postcode, country } = &self.address;
        let mut pairs: Vec<(String, &str)> = [
            (csrf::FIELD, token),
            ("name", name),
            ("street", street),
            ("extra", extra),
            ("city", city),
            ("postcode", postcode),
            ("country", country),
            ("save", if self.save { "yes" } else { "" }),
            ("holder", &self.holder),
            ("expiry", &self.expiry),
            ("outcome", outcome.map_or("", Outcome::word)),
            ("why", outcome.map_or("", Outcome::why)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if let Some(Outcome::Fields(problems)) = outcome {
            pairs.extend(problems.each().map(|(field, problem)| (format!("{PROBLEM}{field}"), problem)));
        }
        let pair = |(name, value): &(String, &str)| format!("{}={}", Encoded(name), Encoded(value));
        let text = pairs.iter().filter(|(_, value)| !value.is_empty()).map(pair).collect::<Vec<_>>().join("&");
        (text.len() <= DRAFT_BYTES_MAX).then_some(text)
    }
}

impl Outcome {
    /// The outcome in a draft.
    pub fn of(draft: &Form<'_>) -> Option<Outcome> {
        let why = || draft.line("why");
        Some(match draft.raw("outcome") {
            "fields" => Outcome::Fields(draft.each(PROBLEM).map(|(field, why)| (field.into(), why.into())).collect()),
            "changed" => Outcome::Changed,
            "moved-on" => Outcome::MovedOn,
            "declined" => Outcome::Declined(why()),
            "refused" => Outcome::Refused(why()),
            "failed" => Outcome::Failed,
            _ => return None,
        })
    }

    fn word(&self) -> &'static str {
        match self {
            Outcome::Fields(_) => "fields",
            Outcome::Changed => "changed",
            Outcome::MovedOn => "moved-on",
            Outcome::Declined(_) => "declined",
            Outcome::Refused(_) => "refused",
            Outcome::Failed => "failed",
        }
    }

    fn why(&self) -> &str {
        match self {
            Outcome::Declined(why) | Outcome::Refused(why) => why,
            _ => "",
        }
    }

    /// The status of the page when it is the answer itself, because no cookie could hold the draft.
    pub fn status(&self) -> u16 {
        match self {
            Outcome::Fields(_) | Outcome::Declined(_) | Outcome::Failed => 422,
            Outcome::Changed | Outcome::MovedOn | Outcome::Refused(_) => 409,
        }
    }

    /// What the page says; `total` is what the order costs now.
    pub fn alarm<'a>(&self, total: &str, fields: impl IntoIterator<Item = &'a Field<'a>>) -> Alarm {
        match self {
            Outcome::Fields(problems) => problems.alarm(fields),
            Outcome::Changed => Alarm::new(
                "Something has changed",
                format!(
                    "Prices or records are not what they were when you opened this page. Nothing was charged. The total \
                     is {total} now; if that is all right, type your card once more and place the order."
                ),
            ),
            Outcome::MovedOn => Alarm::new(
                "Your cart has changed",
                "You have changed your cart or tried to order it since you opened the page that you sent. Sending it \
                 ordered nothing. This is your cart now; if it is what you would like, type your card once more and \
                 place the order.",
            )
            .with("/account", "See your orders"),
            // The bank's answer says that nothing was charged, and what to do.
            Outcome::Declined(why) => {
                Alarm::new("Your card was declined", format!("{why} Your records are still here."))
            }
            Outcome::Refused(why) => Alarm::new("The order could not be placed", why.as_str()),
            Outcome::Failed => Alarm::new(
                "The order could not be placed",
                "Nothing was charged. Please check what you typed, and try again.",
            ),
        }
    }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    fn typed() -> Typed {
        let address = AddressInput { name: "Ann & Bea; =".into(), city: "Málaga".into(), ..AddressInput::default() };
        Typed { address, save: true, holder: "A B".into(), expiry: "12/30".into() }
    }

    #[test]
    fn a_draft_is_read_as_it_was_written() {
        let problems: Problems = [("street".to_owned(), "Where, \"please\"?".to_owned())].into_iter().collect();
        for outcome in [
            Outcome::Fields(problems),
            Outcome::Changed,
            Outcome::MovedOn,
            Outcome::Declined("No; money.".into()),
            Outcome::Refused("Too late.".into()),
            Outcome::Failed,
        ] {
            let text = typed().draft("token", Some(&outcome)).expect("it is short");
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%&=".contains(&byte);
            assert!(text.bytes().all(plain), "nothing in it ends a cookie: {text}");
            let form = Form::parse(text.as_bytes()).expect("a form");
            assert_eq!(Outcome::of(&form), Some(outcome));
            let read = Typed::of(&form);
            assert_eq!((&*read.address.name, &*read.address.city), ("Ann & Bea; =", "Málaga"));
            assert_eq!((read.save, &*read.holder, &*read.expiry), (true, "A B", "12/30"));
            assert_eq!(form.raw(csrf::FIELD), "token");
        }
        let bare = typed().draft("token", None).expect("it is short");
        assert_eq!(Outcome::of(&Form::parse(bare.as_bytes()).expect("a form")), None);
        assert_eq!(Outcome::of(&Form::parse(b"outcome=else").expect("a form")), None);
    }

    #[test]
    fn what_no_cookie_holds_is_no_draft() {
        let long = AddressInput { street: "\u{65e5}".repeat(500), ..AddressInput::default() };
        assert_eq!(Typed { address: long, ..typed() }.draft("token", None), None);
    }
}
