//! The real table is valid, and the error for a broken one names the line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use super::*;

fn real() -> Vec<Album> {
    read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../albums.csv"))).unwrap()
}

#[test]
fn the_table_is_large_varied_and_without_duplicates() {
    let albums = real();
    assert!(albums.len() >= 250, "{}", albums.len());
    let works: BTreeSet<_> = albums.iter().map(|a| (&a.artist, &a.title)).collect();
    assert_eq!(works.len(), albums.len(), "an album is there twice");
    let genres: BTreeSet<_> = albums.iter().map(|a| &a.genre).collect();
    assert!(genres.len() >= 15, "{genres:?}");
    let decades: BTreeSet<_> = albums.iter().map(|a| a.year / 10 * 10).collect();
    assert_eq!(decades, BTreeSet::from([1950, 1960, 1970, 1980, 1990, 2000, 2010, 2020]));
    let discontinued = albums.iter().filter(|a| a.discontinued).count();
    assert!((5..=10).contains(&discontinued), "{discontinued}");
    assert!(albums.iter().any(|a| a.artist == "Björk") && albums.iter().any(|a| a.artist == "Mötley Crüe"));
}

#[test]
fn every_album_has_a_price_in_pounds_and_notes_of_one_sentence() {
    for album in real() {
        assert!((500..=5000).contains(&album.price.minor_units), "{}", album.sku);
        assert_eq!(album.price.currency, "GBP", "{}", album.sku);
        let words = album.notes.split_whitespace().count();
        assert!((10..=25).contains(&words), "{}: {words} words", album.sku);
        assert!(album.notes.ends_with('.'), "{}", album.sku);
    }
}

/// The fields of `record NAME` in a WIT text, in order, with their types.
fn record(wit: &str, name: &str) -> Vec<(String, String)> {
    let start = wit.find(&format!("record {name} {{")).unwrap();
    let body = wit[start..].split_once('{').unwrap().1.split_once('}').unwrap().0;
    body.lines()
        .map(|line| line.trim().trim_start_matches('%'))
        .filter(|line| !line.starts_with("//") && !line.is_empty())
        .map(|line| line.trim_end_matches(',').split_once(": ").unwrap())
        .map(|(field, ty)| (field.to_owned(), ty.to_owned()))
        .collect()
}

#[test]
fn columns_and_json_are_the_fields_of_the_wit_record() {
    let wit = include_str!("../../../../wit/catalog/albums.wit");
    let mut paths = Vec::new();
    for (field, ty) in record(wit, "album") {
        match ty.as_str() {
            "money" => paths.extend(record(wit, "money").into_iter().map(|(inner, _)| format!("{field}.{inner}"))),
            _ => paths.push(field),
        }
    }
    assert_eq!(paths, COLUMNS);

    let json = serde_json::to_value(real().first().unwrap()).unwrap();
    let mut keys = Vec::new();
    for (key, value) in json.as_object().unwrap() {
        match value.as_object() {
            Some(inner) => keys.extend(inner.keys().map(|k| format!("{key}.{k}"))),
            None => keys.push(key.clone()),
        }
    }
    assert_eq!(BTreeSet::from_iter(keys), COLUMNS.iter().map(|c| (*c).to_owned()).collect());
}

#[test]
fn an_error_names_the_line_and_the_reason() {
    let header = COLUMNS.join(",");
    let good = "A-1,Artist,Title,1970,Rock,Label,999,GBP,Notes.,false";
    for (rows, expected) in [
        (String::new(), "line 2: there are no albums"),
        (format!("{good}\n{}", good.replace("A-1", "A-2").replace("1970", "soon")), "line 3: `year`: "),
        (format!("{good}\n{good}"), "line 3: the SKU `A-1` is already in line 2"),
        (good.replace("1970", "1870"), "line 2: the year 1870 is not between 1948 and 2030"),
        (good.replace("Artist", ""), "line 2: `artist` is empty"),
        (good.replace("Title", " Title"), "line 2: `title` has white space around it"),
        (good.replace("A-1", "a 1"), "line 2: the SKU `a 1` may hold only A-Z, 0-9 and hyphens"),
        (good.replace("999", "0"), "line 2: the price is 0"),
        (good.replace("GBP", "pounds"), "line 2: `pounds` is not an ISO 4217 currency code"),
        (good.replace("Notes.", "One, two."), "line 2: 11 fields, expected 10 (is a comma missing its quotes?)"),
        (good.replace("false", "no"), "line 2: `discontinued`: "),
    ] {
        let text = format!("{header}\n{rows}\n");
        let error = parse(text.as_bytes(), Path::new("t.csv")).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`t.csv` {expected}")), "{error}");
    }
    let error = parse(b"sku,artist\n", Path::new("t.csv")).unwrap_err().to_string();
    assert!(error.starts_with("`t.csv` line 1: the columns are [\"sku\", \"artist\"]"), "{error}");
    let error = parse(format!("{header}\nA-1,\u{fe}").as_bytes(), Path::new("t.csv")).unwrap_err().to_string();
    assert!(error.starts_with("`t.csv` line 2: "), "{error}");
    assert!(matches!(read(Path::new("/no/such.csv")), Err(Error::Unreadable { .. })));
}
