//! The demo shop means something: tastes show, popularity has a long tail, and a seed gives the same shop again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use super::*;

fn albums() -> Vec<Album> {
    crate::album::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../albums.csv"))).unwrap()
}

#[test]
fn a_seed_gives_the_same_shop_and_another_seed_another() {
    let albums = albums();
    let folder = tempfile::tempdir().unwrap();
    let files = |name: &str, seed| {
        let to = folder.path().join(name);
        Demo::make(seed, 50, 300, &albums).write(&to, &albums).unwrap();
        let read = |file: &str| std::fs::read(to.join(file)).unwrap();
        ["albums.jsonl", "stock.jsonl", "customers.jsonl", "orders.jsonl", "purchases.jsonl"].map(read)
    };
    let first = files("a", 7);
    assert!(first == files("b", 7));
    assert!(first[3] != files("c", 8)[3]);
}

#[test]
fn orders_hold_known_albums_and_customers_in_order_of_time() {
    let albums = albums();
    let demo = Demo::make(7, 400, 3000, &albums);
    let skus: BTreeSet<&str> = albums.iter().map(|a| a.sku.as_str()).collect();
    let ids: BTreeSet<&str> = demo.customers.iter().map(|c| c.id.as_str()).collect();
    assert_eq!((ids.len(), demo.stock.len()), (400, albums.len()));
    assert_eq!(demo.orders.len(), 3000);
    assert!(demo.orders.is_sorted_by_key(|order| order.at));
    let span = demo.orders.last().unwrap().at - demo.orders.first().unwrap().at;
    assert!((600 * 86_400..=730 * 86_400).contains(&span), "{span}");
    for (order, purchase) in demo.orders.iter().zip(&demo.purchases) {
        assert!(ids.contains(order.customer.as_str()));
        let mut distinct = BTreeSet::new();
        assert!(order.lines.iter().all(|line| skus.contains(line.sku.as_str()) && distinct.insert(&line.sku)));
        assert_eq!((&order.id, order.at, order.lines.len()), (&purchase.id, purchase.at, purchase.skus.len()));
    }
}

#[test]
fn what_is_bought_together_belongs_together_and_few_albums_sell_most() {
    let albums = albums();
    let genre: BTreeMap<&str, &str> = albums.iter().map(|a| (a.sku.as_str(), a.genre.as_str())).collect();
    let demo = Demo::make(7, 400, 3000, &albums);
    let (mut same, mut pairs) = (0, 0);
    let mut sales = BTreeMap::<&str, u32>::new();
    for purchase in &demo.purchases {
        for (i, a) in purchase.skus.iter().enumerate() {
            *sales.entry(a).or_default() += 1;
            for b in &purchase.skus[i + 1..] {
                pairs += 1;
                same += u32::from(genre[a.as_str()] == genre[b.as_str()]);
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

    let sold_out = demo.stock.iter().filter(|level| level.on_hand == 0).count();
    let low = demo.stock.iter().filter(|level| (1..=3).contains(&level.on_hand)).count();
    assert!((5..60).contains(&sold_out) && (15..90).contains(&low), "{sold_out} sold out, {low} low");
}

#[test]
fn an_empty_shop_is_no_error() {
    let albums = albums();
    let demo = Demo::make(7, 0, 10, &albums);
    assert!(demo.customers.is_empty() && demo.orders.is_empty() && demo.stock.len() == albums.len());
}
