//! The recommendation context: which albums to show beside others.
//!
//! The records of the interface are its types. `domain` is the engine (what was bought together; without an album, what
//! is popular), `store` the SQL; this file is where they meet.

pub mod domain;
pub mod store;

wit_bindgen::generate!({
    path: [
        "../../wit/host",
        "../../wit/catalog",
        "../../wit/warehouse",
        "../../wit/finance",
        "../../wit/orders",
        "../../wit/recommendation",
    ],
    world: "musiccorp:recommendation/recommendation",
    generate_all,
    additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
});

pub use exports::musiccorp::orders::events;
pub use exports::musiccorp::recommendation::engine;

seam_sdk::context!(Recommendation, migrations);
seam_sdk::errors!(engine::Error, events::Error);

impl engine::Guest for Recommendation {
    fn suggest(skus: Vec<String>, count: u32) -> Result<Vec<engine::Suggestion>, engine::Error> {
        Ok(store::answer(&domain::Question::new(skus, count)?)?)
    }

    fn learn(purchases: Vec<engine::Purchase>) -> Result<u32, engine::Error> {
        Ok(store::learn(domain::check_purchases(purchases)?)?)
    }
}

impl events::Guest for Recommendation {
    fn order_placed(order: events::PlacedOrder) -> Result<(), events::Error> {
        let events::PlacedOrder { number, customer, skus, at } = order;
        let purchase = engine::Purchase { id: number, customer, skus, at };
        store::learn(domain::check_purchases(vec![purchase])?)?;
        Ok(())
    }
}
