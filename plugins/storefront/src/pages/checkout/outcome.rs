//! Why a checkout form was not done, and how its draft carries that and what was typed to the page that shows it.

use crate::draft::Draft;
use crate::form::Form;
use crate::pages::field::{AddressInput, Alarm, Field, Problems};

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

    /// The draft of the form. Without an outcome the page shows only what was typed.
    pub fn draft(&self, outcome: Option<&Outcome>) -> Draft<'static> {
        let AddressInput { name, street, extra, city, postcode, country } = &self.address;
        let draft = [
            ("name", name.as_str()),
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
        .into_iter()
        .fold(Draft::of("/checkout"), |draft, (name, value)| draft.with(name, value));
        match outcome {
            Some(Outcome::Fields(problems)) => {
                problems.each().fold(draft, |draft, (field, problem)| draft.with_problem(field, problem))
            }
            _ => draft,
        }
    }
}

impl Outcome {
    /// The outcome in a draft.
    pub fn of(draft: &Draft<'_>) -> Option<Outcome> {
        let why = || draft.form().line("why");
        Some(match draft.form().raw("outcome") {
            "fields" => Outcome::Fields(Problems::drafted(Some(draft))),
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
            let text = typed().draft(Some(&outcome)).encode("token").expect("it is short");
            let draft = Draft::read(&text).expect("a draft");
            assert!(draft.is_for("/checkout"));
            assert_eq!(Outcome::of(&draft), Some(outcome));
            let read = Typed::of(draft.form());
            assert_eq!((&*read.address.name, &*read.address.city), ("Ann & Bea; =", "Málaga"));
            assert_eq!((read.save, &*read.holder, &*read.expiry), (true, "A B", "12/30"));
        }
        for bare in [typed().draft(None), Draft::of("/checkout").with("outcome", "else")] {
            assert_eq!(Outcome::of(&bare), None);
        }
    }
}
