//! The albums by genre and popularity. An album is named by its position in the table.

use std::collections::BTreeSet;

use crate::album::Album;
use crate::dice::{Dice, Weights};

pub struct Shelves {
    pub genres: Vec<Genre>,
    everything: Weights,
    /// For each album.
    supply: Vec<Supply>,
    /// For each album: other albums of the same artist, and those of the same genre and years.
    same_artist: Vec<Vec<usize>>,
    same_time: Vec<Vec<usize>>,
}

pub struct Genre {
    pub name: String,
    pub albums: Vec<usize>,
    popularity: Weights,
}

/// How many copies are in stock today.
///
/// Only plentiful albums have returns: the warehouse adds returned copies to the stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supply {
    SoldOut,
    /// One to three.
    Low,
    /// No longer made.
    Discontinued,
    Plenty,
}

impl Shelves {
    pub fn new(seed: u64, albums: &[Album]) -> Self {
        let mut dice = Dice::new(seed, 2);
        let mut ranks: Vec<usize> = (0..albums.len()).collect();
        dice.shuffle(&mut ranks);
        // Zipf's law with a flattened head: the first album sells about fifty times as often as the last.
        let weight = |at: &usize| 1.0 / (10.0 + ranks.get(*at).map_or(0.0, |rank| *rank as f64));
        let names: BTreeSet<&str> = albums.iter().map(|album| album.genre.as_str()).collect();
        let genres = names
            .into_iter()
            .map(|name| {
                let of_it = |(at, album): (usize, &Album)| (album.genre == name).then_some(at);
                let albums: Vec<usize> = albums.iter().enumerate().filter_map(of_it).collect();
                let popularity = Weights::new(albums.iter().map(weight));
                Genre { name: name.to_owned(), albums, popularity }
            })
            .collect();
        let all: Vec<usize> = (0..albums.len()).collect();
        let mut dice = Dice::new(seed, 4);
        let others = |like: &dyn Fn(&Album, &Album) -> bool| -> Vec<Vec<usize>> {
            let of = |at: usize, this: &Album| {
                let others = albums.iter().enumerate().filter(|(i, other)| *i != at && like(this, other));
                others.map(|(i, _)| i).collect()
            };
            albums.iter().enumerate().map(|(at, this)| of(at, this)).collect()
        };
        Self {
            genres,
            everything: Weights::new(all.iter().map(weight)),
            supply: albums.iter().map(|album| supply(&mut dice, album)).collect(),
            same_artist: others(&|a, b| a.artist == b.artist),
            same_time: others(&|a, b| a.genre == b.genre && a.year.abs_diff(b.year) <= 3),
        }
    }

    pub fn supply(&self, album: usize) -> Supply {
        self.supply.get(album).copied().unwrap_or(Supply::Plenty)
    }

    /// An album of the genre, popular ones more often.
    pub fn popular(&self, genre: usize, dice: &mut Dice) -> Option<usize> {
        let genre = self.genres.get(genre)?;
        genre.albums.get(genre.popularity.pick(dice)?).copied()
    }

    pub fn anything(&self, dice: &mut Dice) -> Option<usize> {
        self.everything.pick(dice)
    }

    /// Another album of the same artist, or of the same genre from the same years.
    pub fn related(&self, dice: &mut Dice, of: Option<usize>) -> Option<usize> {
        let at = of?;
        let same_artist = self.same_artist.get(at)?;
        let instead = same_artist.is_empty() || dice.percent(25);
        dice.pick(if instead { self.same_time.get(at)? } else { same_artist }).copied()
    }
}

fn supply(dice: &mut Dice, album: &Album) -> Supply {
    match dice.below(100) {
        _ if album.discontinued => Supply::Discontinued,
        0..4 => Supply::SoldOut,
        4..13 => Supply::Low,
        _ => Supply::Plenty,
    }
}
