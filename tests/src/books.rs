//! Whether money and copies add up, in each context and between contexts. Every test that changes something checks it.
//!
//! No context could do this, as none knows another's data: this asks each through the admin socket and compares.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::shop::Shop;

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

/// The books balance, and customers got money back only for what they returned.
pub fn balance(shop: &Shop) -> Result<Books> {
    balance_with(shop, 0)
}

/// The books balance, with so much that the operator refunded by hand.
pub fn balance_with(shop: &Shop, by_hand: u64) -> Result<Books> {
    let books = Books::read(shop)?;
    books.money(by_hand)?;
    books.copies()?;
    Ok(books)
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
        ensure!(balance["sum"] == 0, "the ledger does not sum to zero: {balance}");
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

    /// Finance by itself, and as orders would have it.
    fn money(&self, by_hand: u64) -> Result<()> {
        let (debit, credit) = self.accounts.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        ensure!(debit == credit, "debits of {debit} and credits of {credit}: {:?}", self.accounts);
        let (owed, paid) = self.account("receivable");
        ensure!(owed == paid, "customers owe something, though cards pay at once: {:?}", self.accounts);
        let (mut captured, mut refunded, mut returned) = (0, 0, 0);
        for (number, order) in &self.orders {
            let payment = self.payments.get(number);
            let stage = payment.map_or("none", |payment| payment.stage.as_str());
            let goes = match order.state.as_str() {
                "placing" => true,
                "placed" => stage == "authorised",
                "shipped" | "return-requested" | "returned" => stage == "captured",
                "cancelled" => stage == "voided",
                "rejected" => matches!(stage, "none" | "voided" | "declined"),
                other => bail!("an unknown state: {other}"),
            };
            ensure!(goes, "order {number} is {} and its payment {stage}", order.state);
            if let Some(payment) = payment {
                ensure!(payment.amount == order.total, "order {number} costs {}, the card {payment:?}", order.total);
                captured += if stage == "captured" { payment.amount } else { 0 };
                refunded += payment.refunded;
            }
            returned += if order.state == "returned" { order.returned_price } else { 0 };
        }
        ensure!(
            refunded == returned + by_hand,
            "{refunded} was given back, for {returned} returned, {by_hand} by hand"
        );
        let (debit, credit) = self.account("card-clearing");
        ensure!(
            (debit, credit) == (captured, refunded),
            "captured {captured}, refunded {refunded}: {:?}",
            self.accounts
        );
        let sold = self.account("sales").1 + self.account("shipping").1;
        ensure!(
            sold == captured && self.account("refunds").0 == refunded,
            "{captured}, {refunded}: {:?}",
            self.accounts
        );
        Ok(())
    }

    /// The warehouse by itself, and as orders would have it.
    fn copies(&self) -> Result<()> {
        let Tally { on_hand, reserved, shipped, received } = self.tally;
        ensure!(on_hand + reserved + shipped == received, "copies are missing: {:?}", self.tally);
        let copies = |state| self.in_state(state).map(|(_, order)| order.copies).sum::<u64>();
        let (placed, placing) = (copies("placed"), copies("placing"));
        ensure!(
            (placed..=placed + placing).contains(&reserved),
            "{reserved} reserved, for {placed} placed and {placing} being placed"
        );
        let back: u64 = self.in_state("returned").map(|(_, order)| order.returned_copies).sum();
        let sent = copies("shipped") + copies("return-requested") + copies("returned") - back;
        ensure!(shipped == sent, "{shipped} with customers by the warehouse, {sent} by orders");
        Ok(())
    }

    fn account(&self, name: &str) -> (u64, u64) {
        self.accounts.get(name).copied().unwrap_or_default()
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
