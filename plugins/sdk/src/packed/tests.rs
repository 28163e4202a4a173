//! The packed encoding, there and back, and what is refused of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use serde::{Deserialize, Serialize};

use super::{Error, encode, rows};

fn there_and_back<'a, T: Deserialize<'a>>(packed: &'a [u8]) -> Vec<T> {
    rows(packed).collect::<Result<_, _>>().unwrap()
}

fn packed<T: Serialize>(rows: impl IntoIterator<Item = T>) -> Vec<u8> {
    encode(rows).unwrap().unwrap()
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Money {
    minor: u32,
    currency: String,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(rename_all = "lowercase")]
enum Format {
    Vinyl,
    Disc,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Album {
    sku: String,
    price: Money,
    year: Option<u16>,
    score: f64,
    gone: bool,
    format: Format,
}

#[test]
fn a_row_survives_a_round_trip_with_nested_structs_flat() {
    let album = |sku: &str, year| Album {
        sku: sku.into(),
        price: Money { minor: 1299, currency: "GBP".into() },
        year,
        score: -0.25,
        gone: true,
        format: Format::Disc,
    };
    let albums = vec![album("A-1", Some(1959)), album("", None), album("Sigur Rós", Some(0))];
    let bytes = packed(&albums);
    assert_eq!(bytes[..4], 7u32.to_le_bytes());
    assert_eq!(there_and_back::<Album>(&bytes), albums);
    assert_eq!(there_and_back::<(String, u32, String, Option<i64>, f64, u8, &str)>(&bytes)[1].6, "disc");
    assert_ne!(Format::Vinyl, Format::Disc);
}

#[test]
fn the_encoding_is_the_one_that_the_interface_describes() {
    let bytes = packed([(None::<i64>, 1i64, 0.5f64, "é")]);
    let mut expect = vec![4, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2];
    expect.extend(0.5f64.to_le_bytes());
    expect.extend([3, 2, 0, 0, 0, 0xc3, 0xa9]);
    assert_eq!(bytes, expect);
}

#[test]
fn a_single_column_is_a_plain_value() {
    assert_eq!(there_and_back::<&str>(&packed(["a", "b"])), ["a", "b"]);
    assert_eq!(there_and_back::<Option<u32>>(&packed([Some(7), None])), [Some(7), None]);
    assert_eq!(there_and_back::<f64>(&packed([3i64])), [3.0], "SQLite stores whole reals as integers");
    assert_eq!(there_and_back::<Vec<i64>>(&packed([(1, 2, 3)])), [vec![1, 2, 3]]);
}

#[test]
fn text_is_read_in_place() {
    let bytes = packed([("long enough to be worth not copying", 1)]);
    let (text, _) = there_and_back::<(&str, i64)>(&bytes)[0];
    assert!(bytes.as_ptr_range().contains(&text.as_ptr()));
}

#[test]
fn no_rows_are_no_rows() {
    assert_eq!(encode(Vec::<(i64,)>::new()).unwrap(), None);
    assert!(there_and_back::<i64>(&[]).is_empty());
    assert!(there_and_back::<i64>(&3u32.to_le_bytes()).is_empty());
}

fn fails<'a, T: Deserialize<'a>>(packed: &'a [u8]) -> String {
    let Err(Error(text)) = rows::<T>(packed).next().unwrap() else { panic!("it was read") };
    text
}

#[test]
fn what_does_not_fit_is_an_error_with_its_place() {
    let bytes = packed([(1i64, "x")]);
    assert_eq!(fails::<(i64,)>(&bytes), "row 1, column 1: the row has more columns than its type");
    assert_eq!(fails::<(i64, &str, i64)>(&bytes), "row 1, column 2: the row has fewer columns than its type");
    assert!(fails::<(i64, i64)>(&bytes).starts_with("row 1, column 2: invalid type"));
    assert!(fails::<(u8, &str)>(&packed([(256, "x")])).contains("expected u8"));
    assert_eq!(fails::<bool>(&packed([2])), "row 1, column 1: neither 0 nor 1 where a bool was expected");
    assert!(fails::<Format>(&packed(["tape"])).contains("unknown variant"));
}

#[test]
fn broken_bytes_are_an_error_and_end_the_rows() {
    let good = packed([(1i64, "text", 2.0f64)]);
    for cut in 5..good.len() {
        let read: Vec<_> = rows::<(i64, String, f64)>(&good[..cut]).collect();
        assert_eq!(read.len(), 1, "cut at {cut}");
        assert!(read[0].is_err(), "cut at {cut}");
    }
    assert!(fails::<i64>(&[1, 0, 0, 0, 9]).contains("tag 9"));
    assert!(fails::<&str>(&[1, 0, 0, 0, 3, 1, 0, 0, 0, 0xff]).contains("UTF-8"));
    assert!(fails::<&str>(&[1, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff]).contains("in the middle of a value"));
    assert!(fails::<()>(&[0, 0, 0, 0, 1]).contains("no columns"));
}

#[test]
fn what_cannot_stand_in_a_row_is_refused() {
    let error = |result: Result<_, Error>| result.map(|_: Option<Vec<u8>>| ()).unwrap_err().to_string();
    assert_eq!(error(encode([vec![1], vec![1, 2]])), "a row of 2 columns after one of 1");
    assert_eq!(error(encode([Vec::<i64>::new()])), "a row without columns");
    assert!(error(encode([u64::MAX])).contains("too large"));
    assert!(error(encode([std::collections::BTreeMap::from([(1, 2)])])).contains("a map"));
}

/// Random bytes never panic and never loop: the host is trusted, its bugs are not.
#[test]
fn random_bytes_never_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..20_000 {
        let length = (random() % 40) as usize;
        let mut bytes: Vec<u8> = (0..length).map(|_| (random() % 6) as u8).collect();
        if let Some(first) = bytes.first_mut() {
            *first %= 4;
        }
        let _ = rows::<(Option<i64>, String)>(&bytes).take(100).count();
        let _ = rows::<Vec<Option<f64>>>(&bytes).take(100).count();
    }
}
