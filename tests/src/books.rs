//! Money and copies: whether they add up, which every test that changes something checks, and how many there are.
//!
//! The contexts declare what must hold (`plugins/*/invariants`), and the host verifies it. Not here: a list of it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use seam::verify::{Check, Outcome, Report, Verdict};
use serde_json::Value;

use crate::shop::Shop;
use crate::wait;

/// The states of an order, as `musiccorp:orders/ordering` names them.
pub const STATES: [&str; 7] = ["placing", "placed", "shipped", "return-requested", "returned", "cancelled", "rejected"];
/// Orders that finance is asked for at once.
const PAYMENTS_MAX: usize = 500;

/// Everything that a change of money or stock would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Books {
    pub orders: BTreeMap<String, Order>,
    /// By order, of those that have one.
    pub payments: BTreeMap<String, Payment>,
    pub tally: Tally,
    /// By account: debit and credit.
    pub accounts: BTreeMap<String, (u64, u64)>,
    pub entries: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub customer: String,
    pub state: String,
    pub copies: u64,
    pub total: u64,
    /// Of those that the customer sent back.
    pub returned_copies: u64,
    pub returned_price: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub stage: String,
    pub amount: u64,
    pub refunded: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    pub on_hand: u64,
    pub reserved: u64,
    pub shipped: u64,
    pub received: u64,
}

/// What every context declares of its file holds, and what they must agree on. What is in the books then.
///
/// # Errors
/// With the first examples of what is violated, and with what could not be checked.
pub fn balance(shop: &Shop) -> Result<Books> {
    holds(&shop.verify()?)?;
    Books::read(shop)
}

/// As `balance`, once every order is placed or rejected, which takes the host a moment after a crash.
///
/// # Errors
/// As `balance`, and if one stays in process.
pub fn decided(shop: &Shop) -> Result<Books> {
    wait::until(wait::TIMEOUT, || {
        let books = balance(shop)?;
        let left = books.in_state("placing").count();
        Ok(if left == 0 { Ok(books) } else { Err(format!("{left} orders are in process")) })
    })
}

/// That everything was checked, and holds.
///
/// # Errors
/// As `balance`.
pub fn holds(report: &Report) -> Result<()> {
    let wrong = |check: &&Check| matches!(check.outcome, Outcome::Violated { .. } | Outcome::Unchecked { .. });
    let wrong: Vec<_> = report.checks.iter().filter(wrong).collect();
    ensure!(report.verdict == Verdict::Holds, "{:?}: {wrong:#?}", report.verdict);
    Ok(())
}

impl Books {
    pub fn read(shop: &Shop) -> Result<Self> {
        let mut orders = BTreeMap::new();
        for state in STATES {
            orders_in(shop, state, &mut orders)?;
        }
        let numbers: Vec<&str> = orders.keys().map(String::as_str).collect();
        let payments = payments(shop, &numbers)?;
        let tally = shop.call("warehouse", "stock.get-tally([])")?;
        let balance = shop.call("finance", "books.get-trial-balance()")?;
        let accounts = list(&balance["lines"])?
            .iter()
            .map(|line| Ok((text(&line["account"])?, (number(&line["debit"])?, number(&line["credit"])?))));
        Ok(Self {
            accounts: accounts.collect::<Result<_>>()?,
            entries: number(&balance["entries"])?,
            tally: Tally {
                on_hand: number(&tally["on-hand"])?,
                reserved: number(&tally["reserved"])?,
                shipped: number(&tally["shipped"])?,
                received: number(&tally["received"])?,
            },
            orders,
            payments,
        })
    }

    pub fn in_state<'a>(&'a self, state: &'a str) -> impl Iterator<Item = (&'a String, &'a Order)> {
        self.orders.iter().filter(move |(_, order)| order.state == state)
    }

    /// Without rejected orders: what must be the same before and after input that is refused.
    pub fn without_rejected(&self) -> Self {
        let mut books = self.clone();
        books.orders.retain(|_, order| order.state != "rejected");
        let orders = &books.orders;
        books.payments.retain(|number, _| orders.contains_key(number));
        books
    }
}

/// What finance knows of these orders.
pub fn payments(shop: &Shop, numbers: &[&str]) -> Result<BTreeMap<String, Payment>> {
    let mut payments = BTreeMap::new();
    for some in numbers.chunks(PAYMENTS_MAX) {
        for payment in list(&shop.call("finance", &format!("payments.payments({some:?})"))?)? {
            let amount = number(&payment["authorised"]["minor-units"])?;
            let known = Payment { stage: text(&payment["stage"])?, amount, refunded: number(&payment["refunded"])? };
            payments.insert(text(&payment["order"])?, known);
        }
    }
    Ok(payments)
}

fn orders_in(shop: &Shop, state: &str, orders: &mut BTreeMap<String, Order>) -> Result<()> {
    for page in 1.. {
        let answer = shop.call("orders", &format!("desk.in-state({state}, {page})"))?;
        for summary in list(&answer["orders"])? {
            let name = text(&summary["number"])?;
            let mut order = Order {
                customer: text(&summary["customer"])?,
                state: text(&summary["state"])?,
                copies: number(&summary["copies"])?,
                total: number(&summary["total"])?,
                returned_copies: 0,
                returned_price: 0,
            };
            if state.starts_with("return") {
                let whole = shop.call("orders", &format!("desk.get-order({name:?})"))?;
                for line in list(&whole["lines"])? {
                    let copies = number(&line["returned"])?;
                    order.returned_copies += copies;
                    order.returned_price += copies * number(&line["price"])?;
                }
            }
            orders.insert(name, order);
        }
        if answer["more"] != true {
            break;
        }
    }
    Ok(())
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().with_context(|| format!("a list: {value}"))
}

fn number(value: &Value) -> Result<u64> {
    value.as_u64().with_context(|| format!("a number: {value}"))
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().with_context(|| format!("a text: {value}"))?.to_owned())
}
