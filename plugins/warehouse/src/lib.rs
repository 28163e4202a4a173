//! The warehouse context: what lies on the shelves, what is on its way to customers, and what comes back.
//!
//! `domain` holds the rules, `store` the SQL; this file is where they meet the component's interfaces.

pub mod domain;
pub mod store;

wit_bindgen::generate!({
    path: ["../../wit/host", "../../wit/warehouse"],
    world: "musiccorp:warehouse/warehouse",
    generate_all,
});

use domain::Invalid;
use domain::orders::{self, Line};
use exports::musiccorp::warehouse::{archive, fulfilment, stock};
use store::orders::Outcome;

seam_sdk::context!(Warehouse, "0001-levels", "0002-orders");

impl stock::Guest for Warehouse {
    fn levels(skus: Vec<String>) -> Result<Vec<stock::Level>, stock::Error> {
        domain::check_question(&skus)?;
        let counted = store::on_hand(&skus)?;
        Ok(skus.into_iter().zip(counted).map(|(sku, on_hand)| stock::Level { sku, on_hand }).collect())
    }

    fn stocktake(levels: Vec<stock::Level>) -> Result<u32, stock::Error> {
        let levels: Vec<_> = levels.into_iter().map(|l| domain::Level { sku: l.sku, on_hand: l.on_hand }).collect();
        domain::check_stocktake(&levels)?;
        store::put(&levels)?;
        Ok(levels.len() as u32)
    }

    fn restock(key: String, sku: String, copies: u32, note: String) -> Result<stock::Level, stock::Error> {
        orders::check_restock(&key, &sku, copies, &note)?;
        let line = Line { sku, copies };
        match store::restock(&key, &line, &note)? {
            Some(on_hand) => Ok(stock::Level { sku: line.sku, on_hand }),
            None => Err(other_request().into()),
        }
    }

    fn history(sku: String, count: u32) -> Result<Vec<stock::Movement>, stock::Error> {
        domain::check_question(std::slice::from_ref(&sku))?;
        orders::check_count(count)?;
        Ok(store::history(&sku, count)?.into_iter().map(stock::Movement::from).collect())
    }

    fn get_tally(skus: Vec<String>) -> Result<stock::Tally, stock::Error> {
        domain::check_question(&skus)?;
        let store::Tally { on_hand, reserved, shipped, received } = store::tally(&skus)?;
        Ok(stock::Tally { on_hand, reserved, shipped, received })
    }
}

impl fulfilment::Guest for Warehouse {
    fn reserve(order: String, lines: Vec<fulfilment::Line>) -> Result<(), fulfilment::Error> {
        let lines = checked(&order, lines)?;
        told(&order, store::orders::reserve(&order, &lines)?)
    }

    fn release(order: String) -> Result<(), fulfilment::Error> {
        check_order(&order)?;
        told(&order, store::orders::release(&order)?)
    }

    fn clear(order: String) -> Result<(), fulfilment::Error> {
        check_order(&order)?;
        told(&order, store::orders::clear(&order)?)
    }

    fn ship(order: String) -> Result<(), fulfilment::Error> {
        check_order(&order)?;
        told(&order, store::orders::ship(&order)?)
    }

    fn take_back(key: String, order: String, lines: Vec<fulfilment::Line>) -> Result<(), fulfilment::Error> {
        orders::check_name("key", &key, orders::KEY_CHARS_MAX)?;
        let lines = checked(&order, lines)?;
        told(&order, store::orders::take_back(&key, &order, &lines)?)
    }

    fn pick_list(count: u32) -> Result<Vec<fulfilment::Pick>, fulfilment::Error> {
        orders::check_count(count)?;
        let pick = |pick: store::orders::Pick| fulfilment::Pick {
            order: pick.order,
            stage: fulfilment::Stage::Cleared,
            at: pick.at,
            lines: pick.lines.into_iter().map(|l| fulfilment::Line { sku: l.sku, copies: l.copies }).collect(),
        };
        Ok(store::orders::pick_list(count)?.into_iter().map(pick).collect())
    }
}

impl archive::Guest for Warehouse {
    fn put_orders(orders: Vec<archive::PastOrder>) -> Result<u32, fulfilment::Error> {
        let past = |order: archive::PastOrder| orders::PastOrder {
            number: order.order,
            at: order.at,
            lines: owned(order.lines),
            shipped: order.shipped,
            released: order.released,
            returned: owned(order.returned),
            returned_at: order.returned_at,
        };
        let orders: Vec<_> = orders.into_iter().map(past).collect();
        orders::check_past(&orders)?;
        Ok(store::archive::put(orders)?)
    }
}

fn owned(lines: Vec<fulfilment::Line>) -> Vec<Line> {
    lines.into_iter().map(|line| Line { sku: line.sku, copies: line.copies }).collect()
}

fn check_order(order: &str) -> Result<(), Invalid> {
    orders::check_name("order", order, orders::NUMBER_CHARS_MAX)
}

fn checked(order: &str, lines: Vec<fulfilment::Line>) -> Result<Vec<Line>, Invalid> {
    check_order(order)?;
    let lines = owned(lines);
    orders::check_lines(&lines)?;
    Ok(lines)
}

fn told(order: &str, outcome: Outcome) -> Result<(), fulfilment::Error> {
    Err(match outcome {
        Outcome::Done => return Ok(()),
        Outcome::Unknown => fulfilment::Error::UnknownOrder(order.to_owned()),
        Outcome::Refused(why) => fulfilment::Error::Refused(format!("order {order}: {why}")),
        Outcome::OtherRequest => other_request().into(),
        Outcome::Short(short) => {
            let shortage =
                |s: orders::Shortage| fulfilment::Shortage { sku: s.sku, wanted: s.wanted, on_hand: s.on_hand };
            fulfilment::Error::Short(short.into_iter().map(shortage).collect())
        }
    })
}

fn other_request() -> Invalid {
    Invalid("key: it was used for something else".into())
}

impl From<store::Movement> for stock::Movement {
    fn from(store::Movement { at, cause, change, on_hand, reference }: store::Movement) -> Self {
        let cause = match cause {
            0 => stock::Cause::Counted,
            1 => stock::Cause::Restocked,
            2 => stock::Cause::Reserved,
            3 => stock::Cause::Released,
            _ => stock::Cause::Returned,
        };
        Self { at, cause, change, on_hand, reference }
    }
}

macro_rules! errors {
    ($($interface:ident),+) => { $(
        impl From<Invalid> for $interface::Error {
            fn from(Invalid(why): Invalid) -> Self {
                Self::Invalid(why)
            }
        }

        impl From<seam_sdk::store::Error> for $interface::Error {
            fn from(error: seam_sdk::store::Error) -> Self {
                Self::Unavailable(error.unavailable())
            }
        }
    )+ };
}
errors!(stock, fulfilment);
