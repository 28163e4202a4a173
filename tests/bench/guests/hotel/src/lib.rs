//! The context that the trips of `agency` call.

wit_bindgen::generate!({
    path: ["../../../../wit/host", "../../wit"],
    world: "seambench:shop/bench-hotel",
    generate_all,
});

use exports::seambench::shop::rooms::{Error, Guest};
use seam_sdk::store;

seam_sdk::context!(Hotel, migrations);

const TAKE: &str = "INSERT INTO rooms (key, guest, taken) VALUES (?1, ?2, 1) ON CONFLICT DO NOTHING";
const FREE: &str = "INSERT INTO rooms (key, guest, taken) VALUES (?1, '', 0) ON CONFLICT (key) DO UPDATE SET taken = 0";

impl Guest for Hotel {
    fn take(key: String, guest: String) -> Result<(), Error> {
        if guest.starts_with("full") {
            return Err(Error::Full);
        }
        store::execute(TAKE, store::params![&key, &guest]).map(drop).map_err(away)
    }

    fn free(key: String) -> Result<(), Error> {
        store::execute(FREE, store::params![&key]).map(drop).map_err(away)
    }

    fn taken() -> Result<u32, Error> {
        store::one("SELECT count(*) FROM rooms WHERE taken", store::params![]).map_err(away)
    }
}

fn away(error: store::Error) -> Error {
    Error::Unavailable(error.to_string())
}
