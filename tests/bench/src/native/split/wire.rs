//! What the services of the split say to each other where the contexts' own types cannot be written as JSON: one object a row.

use catalog::albums::{Album, AlbumPage as Found};
use customer::wit::{Account as Known, Address};
use serde::{Deserialize, Serialize};
use storefront::seams;

#[derive(Serialize, Deserialize)]
pub struct AlbumPage {
    pub albums: Vec<Album>,
    pub total: u32,
    pub more: bool,
}

#[derive(Serialize, Deserialize)]
pub struct Filter {
    pub genre: Option<String>,
    pub artist: Option<String>,
    pub decade: Option<u16>,
}

#[derive(Serialize, Deserialize)]
pub struct Facet {
    pub name: String,
    pub count: u32,
}

#[derive(Serialize, Deserialize)]
pub struct Facets {
    pub genres: Vec<Facet>,
    pub decades: Vec<Facet>,
    pub artists: Vec<Facet>,
}

#[derive(Serialize, Deserialize)]
pub struct Level {
    pub sku: String,
    pub on_hand: u32,
}

#[derive(Serialize, Deserialize)]
pub struct Suggestion {
    pub sku: String,
    pub score: f64,
}

#[derive(Serialize, Deserialize)]
pub struct Account {
    pub id: String,
    pub email: String,
    pub name: String,
    pub address: Option<Address>,
    pub operator: bool,
    pub since: u64,
}

/// What `bench-teller` answers.
#[derive(Serialize, Deserialize)]
pub struct Item {
    pub id: u64,
    pub title: String,
    pub price: u32,
    pub tags: Vec<String>,
}

/// Types with the same fields under the same names, both ways.
macro_rules! same {
    ($($from:ty, $to:path, { $($field:ident),* };)*) => {
        $(impl From<$from> for $to {
            fn from(from: $from) -> Self {
                Self { $($field: from.$field),* }
            }
        })*
    };
}

same! {
    seams::Level, Level, { sku, on_hand };
    Level, seams::Level, { sku, on_hand };
    seams::Suggestion, Suggestion, { sku, score };
    Suggestion, seams::Suggestion, { sku, score };
    seams::Facet, Facet, { name, count };
    Facet, seams::Facet, { name, count };
    Known, Account, { id, email, name, address, operator, since };
    Account, Known, { id, email, name, address, operator, since };
    Found, AlbumPage, { albums, total, more };
    AlbumPage, Found, { albums, total, more };
}

/// Row by row.
pub fn all<A, B: From<A>>(rows: Vec<A>) -> Vec<B> {
    rows.into_iter().map(B::from).collect()
}
