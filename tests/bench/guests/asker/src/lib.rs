//! The caller of the call bench.

wit_bindgen::generate!({
    path: ["../../../../wit/host", "../../wit"],
    world: "seambench:shop/bench-asker",
});

use exports::seambench::shop::asker::{Error, Guest};
use seambench::shop::teller;

pub struct Asker;

// A native library cannot have the names of a component's exports.
#[cfg(target_family = "wasm")]
export!(Asker);

impl Guest for Asker {
    fn ask(times: u32) -> Result<u64, Error> {
        let mut sum = 0;
        for id in 1..=u64::from(times) {
            sum += u64::from(teller::get_item(id)?.price);
        }
        Ok(sum)
    }
}
