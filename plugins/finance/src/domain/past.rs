//! Sales that were made elsewhere: the rules of those made here hold for them, and every problem names its row and
//! field.

use std::collections::BTreeMap;

use super::Stage;
use super::check::{self, in_row, wrong};
use super::ledger::{self, Entry, Refund};
use crate::wit::{Error, Sale};
use crate::wit_archive::{PastRefund, PastSale};

/// Sales in one call.
pub const SALES_MAX: usize = 1_000;
/// Refunds of one sale: one for each copy would be fewer.
const REFUNDS_MAX: usize = 100;
/// The last second of the year 9999.
const AT_MAX: u64 = 253_402_300_799;

impl PastSale {
    pub fn stage(&self) -> Stage {
        match (self.captured, self.voided) {
            (Some(_), _) => Stage::Captured,
            (None, Some(_)) => Stage::Voided,
            (None, None) => Stage::Authorised,
        }
    }

    pub fn refunded(&self) -> u64 {
        self.refunds.iter().map(|refund| refund.amount).sum()
    }

    /// Its entries in the books, oldest first; none of a sale without an invoice.
    pub fn entries(&self, invoice: Option<u32>) -> Vec<Entry> {
        let (Some(at), Some(number)) = (self.captured, invoice) else { return Vec::new() };
        let mut entries = vec![ledger::invoice(&self.sale, number, at), ledger::payment(&self.sale, &self.card, at)];
        for PastRefund { at, amount, reason } in &self.refunds {
            let Sale { order, customer, currency, .. } = &self.sale;
            let refund = Refund { order, customer, currency, card: &self.card, amount: *amount, reason, at: *at };
            entries.extend(refund.entries());
        }
        entries
    }

    fn check(&self) -> Result<(), Error> {
        check::sale(&self.sale)?;
        if self.card.len() != 4 || !self.card.bytes().all(|b| b.is_ascii_digit()) {
            return wrong("card", "not the last four digits");
        }
        let ends = [("captured", self.captured), ("voided", self.voided)];
        for (field, at) in [("at", Some(self.at))].into_iter().chain(ends) {
            if at.is_some_and(|at| at > AT_MAX) {
                return wrong(field, "after the year 9999");
            }
            if at.is_some_and(|at| at < self.at) {
                return wrong(field, "before it was authorised");
            }
        }
        if self.captured.is_some() && self.voided.is_some() {
            return wrong("voided", "captured money is not voided but refunded");
        }
        self.check_refunds()
    }

    fn check_refunds(&self) -> Result<(), Error> {
        if self.refunds.len() > REFUNDS_MAX {
            return wrong("refunds", &format!("{REFUNDS_MAX} are allowed, not {}", self.refunds.len()));
        }
        let mut left = if self.captured.is_some() { self.sale.total() } else { 0 };
        let mut earliest = self.captured.unwrap_or(self.at);
        for (i, refund) in self.refunds.iter().enumerate() {
            let field = |name: &str| format!("refund {}, {name}", i + 1);
            check::refund(refund.amount, &refund.reason).map_err(|error| match error {
                Error::Invalid(why) => Error::Invalid(format!("refund {}, {why}", i + 1)),
                other => other,
            })?;
            if !(earliest..=AT_MAX).contains(&refund.at) {
                return wrong(&field("at"), "before the money was taken or the one before it, or after the year 9999");
            }
            if refund.amount > left {
                return wrong(&field("amount"), "more in all than was captured");
            }
            left -= refund.amount;
            earliest = refund.at;
        }
        Ok(())
    }
}

/// Checks all of `sales`, and that no order stands there twice.
pub fn check(sales: &[PastSale]) -> Result<(), Error> {
    if sales.len() > SALES_MAX {
        return Err(Error::Invalid(format!("{} sales in one call; {SALES_MAX} are allowed", sales.len())));
    }
    let mut first = BTreeMap::new();
    for (i, sale) in sales.iter().enumerate() {
        sale.check().map_err(|error| in_row(i, error))?;
        if let Some(other) = first.insert(&sale.sale.order, i) {
            let twice = wrong("order", &format!("stands in row {} already", other + 1));
            return twice.map_err(|error| in_row(i, error));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wit::Line;

    const DAY: u64 = 86_400;

    fn past(order: &str) -> PastSale {
        let sale = Sale {
            order: order.into(),
            customer: "C-1".into(),
            lines: vec![Line { sku: "A".into(), quantity: 2, price: 1_000 }],
            shipping: 395,
            currency: "GBP".into(),
        };
        let refund = |at, amount| PastRefund { at, amount, reason: "sent back".into() };
        let refunds = vec![refund(3 * DAY, 1_000), refund(3 * DAY, 1_395)];
        PastSale { sale, at: DAY, captured: Some(2 * DAY), voided: None, card: "4242".into(), refunds }
    }

    #[test]
    fn a_sale_is_booked_with_its_own_times() {
        let sale = past("1");
        assert_eq!(check(std::slice::from_ref(&sale)), Ok(()));
        assert_eq!((sale.stage(), sale.refunded()), (Stage::Captured, 2_395));
        let booked: Vec<_> = sale.entries(Some(5)).into_iter().map(|entry| (entry.at / DAY, entry.text)).collect();
        let expect = [
            (2, "Invoice 5"),
            (2, "Paid by card ending 4242"),
            (3, "Refund: sent back"),
            (3, "Paid back to card ending 4242"),
            (3, "Refund: sent back"),
            (3, "Paid back to card ending 4242"),
        ];
        assert_eq!(booked, expect.map(|(day, text)| (day, text.to_owned())));
        let held = PastSale { captured: None, refunds: vec![], ..past("1") };
        assert_eq!((held.stage(), held.entries(None)), (Stage::Authorised, vec![]));
        let voided = PastSale { voided: Some(2 * DAY), ..held };
        assert_eq!((check(std::slice::from_ref(&voided)), voided.stage()), (Ok(()), Stage::Voided));
    }

    #[test]
    fn a_problem_names_its_row_and_field() {
        let check = |change: &dyn Fn(&mut PastSale), expect: &str| {
            let mut sales = [past("1"), past("2")];
            change(&mut sales[1]);
            let Err(Error::Invalid(why)) = super::check(&sales) else { panic!("{expect} passed") };
            assert!(why.starts_with(&format!("row 2, {expect}")), "{why}");
        };
        check(&|s| s.sale.order = "1".into(), "order: stands in row 1 already");
        check(&|s| s.sale.currency.clear(), "currency: not three");
        check(&|s| s.card = "424".into(), "card: not the last four");
        check(&|s| s.card = "4242424242424242".into(), "card: not the last four");
        check(&|s| s.at = u64::MAX, "at: after the year");
        check(&|s| s.captured = Some(DAY - 1), "captured: before it was");
        check(&|s| s.voided = Some(0), "voided: before it was");
        check(&|s| s.voided = Some(2 * DAY), "voided: captured money");
        check(&|s| s.captured = None, "refund 1, amount: more in all");
        check(&|s| s.refunds[0].at = DAY, "refund 1, at: before");
        check(&|s| s.refunds[1].at = 2 * DAY, "refund 2, at: before");
        check(&|s| s.refunds[1].amount = 1_396, "refund 2, amount: more in all");
        check(&|s| s.refunds[0].amount = 0, "refund 1, amount: more than 0");
        check(&|s| s.refunds[1].reason.clear(), "refund 2, reason: it is empty");
        check(&|s| s.refunds = vec![s.refunds[0].clone(); 101], "refunds: 100 are allowed, not 101");
        let sales = vec![past("1"); SALES_MAX + 1];
        assert_eq!(super::check(&sales), Err(Error::Invalid("1001 sales in one call; 1000 are allowed".into())));
    }
}
