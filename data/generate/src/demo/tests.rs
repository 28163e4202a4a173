//! The demo shop is plausible, and its files agree. The tests read them as JSON, like the contexts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;
use crate::calendar::{END, FIRST_DAY};

const FILES: [&str; 7] = ["albums", "stock", "accounts", "warehouse-orders", "sales", "orders", "purchases"];

fn albums() -> Vec<Album> {
    crate::album::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../albums.csv"))).unwrap()
}

/// A shop, read from its files.
struct Files(BTreeMap<&'static str, Vec<Value>>);

impl Files {
    fn of(seed: u64, customers: u32, orders: u32) -> Self {
        let (folder, albums) = (tempfile::tempdir().unwrap(), albums());
        Demo::make(seed, customers, orders, &albums).write(folder.path(), &albums).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), FILES.len());
        let read = |name: &'static str| {
            let text = std::fs::read_to_string(folder.path().join(format!("{name}.jsonl"))).unwrap();
            (name, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
        };
        Self(FILES.map(read).into())
    }

    fn rows(&self, file: &str) -> &[Value] {
        &self.0[file]
    }

    fn by(&self, file: &str, key: fn(&Value) -> &Value) -> BTreeMap<&str, &Value> {
        let rows: BTreeMap<&str, &Value> = self.0[file].iter().map(|row| (text(key(row)), row)).collect();
        assert_eq!(rows.len(), self.0[file].len(), "a key is there twice in {file}");
        rows
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// When the order reached this state, if ever.
fn reached(order: &Value, state: &str) -> Option<u64> {
    let event = list(&order["history"]).iter().find(|event| event["state"] == state)?;
    Some(number(&event["at"]))
}

/// SKU and copies of the lines with copies.
fn copies(lines: &Value, field: &str) -> BTreeMap<String, u64> {
    let pairs = list(lines).iter().map(|line| (text(&line["sku"]).to_owned(), number(&line[field])));
    pairs.filter(|(_, copies)| *copies > 0).collect()
}

#[test]
fn a_seed_gives_the_same_bytes_and_another_seed_another_shop() {
    let albums = albums();
    let folder = tempfile::tempdir().unwrap();
    let files = |name: &str, seed| {
        let to = folder.path().join(name);
        Demo::make(seed, 50, 300, &albums).write(&to, &albums).unwrap();
        FILES.map(|file| std::fs::read(to.join(format!("{file}.jsonl"))).unwrap())
    };
    let first = files("a", 7);
    assert!(first == files("b", 7));
    let other = files("c", 8);
    assert_eq!(first[0], other[0]);
    assert!((1..FILES.len()).all(|file| first[file] != other[file]));
}

#[test]
fn all_files_agree_on_every_order() {
    let files = Files::of(7, 1000, 2500);
    let warehouse = files.by("warehouse-orders", |row| &row["order"]);
    let sales = files.by("sales", |row| &row["sale"]["order"]);
    let purchases = files.by("purchases", |row| &row["id"]);
    let orders = files.by("orders", |row| &row["number"]);
    assert_eq!(orders.len(), 2500);
    assert!(orders.keys().eq(warehouse.keys()));
    assert!(sales.keys().chain(purchases.keys()).all(|order| orders.contains_key(order)));
    for (name, order) in &orders {
        let parcel = warehouse[name];
        let state = text(&order["state"]);
        assert_eq!(copies(&order["lines"], "copies"), copies(&parcel["lines"], "copies"), "{name}");
        assert_eq!(order["at"], parcel["at"], "{name}");
        assert_eq!(reached(order, "shipped"), parcel["shipped"].as_u64(), "{name}");
        let released = reached(order, "cancelled").or(reached(order, "rejected"));
        assert_eq!(released, parcel["released"].as_u64(), "{name}");
        let back = copies(&order["lines"], "returned");
        if state == "returned" {
            assert_eq!(copies(&parcel["returned"], "copies"), back, "{name}");
            assert_eq!(reached(order, "returned"), parcel["returned-at"].as_u64(), "{name}");
        } else {
            assert_eq!((list(&parcel["returned"]).len(), number(&parcel["returned-at"])), (0, 0), "{name}");
        }
        assert_eq!(state.starts_with("return"), !back.is_empty(), "{name} sends back what in {state}?");
        let goes = ["placed", "shipped", "return-requested", "returned"].contains(&state);
        assert_eq!(purchases.contains_key(name), goes, "{name}");

        assert_eq!(sales.contains_key(name), state != "rejected", "{name}");
        let Some(sale) = sales.get(name) else { continue };
        assert_eq!(copies(&order["lines"], "copies"), copies(&sale["sale"]["lines"], "quantity"), "{name}");
        assert_eq!(copies(&order["lines"], "price"), copies(&sale["sale"]["lines"], "price"), "{name}");
        for field in ["customer", "shipping", "currency"] {
            assert_eq!(order[field], sale["sale"][field], "{name}");
        }
        assert_eq!(order["at"], sale["at"], "{name}");
        assert_eq!(reached(order, "shipped"), sale["captured"].as_u64(), "{name}");
        assert_eq!(reached(order, "cancelled"), sale["voided"].as_u64(), "{name}");
        let prices = copies(&order["lines"], "price");
        let due: u64 = back.iter().map(|(sku, copies)| copies * prices[sku]).sum();
        let refunds: Vec<(u64, u64)> =
            list(&sale["refunds"]).iter().map(|refund| (number(&refund["at"]), number(&refund["amount"]))).collect();
        let expect = if state == "returned" { vec![(reached(order, "returned").unwrap(), due)] } else { vec![] };
        assert_eq!(refunds, expect, "{name}");
    }
}

#[test]
fn the_books_and_the_stock_balance() {
    let files = Files::of(7, 1000, 2500);
    let (mut held, mut taken, mut given_back) = (0, 0, 0);
    for row in files.rows("sales") {
        let lines = list(&row["sale"]["lines"]).iter();
        let goods: u64 = lines.map(|line| number(&line["quantity"]) * number(&line["price"])).sum();
        let shipping = number(&row["sale"]["shipping"]);
        assert_eq!(shipping, if goods >= 7500 { 0 } else { 395 });
        assert!(row["captured"].is_null() || row["voided"].is_null());
        match (row["captured"].is_null(), row["voided"].is_null()) {
            (true, true) => held += goods + shipping,
            (false, _) => taken += goods + shipping,
            _ => {}
        }
        let refunded: u64 = list(&row["refunds"]).iter().map(|refund| number(&refund["amount"])).sum();
        assert!(refunded <= goods);
        given_back += refunded;
    }
    assert!(0 < given_back && given_back < taken && 0 < held && held < taken, "{taken} {given_back} {held}");

    // As the warehouse counts: on the shelf + reserved + with customers = what ever came in.
    let mut shelf: BTreeMap<String, u64> =
        files.rows("stock").iter().map(|row| (text(&row["sku"]).to_owned(), number(&row["on-hand"]))).collect();
    let (mut reserved, mut away) = (0, 0);
    let mut received: u64 = shelf.values().sum();
    for parcel in files.rows("warehouse-orders") {
        let all = copies(&parcel["lines"], "copies");
        let back = if parcel["released"].is_null() { copies(&parcel["returned"], "copies") } else { all.clone() };
        let (count, returned): (u64, u64) = (all.values().sum(), back.values().sum());
        received += count;
        for (sku, copies) in back {
            *shelf.get_mut(&sku).unwrap() += copies;
        }
        if parcel["shipped"].is_null() && parcel["released"].is_null() {
            reserved += count;
        } else {
            away += count - returned;
        }
    }
    assert_eq!(shelf.values().sum::<u64>() + reserved + away, received);
    let sold_out = shelf.values().filter(|level| **level == 0).count();
    let low = shelf.values().filter(|level| (1..=3).contains(*level)).count();
    assert!((5..60).contains(&sold_out) && (15..90).contains(&low), "{sold_out} sold out, {low} low");
}

#[test]
fn histories_follow_the_rules_and_end_before_today() {
    const WAYS: [&[&str]; 6] = [
        &["placing", "rejected"],
        &["placing", "placed"],
        &["placing", "placed", "cancelled"],
        &["placing", "placed", "shipped"],
        &["placing", "placed", "shipped", "return-requested"],
        &["placing", "placed", "shipped", "return-requested", "returned"],
    ];
    let files = Files::of(7, 2000, 5000);
    let accounts = files.by("accounts", |row| &row["id"]);
    let mut seen = BTreeMap::<&str, u32>::new();
    for order in files.rows("orders") {
        let (at, history) = (number(&order["at"]), list(&order["history"]));
        let states: Vec<&str> = history.iter().map(|event| text(&event["state"])).collect();
        assert!(WAYS.contains(&states.as_slice()), "{states:?}");
        assert_eq!(order["state"], *states.last().unwrap());
        assert!(history.is_sorted_by_key(|event| number(&event["at"])), "{order}");
        assert!(history.iter().all(|event| (at..=END).contains(&number(&event["at"]))), "{order}");
        if let (Some(shipped), Some(requested)) = (reached(order, "shipped"), reached(order, "return-requested")) {
            assert!(shipped < requested && requested - shipped <= 60 * 86_400, "{order}");
        }
        assert!(number(&accounts[text(&order["customer"])]["since"]) < at, "{order}");
        *seen.entry(states[states.len() - 1]).or_default() += 1;
    }
    // Some of each, and what waits is little: it came in within the last days.
    for (state, range) in [
        ("rejected", 20..150),
        ("placed", 5..80),
        ("cancelled", 100..400),
        ("shipped", 4000..5000),
        ("return-requested", 3..60),
        ("returned", 150..500),
    ] {
        assert!(range.contains(&seen[state]), "{state}: {seen:?}");
    }
    let waiting = files.rows("orders").iter().filter(|order| order["state"] == "placed");
    assert!(waiting.into_iter().all(|order| END - number(&order["at"]) < 5 * 86_400));
}

#[test]
fn even_a_small_shop_has_orders_to_pick() {
    let files = Files::of(7, customers_for(20), 20);
    assert!(files.rows("orders").iter().any(|order| order["state"] == "placed"));
    assert_eq!(files.rows("orders").len(), 20);
}

#[test]
fn accounts_are_valid_and_one_is_the_operators() {
    let files = Files::of(7, 400, 1000);
    let accounts = files.by("accounts", |row| &row["email"]);
    assert_eq!((accounts.len(), files.by("accounts", |row| &row["id"]).len()), (401, 401));
    for (email, account) in &accounts {
        assert_eq!(account["operator"], *email == "operator@shop.example");
        assert!(text(&account["password-hash"]).starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let letters = text(&account["id"]).strip_prefix("C-").unwrap();
        assert!(letters.len() < 30 && letters.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert!((FIRST_DAY - 30 * 86_400..=END).contains(&number(&account["since"])));
    }
    assert!(accounts.contains_key("customer-00001@shop.example"));
    for order in files.rows("orders") {
        assert!((1..=16).contains(&text(&order["address"]["postcode"]).len()));
        assert_eq!(text(&order["address"]["country"]).len(), 2);
    }
}

#[test]
fn orders_have_known_albums_and_customers_and_are_sorted_by_time() {
    let files = Files::of(7, 1200, 3000);
    let albums = files.by("albums", |row| &row["sku"]);
    let accounts = files.by("accounts", |row| &row["id"]);
    assert_eq!(files.rows("stock").len(), albums.len());
    let orders = files.rows("orders");
    assert_eq!(orders.len(), 3000);
    assert!(orders.is_sorted_by_key(|order| number(&order["at"])));
    let span = number(&orders[2999]["at"]) - number(&orders[0]["at"]);
    assert!((600 * 86_400..=730 * 86_400).contains(&span), "{span}");
    for order in orders {
        assert!(accounts.contains_key(text(&order["customer"])));
        assert!(text(&order["number"]).starts_with("D-"));
        let lines = copies(&order["lines"], "copies");
        assert_eq!(lines.len(), list(&order["lines"]).len(), "a SKU is there twice in {order}");
        assert!((1..=50).contains(&lines.len()) && lines.values().all(|copies| (1..=20).contains(copies)));
        assert!(lines.keys().all(|sku| albums.contains_key(sku.as_str())));
        assert!(list(&order["lines"]).iter().all(|line| number(&line["returned"]) <= number(&line["copies"])));
    }
}

#[test]
fn albums_bought_together_share_a_genre_and_few_albums_sell_most() {
    let albums = albums();
    let genre: BTreeMap<&str, &str> = albums.iter().map(|a| (a.sku.as_str(), a.genre.as_str())).collect();
    let files = Files::of(7, 400, 3000);
    let (mut same, mut pairs) = (0, 0);
    let mut sales = BTreeMap::<&str, u32>::new();
    for purchase in files.rows("purchases") {
        let skus: Vec<&str> = list(&purchase["skus"]).iter().map(text).collect();
        assert_eq!(skus.iter().collect::<BTreeSet<_>>().len(), skus.len());
        for (i, a) in skus.iter().enumerate() {
            *sales.entry(a).or_default() += 1;
            for b in &skus[i + 1..] {
                pairs += 1;
                same += u32::from(genre[a] == genre[b]);
            }
        }
    }
    // By chance alone it would be about 7 %.
    assert!(same * 100 / pairs >= 35, "{same} of {pairs}");
    let mut counts: Vec<u32> = sales.values().copied().collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let (top, all): (u32, u32) = (counts.iter().take(albums.len() / 5).sum(), counts.iter().sum());
    assert!(top * 100 / all >= 40, "a fifth of the albums sells {} %", top * 100 / all);
    assert!(sales.len() * 10 > albums.len() * 8, "{} of {} ever sold", sales.len(), albums.len());
}

#[test]
fn a_shop_without_customers_is_no_error() {
    let files = Files::of(7, 0, 10);
    assert_eq!((files.rows("accounts").len(), files.rows("orders").len()), (1, 0));
    assert_eq!(files.rows("stock").len(), albums().len());
}
