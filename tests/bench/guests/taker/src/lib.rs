//! The subscriber of the event bench, and of the tests of deliveries. A title says how it goes wrong.

wit_bindgen::generate!({
    path: ["../../../../wit/host", "../../wit"],
    world: "seambench:shop/bench-taker",
    generate_all,
});

use exports::seambench::shop::{news, taker};
use seam_sdk::store;

seam_sdk::context!(Taker, migrations);

/// An event that comes twice counts twice: the host should not let that happen.
const TAKE: &str = "INSERT INTO taken (id, key, title, times) VALUES (?1, ?2, ?3, 1)
                    ON CONFLICT (id) DO UPDATE SET times = times + 1";
const COUNT: &str = "SELECT count(*), coalesce(max(times), 0) FROM taken";

impl news::Guest for Taker {
    fn arrived(item: news::Item) -> Result<(), news::Error> {
        store::execute(TAKE, store::params![item.id as i64, &item.key, &item.title])
            .map(drop)
            .map_err(|error| news::Error::Unavailable(error.to_string()))
    }
}

impl taker::Guest for Taker {
    fn count() -> Result<taker::Taken, taker::Error> {
        let rows = store::query::<(u64, u64)>(COUNT, store::params![])
            .map_err(|error| taker::Error::Unavailable(error.to_string()))?;
        let (events, most) = rows.first().copied().unwrap_or_default();
        Ok(taker::Taken { events, most })
    }
}
