//! Two years of orders, made so that they mean something: people buy along their tastes, and a few albums sell far more than most.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::album::{Album, Money};
use crate::customers::{Customer, Taste};
use crate::dice::{Dice, Weights};

const DAY: u64 = 86_400;
/// 2024-07-01, the shop's first day; fixed, so that a seed always gives the same file.
const FIRST_DAY: u64 = 19_905 * DAY;
const DAYS: u64 = 730;
/// An album that is discontinued now was sold until then.
const LAST_DAY_OF_DISCONTINUED: u64 = FIRST_DAY + 400 * DAY;
/// Seconds between 8 and 23 o'clock, when orders come in.
const OPEN: (u32, u32) = (8 * 3600, 23 * 3600 - 1);
/// How often a customer is offered another album when it is one they have.
const TRIES: u32 = 8;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    pub id: String,
    pub customer: String,
    /// Seconds since 1970, UTC.
    pub at: u64,
    pub lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub sku: String,
    pub quantity: u32,
    /// Of one copy.
    pub price: Money,
}

/// `musiccorp:recommendation/engine.purchase`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Purchase {
    pub id: String,
    pub customer: String,
    pub skus: Vec<String>,
    pub at: u64,
}

impl From<&Order> for Purchase {
    fn from(order: &Order) -> Self {
        let skus = order.lines.iter().map(|line| line.sku.clone()).collect();
        Self { id: order.id.clone(), customer: order.customer.clone(), skus, at: order.at }
    }
}

/// `musiccorp:warehouse/stock.level`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Level {
    pub sku: String,
    pub on_hand: u32,
}

/// The albums as buyers see them: by genre, each with its popularity. Albums are meant by their position in the table.
pub struct Shelves {
    pub genres: Vec<Genre>,
    everything: Weights,
}

pub struct Genre {
    pub name: String,
    pub albums: Vec<usize>,
    popularity: Weights,
}

impl Shelves {
    pub fn new(seed: u64, albums: &[Album]) -> Self {
        let mut dice = Dice::new(seed, 2);
        let mut ranks: Vec<usize> = (0..albums.len()).collect();
        dice.shuffle(&mut ranks);
        // Zipf's law with a flattened head: the first sells some fifty times what the last does.
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
        Self { genres, everything: Weights::new(all.iter().map(weight)) }
    }

    fn popular(&self, genre: usize, dice: &mut Dice) -> Option<usize> {
        let genre = self.genres.get(genre)?;
        genre.albums.get(genre.popularity.pick(dice)?).copied()
    }
}

/// `count` orders, oldest first.
pub fn make(seed: u64, count: u32, albums: &[Album], shelves: &Shelves, customers: &[(Customer, Taste)]) -> Vec<Order> {
    let mut dice = Dice::new(seed, 3);
    let activity = Weights::new(customers.iter().map(|(_, taste)| taste.activity));
    let mut times: Vec<u64> = (0..count).map(|_| moment(&mut dice)).collect();
    times.sort_unstable();
    let mut owned: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); customers.len()];
    let mut orders = Vec::with_capacity(times.len());
    for at in times {
        // Somebody who has everything they would want sends the next customer.
        for _ in 0..TRIES {
            let Some(who) = activity.pick(&mut dice) else { break };
            let (Some((customer, taste)), Some(owned)) = (customers.get(who), owned.get_mut(who)) else { break };
            let basket = basket(&mut dice, at, albums, shelves, taste, owned);
            if !basket.is_empty() {
                let albums = basket.into_iter().filter_map(|album| albums.get(album));
                let lines = albums.map(|album| line(&mut dice, album)).collect();
                orders.push(Order {
                    id: format!("O-{:06}", orders.len() + 1),
                    customer: customer.id.clone(),
                    at,
                    lines,
                });
                break;
            }
        }
    }
    orders
}

/// A second within the two years: the shop grows, and December sells twice as much.
fn moment(dice: &mut Dice) -> u64 {
    loop {
        // The later of two days makes growth.
        let day = dice.below(DAYS as usize).max(dice.below(DAYS as usize)) as u64;
        // The shop's first day is a 1 July: December is 153 to 183 days after it.
        let december = (153..184).contains(&(day % 365));
        if december || dice.percent(50) {
            return FIRST_DAY + day * DAY + u64::from(dice.between(OPEN.0, OPEN.1));
        }
    }
}

fn basket(
    dice: &mut Dice,
    at: u64,
    albums: &[Album],
    shelves: &Shelves,
    taste: &Taste,
    owned: &mut BTreeSet<usize>,
) -> Vec<usize> {
    let size = match dice.below(100) {
        0..45 => 1,
        45..74 => 2,
        74..90 => 3,
        90..97 => 4,
        _ => 6,
    };
    let mut basket = Vec::with_capacity(size);
    for _ in 0..size {
        for _ in 0..TRIES {
            let wish = match dice.below(100) {
                0..18 => related(dice, albums, basket.last().or(taste.artists.first()).copied()),
                18..28 => dice.pick(&taste.artists).copied().and_then(|album| related(dice, albums, Some(album))),
                28..75 => shelves.popular(taste.main, dice),
                75..93 => shelves.popular(taste.side, dice),
                _ => shelves.everything.pick(dice),
            };
            let Some(wish) = wish else { continue };
            let gone = albums.get(wish).is_none_or(|album| album.discontinued && at > LAST_DAY_OF_DISCONTINUED);
            if !gone && owned.insert(wish) {
                basket.push(wish);
                break;
            }
        }
    }
    basket
}

/// Another album of the same artist; without one, an album of the same genre from the same years.
fn related(dice: &mut Dice, albums: &[Album], of: Option<usize>) -> Option<usize> {
    let at = of?;
    let this = albums.get(at)?;
    let like = |same: &dyn Fn(&Album) -> bool| -> Vec<usize> {
        albums.iter().enumerate().filter(|(i, album)| *i != at && same(album)).map(|(i, _)| i).collect()
    };
    let mut found = like(&|album| album.artist == this.artist);
    if found.is_empty() || dice.percent(25) {
        found = like(&|album| album.genre == this.genre && album.year.abs_diff(this.year) <= 3);
    }
    dice.pick(&found).copied()
}

fn line(dice: &mut Dice, album: &Album) -> Line {
    // Presents.
    let quantity = match dice.below(100) {
        0..95 => 1,
        95..99 => 2,
        _ => 3,
    };
    Line { sku: album.sku.clone(), quantity, price: album.price.clone() }
}

/// What lies on the shelves today: more of what sells, a few low, a few sold out.
pub fn stock(seed: u64, albums: &[Album], orders: &[Order]) -> Vec<Level> {
    let mut dice = Dice::new(seed, 4);
    let mut sold = std::collections::BTreeMap::<&str, u32>::new();
    for line in orders.iter().flat_map(|order| &order.lines) {
        *sold.entry(&line.sku).or_default() += line.quantity;
    }
    albums
        .iter()
        .map(|album| {
            let usual = 4 + sold.get(album.sku.as_str()).copied().unwrap_or(0) / 3;
            let on_hand = match dice.below(100) {
                _ if album.discontinued => dice.between(0, 1),
                0..4 => 0,
                4..13 => dice.between(1, 3),
                _ => dice.between(usual, usual * 2),
            };
            Level { sku: album.sku.clone(), on_hand }
        })
        .collect()
}
