//! The rows of a JSON-lines or CSV file as values of a WIT type. Only one batch is in memory at a time.
//!
//! Cells are separated by commas; a file with another separator is refused by its name.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use seam_store::text;
use sha2::{Digest, Sha256};
use wasmtime::component::Val;
use wasmtime::component::types::Type;

use super::error::Error;
use crate::limits;
use seam_runtime::json::{self, from_cells, from_json};

/// Rows for one call, and their lines in the file.
pub(super) struct Batch {
    pub values: Vec<Val>,
    pub first: u64,
    pub last: u64,
}

pub(super) struct Rows {
    path: PathBuf,
    /// Of the text without its mark and its carriage returns.
    pub sha256: String,
    pub bytes_total: u64,
    source: Source,
}

type Text = text::Reader<File>;

enum Source {
    JsonLines { reader: BufReader<Text>, line: u64, bytes: u64 },
    Csv { reader: csv::Reader<Text>, header: csv::StringRecord },
}

/// One row and its size in the file.
struct Row {
    line: u64,
    bytes: usize,
    value: Val,
}

impl Rows {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let open = || File::open(path).map(Text::new).map_err(|error| unreadable(path, error));
        let mut hash = Sha256::new();
        // Reads it to its end: a file in another encoding is refused before the context gets a row.
        let bytes_total = std::io::copy(&mut open()?, &mut hash).map_err(|error| unreadable(path, error))?;
        let file = open()?;
        let sha256 = format!("{:x}", hash.finalize());
        let source = if path.extension().is_some_and(|e| e == "csv") {
            let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(file);
            let header = reader.headers().map_err(|error| csv_error(path, 1, &error))?.clone();
            check_separator(path, &header)?;
            Source::Csv { reader, header }
        } else {
            Source::JsonLines { reader: BufReader::new(file), line: 0, bytes: 0 }
        };
        Ok(Self { path: path.to_owned(), sha256, bytes_total, source })
    }

    /// Bytes of the file that have been read.
    pub fn bytes(&self) -> u64 {
        match &self.source {
            Source::JsonLines { bytes, .. } => *bytes,
            Source::Csv { reader, .. } => reader.position().byte(),
        }
    }

    /// The next rows as values of type `ty`; `None` at the end.
    pub fn batch(&mut self, ty: &Type) -> Result<Option<Batch>, Error> {
        let mut batch = Batch { values: Vec::new(), first: 0, last: 0 };
        let mut bytes = 0;
        while batch.values.len() < limits::SEED_BATCH_ROWS && bytes < limits::SEED_BATCH_BYTES {
            let Some(row) = self.row(ty)? else { break };
            if batch.values.is_empty() {
                batch.first = row.line;
            }
            batch.last = row.line;
            bytes += row.bytes;
            batch.values.push(row.value);
        }
        Ok((!batch.values.is_empty()).then_some(batch))
    }

    fn row(&mut self, ty: &Type) -> Result<Option<Row>, Error> {
        let path = &self.path;
        match &mut self.source {
            Source::JsonLines { reader, line, bytes } => json_row(path, reader, line, bytes, ty),
            Source::Csv { reader, header } => csv_row(path, reader, header, ty),
        }
    }
}

/// Spreadsheets write semicolons where the comma is the decimal mark, and tabs as "text".
fn check_separator(path: &Path, header: &csv::StringRecord) -> Result<(), Error> {
    let first = header.get(0).unwrap_or_default();
    if first.starts_with("sep=") {
        return Err(wrong(path, 1, "`sep=` is a line for spreadsheets: remove it, and separate cells with commas"));
    }
    let others = [(';', "semicolons"), ('\t', "tabs"), ('|', "bars")];
    match others.iter().find(|(separator, _)| header.len() == 1 && first.contains(*separator)) {
        Some((_, name)) => Err(wrong(path, 1, format!("cells are separated by {name}: separate them with commas"))),
        None => Ok(()),
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> Error {
    match text::not_utf8(&source) {
        Some(other) => wrong(path, other.line, format!("not UTF-8 but {}: save it as UTF-8", other.encoding)),
        None => Error::Read { path: path.to_owned(), source },
    }
}

fn wrong(path: &Path, line: u64, message: impl Into<String>) -> Error {
    Error::Row { path: path.to_owned(), line, message: message.into() }
}

fn too_long(path: &Path, line: u64) -> Error {
    wrong(path, line, format!("the row is longer than {} KiB", limits::SEED_ROW_BYTES_MAX >> 10))
}

fn json_row(
    path: &Path,
    reader: &mut BufReader<Text>,
    line: &mut u64,
    bytes: &mut u64,
    ty: &Type,
) -> Result<Option<Row>, Error> {
    loop {
        let mut text = Vec::new();
        let max = limits::SEED_ROW_BYTES_MAX as u64 + 1;
        let read = reader
            .by_ref()
            .take(max)
            .read_until(b'\n', &mut text)
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        if read == 0 {
            return Ok(None);
        }
        *line += 1;
        *bytes += read as u64;
        if read as u64 == max {
            return Err(too_long(path, *line));
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        // The line within the row is always 1. The file's line is used instead.
        let json = json::parse(&text).map_err(|error| wrong(path, *line, json::message(&error)))?;
        let value = from_json(&json, ty).map_err(|mismatch| wrong(path, *line, mismatch.to_string()))?;
        return Ok(Some(Row { line: *line, bytes: read, value }));
    }
}

fn csv_row(
    path: &Path,
    reader: &mut csv::Reader<Text>,
    header: &csv::StringRecord,
    ty: &Type,
) -> Result<Option<Row>, Error> {
    let mut record = csv::StringRecord::new();
    let line = reader.position().line();
    if !reader.read_record(&mut record).map_err(|error| csv_error(path, line, &error))? {
        return Ok(None);
    }
    let line = record.position().map_or(line, csv::Position::line);
    let bytes = record.as_slice().len();
    if bytes > limits::SEED_ROW_BYTES_MAX {
        return Err(too_long(path, line));
    }
    let value =
        from_cells(header.iter().zip(&record), ty).map_err(|mismatch| wrong(path, line, mismatch.to_string()))?;
    Ok(Some(Row { line, bytes, value }))
}

fn csv_error(path: &Path, line: u64, error: &csv::Error) -> Error {
    let line = error.position().map_or(line, csv::Position::line);
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the row has {len} cells, the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
        _ => error.to_string(),
    };
    wrong(path, line, message)
}
