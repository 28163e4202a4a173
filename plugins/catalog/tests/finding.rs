//! What a customer types and what the catalog finds: mistyped words, other keyboards, SKUs, sorted lists.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use catalog::MIGRATIONS;
use catalog::albums::{Album, Filter, Money, Sorting};
use catalog::domain::{Page, Words};
use catalog::store::changes::discontinue;
use catalog::store::{did_you_mean, put, search, skus};
use seam_sdk::native::Store;
use seam_sdk::store::{execute, one, params};

fn album(sku: &str, artist: &str, title: &str, year: u16, minor_units: u32) -> Album {
    Album {
        sku: sku.into(),
        artist: artist.into(),
        title: title.into(),
        year,
        genre: if year < 1980 { "Jazz" } else { "Electronic" }.into(),
        label: "Columbia".into(),
        price: Money { minor_units, currency: "GBP".into() },
        notes: String::new(),
        discontinued: false,
    }
}

fn shop() -> Store {
    let store = Store::fresh(MIGRATIONS).unwrap();
    put(&[
        album("MC-0001", "Björk", "Homogenic", 1997, 1_299),
        album("MC-0002", "Miles Davis", "Kind of Blue", 1959, 999),
        album("MC-0003", "Sinéad O'Connor", "I Do Not Want What I Haven't Got", 1990, 1_099),
        album("MC-0004", "Motörhead", "Ace of Spades", 1980, 1_199),
        album("MC-0005", "Pink Floyd", "The Dark Side of the Moon", 1973, 2_499),
        album("MC-0006", "AC/DC", "Back in Black", 1980, 899),
        album("MC-0007", "Prince", "1999", 1982, 1_399),
        album("MC-0042", "The Beatles", "Revolver", 1966, 1_899),
        album("MC-1999", "Beat Happening", "Jamboree", 1988, 1_599),
        album("OLD-42", "Boards of Canada", "Ärger mit Åse", 1998, 1_699),
    ])
    .unwrap();
    store
}

fn searched(typed: &str) -> Vec<String> {
    let found = search(&Words::new(typed).unwrap(), Page::new(1, 20).unwrap()).unwrap();
    assert_eq!(found.total as usize, found.albums.len(), "{typed}");
    found.albums.into_iter().map(|album| album.sku).collect()
}

fn meant(typed: &str) -> Option<String> {
    did_you_mean(&Words::new(typed).unwrap()).unwrap()
}

#[test]
fn one_slip_in_a_word_is_mended() {
    let _shop = shop();
    for (typed, expect) in [
        // A letter less, more, another one, two exchanged; at the beginning, too.
        ("homgenic", "Homogenic"),
        ("homoogenic", "Homogenic"),
        ("homegenic", "Homogenic"),
        ("hmoogenic", "Homogenic"),
        ("omogenic", "Homogenic"),
        ("jomogenic", "Homogenic"),
        ("bjrok", "Björk"),
        ("miels davis", "Miles davis"),
        ("mile davs", "Miles Davis"),
        ("oconor", "O'Connor"),
        ("O'Conor", "O'Connor"),
        ("sinaed o'connor", "Sinéad o'connor"),
        ("havent", "Haven't"),
        ("motorhed", "Motörhead"),
        ("beetles", "Beatles"),
        ("pinkfloyd", "Pink Floyd"),
        ("beat les", "Beatles"),
        ("colombia jaz", "Columbia Jazz"),
    ] {
        if searched(typed).is_empty() {
            let other = meant(typed);
            assert_eq!(other.as_deref(), Some(expect), "{typed}");
            assert!(!searched(expect).is_empty(), "{expect}");
        } else {
            assert_eq!((typed, meant(typed)), ("havent", None), "found as it is typed");
        }
    }
}

#[test]
fn nothing_is_offered_that_finds_nothing_more() {
    let _shop = shop();
    for typed in ["homogenic", "kind of blue", "BJÖRK", "back in", "xyzzyplugh", "hemegenik", "!!!", "12", "a", "ab"] {
        assert_eq!(meant(typed), None, "{typed}");
    }
    // Each word is known, but no album has both; and the one with the nearest word is gone.
    assert_eq!(meant("homogenic davis"), None);
    discontinue("MC-0001", None).unwrap();
    assert_eq!(meant("homgenic"), None);
}

#[test]
fn a_question_as_long_as_may_be_costs_little() {
    let store = shop();
    let letters = "abcdefghijklmnopqrstuvw";
    let long = (0..8).map(|i| format!("{letters}{i}")).collect::<Vec<_>>().join(" ");
    assert_eq!(meant(&long), None);
    assert_eq!(meant(&"x".repeat(400)), None);
    assert_eq!(meant(&["homgenic"; 8].join(" ")).as_deref(), Some(&*["Homogenic"; 8].join(" ")));
    let plan = |sql: &str| -> Vec<String> {
        store.connection(|c| {
            let mut statement = c.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            statement.query_map([], |row| row.get(3)).unwrap().collect::<Result<_, _>>().unwrap()
        })
    };
    let near = plan(
        "SELECT DISTINCT t.term FROM json_each('[]') AS asked CROSS JOIN near_terms AS n ON n.form = asked.value
                     CROSS JOIN terms AS t ON t.term = n.term LIMIT 200",
    );
    assert!(near.iter().any(|step| step.contains("SEARCH n USING PRIMARY KEY (form=?)")), "{near:?}");
    assert!(near.iter().any(|step| step.contains("SEARCH t USING PRIMARY KEY (term=?)")), "{near:?}");
    let number = plan(
        "SELECT a.sku FROM albums AS a WHERE a.discontinued = 0
                       AND CAST(ltrim(a.sku, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ-') AS INTEGER) = 42 ORDER BY a.id LIMIT 100",
    );
    assert_eq!(number, ["SEARCH a USING INDEX albums_by_number (<expr>=?)"]);
}

#[test]
fn a_sku_is_found_as_people_type_it() {
    let _shop = shop();
    for typed in ["MC-0042", "mc-0042", "mc0042", "mc42", "MC 42", " mc-42 "] {
        assert_eq!(searched(typed), ["MC-0042"], "{typed}");
    }
    for typed in ["0042", "42", "#42"] {
        assert_eq!(searched(typed), ["MC-0042", "OLD-42"], "{typed}");
    }
    assert_eq!(searched("mc43"), Vec::<String>::new());
    // Words come first: the album of this name, not the one of this number.
    assert_eq!(searched("1999"), ["MC-0007"]);
    assert_eq!(searched("mc1999"), ["MC-1999"]);
    discontinue("MC-0042", None).unwrap();
    assert_eq!(searched("mc42"), Vec::<String>::new());
    let pages = |page| {
        let found = search(&Words::new("42").unwrap(), Page::new(page, 1).unwrap()).unwrap();
        (found.albums.len(), found.total, found.more)
    };
    put(&[album("NEW-042", "a", "b", 2000, 1)]).unwrap();
    assert_eq!((pages(1), pages(2), pages(3)), ((1, 2, true), (1, 2, false), (0, 2, false)));
}

#[test]
fn keyboards_without_dots_and_rings_find_the_letters() {
    let _shop = shop();
    for (typed, expect) in [
        ("bjoerk", "MC-0001"),
        ("Bjoerk Homogenic", "MC-0001"),
        ("bjork", "MC-0001"),
        ("motoerhead", "MC-0004"),
        ("motoerh", "MC-0004"),
        ("aerger", "OLD-42"),
        ("aase", "OLD-42"),
        ("ase arger", "OLD-42"),
        ("oconnor", "MC-0003"),
        ("o’connor", "MC-0003"),
        ("sinead oconnor", "MC-0003"),
        ("acdc", "MC-0006"),
    ] {
        assert_eq!(searched(typed), [expect], "{typed}");
    }
    put(&[album("MC-0100", "Bjoern", "Plain", 2000, 1)]).unwrap();
    assert_eq!(searched("Björn"), ["MC-0100"], "and the other way round");
}

/// A file of a version that knew no terms: the next search writes them.
#[test]
fn a_store_of_an_older_version_gets_its_terms() {
    let store = Store::fresh(&MIGRATIONS[..3]).unwrap();
    execute(
        "INSERT INTO albums (sku, artist, title, year, genre, label, price_minor, currency, notes, discontinued)
         VALUES ('O-1', 'Björk', 'Homogenic', 1997, 'g', 'l', 1, 'GBP', '', 0)",
        params![],
    )
    .unwrap();
    execute("DELETE FROM unspelled", params![]).unwrap();
    store.connection(|c| c.execute_batch(include_str!("../migrations/0004-terms.sql")).unwrap());
    assert_eq!(searched("bjoerk"), ["O-1"]);
    assert_eq!(meant("homgenic").as_deref(), Some("Homogenic"));
    assert_eq!(one::<u32>("SELECT count(*) FROM terms", params![]), Ok(2));
}

fn listed(words: Option<&str>, genre: Option<&str>, sorting: Sorting) -> Vec<String> {
    let filter = Filter { genre: genre.map(String::from), artist: None, decade: None };
    skus(words.map(|words| Words::new(words).unwrap()).as_ref(), &filter, sorting).unwrap()
}

#[test]
fn lists_are_sorted_by_price_year_and_artist() {
    let _shop = shop();
    let jazz = |sorting| listed(None, Some("Jazz"), sorting);
    assert_eq!(jazz(Sorting::Best), ["MC-0005", "MC-0042", "MC-0002"]);
    assert_eq!(jazz(Sorting::Newest), ["MC-0005", "MC-0042", "MC-0002"]);
    assert_eq!(jazz(Sorting::Cheapest), ["MC-0002", "MC-0042", "MC-0005"]);
    assert_eq!(jazz(Sorting::Dearest), ["MC-0005", "MC-0042", "MC-0002"]);
    assert_eq!(jazz(Sorting::Artist), ["MC-0042", "MC-0002", "MC-0005"]);
    assert_eq!(listed(Some("b"), None, Sorting::Best), Vec::<String>::new());
    assert_eq!(listed(Some("bea"), None, Sorting::Best), ["MC-0042", "MC-1999"]);
    assert_eq!(listed(Some("bea"), None, Sorting::Cheapest), ["MC-1999", "MC-0042"]);
    assert_eq!(listed(None, None, Sorting::Artist).len(), 10);
}

#[test]
fn a_list_is_whole_up_to_a_thousand_albums() {
    let _store = Store::fresh(MIGRATIONS).unwrap();
    let many = |from: u32| -> Vec<Album> {
        let one = |i: u32| album(&format!("L-{i}"), "Everyman", &format!("Number {i}"), 1990, 2_000 - i);
        (from..from + 600).map(one).collect()
    };
    put(&many(0)).unwrap();
    put(&many(600)).unwrap();
    let cheapest = listed(None, None, Sorting::Cheapest);
    assert_eq!((cheapest.len(), cheapest[0].as_str()), (1_000, "L-999"), "of the first thousand");
    assert_eq!(listed(Some("everyman"), None, Sorting::Dearest).len(), 200);
}

/// Artist and title of the shop's own albums.
fn table() -> Vec<Album> {
    let fields = |line: &str| -> Vec<String> {
        let (mut fields, mut quoted) = (vec![String::new()], false);
        for c in line.chars() {
            match c {
                '"' => quoted = !quoted,
                ',' if !quoted => fields.push(String::new()),
                c => fields.last_mut().unwrap().push(c),
            }
        }
        fields
    };
    let lines = include_str!("../../../data/albums.csv").lines().skip(1);
    lines.map(fields).map(|f| Album { genre: f[4].clone(), ..album(&f[0], &f[1], &f[2], 1970, 1) }).collect()
}

/// Every album of the shop, with a slip of the finger in one word of its title or artist.
#[test]
fn every_album_of_the_shop_is_found_with_one_letter_mistyped() {
    let _store = Store::fresh(MIGRATIONS).unwrap();
    let albums = table();
    put(&albums).unwrap();
    let mut state = 5_u64;
    let mut below = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound as u64) as usize
    };
    let (mut asked, mut missed) = (0, Vec::new());
    for album in &albums {
        let text = format!("{} {}", album.artist, album.title);
        let mut words: Vec<String> = text.split_whitespace().take(8).map(String::from).collect();
        let long: Vec<usize> =
            (0..words.len()).filter(|at| words[*at].chars().filter(|c| c.is_alphabetic()).count() > 4).collect();
        if long.is_empty() || Words::new(&words.join(" ")).is_err() {
            continue;
        }
        let word = &mut words[long[below(long.len())]];
        let mut letters: Vec<char> = word.chars().collect();
        let at = below(letters.len() - 1);
        match below(4) {
            0 => drop(letters.remove(at)),
            1 => letters.insert(at, 'x'),
            2 => letters[at] = 'q',
            _ => letters.swap(at, at + 1),
        }
        *word = letters.into_iter().collect();
        let typed = words.join(" ");
        asked += 1;
        let finds = |typed: &str| searched_in(typed).contains(&album.sku);
        if !finds(&typed) && !meant(&typed).is_some_and(|other| finds(&other)) {
            missed.push(typed);
        }
    }
    assert!(asked > 450, "{asked}");
    assert!(missed.len() * 100 <= asked, "{} of {asked}: {missed:#?}", missed.len());
}

fn searched_in(typed: &str) -> Vec<String> {
    let found = search(&Words::new(typed).unwrap(), Page::new(1, 100).unwrap()).unwrap();
    found.albums.into_iter().map(|album| album.sku).collect()
}
