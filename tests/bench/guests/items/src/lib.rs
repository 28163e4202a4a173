//! The benches' own context: `/hello` without data, `/items/{sku}` by one query from its store as JSON, `/ask/{times}`
//! by so many calls of `teller`, one after the other.

wit_bindgen::generate!({
    path: ["../../../../wit/host", "../../wit"],
    world: "seambench:shop/bench-items",
    generate_all,
});

use exports::seam::host::http_handler::{self, Request, Response};
use exports::seambench::shop::items::{self, Error, Item};
use seam_sdk::store;
use seambench::shop::teller;
use serde::{Deserialize, Serialize};

seam_sdk::context!(Items, migrations);

/// The native program's statement too.
const BY_SKU: &str = "SELECT sku, artist, title, year, price, notes FROM items WHERE sku = ?1";

/// An item as JSON.
#[derive(Serialize, Deserialize)]
struct Row<'a> {
    sku: &'a str,
    artist: &'a str,
    title: &'a str,
    year: u16,
    price: u32,
    notes: &'a str,
}

impl http_handler::Guest for Items {
    fn handle(request: Request) -> Response {
        match request.path.as_str() {
            "/hello" => answer(200, "text/plain; charset=utf-8", b"Hello from the shop\n".to_vec()),
            path => match (path.strip_prefix("/items/"), path.strip_prefix("/ask/")) {
                (Some(sku), _) => item(sku),
                (_, Some(times)) => ask(times),
                _ => missing(),
            },
        }
    }
}

fn item(sku: &str) -> Response {
    let rows = match store::rows(BY_SKU, store::params![sku]) {
        Ok(rows) => rows,
        Err(error) => return answer(503, "text/plain; charset=utf-8", error.to_string().into_bytes()),
    };
    match rows.iter::<Row<'_>>().next() {
        Some(Ok(row)) => match serde_json::to_vec(&row) {
            Ok(json) => answer(200, "application/json", json),
            Err(error) => answer(500, "text/plain; charset=utf-8", error.to_string().into_bytes()),
        },
        Some(Err(error)) => answer(500, "text/plain; charset=utf-8", error.to_string().into_bytes()),
        None => missing(),
    }
}

/// The sum of the prices, so that nothing can be left out.
fn ask(times: &str) -> Response {
    let Ok(times) = times.parse() else { return missing() };
    let sum = (1..=times).map(|id| teller::get_item(id).map(|item| u64::from(item.price))).sum::<Result<u64, _>>();
    match sum {
        Ok(sum) => answer(200, "text/plain; charset=utf-8", format!("{sum}\n").into_bytes()),
        Err(error) => answer(503, "text/plain; charset=utf-8", format!("{error:?}\n").into_bytes()),
    }
}

fn missing() -> Response {
    answer(404, "text/plain; charset=utf-8", b"There is no such thing.\n".to_vec())
}

fn answer(status: u16, media_type: &str, body: Vec<u8>) -> Response {
    Response { status, headers: vec![("content-type".to_owned(), media_type.to_owned())], body }
}

impl items::Guest for Items {
    fn put_items(items: Vec<Item>) -> Result<u32, Error> {
        let rows = items.iter().map(|i| (&i.sku, &i.artist, &i.title, i.year, i.price, &i.notes));
        store::execute_many("INSERT OR REPLACE INTO items VALUES (?1, ?2, ?3, ?4, ?5, ?6)", rows)
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        Ok(items.len() as u32)
    }
}
