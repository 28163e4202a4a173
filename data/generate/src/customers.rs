//! The shop's invented customers and their tastes. Their e-mail addresses end in `.example`.

use crate::album::Album;
use crate::calendar::{DAY, END, FIRST_DAY};
use crate::dice::{Dice, Weights};
use crate::order::Order;
use crate::places::{House, house};
use crate::shelves::Shelves;
use crate::words::{FIRST_NAMES, LAST_NAMES};

/// The hash of all demo customers' password, `records-for-everyone`. One hash with a fixed salt (m = 19456 KiB, t = 2,
/// p = 1): a hash for each customer would take minutes, and a random salt would change the bytes.
pub const CUSTOMER_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2hvcC1kZW1vLXBlb3BsZQ$LX6hq6ncFPA+bSYC9e5K0sO5Y/Df3pOPE0CqaaS7aNA";
/// The hash of the password of `operator@shop.example`, `open-the-shop-door`.
pub const OPERATOR_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2hvcC1kZW1vLW9mZmljZQ$hJ3C+PVK09c/RQDom31hnKy7CBwv6Yv7W1yNyi7+yxg";

pub struct Person {
    pub id: String,
    pub name: String,
    pub email: String,
    pub house: House,
    pub taste: Taste,
    /// When the customer signed up; seconds since 1970, UTC.
    pub since: u64,
}

/// A customer's taste, as positions in `Shelves`.
pub struct Taste {
    pub main: usize,
    pub side: usize,
    /// Positions of albums whose artists the customer follows.
    pub artists: Vec<usize>,
    /// How often the customer buys, relative to others: a few often, most rarely.
    pub activity: f64,
}

/// Genres with common listeners. Symmetric: each pair is listed once.
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

/// `count` customers. `sign_up` sets the day they signed up, which depends on their orders.
pub fn make(seed: u64, count: u32, albums: &[Album], shelves: &Shelves) -> Vec<Person> {
    let mut dice = Dice::new(seed, 1);
    // Large genres have more listeners, but not in proportion: half of the weight is the same for all.
    let average = albums.len() as f64 / shelves.genres.len().max(1) as f64;
    let genres = Weights::new(shelves.genres.iter().map(|genre| average + genre.albums.len() as f64));
    (1..=count)
        .map(|number| {
            let taste = taste(&mut dice, &genres, shelves);
            let (first, last) = (dice.one_of(&FIRST_NAMES), dice.one_of(&LAST_NAMES));
            Person {
                id: format!("C-{number:05}"),
                name: format!("{first} {last}"),
                email: format!("customer-{number:05}@shop.example"),
                house: house(&mut dice),
                taste,
                since: FIRST_DAY,
            }
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

/// Most customers sign up when they first buy, some up to weeks before; those who never bought sign up on any day.
pub fn sign_up(seed: u64, people: &mut [Person], orders: &[Order]) {
    let mut dice = Dice::new(seed, 6);
    let mut first: Vec<Option<u64>> = vec![None; people.len()];
    for order in orders {
        if let Some(first @ None) = first.get_mut(order.who) {
            *first = Some(order.at);
        }
    }
    for (person, first) in people.iter_mut().zip(first) {
        let before = if dice.percent(70) { dice.between(120, 1800) } else { dice.between(1800, 40 * 86_400) };
        let some_day = FIRST_DAY + dice.below((END - FIRST_DAY) as usize) as u64;
        // Some signed up before the shop's first day.
        person.since = first.map_or(some_day, |at| at - u64::from(before)).max(FIRST_DAY - 30 * DAY);
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHash, PasswordVerifier};

    use super::*;

    #[test]
    fn the_hashes_belong_to_the_documented_passwords() {
        for (password, hash, is) in [
            ("records-for-everyone", CUSTOMER_HASH, true),
            ("open-the-shop-door", OPERATOR_HASH, true),
            ("records-for-everyone", OPERATOR_HASH, false),
        ] {
            let verified = PasswordHash::new(hash)
                .is_ok_and(|hash| argon2::Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
            assert_eq!(verified, is, "{password}");
        }
    }
}
