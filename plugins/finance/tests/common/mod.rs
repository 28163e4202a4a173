//! Shared by the tests of this context: sales, cards, and short functions for calls.
#![allow(dead_code, clippy::unwrap_used, reason = "tests; each uses some of it")]

pub use finance::exports::musiccorp::finance::payments::{Card, Error, Guest, Line, Payment, Sale, Stage};
pub use finance::{Finance, MIGRATIONS};
pub use seam_sdk::native::{Store, set_clock};
pub use seam_sdk::store::{one, params, query};

pub const NOW: u64 = 1_700_000_000;
pub const APPROVED: &str = "4242 4242 4242 4242";
pub const REFUSED: &str = "4000 0000 0000 0002";
pub const SILENT: &str = "4000 0000 0000 0119";

/// An empty store; the time is `NOW`.
pub fn fresh() -> Store {
    set_clock(Some(NOW));
    Store::fresh(MIGRATIONS).unwrap()
}

/// A sale of two records at 10.00 and shipping: 23.95.
pub fn sale(order: &str) -> Sale {
    Sale {
        order: order.into(),
        customer: "C-1".into(),
        lines: vec![Line { sku: "MC-1".into(), quantity: 2, price: 1_000 }],
        shipping: 395,
        currency: "GBP".into(),
    }
}

pub fn card(number: &str) -> Card {
    Card { number: number.into(), holder: "Anna Lind".into(), expiry: "11/23".into(), code: "123".into() }
}

pub fn authorise(key: &str, order: &str, number: &str) -> Result<Payment, Error> {
    Finance::authorise(key.into(), sale(order), card(number))
}

/// With a token for the card.
pub fn authorise_kept(key: &str, order: &str, token: &str) -> Result<Payment, Error> {
    Finance::authorise_kept(key.into(), sale(order), token.into())
}

pub fn void(key: &str, order: &str) -> Result<(), Error> {
    Finance::void(key.into(), order.into())
}

pub fn capture(key: &str, order: &str) -> Result<Payment, Error> {
    Finance::capture(key.into(), order.into())
}

pub fn refund(key: &str, order: &str, amount: u64) -> Result<Payment, Error> {
    Finance::refund(key.into(), order.into(), amount, "Scratched".into())
}

/// Authorises and captures an order, with keys of its own.
pub fn sold(order: &str) {
    authorise(&format!("a{order}"), order, APPROVED).unwrap();
    capture(&format!("c{order}"), order).unwrap();
}

pub fn payment(order: &str) -> Option<Payment> {
    Finance::payments(vec![order.into()]).unwrap().pop()
}

pub fn count(table: &str) -> u32 {
    one(&format!("SELECT count(*) FROM {table}"), params![]).unwrap()
}

/// An answer as a word: the stage, or the error's case.
pub fn word<T: Into<Option<Payment>>>(answer: Result<T, Error>) -> &'static str {
    match answer.map(T::into) {
        Ok(None) => "ok",
        Ok(Some(payment)) => match payment.stage {
            Stage::Unknown => "unknown",
            Stage::Authorised => "authorised",
            Stage::Captured => "captured",
            Stage::Voided => "voided",
            Stage::Declined => "declined",
        },
        Err(Error::Card(_)) => "card",
        Err(Error::Declined(_)) => "declined",
        Err(Error::Unanswered) => "unanswered",
        Err(Error::UnknownOrder(_)) => "unknownorder",
        Err(Error::Refused(_)) => "refused",
        Err(Error::Invalid(_)) => "invalid",
        Err(Error::Unavailable(_)) => "unavailable",
    }
}

/// Checks that the books add up: every entry sums to zero, totals and balances equal the sums of their lines, and no
/// customer owes anything.
pub fn check_books() {
    let unbalanced = "SELECT count(*) FROM (SELECT 1 FROM lines GROUP BY entry, currency HAVING sum(amount) <> 0)";
    assert_eq!(one::<u32>(unbalanced, params![]).unwrap(), 0, "entries that do not sum to zero");
    let lost =
        "SELECT count(*) FROM entries WHERE json_array_length(lines) <> (SELECT count(*) FROM lines WHERE entry = id)";
    assert_eq!(one::<u32>(lost, params![]).unwrap(), 0, "entries without all of their lines");
    type Totals = Vec<(String, String, i64, i64)>;
    let kept: Totals = query("SELECT account, currency, debit, credit FROM totals ORDER BY 1, 2", params![]).unwrap();
    let added: Totals = query(
        "SELECT account, currency, sum(max(amount, 0)), sum(max(-amount, 0)) FROM lines GROUP BY 1, 2 ORDER BY 1, 2",
        params![],
    )
    .unwrap();
    assert_eq!(kept, added);
    let wrong = "SELECT count(*) FROM balances AS b WHERE balance IS NOT
                   (SELECT sum(amount) FROM lines AS l WHERE l.customer = b.customer AND l.currency = b.currency)";
    assert_eq!(one::<u32>(wrong, params![]).unwrap(), 0, "balances that are not those of their lines");
    assert_eq!(one::<u32>("SELECT count(*) FROM balances WHERE balance <> 0", params![]).unwrap(), 0, "open balances");
    let gaps = "SELECT count(*) FROM payments WHERE invoice IS NOT NULL
                AND invoice <> 1000001 AND NOT EXISTS (SELECT 1 FROM payments AS p WHERE p.invoice = payments.invoice - 1)";
    assert_eq!(one::<u32>(gaps, params![]).unwrap(), 0, "gaps in the invoices' numbers");
}
