//! The money of an order: what was held or taken, what was given back, by whom and why, and what is left.

use crate::money::Price;
use crate::reference::Currencies;
use crate::seams::books::GivenBack;
use crate::seams::ordering::Order;
use crate::seams::payments::{Payment, Stage};
use crate::seams::{Seams, ordering};

use super::view::{Names, When};

/// What `finance` and `customer` say of one order; each `None` while that context does not answer.
pub struct Account {
    /// The inner `None`: no money was ever held.
    pub payment: Option<Option<Payment>>,
    pub refunds: Option<Vec<GivenBack>>,
    /// Of the customer, of who gave money back, and of others who were asked for.
    pub names: Names,
}

/// The state of the payment, for the page.
pub enum Money<'a> {
    /// Finance does not answer.
    Unknown,
    /// No money was ever held.
    None,
    Known {
        stage: &'static str,
        card: &'a str,
        held: Price<'a>,
        refunded: Option<Price<'a>>,
        /// What can still be given back.
        left: Option<Price<'a>>,
    },
}

/// One refund.
pub struct Refund<'a> {
    pub at: When,
    pub amount: Price<'a>,
    pub reason: &'a str,
    /// Who gave it; empty if no account was named, as for a return.
    pub by: &'a str,
}

impl Account {
    /// `others` are accounts whose names are wanted too.
    pub fn of(order: &Order, others: &[&str], seams: &impl Seams) -> Account {
        let payments = seams.payments(&[&order.number]).ok();
        let payment = payments.map(|payments| payments.into_iter().find(|payment| payment.order == order.number));
        let given = payment.as_ref().is_some_and(|payment| payment.as_ref().is_some_and(|one| one.refunded > 0));
        let refunds = if given { seams.refunds(&order.number).ok() } else { Some(Vec::new()) };
        let givers = refunds.iter().flatten().map(|refund| refund.by.as_str());
        let names = Names::of(givers.chain([order.customer.as_str()]).chain(others.iter().copied()), seams);
        Account { payment, refunds, names }
    }

    pub fn known(&self) -> Option<&Payment> {
        self.payment.as_ref()?.as_ref()
    }

    /// What can still be given back, in minor units; none while `finance` does not answer.
    pub fn left(&self) -> Option<u64> {
        self.payment.as_ref().map(|payment| payment.as_ref().map_or(0, left))
    }

    pub fn money<'a>(&'a self, currencies: &'a Currencies) -> Money<'a> {
        match &self.payment {
            None => Money::Unknown,
            Some(None) => Money::None,
            Some(Some(payment)) => money(payment, currencies),
        }
    }

    pub fn refunds<'a>(&'a self, order: &'a Order, currencies: &'a Currencies) -> Vec<Refund<'a>> {
        let refund = |refund: &'a GivenBack| Refund {
            at: When(refund.at),
            amount: currencies.price(refund.amount, &order.currency),
            reason: &refund.reason,
            by: self.names.name(&refund.by),
        };
        self.refunds.iter().flatten().map(refund).collect()
    }
}

/// What the copies of a return cost, in minor units.
fn due(order: &Order) -> u64 {
    let sum = |line: &ordering::PlacedLine| u64::from(line.price) * u64::from(line.returned);
    order.lines.iter().map(sum).fold(0, u64::saturating_add)
}

pub fn left(payment: &Payment) -> u64 {
    match payment.stage {
        Stage::Captured => payment.authorised.minor_units.saturating_sub(payment.refunded),
        _ => 0,
    }
}

fn money<'a>(payment: &'a Payment, currencies: &'a Currencies) -> Money<'a> {
    let price = |units| currencies.price(units, &payment.authorised.currency);
    let left = left(payment);
    Money::Known {
        stage: match payment.stage {
            Stage::Unknown => "The card processor did not answer",
            Stage::Authorised => "Held on the card",
            Stage::Captured => "Taken from the card",
            Stage::Voided => "Let go, nothing was taken",
            Stage::Declined => "Declined",
        },
        card: &payment.card,
        held: price(payment.authorised.minor_units),
        refunded: (payment.refunded > 0).then(|| price(payment.refunded)),
        left: (left > 0).then(|| price(left)),
    }
}

/// What taking the return in does with its money: no more is promised than is left.
pub fn return_money(order: &Order, account: &Account, currencies: &Currencies) -> String {
    let price = |units: u64| currencies.price(units, &order.currency);
    let due = due(order);
    match account.left() {
        None => format!("Their price, {}, goes back to the card if it was not given back before.", price(due)),
        Some(0) => "No money goes back: all of it has been given back before.".into(),
        Some(left) if left < due => format!(
            "No money goes back by itself: their price is {}, and only {} of the payment is left. Give back afterwards \
             what is due.",
            price(due),
            price(left)
        ),
        Some(_) => format!("Their price, {}, goes back to the card.", price(due)),
    }
}
