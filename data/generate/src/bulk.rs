//! Invented albums in bulk, with stock and purchases, for the benches.
//!
//! Everything streams, so memory does not depend on the count. In a large shop most albums never sell. Those that sell
//! are spread evenly, and each is bought together with the same few others, so "bought together" finds pairs at every
//! size.

use std::path::Path;

use crate::album::{Album, Money};
use crate::dice::Dice;
use crate::output::{Error, Lines};
use crate::rows::{Level, Purchase};
use crate::words::{ADJECTIVES, ENSEMBLES, FIRST_NAMES, GENRES, LABELS, LAST_NAMES, MOODS, NOUNS, PLACES, SETTINGS};

/// 2024-07-01.
const FIRST_SECOND: u64 = 1_719_792_000;
const TWO_YEARS: usize = 730 * 86_400;
/// How many albums sell at most.
const SELLING_MAX: u32 = 20_000;
/// An album is bought together with this many neighbours among those that sell.
const COMPANIONS: u32 = 6;
const PRICES: [u32; 10] = [799, 899, 999, 1099, 1199, 1299, 1499, 1699, 1999, 2499];

/// What to write, and where to.
pub struct Bulk<'a> {
    pub seed: u64,
    pub albums: u32,
    pub purchases: u32,
    pub albums_to: &'a Path,
    pub stock_to: Option<&'a Path>,
    pub purchases_to: Option<&'a Path>,
}

impl Bulk<'_> {
    /// How many rows `write` reports.
    pub fn rows(&self) -> u64 {
        u64::from(self.albums) + self.purchases_to.map_or(0, |_| u64::from(self.purchases))
    }

    /// Calls `row` after every row.
    pub fn write(&self, mut row: impl FnMut()) -> Result<(), Error> {
        let mut dice = Dice::new(self.seed, 10);
        let mut shelf = Dice::new(self.seed, 11);
        let mut albums = Lines::create(self.albums_to)?;
        let mut stock = self.stock_to.map(Lines::create).transpose()?;
        let mut artist = Artist::new(&mut dice, 0);
        for number in 1..=self.albums {
            if artist.left == 0 {
                artist = Artist::new(&mut dice, artist.number + 1);
            }
            artist.left -= 1;
            let album = artist.album(&mut dice, number);
            albums.row(&album)?;
            if let Some(stock) = &mut stock {
                let on_hand = if shelf.percent(5) { 0 } else { shelf.between(1, 40) };
                stock.row(&Level { sku: album.sku, on_hand })?;
            }
            row();
        }
        if let Some(path) = self.purchases_to {
            let mut lines = Lines::create(path)?;
            let mut dice = Dice::new(self.seed, 12);
            for number in 1..=self.purchases {
                lines.row(&self.purchase(&mut dice, number))?;
                row();
            }
            lines.finish()?;
        }
        stock.map_or(Ok(()), Lines::finish)?;
        albums.finish()
    }

    fn purchase(&self, dice: &mut Dice, number: u32) -> Purchase {
        let selling = selling(self.albums);
        // The square of a uniform number gives a few albums most of the sales, and the others a long tail.
        let unit = dice.unit();
        let first = (unit * unit * f64::from(selling)) as u32;
        let mut bought = vec![first];
        for _ in 0..dice.between(0, 3) {
            let companion = (first + dice.between(1, COMPANIONS)) % selling;
            if !bought.contains(&companion) {
                bought.push(companion);
            }
        }
        Purchase {
            id: format!("B-{number:07}"),
            customer: format!("C-{:06}", 1 + dice.below(1 + self.purchases as usize / 8)),
            skus: bought.into_iter().map(|at| sku(selling_album(at, self.albums))).collect(),
            at: FIRST_SECOND + dice.below(TWO_YEARS) as u64,
        }
    }
}

/// How many albums of a shop of `albums` sell.
pub fn selling(albums: u32) -> u32 {
    albums.min(SELLING_MAX)
}

/// The number of the `at`th album that sells, counted from 0, in a shop of `albums`.
pub fn selling_album(at: u32, albums: u32) -> u32 {
    let number = 1 + u64::from(at) * u64::from(albums) / u64::from(selling(albums).max(1));
    u32::try_from(number).unwrap_or(albums)
}

/// The SKU of the `number`th album, counted from 1.
pub fn sku(number: u32) -> String {
    format!("SY-{number:07}")
}

struct Artist {
    number: u32,
    name: String,
    genre: &'static str,
    first_year: u32,
    /// Albums still to come.
    left: u32,
}

impl Artist {
    /// Names are distinct: when the word lists have no more combinations, they get a number.
    fn new(dice: &mut Dice, number: u32) -> Self {
        let at = |list: &[&'static str], at: usize| list.get(at % list.len()).copied().unwrap_or_default();
        let (n, kind) = (number as usize / 4, number % 4);
        let (name, combinations) = match kind {
            0 => (
                format!("The {} {}", at(&ADJECTIVES, n), at(&NOUNS, n / ADJECTIVES.len())),
                ADJECTIVES.len() * NOUNS.len(),
            ),
            1 => (
                format!("{} {}", at(&FIRST_NAMES, n), at(&LAST_NAMES, n / FIRST_NAMES.len())),
                FIRST_NAMES.len() * LAST_NAMES.len(),
            ),
            2 => (format!("{} {}", at(&PLACES, n), at(&NOUNS, n / PLACES.len())), PLACES.len() * NOUNS.len()),
            _ => (
                format!("{} {}", at(&LAST_NAMES, n), at(&ENSEMBLES, n / LAST_NAMES.len())),
                LAST_NAMES.len() * ENSEMBLES.len(),
            ),
        };
        let name = if n < combinations { name } else { format!("{name} {}", n / combinations + 1) };
        Self {
            number,
            name,
            genre: dice.one_of(&GENRES),
            first_year: dice.between(1950, 2015),
            left: dice.between(1, 12),
        }
    }

    fn album(&self, dice: &mut Dice, number: u32) -> Album {
        let title = match dice.below(4) {
            0 => format!("{} {}", dice.one_of(&ADJECTIVES), dice.one_of(&NOUNS)),
            1 => format!("{} in {}", dice.one_of(&NOUNS), dice.one_of(&PLACES)),
            2 => format!("Songs for {} {}", dice.one_of(&ADJECTIVES), dice.one_of(&NOUNS)),
            _ => format!("{} and {}", dice.one_of(&NOUNS), dice.one_of(&NOUNS)),
        };
        let notes = format!(
            "A {} {} record, made {} near {}, that returns to {} and {}.",
            dice.one_of(&MOODS),
            self.genre.to_lowercase(),
            dice.one_of(&SETTINGS),
            dice.one_of(&PLACES),
            dice.one_of(&NOUNS).to_lowercase(),
            dice.one_of(&NOUNS).to_lowercase(),
        );
        Album {
            sku: sku(number),
            artist: self.name.clone(),
            title,
            year: u16::try_from((self.first_year + dice.between(0, 20)).min(2025)).unwrap_or(2025),
            genre: self.genre.to_owned(),
            label: dice.one_of(&LABELS).to_owned(),
            price: Money { minor_units: dice.one_of(&PRICES), currency: "GBP".to_owned() },
            notes,
            discontinued: dice.percent(2),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn bulk_albums_are_distinct_plausible_and_reproducible() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |to: &str| {
            let (albums, stock, purchases) = (path(to), path(&format!("{to}.stock")), path(&format!("{to}.bought")));
            let bulk = Bulk {
                seed: 7,
                albums: 20_000,
                purchases: 40_000,
                albums_to: &albums,
                stock_to: Some(&stock),
                purchases_to: Some(&purchases),
            };
            let mut rows = 0;
            bulk.write(|| rows += 1).unwrap();
            assert_eq!(rows, bulk.rows());
            [albums, stock, purchases].map(|file| std::fs::read_to_string(file).unwrap())
        };
        let first = write("a");
        assert!(first == write("b"));
        let albums: Vec<Album> = first[0].lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let skus: BTreeSet<&str> = albums.iter().map(|album| album.sku.as_str()).collect();
        assert_eq!((albums.len(), skus.len(), first[1].lines().count()), (20_000, 20_000, 20_000));
        assert!(albums.iter().all(|album| (1950..=2025).contains(&album.year)));
        let artists: BTreeSet<&str> = albums.iter().map(|album| album.artist.as_str()).collect();
        assert!((2_000..8_000).contains(&artists.len()), "{}", artists.len());
        let mut together = std::collections::BTreeMap::<(String, String), u32>::new();
        for line in first[2].lines() {
            let purchase: serde_json::Value = serde_json::from_str(line).unwrap();
            let bought: Vec<&str> =
                purchase["skus"].as_array().unwrap().iter().map(|sku| sku.as_str().unwrap()).collect();
            assert!(!bought.is_empty() && bought.iter().all(|sku| skus.contains(sku)), "{line}");
            for other in &bought[1..] {
                *together.entry((bought[0].to_owned(), (*other).to_owned())).or_default() += 1;
            }
        }
        assert!(together.values().filter(|count| **count > 1).count() > 1_000);
    }

    #[test]
    fn albums_that_sell_are_spread_over_the_shop() {
        let numbers =
            |albums: u32| (0..selling(albums)).map(move |at| selling_album(at, albums)).collect::<BTreeSet<u32>>();
        for albums in [1, 10, 20_000, 20_001, 1_000_000, 9_999_999] {
            let numbers = numbers(albums);
            assert_eq!(numbers.len() as u32, selling(albums));
            assert!(*numbers.first().unwrap() == 1 && *numbers.last().unwrap() <= albums);
        }
    }

    #[test]
    fn artists_have_names_of_their_own() {
        let mut dice = Dice::new(1, 1);
        let names: BTreeSet<String> = (0..50_000).map(|number| Artist::new(&mut dice, number).name).collect();
        assert_eq!(names.len(), 50_000);
    }
}
