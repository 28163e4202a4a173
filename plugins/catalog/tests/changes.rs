//! What was changed of an album and who did it, on a real SQLite file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use catalog::MIGRATIONS;
use catalog::albums::{Album, Money};
use catalog::editing::Description;
use catalog::store::changes::{add, change_price, changes, describe, discontinue, relist};
use catalog::store::put;
use seam_sdk::native::Store;

fn album() -> Album {
    Album {
        sku: "A-1".into(),
        artist: "Björk".into(),
        title: "Post".into(),
        year: 1995,
        genre: "Electronic".into(),
        label: "One Little Indian".into(),
        price: Money { minor_units: 1299, currency: "GBP".into() },
        notes: String::new(),
        discontinued: false,
    }
}

/// The changes of the album, the oldest first.
fn told() -> Vec<String> {
    let mut told: Vec<_> = changes("A-1", 200).unwrap();
    told.reverse();
    told.into_iter().map(|one| format!("{:?} {} -> {} by {}", one.aspect, one.was, one.now, one.by)).collect()
}

#[test]
fn each_change_of_an_album_keeps_what_it_was_and_who_did_it() {
    let _store = Store::fresh(MIGRATIONS).unwrap();
    let price = Money { minor_units: 999, currency: "EUR".into() };
    let said = Description {
        artist: "Björk".into(),
        title: "Debut".into(),
        year: 1993,
        genre: "Electronic".into(),
        label: "One Little Indian".into(),
        notes: String::new(),
    };
    assert_eq!(add(&album(), Some("C-1")), Ok(true));
    // Once more of the same changes nothing, so it is not listed.
    for _ in 0..2 {
        assert_eq!(change_price("A-1", &price, Some("C-2")), Ok(true));
        assert_eq!(describe("A-1", &said, Some("C-3")), Ok(true));
        assert_eq!(discontinue("A-1", Some("C-4")), Ok(true));
    }
    assert_eq!(relist("A-1", None), Ok(true));
    assert_eq!(
        told(),
        [
            "Aspect::Sale  -> yes by C-1",
            "Aspect::Price 1299 GBP -> 999 EUR by C-2",
            "Aspect::Title Post -> Debut by C-3",
            "Aspect::Year 1995 -> 1993 by C-3",
            "Aspect::Sale yes -> no by C-4",
            "Aspect::Sale no -> yes by ",
        ]
    );
    assert_eq!(changes("A-1", 1).unwrap().len(), 1);
    assert_eq!(changes("A-2", 200).unwrap(), []);
}

#[test]
fn what_did_not_happen_is_not_listed() {
    let store = Store::fresh(MIGRATIONS).unwrap();
    put(&[album()]).unwrap();
    assert_eq!(add(&album(), Some("C-1")), Ok(false));
    assert_eq!(relist("A-2", Some("C-1")), Ok(false));
    let price = Money { minor_units: 1, currency: "GBP".into() };
    assert_eq!(change_price("A-2", &price, Some("C-1")), Ok(false));
    assert_eq!(told(), Vec::<String>::new());
    discontinue("A-1", Some("C-1")).unwrap();
    for sql in ["UPDATE changes SET by = 'C-2'", "DELETE FROM changes"] {
        assert!(store.connection(|c| c.execute_batch(sql)).is_err(), "{sql}");
    }
    assert_eq!(told(), ["Aspect::Sale yes -> no by C-1"]);
}
