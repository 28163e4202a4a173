//! The recommendation context: which albums to show beside others.
//!
//! `domain` is the engine (bought together, popular as a fallback), `store` the SQL; this file is where they meet the component's
//! interface.

pub mod domain;
pub mod store;

wit_bindgen::generate!({
    path: ["../../wit/host", "../../wit/recommendation"],
    world: "musiccorp:recommendation/recommendation",
    generate_all,
});

use exports::musiccorp::recommendation::engine;

seam_sdk::context!(Recommendation, "0001-counts");

impl engine::Guest for Recommendation {
    fn suggest(skus: Vec<String>, count: u32) -> Result<Vec<engine::Suggestion>, engine::Error> {
        let question = domain::Question::new(skus, count)?;
        let answer = store::answer(&question)?;
        Ok(answer.into_iter().map(|s| engine::Suggestion { sku: s.sku, score: s.score }).collect())
    }

    fn learn(purchases: Vec<engine::Purchase>) -> Result<u32, engine::Error> {
        let purchases = purchases.into_iter().map(|p| domain::Purchase { id: p.id, skus: p.skus }).collect();
        Ok(store::learn(domain::check_purchases(purchases)?)?)
    }
}

impl From<domain::Invalid> for engine::Error {
    fn from(domain::Invalid(why): domain::Invalid) -> Self {
        Self::Invalid(why)
    }
}

impl From<seam_sdk::store::Error> for engine::Error {
    fn from(error: seam_sdk::store::Error) -> Self {
        Self::Unavailable(error.unavailable())
    }
}
