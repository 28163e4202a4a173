//! The rows of the files, with the fields of the contexts' interfaces: one order as four contexts see it.
//!
//! Not here: what happened (`orders`, `status`). Every row is derived from that, so the files agree.

use serde::Serialize;

use crate::calendar::FIRST_DAY;
use crate::customers::{CUSTOMER_HASH, OPERATOR_HASH, Person};
use crate::order::{CURRENCY, Order, Status};
use crate::places::House;

/// The last four digits of the test card that is approved.
const CARD: &str = "4242";

/// `musiccorp:warehouse/stock.level`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Level {
    pub sku: String,
    pub on_hand: u32,
}

/// `musiccorp:recommendation/engine.purchase`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Purchase {
    pub id: String,
    pub customer: String,
    pub skus: Vec<String>,
    pub at: u64,
}

/// `musiccorp:customer/administration.known-account`.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Account<'a> {
    id: &'a str,
    email: &'a str,
    name: &'a str,
    address: Option<Address<'a>>,
    operator: bool,
    since: u64,
    password_hash: &'a str,
}

#[derive(Serialize)]
pub struct Address<'a> {
    name: &'a str,
    street: &'a str,
    extra: &'a str,
    city: &'a str,
    postcode: &'a str,
    country: &'a str,
}

/// `musiccorp:warehouse/archive.past-order`.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Fulfilled<'a> {
    order: &'a str,
    at: u64,
    lines: Vec<Copies<'a>>,
    shipped: Option<u64>,
    released: Option<u64>,
    returned: Vec<Copies<'a>>,
    returned_at: u64,
}

#[derive(Serialize)]
pub struct Copies<'a> {
    sku: &'a str,
    copies: u32,
}

/// `musiccorp:finance/archive.past-sale`.
#[derive(Serialize)]
pub struct PastSale<'a> {
    sale: Sale<'a>,
    at: u64,
    captured: Option<u64>,
    voided: Option<u64>,
    card: &'a str,
    refunds: Vec<Refund>,
}

#[derive(Serialize)]
pub struct Sale<'a> {
    order: &'a str,
    customer: &'a str,
    lines: Vec<SoldLine<'a>>,
    shipping: u32,
    currency: &'a str,
}

#[derive(Serialize)]
pub struct SoldLine<'a> {
    sku: &'a str,
    quantity: u32,
    price: u32,
}

#[derive(Serialize)]
pub struct Refund {
    at: u64,
    amount: u64,
    reason: String,
}

/// `musiccorp:orders/archive.past-order`.
#[derive(Serialize)]
pub struct PastOrder<'a> {
    number: &'a str,
    customer: &'a str,
    state: &'a str,
    lines: Vec<PlacedLine<'a>>,
    shipping: u32,
    currency: &'a str,
    address: Address<'a>,
    at: u64,
    history: Vec<Event>,
}

#[derive(Serialize)]
pub struct PlacedLine<'a> {
    sku: &'a str,
    copies: u32,
    price: u32,
    returned: u32,
}

#[derive(Serialize)]
pub struct Event {
    at: u64,
    state: &'static str,
    note: String,
}

pub fn account(person: &Person) -> Account<'_> {
    Account {
        id: &person.id,
        email: &person.email,
        name: &person.name,
        address: Some(address(&person.name, &person.house)),
        operator: false,
        since: person.since,
        password_hash: CUSTOMER_HASH,
    }
}

/// The account that picks, ships and refunds.
pub fn operator() -> Account<'static> {
    Account {
        id: "C-00000",
        email: "operator@shop.example",
        name: "The Operator",
        address: None,
        operator: true,
        since: FIRST_DAY,
        password_hash: OPERATOR_HASH,
    }
}

fn address<'a>(name: &'a str, house: &'a House) -> Address<'a> {
    let House { street, extra, city, postcode, country } = house;
    Address { name, street, extra, city, postcode, country }
}

pub fn fulfilled(order: &Order) -> Fulfilled<'_> {
    let back = match order.status {
        Status::Returned { at, .. } => Some(at),
        _ => None,
    };
    let came_back = order.lines.iter().filter(|line| back.is_some() && line.returned > 0);
    Fulfilled {
        order: &order.number,
        at: order.at,
        lines: order.lines.iter().map(|line| Copies { sku: &line.sku, copies: line.copies }).collect(),
        shipped: order.status.shipped(),
        released: order.status.released(),
        returned: came_back.map(|line| Copies { sku: &line.sku, copies: line.returned }).collect(),
        returned_at: back.unwrap_or(0),
    }
}

/// `None` if the bank declined: finance has no record of such an order.
pub fn sale<'a>(order: &'a Order, person: &'a Person) -> Option<PastSale<'a>> {
    let (voided, refunds) = match order.status {
        Status::Rejected { .. } => return None,
        Status::Cancelled { at, .. } => (Some(at), vec![]),
        Status::Returned { at, .. } => {
            let reason = format!("records sent back, order {}", order.number);
            (None, vec![Refund { at, amount: order.refund(), reason }])
        }
        Status::Placed | Status::Shipped { .. } | Status::ReturnRequested { .. } => (None, vec![]),
    };
    let line = |line: &'a crate::order::Line| SoldLine { sku: &line.sku, quantity: line.copies, price: line.price };
    let sale = Sale {
        order: &order.number,
        customer: &person.id,
        lines: order.lines.iter().map(line).collect(),
        shipping: order.shipping,
        currency: CURRENCY,
    };
    Some(PastSale { sale, at: order.at, captured: order.status.shipped(), voided, card: CARD, refunds })
}

/// `None` for orders that were cancelled or never paid.
pub fn purchase(order: &Order, person: &Person) -> Option<Purchase> {
    let skus = || order.lines.iter().map(|line| line.sku.clone()).collect();
    order.status.sold().then(|| Purchase {
        id: order.number.clone(),
        customer: person.id.clone(),
        skus: skus(),
        at: order.at,
    })
}

pub fn past_order<'a>(order: &'a Order, person: &'a Person) -> PastOrder<'a> {
    let history = history(order);
    let line = |line: &'a crate::order::Line| PlacedLine {
        sku: &line.sku,
        copies: line.copies,
        price: line.price,
        returned: line.returned,
    };
    PastOrder {
        number: &order.number,
        customer: &person.id,
        state: history.last().map_or("placed", |event| event.state),
        lines: order.lines.iter().map(line).collect(),
        shipping: order.shipping,
        currency: CURRENCY,
        address: address(&person.name, &person.house),
        at: order.at,
        history,
    }
}

fn history(order: &Order) -> Vec<Event> {
    let event = |at, state, note: &str| Event { at, state, note: note.to_owned() };
    let mut history = vec![event(order.at, "placing", "")];
    if let Status::Rejected { at } = order.status {
        history.push(event(at, "rejected", "The bank refuses the card. Nothing was charged."));
        return history;
    }
    history.push(event(order.at, "placed", ""));
    if let Some(at) = order.status.shipped() {
        history.push(event(at, "shipped", ""));
    }
    match order.status {
        Status::Cancelled { at, by_shop: true } => {
            history.push(event(at, "cancelled", "A copy was damaged when we picked it, and we have no other."));
        }
        Status::Cancelled { at, .. } => history.push(event(at, "cancelled", "")),
        Status::ReturnRequested { at, .. } => history.push(event(at, "return-requested", "")),
        Status::Returned { requested, at, .. } => {
            history.push(event(requested, "return-requested", ""));
            history.push(event(at, "returned", ""));
        }
        Status::Rejected { .. } | Status::Placed | Status::Shipped { .. } => {}
    }
    history
}
