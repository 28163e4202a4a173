//! The publisher of the event bench, and of the tests of deliveries.

wit_bindgen::generate!({
    path: ["../../../../wit/host", "../../wit"],
    world: "seambench:shop/bench-sender",
    generate_all,
});

use exports::seambench::shop::sender::{Error, Guest};
use seam_sdk::store;
use seambench::shop::news::{self, Item};

seam_sdk::context!(Sender, migrations);

const NOTE: &str = "INSERT OR REPLACE INTO notes (id, title) VALUES (?1, ?2)";

impl Guest for Sender {
    fn send(first: u64, count: u32, keys: u32) -> Result<(), Error> {
        store::transaction(|_| (first..first + u64::from(count)).try_for_each(|id| publish(id, keys))).map_err(away)
    }

    fn note(id: u64, publishes: bool) -> Result<(), Error> {
        store::transaction(|tx| {
            tx.execute(NOTE, store::params![id as i64, &format!("Note {id}")])?;
            if publishes { publish(id, 16) } else { Ok(()) }
        })
        .map_err(away)
    }

    fn notes() -> Result<u64, Error> {
        store::one::<(u64,)>("SELECT count(*) FROM notes", store::params![]).map(|(count,)| count).map_err(away)
    }

    fn change_mind(id: u64) -> Result<(), Error> {
        let undone = store::transaction(|_| publish(id, 1).and(Err::<(), _>(store::Error::Invalid("no".into()))));
        if undone.is_err() { Ok(()) } else { Err(Error::Unavailable("it was kept".into())) }
    }

    fn send_alone(id: u64) -> Result<(), Error> {
        publish(id, 1).map_err(away)
    }
}

fn publish(id: u64, keys: u32) -> Result<(), store::Error> {
    let item = Item { id, key: format!("key-{}", id % u64::from(keys.max(1))), title: format!("Long Player {id}") };
    news::arrived(&item).map_err(|error| store::Error::Unavailable(format!("{error:?}")))
}

fn away(error: store::Error) -> Error {
    Error::Unavailable(error.to_string())
}
