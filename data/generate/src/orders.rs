//! Two years of plausible orders: customers buy by taste, a few albums sell far more than most, and each order's status
//! fits its age.

use std::collections::BTreeSet;

use crate::album::Album;
use crate::calendar::{DAY, DAYS, END, FIRST_DAY};
use crate::customers::Person;
use crate::dice::{Dice, Weights};
use crate::order::{CURRENCY, Line, Order};
use crate::shelves::{Shelves, Supply};
use crate::status;

/// Albums that are discontinued now were sold until this day.
const LAST_DAY_OF_DISCONTINUED: u64 = FIRST_DAY + 400 * DAY;
/// Orders come in between 8 and 23 o'clock; seconds of the day.
const OPEN: (u32, u32) = (8 * 3600, 23 * 3600 - 1);
/// How often to choose again if the customer has the album already.
const TRIES: u32 = 8;
/// This many orders always come in within the last hours, so that there is something to pick.
const RECENT: u64 = 3;

/// As the orders context charges, in pence. Shipping is free from this sum of the lines.
const SHIPPING: u32 = 395;
const SHIPPING_FREE_FROM: u64 = 7500;

/// `count` orders, oldest first.
pub fn make(seed: u64, count: u32, albums: &[Album], shelves: &Shelves, people: &[Person]) -> Vec<Order> {
    let mut dice = Dice::new(seed, 3);
    let mut statuses = Dice::new(seed, 5);
    let activity = Weights::new(people.iter().map(|person| person.taste.activity));
    let mut owned: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); people.len()];
    let mut orders = Vec::with_capacity(count as usize);
    for at in times(&mut dice, count) {
        // If the customer already has every album chosen, another customer orders.
        for _ in 0..TRIES {
            let Some(who) = activity.pick(&mut dice) else { break };
            let (Some(person), Some(owned)) = (people.get(who), owned.get_mut(who)) else { break };
            let basket = basket(&mut dice, at, albums, shelves, person, owned);
            if !basket.is_empty() {
                let mut lines: Vec<Line> =
                    basket.into_iter().filter_map(|album| line(&mut dice, album, albums, shelves)).collect();
                let status = status::decide(&mut statuses, at, &mut lines);
                let number = format!("D-{:06}", orders.len() + 1);
                orders.push(Order { number, who, at, shipping: shipping(&lines), lines, status });
                break;
            }
        }
    }
    orders
}

fn shipping(lines: &[Line]) -> u32 {
    let sum: u64 = lines.iter().map(|line| u64::from(line.copies) * u64::from(line.price)).sum();
    if sum >= SHIPPING_FREE_FROM { 0 } else { SHIPPING }
}

fn times(dice: &mut Dice, count: u32) -> Vec<u64> {
    let mut times: Vec<u64> = (0..count).map(|_| moment(dice)).collect();
    for (hours, time) in (1..=RECENT).zip(&mut times) {
        *time = END - hours * 3600 + u64::from(dice.between(0, 3599));
    }
    times.sort_unstable();
    times
}

/// A second within the two years. The shop grows, and December sells twice as much.
fn moment(dice: &mut Dice) -> u64 {
    loop {
        // The later of two random days makes the shop grow.
        let day = dice.below(DAYS as usize).max(dice.below(DAYS as usize)) as u64;
        // The shop's first day is a 21 November: December is the 10th to the 40th day after it.
        let december = (10..41).contains(&(day % 365));
        let at = FIRST_DAY + day * DAY + u64::from(dice.between(OPEN.0, OPEN.1));
        if at < END && (december || dice.percent(50)) {
            return at;
        }
    }
}

fn basket(
    dice: &mut Dice,
    at: u64,
    albums: &[Album],
    shelves: &Shelves,
    person: &Person,
    owned: &mut BTreeSet<usize>,
) -> Vec<usize> {
    let taste = &person.taste;
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
                0..18 => shelves.related(dice, basket.last().or(taste.artists.first()).copied()),
                18..28 => dice.pick(&taste.artists).copied().and_then(|album| shelves.related(dice, Some(album))),
                28..75 => shelves.popular(taste.main, dice),
                75..93 => shelves.popular(taste.side, dice),
                _ => shelves.anything(dice),
            };
            let Some(wish) = wish else { continue };
            let sold = albums.get(wish).is_some_and(|album| {
                let still = !album.discontinued || at <= LAST_DAY_OF_DISCONTINUED;
                still && album.price.currency == CURRENCY
            });
            if sold && owned.insert(wish) {
                basket.push(wish);
                break;
            }
        }
    }
    basket
}

fn line(dice: &mut Dice, at: usize, albums: &[Album], shelves: &Shelves) -> Option<Line> {
    let album = albums.get(at)?;
    // More than one copy is a present.
    let copies = match dice.below(100) {
        0..95 => 1,
        95..99 => 2,
        _ => 3,
    };
    let plenty = shelves.supply(at) == Supply::Plenty;
    Some(Line { sku: album.sku.clone(), copies, price: album.price.minor_units, returned: 0, plenty })
}
