//! The warehouse context: what lies on the shelves, what is on its way to customers, and what comes back.
//!
//! The records of the interfaces are its types; `domain` holds the rules, `store` the SQL. This file is where they
//! meet.

pub mod domain;
pub mod store;

wit_bindgen::generate!({
    path: ["../../wit/host", "../../wit/warehouse"],
    world: "musiccorp:warehouse/warehouse",
    generate_all,
    additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
});

use domain::orders;
pub use exports::musiccorp::warehouse::{archive, fulfilment, stock};

seam_sdk::context!(Warehouse, migrations, invariants);
seam_sdk::errors!(stock::Error, fulfilment::Error);

impl stock::Guest for Warehouse {
    fn levels(skus: Vec<String>) -> Result<Vec<stock::Level>, stock::Error> {
        domain::check_skus(&skus)?;
        let counted = store::on_hand(&skus)?;
        Ok(skus.into_iter().zip(counted).map(|(sku, on_hand)| stock::Level { sku, on_hand }).collect())
    }

    fn stocktake(levels: Vec<stock::Level>) -> Result<u32, stock::Error> {
        stocktake(&levels, None)
    }

    fn stocktake_by(levels: Vec<stock::Level>, by: String) -> Result<u32, stock::Error> {
        stocktake(&levels, Some(&by))
    }

    fn restock(key: String, sku: String, copies: u32, note: String) -> Result<stock::Level, stock::Error> {
        restock(&key, fulfilment::Line { sku, copies }, &note, None)
    }

    fn restock_by(
        key: String,
        sku: String,
        copies: u32,
        note: String,
        by: String,
    ) -> Result<stock::Level, stock::Error> {
        restock(&key, fulfilment::Line { sku, copies }, &note, Some(&by))
    }

    fn history(sku: String, count: u32) -> Result<Vec<stock::Movement>, stock::Error> {
        Ok(history(&sku, count)?.into_iter().map(|one| one.movement).collect())
    }

    fn history_by(sku: String, count: u32) -> Result<Vec<stock::MovementBy>, stock::Error> {
        history(&sku, count)
    }

    fn get_tally(skus: Vec<String>) -> Result<stock::Tally, stock::Error> {
        domain::check_skus(&skus)?;
        Ok(store::tally(&skus)?)
    }
}

fn stocktake(levels: &[stock::Level], by: Option<&str>) -> Result<u32, stock::Error> {
    domain::check_stocktake(levels)?;
    by.map_or(Ok(()), domain::check_by)?;
    store::put(levels, by)?;
    Ok(levels.len() as u32)
}

fn restock(key: &str, line: fulfilment::Line, note: &str, by: Option<&str>) -> Result<stock::Level, stock::Error> {
    orders::check_restock(key, &line.sku, line.copies, note)?;
    by.map_or(Ok(()), domain::check_by)?;
    store::restock(key, line, note, by)
}

fn history(sku: &str, count: u32) -> Result<Vec<stock::MovementBy>, stock::Error> {
    domain::check_skus(&[sku.to_owned()])?;
    orders::check_count(count)?;
    Ok(store::history(sku, count)?)
}

impl fulfilment::Guest for Warehouse {
    fn reserve(order: String, lines: Vec<fulfilment::Line>) -> Result<(), fulfilment::Error> {
        orders::check_order(&order)?;
        orders::check_lines(&lines)?;
        store::orders::reserve(&order, &lines)
    }

    fn release(order: String) -> Result<(), fulfilment::Error> {
        orders::check_order(&order)?;
        store::orders::release(&order)
    }

    fn clear(order: String) -> Result<(), fulfilment::Error> {
        orders::check_order(&order)?;
        store::orders::clear(&order)
    }

    fn ship(order: String) -> Result<(), fulfilment::Error> {
        orders::check_order(&order)?;
        store::orders::ship(&order)
    }

    fn take_back(key: String, order: String, lines: Vec<fulfilment::Line>) -> Result<(), fulfilment::Error> {
        orders::check_key(&key)?;
        orders::check_order(&order)?;
        orders::check_lines(&lines)?;
        store::orders::take_back(&key, &order, &lines)
    }

    fn pick_list(count: u32) -> Result<Vec<fulfilment::Pick>, fulfilment::Error> {
        orders::check_count(count)?;
        Ok(store::orders::pick_list(count)?)
    }
}

impl archive::Guest for Warehouse {
    fn put_orders(orders: Vec<archive::PastOrder>) -> Result<u32, fulfilment::Error> {
        orders::check_past(&orders)?;
        Ok(store::archive::put(orders)?)
    }
}
