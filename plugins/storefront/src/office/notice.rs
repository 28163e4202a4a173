//! The message at the top of a page after a form: that it took effect, or why not.

use crate::draft::Draft;
use crate::seams::{CatalogError, StockError, ordering, payments};

/// What a form did; the next page says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    Shipped,
    Cancelled,
    Received,
    ReceivedUnpaid,
    Refunded,
    Restocked,
    Counted,
    Added,
    Described,
    Repriced,
    Discontinued,
    Relisted,
}

impl Done {
    const ALL: [Done; 12] = [
        Done::Shipped,
        Done::Cancelled,
        Done::Received,
        Done::ReceivedUnpaid,
        Done::Refunded,
        Done::Restocked,
        Done::Counted,
        Done::Added,
        Done::Described,
        Done::Repriced,
        Done::Discontinued,
        Done::Relisted,
    ];

    /// Its name in an address.
    pub fn name(self) -> &'static str {
        self.texts().0
    }

    pub fn named(name: &str) -> Option<Done> {
        Done::ALL.into_iter().find(|done| done.name() == name)
    }

    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Done::Shipped => ("shipped", "The parcel is on its way, and the money is taken."),
            Done::Cancelled => ("cancelled", "The order is cancelled: copies back on the shelf, money let go."),
            Done::Received => ("received", "The copies are on the shelf again, and their price goes back to the card."),
            Done::ReceivedUnpaid => (
                "received-unpaid",
                "The copies are on the shelf again. No money went back by itself: it had been given back before, or too \
                 little of it was left.",
            ),
            Done::Refunded => ("refunded", "The money goes back to the card."),
            Done::Restocked => ("restocked", "The new copies are on the shelf."),
            Done::Counted => ("counted", "The shelf now holds what was counted."),
            Done::Added => ("added", "The record is in the catalogue. It can be bought once there are copies of it."),
            Done::Described => ("described", "The record is described as you typed it."),
            Done::Repriced => ("repriced", "The record has its new price."),
            Done::Discontinued => ("discontinued", "The record is no longer sold. It can be sold again at any time."),
            Done::Relisted => ("relisted", "The record is sold again."),
        }
    }
}

/// The sentence at the top of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub good: bool,
    pub text: String,
}

impl From<Done> for Notice {
    fn from(done: Done) -> Notice {
        Notice { good: true, text: done.texts().1.into() }
    }
}

impl Notice {
    /// The message in a draft: why the form could not be done.
    pub fn drafted(draft: Option<&Draft<'_>>) -> Option<Notice> {
        let (_, text) = draft?.message()?;
        Some(Notice { good: false, text: text.into() })
    }
}

/// Why a form had no effect, or may have had none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub status: u16,
    pub text: String,
    /// The result is unknown: the form comes back with the same key, so that sending it again takes effect once.
    pub keep_key: bool,
}

/// Fields of the form are wrong; each shows what is wrong.
pub fn fields() -> Failed {
    Failed {
        status: 422,
        text: "Nothing was done yet. What has to be corrected is marked below.".into(),
        keep_key: true,
    }
}

impl Failed {
    /// The draft for the page at this path below `/office`.
    pub fn draft(&self, path: &str) -> Draft<'static> {
        Draft::of(&format!("/office{path}")).with_message("", &self.text)
    }
}

impl From<Failed> for Notice {
    fn from(failed: Failed) -> Notice {
        Notice { good: false, text: failed.text }
    }
}

/// What the form was made from is no longer so: another operator, or the same one in another window, was faster.
pub fn moved_on(what: &str) -> Failed {
    refused(&format!("{what} has changed since the page of this form was opened. Below it is as it is now."))
}

/// The present state does not allow it.
fn refused(why: &str) -> Failed {
    Failed { status: 409, text: format!("Nothing was done: {why}"), keep_key: false }
}

fn invalid(why: &str) -> Failed {
    Failed { status: 422, text: format!("Nothing was done: {why}"), keep_key: false }
}

fn no_answer(who: &str) -> Failed {
    let text = format!(
        "{who} did not answer, so we cannot tell whether it was done. Send the form below once more: however often it \
         is sent, it is done once."
    );
    Failed { status: 503, text, keep_key: true }
}

impl From<ordering::Error> for Failed {
    fn from(error: ordering::Error) -> Failed {
        use ordering::Error;
        match error {
            Error::Refused(why) | Error::Declined(why) => refused(&why),
            Error::Wait(_) => refused("too many cards were declined."),
            Error::Busy(_) => refused("too many cards are being looked at. Send the form again."),
            Error::UnknownOrder => refused("there is no such order any more."),
            Error::InProcess(_) => refused("the order is being worked on at this moment. Load the page again."),
            Error::Short(_) => refused("there are not enough copies."),
            Error::Changed(_) => refused("prices have changed since the order was placed."),
            Error::Invalid(why) => invalid(&why),
            Error::Fields(problems) => invalid(problems.first().map_or("", |first| &first.problem)),
            Error::Unavailable(_) => no_answer("The order desk"),
        }
    }
}

impl From<payments::Error> for Failed {
    fn from(error: payments::Error) -> Failed {
        use payments::Error;
        match error {
            Error::Refused(why) | Error::Declined(why) => refused(&why),
            Error::UnknownOrder(_) => refused("there is no payment for this order."),
            Error::Unanswered => no_answer("The card processor"),
            Error::Invalid(why) => invalid(&why),
            Error::Card(problems) => invalid(problems.first().map_or("", |first| &first.problem)),
            Error::Unavailable(_) => no_answer("The bookkeeping"),
        }
    }
}

impl From<StockError> for Failed {
    fn from(error: StockError) -> Failed {
        match error {
            StockError::Invalid(why) => invalid(&why),
            StockError::Unavailable(_) => no_answer("The warehouse"),
        }
    }
}

impl From<CatalogError> for Failed {
    fn from(error: CatalogError) -> Failed {
        match error {
            CatalogError::Invalid(why) => invalid(&why),
            CatalogError::Unavailable(_) => no_answer("The catalogue"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_has_a_name_of_its_own() {
        for done in Done::ALL {
            assert_eq!(Done::named(done.name()), Some(done));
        }
        for odd in ["", "Shipped", "<b>", "shipped "] {
            assert_eq!(Done::named(odd), None);
        }
    }

    #[test]
    fn a_form_keeps_its_key_only_if_its_result_is_unknown() {
        for (failed, status, keep_key) in [
            (Failed::from(ordering::Error::Refused("Too late.".into())), 409, false),
            (ordering::Error::Unavailable("gone".into()).into(), 503, true),
            (payments::Error::Unanswered.into(), 503, true),
            (payments::Error::Invalid("key".into()).into(), 422, false),
            (StockError::Unavailable("gone".into()).into(), 503, true),
            (CatalogError::Invalid("sku".into()).into(), 422, false),
        ] {
            assert_eq!((failed.status, failed.keep_key), (status, keep_key), "{failed:?}");
        }
    }
}
