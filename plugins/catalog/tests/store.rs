//! The catalog's SQL on a real SQLite file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;

use catalog::MIGRATIONS;
use catalog::albums::{Album, AlbumPage, Facet, Filter, Money};
use catalog::domain::{Page, TOTAL_MAX, Words};
use catalog::editing::Description;
use catalog::store::changes::{self, add, change_price, discontinue};
use catalog::store::{browse, by_skus, check, facets, put, search};
use seam_sdk::native::Store;
use seam_sdk::store::{Error, execute, one, params};

fn album(sku: &str, artist: &str, title: &str, year: u16, genre: &str) -> Album {
    Album {
        sku: sku.into(),
        artist: artist.into(),
        title: title.into(),
        year,
        genre: genre.into(),
        label: "One Little Indian".into(),
        price: Money { minor_units: 1_299, currency: "GBP".into() },
        notes: "Recorded by the sea.".into(),
        discontinued: false,
    }
}

/// A store with a few albums whose names matter.
fn shop() -> Store {
    let store = Store::fresh(MIGRATIONS).unwrap();
    put(&[
        album("A-1", "Björk", "Homogenic", 1997, "Electronic"),
        album("A-2", "Björk", "Post", 1995, "Electronic"),
        album("A-3", "Sigur Rós", "Ágætis byrjun", 1999, "Post-Rock"),
        album("A-4", "Miles Davis", "Kind of Blue", 1959, "Jazz"),
        album("A-5", "Joni Mitchell", "Blue", 1971, "Folk"),
        album("A-6", "Bob Dylan", "Desire", 1976, "Folk"),
        album("A-7", "AC/DC", "Back in Black", 1980, "Rock"),
        album("A-8", "The Blues Project", "Projections", 1966, "Blues Rock"),
    ])
    .unwrap();
    store
}

fn facet(name: &str, count: u32) -> Facet {
    Facet { name: name.into(), count }
}

fn page(page: u32, size: u32) -> Page {
    Page::new(page, size).unwrap()
}

fn skus(found: &AlbumPage) -> Vec<&str> {
    found.albums.iter().map(|album| album.sku.as_str()).collect()
}

fn searched(typed: &str) -> Vec<String> {
    let found = search(&Words::new(typed).unwrap(), page(1, 20)).unwrap();
    assert_eq!(found.total as usize, found.albums.len(), "{typed}");
    skus(&found).into_iter().map(String::from).collect()
}

fn browsed(genre: Option<&str>, artist: Option<&str>, decade: Option<u16>, at: Page) -> AlbumPage {
    browse(&Filter { genre: genre.map(String::from), artist: artist.map(String::from), decade }, at).unwrap()
}

#[test]
fn an_album_is_described_relisted_and_found_again() {
    let store = shop();
    let description = Description {
        artist: "Joni Mitchell".into(),
        title: "Court and Spark".into(),
        year: 1974,
        genre: "Folk Rock".into(),
        label: "Asylum".into(),
        notes: "A second pressing.".into(),
    };
    change_price("A-5", &Money { minor_units: 2_000, currency: "EUR".into() }, None).unwrap();
    assert_eq!(
        (changes::describe("A-5", &description, None), changes::describe("NEVER", &description, None)),
        (Ok(true), Ok(false))
    );
    let album = by_skus(&["A-5".into()]).unwrap().remove(0);
    assert_eq!((album.title.as_str(), album.year, album.price.minor_units), ("Court and Spark", 1974, 2_000));
    assert_eq!(searched("spark asylum"), ["A-5"]);
    assert!(facets().unwrap().genres.contains(&facet("Folk Rock", 1)));

    assert_eq!((discontinue("A-5", None), discontinue("A-1", None)), (Ok(true), Ok(true)));
    let gone = |after: &str, count| -> Vec<String> {
        changes::discontinued(after, count).unwrap().into_iter().map(|album| album.sku).collect()
    };
    assert_eq!(
        (gone("", 500), gone("A-1", 500), gone("", 1)),
        (vec!["A-1".into(), "A-5".into()], vec!["A-5".into()], vec!["A-1".into()])
    );
    assert_eq!(searched("spark"), Vec::<String>::new());
    // What is said of an album that is not sold may change, too.
    let again = Description { title: "Hejira".into(), ..description };
    assert_eq!(changes::describe("A-5", &again, None), Ok(true));
    assert!(by_skus(&["A-5".into()]).unwrap()[0].discontinued);
    assert_eq!(
        (changes::relist("A-5", None), changes::relist("A-5", None), changes::relist("NEVER", None)),
        (Ok(true), Ok(true), Ok(false))
    );
    assert_eq!((searched("hejira"), gone("", 500)), (vec!["A-5".into()], vec!["A-1".into()]));
    let plan: String = store.connection(|c| {
        let sql = "EXPLAIN QUERY PLAN SELECT a.sku, a.title FROM albums AS a WHERE a.discontinued = 1 AND a.sku > 'A' ORDER BY a.sku";
        c.query_row(sql, [], |row| row.get(3)).unwrap()
    });
    assert!(plan.contains("albums_discontinued (sku>?)"), "{plan}");
}

#[test]
fn albums_come_in_the_order_of_the_skus_without_unknown_ones() {
    let _store = shop();
    let asked = ["A-4", "NEVER", "A-1", "A-4"].map(String::from);
    let albums = by_skus(&asked).unwrap();
    assert_eq!(albums.iter().map(|a| a.sku.as_str()).collect::<Vec<_>>(), ["A-4", "A-1", "A-4"]);
    assert_eq!(albums[1], album("A-1", "Björk", "Homogenic", 1997, "Electronic"));
    assert_eq!(by_skus(&[]).unwrap(), []);
}

#[test]
fn search_finds_words_in_every_column_whatever_their_case_and_accents() {
    let _store = shop();
    for (typed, expect) in [
        ("homogenic", vec!["A-1"]),
        ("BJORK", vec!["A-2", "A-1"]),
        ("bjo\u{308}rk post", vec!["A-2"]),
        ("sigur ros", vec!["A-3"]),
        ("agaetis", vec!["A-3"]),
        ("ágætis", vec!["A-3"]),
        ("hom", vec!["A-1"]),
        ("mil kind", vec![]),
        ("miles ki", vec!["A-4"]),
        ("jazz", vec!["A-4"]),
        ("miles jazz", vec!["A-4"]),
        ("elect", vec!["A-2", "A-1"]),
        ("miles ja", vec!["A-4"]),
        ("acdc", vec!["A-7"]),
        ("ac/dc", vec!["A-7"]),
        ("dylan desire sea", vec!["A-6"]),
        ("post rock", vec!["A-3"]),
        ("nowhere", vec![]),
        ("\" OR *", vec![]),
    ] {
        assert_eq!(searched(typed), expect, "{typed}");
    }
}

/// Albums whose names no keyboard has all letters of.
fn names() -> [Album; 12] {
    let named = |sku: &str, artist: &str, title: &str| album(sku, artist, title, 2000, "Odd");
    [
        named("N-01", "Hildur Guðnadóttir", "Fólk fær andlit"),
        named("N-02", "Þursaflokkurinn", "Tromsø Đurđevdan"),
        named("N-03", "Czesław Miłosz", "Ludwigstraße"),
        named("N-04", "N.W.A", "Straight Outta Compton"),
        named("N-05", "!!!", "Louden Up Now"),
        named("N-06", "+/-", "Let's Build a Fire"),
        named("N-07", "Мумий Тролль", "Морская"),
        named("N-08", "椎名林檎", "無罪モラトリアム"),
        named("N-09", "Bjo\u{308}rn Svensson", "Мумии\u{306} второй"),
        named("N-10", "Işık", "Œuvre"),
        named("N-11", "Sigur Rós", "( )"),
        named("N-12", "Nwa", "Acdc"),
    ]
}

#[test]
fn search_finds_other_spellings_after_the_words_as_typed() {
    let _store = Store::fresh(MIGRATIONS).unwrap();
    put(&names()).unwrap();
    for (typed, expect) in [
        ("Gudnadottir", vec!["N-01"]),
        ("Guðnadóttir", vec!["N-01"]),
        ("gudna", vec!["N-01"]),
        ("faer", vec!["N-01"]),
        ("thursa", vec!["N-02"]),
        ("tromso durdevdan", vec!["N-02"]),
        ("TROMSØ", vec!["N-02"]),
        ("milosz ludwigstrasse", vec!["N-03"]),
        ("Miłosz Ludwigstraße", vec!["N-03"]),
        ("NWA", vec!["N-12", "N-04"]),
        ("N.W.A", vec!["N-04", "N-12"]),
        ("n.w.a. outta", vec!["N-04"]),
        ("!!!", vec!["N-05"]),
        ("!!! - louden", vec!["N-05"]),
        ("+/-", vec!["N-06"]),
        ("lets build", vec!["N-06"]),
        ("мумий", vec!["N-07", "N-09"]),
        // FTS5 takes the decomposed letter for the one without its mark: as typed.
        ("мумии", vec!["N-09", "N-07"]),
        ("МУМИИ\u{306}", vec!["N-09", "N-07"]),
        ("椎名林檎", vec!["N-08"]),
        ("林檎", vec!["N-08"]),
        ("もらと", vec!["N-08"]),
        ("bjorn", vec!["N-09"]),
        ("björn", vec!["N-09"]),
        ("isik", vec!["N-10"]),
        ("oeuvre", vec!["N-10"]),
        ("ac/dc", vec!["N-12"]),
        ("aC/dC nwa", vec!["N-12"]),
        ("louðen ứp", vec!["N-05"]),
        ("( )", vec!["N-11"]),
        ("???", vec![]),
        ("guðnadottir milosz", vec![]),
    ] {
        assert_eq!(searched(typed), expect, "{typed}");
    }
}

/// Rows that an older version or the migration left without spellings get them with the next search, and those that
/// change or leave lose the old ones.
#[test]
fn spellings_follow_every_change_of_an_album() {
    let store = Store::fresh(MIGRATIONS).unwrap();
    let insert =
        "INSERT INTO albums (sku, artist, title, year, genre, label, price_minor, currency, notes, discontinued)
                  VALUES ('O-1', 'Guðný', 'AC/DC', 2000, 'g', 'l', 1, 'GBP', '', 0)";
    store.connection(|c| c.execute(insert, []).unwrap());
    assert_eq!(searched("gudny acdc"), ["O-1"]);
    let waiting = || one::<u32>("SELECT count(*) FROM unspelled", params![]).unwrap();
    assert_eq!(waiting(), 0);
    execute("UPDATE albums SET artist = 'Bragi Ðað' WHERE sku = 'O-1'", params![]).unwrap();
    assert_eq!((searched("gudny"), searched("dad acdc")), (vec![], vec!["O-1".to_owned()]));
    discontinue("O-1", None).unwrap();
    assert_eq!((searched("dad"), waiting()), (vec![], 0));
    put(&[album("O-1", "Ýmir Þór", "T", 2000, "g")]).unwrap();
    assert_eq!((waiting(), searched("thor")), (0, vec!["O-1".to_owned()]));
}

#[test]
fn a_store_of_an_older_version_gets_its_spellings() {
    let store = Store::fresh(&MIGRATIONS[..1]).unwrap();
    let insert =
        "INSERT INTO albums (sku, artist, title, year, genre, label, price_minor, currency, notes, discontinued)
                  VALUES ('O-1', 'Guðný', 'Old', 2000, 'g', 'l', 1, 'GBP', '', 0),
                         ('O-2', 'Guðný', 'Gone', 2000, 'g', 'l', 1, 'GBP', '', 1)";
    store.connection(|c| {
        c.execute(insert, []).unwrap();
        c.execute_batch(include_str!("../migrations/0002-forms.sql")).unwrap();
        c.execute_batch(include_str!("../migrations/0004-terms.sql")).unwrap();
    });
    assert_eq!(searched("gudny"), ["O-1"]);
}

#[test]
fn names_rank_before_beginnings_and_those_before_everything_else() {
    let _store = shop();
    // Whole words in the names, shortest names first; then "Blues" as a name; albums of that genre would follow.
    assert_eq!(searched("blue"), ["A-5", "A-4", "A-8"]);
    // "Post" is a title; "Post-Rock" is a genre.
    assert_eq!(searched("post"), ["A-2", "A-3"]);
}

#[test]
fn browsing_goes_by_genre_artist_and_decade_newest_first() {
    let _store = shop();
    let at = page(1, 10);
    assert_eq!(skus(&browsed(None, None, None, at)), ["A-3", "A-1", "A-2", "A-7", "A-6", "A-5", "A-8", "A-4"]);
    assert_eq!(skus(&browsed(Some("Folk"), None, None, at)), ["A-6", "A-5"]);
    assert_eq!(skus(&browsed(None, Some("Björk"), None, at)), ["A-1", "A-2"]);
    assert_eq!(skus(&browsed(None, None, Some(1990), at)), ["A-3", "A-1", "A-2"]);
    assert_eq!(skus(&browsed(Some("Electronic"), Some("Björk"), Some(1990), at)), ["A-1", "A-2"]);
    assert_eq!(skus(&browsed(Some("Folk"), Some("Björk"), None, at)), Vec::<&str>::new());
    let second = browsed(None, None, None, page(2, 3));
    assert_eq!((skus(&second), second.total, second.more), (vec!["A-7", "A-6", "A-5"], 8, true));
    let third = browsed(None, None, None, page(3, 3));
    assert_eq!((skus(&third), third.total, third.more), (vec!["A-8", "A-4"], 8, false));
}

#[test]
fn pages_of_a_search_do_not_overlap_and_have_the_total() {
    let _store = shop();
    let words = Words::new("blue").unwrap();
    let first = search(&words, page(1, 2)).unwrap();
    assert_eq!((skus(&first), first.total, first.more), (vec!["A-5", "A-4"], 3, true));
    let second = search(&words, page(2, 2)).unwrap();
    assert_eq!((skus(&second), second.total, second.more), (vec!["A-8"], 3, false));
    let beyond = search(&words, page(3, 2)).unwrap();
    assert_eq!((skus(&beyond), beyond.total, beyond.more), (vec![], 3, false));
}

#[test]
fn a_discontinued_album_stays_resolvable_and_is_no_longer_found() {
    let _store = shop();
    for _ in 0..2 {
        assert_eq!(discontinue("A-1", None), Ok(true));
    }
    assert_eq!(discontinue("NEVER", None), Ok(false));
    let gone = by_skus(&["A-1".into()]).unwrap();
    assert!(gone[0].discontinued);
    assert_eq!(gone[0].title, "Homogenic");
    assert_eq!(searched("homogenic"), Vec::<String>::new());
    assert_eq!(skus(&browsed(None, Some("Björk"), None, page(1, 10))), ["A-2"]);
    assert_eq!(facets().unwrap().genres.iter().find(|facet| facet.name == "Electronic").unwrap().count, 1);
    let refused = execute("DELETE FROM albums WHERE sku = ?1", params!["A-1"]);
    assert!(matches!(&refused, Err(Error::Constraint(why)) if why.contains("never deleted")), "{refused:?}");
    // The editor can put it back.
    put(&[album("A-1", "Björk", "Homogenic", 1997, "Electronic")]).unwrap();
    assert_eq!(searched("homogenic"), ["A-1"]);
}

#[test]
fn replacing_an_album_replaces_the_words_that_find_it() {
    let _store = shop();
    put(&[album("A-2", "Björk Guðmundsdóttir", "Debut", 1985, "Pop")]).unwrap();
    assert_eq!(searched("post"), ["A-3"]);
    assert_eq!(searched("debut"), ["A-2"]);
    let facets = facets().unwrap();
    assert_eq!(
        facets.decades.iter().map(|facet| facet.name.as_str()).collect::<Vec<_>>(),
        ["1950", "1960", "1970", "1980", "1990"]
    );
    assert!(facets.artists.contains(&facet("Björk", 1)) && facets.artists.contains(&facet("Björk Guðmundsdóttir", 1)));
    assert_eq!(facets.decades[3], facet("1980", 2));
}

#[test]
fn one_bad_row_leaves_the_catalog_as_it_was() {
    let _store = shop();
    let mut bad = album("B-2", "x", "y", 2000, "z");
    bad.price.minor_units = 0;
    let sql = "INSERT INTO albums (sku, artist, title, year, genre, label, price_minor, currency, notes, discontinued)
               VALUES (?1, 'a', 't', 2000, 'g', 'l', ?2, 'GBP', '', 0)";
    let outcome = seam_sdk::store::execute_many(sql, [("B-1", 1), ("B-2", -1)]);
    assert!(matches!(outcome, Err(Error::Constraint(_))), "{outcome:?}");
    assert_eq!(by_skus(&["B-1".into()]).unwrap(), []);
    assert_eq!(searched("g"), Vec::<String>::new());
}

/// After any edits, the triggers' counts equal a count over the albums.
#[test]
fn counts_and_indexes_agree_with_the_albums_after_random_edits() {
    let store = Store::fresh(MIGRATIONS).unwrap();
    let mut random = Random(7);
    for _ in 0..60 {
        let batch: BTreeMap<String, Album> = (0..random.below(20))
            .map(|_| {
                let sku = format!("R-{}", random.below(40));
                let artist = ["Anna", "Berta", "Clara"][random.below(3)];
                let title = ["Red", "Green", "Blue", "Red Green"][random.below(4)];
                let genre = ["Jazz", "Rock"][random.below(2)];
                let mut album = album(&sku, artist, title, 1980 + random.below(40) as u16, genre);
                album.discontinued = random.below(4) == 0;
                (sku, album)
            })
            .collect();
        put(&batch.into_values().collect::<Vec<_>>()).unwrap();
        discontinue(&format!("R-{}", random.below(40)), None).unwrap();
        for (kind, column) in [("genre", "genre"), ("artist", "artist"), ("decade", "CAST(year / 10 * 10 AS TEXT)")] {
            let differing: u32 = one(
                &format!(
                    "SELECT count(*) FROM (
                       SELECT name, count FROM facets WHERE kind = ?1
                       EXCEPT SELECT {column}, count(*) FROM albums WHERE discontinued = 0 GROUP BY 1)
                     FULL JOIN (
                       SELECT {column} AS n, count(*) AS c FROM albums WHERE discontinued = 0 GROUP BY 1
                       EXCEPT SELECT name, count FROM facets WHERE kind = ?1) ON 0"
                ),
                params![kind],
            )
            .unwrap();
            assert_eq!(differing, 0, "{kind}");
        }
    }
    // FTS5 compares its indexes with the view that they are made from.
    store.connection(|c| {
        for table in ["album_names", "album_words"] {
            c.execute(&format!("INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)"), []).unwrap();
        }
    });
}

/// Every query that a page makes goes through an index and sorts nothing that grows with the catalog.
#[test]
fn browsing_uses_its_indexes_and_sorts_nothing() {
    let store = Store::fresh(MIGRATIONS).unwrap();
    for (condition, index) in [
        ("", "albums_by_year"),
        (" AND a.year BETWEEN 1970 AND 1979", "albums_by_year"),
        (" AND a.genre = 'x'", "albums_by_genre"),
        (" AND a.genre = 'x' AND a.year BETWEEN 1970 AND 1979", "albums_by_genre"),
        (" AND a.artist = 'x'", "albums_by_artist"),
        (" AND a.artist = 'x' AND a.year BETWEEN 1970 AND 1979", "albums_by_artist"),
        (" AND a.genre = 'x' AND a.artist = 'y'", "albums_by_artist_and_genre"),
        (" AND a.genre = 'x' AND a.artist = 'y' AND a.year BETWEEN 1970 AND 1979", "albums_by_artist_and_genre"),
    ] {
        let order = "ORDER BY a.year DESC, a.id LIMIT 10";
        let sql =
            format!("EXPLAIN QUERY PLAN SELECT a.title FROM albums AS a WHERE a.discontinued = 0{condition} {order}");
        let plan: Vec<String> = store.connection(|c| {
            let mut statement = c.prepare(&sql).unwrap();
            statement.query_map([], |row| row.get(3)).unwrap().collect::<Result<_, _>>().unwrap()
        });
        assert_eq!(plan.len(), 1, "{condition}: {plan:?}");
        assert!(plan[0].contains(&format!("INDEX {index} ")) || plan[0].ends_with(index), "{condition}: {plan:?}");
    }
}

#[test]
fn an_album_is_added_once_and_its_price_changes_alone() {
    let _store = Store::fresh(MIGRATIONS).unwrap();
    let first = album("N-1", "Newcomer", "New", 2026, "Jazz");
    assert!(add(&first, None).unwrap());
    assert!(!add(&album("N-1", "Another", "Else", 1999, "Rock"), None).unwrap());
    let price = Money { minor_units: 999, currency: "EUR".into() };
    assert!(change_price("N-1", &price, None).unwrap());
    assert!(!change_price("N-2", &price, None).unwrap());
    assert_eq!(by_skus(&["N-1".to_owned()]).unwrap(), [Album { price, ..first }]);
}

/// A query takes as many steps of SQLite's virtual machine and returns as many rows as in a small catalog.
#[test]
fn totals_and_ranks_are_bounded_for_any_number_of_matches() {
    let _store = Store::fresh(MIGRATIONS).unwrap();
    for thousand in 0..3 {
        let albums: Vec<_> = (0..1_000)
            .map(|i| album(&format!("L-{thousand}-{i}"), "Everyman", &format!("Number {i}"), 1990, "Common"))
            .collect();
        put(&albums).unwrap();
    }
    let found = browsed(Some("Common"), None, None, page(1, 50));
    assert_eq!((found.albums.len(), found.total, found.more), (50, TOTAL_MAX, true));
    let last = browsed(Some("Common"), None, None, page(30, 100));
    assert_eq!((last.albums.len(), last.total, last.more), (100, TOTAL_MAX, false));
    for common in ["everyman", "common", "number every", "numb"] {
        let found = search(&Words::new(common).unwrap(), page(1, 50)).unwrap();
        assert!(found.albums.len() == 50 && found.total == 200 && found.more, "{common}: {}", found.total);
    }
}

/// xorshift64, so that a failure repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn a_store_is_healthy_full_or_empty_but_not_without_its_index() {
    {
        let _empty = Store::fresh(MIGRATIONS).unwrap();
        assert_eq!(check(), Ok(()));
    }
    {
        let _shop = shop();
        assert_eq!(check(), Ok(()));
    }
    let _bare = Store::fresh(&[]).unwrap();
    assert!(check().unwrap_err().contains("albums"));
}
