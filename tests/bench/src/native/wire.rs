//! What the services of the split say to each other: JSON, one object a row.

use serde::{Deserialize, Serialize};
use storefront::seams;

#[derive(Serialize, Deserialize)]
pub struct Album {
    pub sku: String,
    pub artist: String,
    pub title: String,
    pub year: u16,
    pub genre: String,
    pub label: String,
    pub minor_units: u32,
    pub currency: String,
    pub notes: String,
    pub discontinued: bool,
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

/// What `bench-teller` answers.
#[derive(Serialize, Deserialize)]
pub struct Item {
    pub id: u64,
    pub title: String,
    pub price: u32,
    pub tags: Vec<String>,
}

impl From<seams::Album> for Album {
    fn from(album: seams::Album) -> Self {
        let seams::Album { sku, artist, title, year, genre, label, price, notes, discontinued } = album;
        let seams::Money { minor_units, currency } = price;
        Self { sku, artist, title, year, genre, label, minor_units, currency, notes, discontinued }
    }
}

impl From<Album> for seams::Album {
    fn from(album: Album) -> Self {
        let Album { sku, artist, title, year, genre, label, minor_units, currency, notes, discontinued } = album;
        let price = seams::Money { minor_units, currency };
        Self { sku, artist, title, year, genre, label, price, notes, discontinued }
    }
}

impl From<seams::Level> for Level {
    fn from(seams::Level { sku, on_hand }: seams::Level) -> Self {
        Self { sku, on_hand }
    }
}

impl From<Level> for seams::Level {
    fn from(Level { sku, on_hand }: Level) -> Self {
        Self { sku, on_hand }
    }
}

impl From<seams::Suggestion> for Suggestion {
    fn from(seams::Suggestion { sku, score }: seams::Suggestion) -> Self {
        Self { sku, score }
    }
}

impl From<Suggestion> for seams::Suggestion {
    fn from(Suggestion { sku, score }: Suggestion) -> Self {
        Self { sku, score }
    }
}
