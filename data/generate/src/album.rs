//! An album with the fields of `musiccorp:catalog/albums.album`, and the reviewable table of real albums.
//!
//! The column of a nested field is named by its path: `price.minor-units`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The columns of `albums.csv`, in their order.
pub const COLUMNS: [&str; 10] = [
    "sku",
    "artist",
    "title",
    "year",
    "genre",
    "label",
    "price.minor-units",
    "price.currency",
    "notes",
    "discontinued",
];

/// The first long-playing records: an earlier year is a typing error.
const FIRST_YEAR: u16 = 1948;
/// A later year is a typing error, too.
const LAST_YEAR: u16 = 2030;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Album {
    pub sku: String,
    pub artist: String,
    pub title: String,
    pub year: u16,
    pub genre: String,
    pub label: String,
    pub price: Money,
    pub notes: String,
    pub discontinued: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Money {
    pub minor_units: u32,
    pub currency: String,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read `{}`", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("`{}` line 1: the columns are {found:?}, expected {COLUMNS:?}", path.display())]
    Columns { path: PathBuf, found: Vec<String> },
    #[error("`{}` line {line}: {what}", path.display())]
    Row { path: PathBuf, line: u64, what: String },
}

/// A line of the table.
#[derive(Deserialize)]
struct Row {
    sku: String,
    artist: String,
    title: String,
    year: u16,
    genre: String,
    label: String,
    #[serde(rename = "price.minor-units")]
    minor_units: u32,
    #[serde(rename = "price.currency")]
    currency: String,
    notes: String,
    discontinued: bool,
}

/// Reads the whole table. An error names the line.
pub fn read(path: &Path) -> Result<Vec<Album>, Error> {
    let text = std::fs::read(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    parse(&text, path)
}

fn parse(text: &[u8], path: &Path) -> Result<Vec<Album>, Error> {
    let mut reader = csv::Reader::from_reader(text);
    let bad = |line: u64, what: String| Error::Row { path: path.to_owned(), line, what };
    let header = reader.headers().map_err(|error| bad(1, reason(&error)))?.clone();
    if header.iter().ne(COLUMNS) {
        let found = header.iter().map(str::to_owned).collect();
        return Err(Error::Columns { path: path.to_owned(), found });
    }
    let mut first_seen = BTreeMap::new();
    let mut albums = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| bad(error.position().map_or(0, csv::Position::line), reason(&error)))?;
        let line = record.position().map_or(0, csv::Position::line);
        let row: Row = record.deserialize(Some(&header)).map_err(|error| bad(line, reason(&error)))?;
        let album = row.check().map_err(|what| bad(line, what))?;
        if let Some(first) = first_seen.insert(album.sku.clone(), line) {
            return Err(bad(line, format!("the SKU `{}` is already in line {first}", album.sku)));
        }
        albums.push(album);
    }
    if albums.is_empty() {
        return Err(bad(2, "there are no albums".to_owned()));
    }
    Ok(albums)
}

impl Row {
    fn check(self) -> Result<Album, String> {
        let texts = [
            ("sku", &self.sku),
            ("artist", &self.artist),
            ("title", &self.title),
            ("genre", &self.genre),
            ("label", &self.label),
            ("notes", &self.notes),
        ];
        for (column, text) in texts {
            if text.trim().is_empty() {
                return Err(format!("`{column}` is empty"));
            }
            if text.trim() != text {
                return Err(format!("`{column}` has white space around it"));
            }
        }
        if !self.sku.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-') {
            return Err(format!("the SKU `{}` may hold only A-Z, 0-9 and hyphens", self.sku));
        }
        if !(FIRST_YEAR..=LAST_YEAR).contains(&self.year) {
            return Err(format!("the year {} is not between {FIRST_YEAR} and {LAST_YEAR}", self.year));
        }
        if self.minor_units == 0 {
            return Err("the price is 0".to_owned());
        }
        if self.currency.len() != 3 || !self.currency.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(format!("`{}` is not an ISO 4217 currency code", self.currency));
        }
        Ok(Album {
            sku: self.sku,
            artist: self.artist,
            title: self.title,
            year: self.year,
            genre: self.genre,
            label: self.label,
            price: Money { minor_units: self.minor_units, currency: self.currency },
            notes: self.notes,
            discontinued: self.discontinued,
        })
    }
}

/// The reason without the position, which precedes it anyway.
fn reason(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "the text is not UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields, expected {expected_len} (is a comma missing its quotes?)")
        }
        csv::ErrorKind::Deserialize { err, .. } => match err.field().and_then(|at| COLUMNS.get(at as usize)) {
            Some(column) => format!("`{column}`: {}", err.kind()),
            None => err.kind().to_string(),
        },
        _ => error.to_string(),
    }
}

#[cfg(test)]
#[path = "album/tests.rs"]
mod tests;
