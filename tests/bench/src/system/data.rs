//! The rows that a shop is filled with: albums, stock, purchases, customers, and the items of the bench of one item by
//! its id.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use shop_data::album::Album;
use shop_data::bulk::{Bulk, selling, selling_album, sku};
use shop_data::output::Lines;

use super::spread;
use crate::shopper::Pick;

const SEED: u64 = 7;
/// Enough to know what is bought together with an album that sells.
const PURCHASES_EACH: u32 = 8;
/// Items for the bench of one item by its id.
pub const ITEMS_MAX: u32 = 10_000;
/// Customers: two for each connection, and 64 connections at most.
const ACCOUNTS: usize = 128;
/// What they all sign in with, and its hash: those of the demo's customers.
pub const PASSWORD: &str = "records-for-everyone";
const PASSWORD_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2hvcC1kZW1vLXBlb3BsZQ$LX6hq6ncFPA+bSYC9e5K0sO5Y/Df3pOPE0CqaaS7aNA";
/// Albums that orders are for. Of these there are so many that none is ever sold out.
const PICKS: usize = 1_000;
const PICKED_ON_HAND: u32 = 10_000_000;
/// 2024-07-01.
const SINCE: u64 = 1_719_792_000;

/// `seambench:shop/items.item`
#[derive(Serialize)]
struct Item<'a> {
    sku: &'a str,
    artist: &'a str,
    title: &'a str,
    year: u16,
    price: u32,
    notes: &'a str,
}

/// `musiccorp:warehouse/stock.level`
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Level {
    sku: String,
    on_hand: u32,
}

/// `musiccorp:customer/administration.known-account`
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Account {
    id: String,
    email: String,
    name: String,
    address: Option<()>,
    operator: bool,
    since: u64,
    password_hash: &'static str,
}

/// Writes all files of a shop of so many albums; the same number, the same bytes.
pub fn make(folder: &Path, albums: u32) -> Result<()> {
    let file = |name: &str| folder.join(format!("{name}.jsonl"));
    let (albums_to, shelves, purchases) = (file("albums"), file("shelves"), file("purchases"));
    let bulk = Bulk {
        seed: SEED,
        albums,
        purchases: selling(albums) * PURCHASES_EACH,
        albums_to: &albums_to,
        stock_to: Some(&shelves),
        purchases_to: Some(&purchases),
    };
    bulk.write(|| ())?;
    make_stock(&shelves, &file("stock"), albums)?;
    std::fs::remove_file(&shelves)?;
    make_accounts(&file("accounts"))?;
    let mut items = Lines::create(&file("items"))?;
    for album in lines(&albums_to)?.take(ITEMS_MAX as usize) {
        let Album { sku, artist, title, year, price, notes, .. } = &album?;
        items.row(&Item { sku, artist, title, year: *year, price: price.minor_units, notes })?;
    }
    Ok(items.finish()?)
}

fn make_stock(shelves: &Path, to: &Path, albums: u32) -> Result<()> {
    let picked = picked(albums);
    let mut stock = Lines::create(to)?;
    for level in lines::<Level>(shelves)? {
        let mut level = level?;
        if picked.contains(&level.sku) {
            level.on_hand = PICKED_ON_HAND;
        }
        stock.row(&level)?;
    }
    Ok(stock.finish()?)
}

fn make_accounts(to: &Path) -> Result<()> {
    let mut accounts = Lines::create(to)?;
    for number in 0..ACCOUNTS {
        accounts.row(&Account {
            id: format!("C-{number:05}"),
            email: email(number),
            name: "Ada Lind".to_owned(),
            address: None,
            operator: false,
            since: SINCE,
            password_hash: PASSWORD_HASH,
        })?;
    }
    Ok(accounts.finish()?)
}

/// What customer `number`, counted from 0, signs in with.
pub fn email(number: usize) -> String {
    format!("shopper-{number:03}@bench.example")
}

/// The albums that orders are for, in an order that makes neighbours of no two that stand together.
pub fn picks(folder: &Path, albums: u32) -> Result<Vec<Pick>> {
    let picked = picked(albums);
    let mut picks = Vec::with_capacity(PICKS);
    for album in lines::<Album>(&folder.join("albums.jsonl"))? {
        let Album { sku, artist, title, year, genre, discontinued, .. } = album?;
        if !discontinued && picked.contains(&sku) {
            picks.push(Pick { sku, artist, title, genre, year });
        }
    }
    // A hash of the SKU is an order like any other.
    picks.sort_by_cached_key(|pick| {
        pick.sku.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31) ^ u32::from(byte).wrapping_mul(0x9e37_79b9))
    });
    Ok(picks)
}

fn picked(albums: u32) -> BTreeSet<String> {
    let numbers = spread(selling(albums)).map(|at| selling_album(at, albums));
    numbers.take(PICKS).map(sku).collect()
}

fn lines<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<impl Iterator<Item = Result<T>>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    Ok(BufReader::new(file).lines().map(|line| Ok(serde_json::from_str(&line?)?)))
}
