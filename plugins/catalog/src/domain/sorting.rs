//! The orders of a list of albums that are not the store's own.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::spelling::{self, Chunk};
use crate::albums::Sorting;

/// Albums in a sorted list: of a longer one those that came first in the store's own order.
pub const LISTED_MAX: u32 = 1_000;

/// What a list is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listed {
    pub sku: String,
    pub artist: String,
    pub year: u16,
    pub minor_units: u32,
    pub currency: String,
}

/// Sorts albums that stand in the order `best`, which equal ones keep.
///
/// Prices are compared within a currency; the currency with most albums comes first. Artists go by their letters
/// without marks and a leading `The`, each artist's albums by year.
pub fn sorted(list: Vec<Listed>, sorting: Sorting) -> Vec<Listed> {
    let mut counts = BTreeMap::<String, u32>::new();
    for album in &list {
        *counts.entry(album.currency.clone()).or_default() += 1;
    }
    let currency = |album: &Listed| {
        let albums = counts.get(&album.currency).copied().unwrap_or_default();
        (Reverse(albums), album.currency.clone())
    };
    // One kind of key for all, and a map instead of a sort: each sort of its own would make the component 10 KB larger.
    let mut filed = BTreeMap::new();
    for (at, album) in list.into_iter().enumerate() {
        let (year, price) = (i64::from(album.year), i64::from(album.minor_units));
        let ((albums, text), number) = match sorting {
            Sorting::Best => ((Reverse(0), String::new()), 0),
            Sorting::Newest => ((Reverse(0), String::new()), -year),
            Sorting::Cheapest => (currency(&album), price),
            Sorting::Dearest => (currency(&album), -price),
            Sorting::Artist => ((Reverse(0), name(&album.artist)), year),
        };
        filed.insert((albums, text, number, at), album);
    }
    filed.into_values().collect()
}

/// An artist's name as it is filed.
fn name(artist: &str) -> String {
    let words = spelling::chunks(artist).map(|chunk| match chunk {
        Chunk::Words(words) => words.iter().flat_map(|word| word.chars()).map(spelling::unmarked).collect(),
        Chunk::Signs(signs) => signs,
    });
    let words: Vec<String> = words.collect();
    match words.as_slice() {
        [the, rest @ ..] if the == "the" && !rest.is_empty() => rest.join(" "),
        all => all.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skus(list: &[(&str, &str, u16, u32, &str)], sorting: Sorting) -> String {
        let list: Vec<_> = list
            .iter()
            .map(|(sku, artist, year, minor_units, currency)| Listed {
                sku: (*sku).into(),
                artist: (*artist).into(),
                year: *year,
                minor_units: *minor_units,
                currency: (*currency).into(),
            })
            .collect();
        super::sorted(list, sorting).into_iter().map(|album| album.sku).collect()
    }

    #[test]
    fn lists_are_sorted_and_equal_albums_keep_their_order() {
        let list = [
            ("a", "Ólafur Arnalds", 2010, 900, "GBP"),
            ("b", "The Beatles", 1969, 500, "GBP"),
            ("c", "Portishead", 1994, 700, "GBP"),
            ("d", "AC/DC", 1980, 100, "EUR"),
            ("e", "The Beatles", 1966, 700, "GBP"),
            ("f", "The The", 1986, 900, "GBP"),
        ];
        for (sorting, expect) in [
            (Sorting::Best, "abcdef"),
            (Sorting::Newest, "acfdbe"),
            (Sorting::Cheapest, "bceafd"),
            (Sorting::Dearest, "afcebd"),
            (Sorting::Artist, "debacf"),
        ] {
            assert_eq!(skus(&list, sorting), expect, "{sorting:?}");
        }
    }
}
