//! The shop's customers and what they like. All of them are invented; their addresses end in `.example`.

use serde::Serialize;

use crate::album::Album;
use crate::dice::{Dice, Weights};
use crate::orders::Shelves;
use crate::words::{CITIES, FIRST_NAMES, LAST_NAMES};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Customer {
    pub id: String,
    pub name: String,
    pub email: String,
    pub city: String,
    pub country: String,
    /// The genres they come for, best loved first.
    pub tastes: Vec<String>,
}

/// A customer's leanings, as positions in `Shelves`.
pub struct Taste {
    pub main: usize,
    pub side: usize,
    /// Positions of albums whose artists they follow.
    pub artists: Vec<usize>,
    /// A few buy often, most now and then.
    pub activity: f64,
}

/// Genres whose listeners meet. Symmetric: a pair stands once.
const NEIGHBOURS: [(&str, &str); 20] = [
    ("Ambient", "Electronic"),
    ("Ambient", "Classical"),
    ("Electronic", "Pop"),
    ("Electronic", "Hip-Hop"),
    ("Hip-Hop", "Soul"),
    ("Hip-Hop", "Funk"),
    ("Soul", "Funk"),
    ("Soul", "Jazz"),
    ("Jazz", "Latin"),
    ("Jazz", "Classical"),
    ("Jazz", "Blues"),
    ("Blues", "Rock"),
    ("Blues", "Country"),
    ("Country", "Folk"),
    ("Folk", "Rock"),
    ("Rock", "Punk"),
    ("Rock", "Metal"),
    ("Punk", "Reggae"),
    ("Reggae", "African"),
    ("African", "Latin"),
];

/// `count` customers with their tastes, in the same order.
pub fn make(seed: u64, count: u32, albums: &[Album], shelves: &Shelves) -> Vec<(Customer, Taste)> {
    let mut dice = Dice::new(seed, 1);
    // Large genres have more listeners, but not in proportion: half of the weight is the same for all.
    let average = albums.len() as f64 / shelves.genres.len().max(1) as f64;
    let genres = Weights::new(shelves.genres.iter().map(|genre| average + genre.albums.len() as f64));
    (1..=count)
        .map(|number| {
            let taste = taste(&mut dice, &genres, shelves);
            (customer(&mut dice, number, &taste, shelves), taste)
        })
        .collect()
}

fn taste(dice: &mut Dice, genres: &Weights, shelves: &Shelves) -> Taste {
    let main = genres.pick(dice).unwrap_or(0);
    let name = shelves.genres.get(main).map_or("", |genre| genre.name.as_str());
    let near: Vec<&str> =
        NEIGHBOURS.iter().filter_map(|(a, b)| if *a == name { Some(*b) } else { (*b == name).then_some(*a) }).collect();
    let side = dice
        .pick(&near)
        .and_then(|near| shelves.genres.iter().position(|genre| genre.name == *near))
        .unwrap_or_else(|| genres.pick(dice).unwrap_or(0));
    let own: &[usize] = shelves.genres.get(main).map_or(&[], |genre| &genre.albums);
    let artists = (0..dice.between(1, 3)).filter_map(|_| dice.pick(own).copied()).collect();
    let rarity = dice.unit();
    Taste { main, side, artists, activity: 1.0 / (0.05 + rarity) }
}

fn customer(dice: &mut Dice, number: u32, taste: &Taste, shelves: &Shelves) -> Customer {
    let (first, last) = (dice.one_of(&FIRST_NAMES), dice.one_of(&LAST_NAMES));
    let (city, country) = dice.one_of(&CITIES);
    let genre = |at: usize| shelves.genres.get(at).map(|genre| genre.name.clone());
    let mut tastes: Vec<String> = [taste.main, taste.side].into_iter().filter_map(genre).collect();
    tastes.dedup();
    Customer {
        id: format!("C-{number:05}"),
        name: format!("{first} {last}"),
        email: format!("customer-{number:05}@shop.example"),
        city: city.to_owned(),
        country: country.to_owned(),
        tastes,
    }
}
