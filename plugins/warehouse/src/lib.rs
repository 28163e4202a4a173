//! The warehouse context: what lies on the shelves.
//!
//! `domain` holds the rules, `store` the SQL; this file is where they meet the component's interface.

pub mod domain;
pub mod store;

wit_bindgen::generate!({
    path: ["../../wit/host", "../../wit/warehouse"],
    world: "musiccorp:warehouse/warehouse",
    generate_all,
});

use exports::musiccorp::warehouse::stock;

seam_sdk::context!(Warehouse, "0001-levels");

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
}

impl From<domain::Invalid> for stock::Error {
    fn from(domain::Invalid(why): domain::Invalid) -> Self {
        Self::Invalid(why)
    }
}

impl From<seam_sdk::store::Error> for stock::Error {
    fn from(error: seam_sdk::store::Error) -> Self {
        Self::Unavailable(error.unavailable())
    }
}
