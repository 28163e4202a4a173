//! The callee of the call bench: an item made up from its id.

wit_bindgen::generate!({
    path: ["../../../../wit/host", "../../wit"],
    world: "seambench:shop/bench-teller",
});

use exports::seambench::shop::teller::{Error, Guest, Item};

pub struct Teller;

// A native library cannot have the names of a component's exports.
#[cfg(target_family = "wasm")]
export!(Teller);

impl Guest for Teller {
    fn get_item(id: u64) -> Result<Item, Error> {
        if id == 0 {
            return Err(Error::NotFound(id));
        }
        Ok(Item {
            id,
            title: format!("Long Player number {id}"),
            price: 999 + (id % 1000) as u32,
            tags: vec!["vinyl".to_owned(), "reissue".to_owned(), "stereo".to_owned()],
        })
    }
}
