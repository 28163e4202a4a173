//! What is asked of snapshots: which rows the statement of an invariant finds, and on which amounts the statements of
//! several contexts do not agree.
//!
//! A context's statement reads its own tables alone, and changes nothing. It is bounded by its deadline and by SQLite's
//! memory; rows are counted as they come, and few are kept. Totals are compared as two sorted lists are merged, so that
//! no more than one row of each is in memory.
//! Not here: which statements there are (`invariant`), what is said about what they find.

use std::cmp::Ordering;
use std::time::Instant;

use rusqlite::types::ValueRef;
use rusqlite::{Row, Statement};

use crate::connection::Connection;
use crate::error::Error;
use crate::invariant::{Invariant, NOW};
use crate::moment::Snapshot;
use crate::{blocking, limits, program};

/// Who wrote a statement: what it may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The host: all tables, those of the host, too, and SQLite's own checks.
    Host,
    /// The context that the file belongs to.
    Context,
}

/// With what statements are run.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// The moment of the snapshots, in seconds since 1970: the parameter `:now`.
    pub now_s: i64,
    pub deadline: Instant,
}

/// The rows that a statement has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub columns: Vec<String>,
    /// All of them.
    pub count: u64,
    /// The first `STORE_VIOLATIONS_SHOWN`, each value as text of at most `STORE_VIOLATION_CHARS_SHOWN` characters.
    pub examples: Vec<Vec<String>>,
    /// Whether a table that the statement reads has a row. If none has, that it found nothing says nothing.
    pub looked_at_rows: bool,
}

/// One context's part of a total.
#[derive(Clone, Copy)]
pub struct Side<'s> {
    pub snapshot: &'s Snapshot,
    pub invariant: &'s Invariant,
    pub author: Author,
}

/// How far several contexts do not agree on a total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// Keys for which at least one side has a row.
    pub keys: u64,
    /// Keys on whose amount the sides do not agree.
    pub count: u64,
    /// The first `STORE_VIOLATIONS_SHOWN` of them: the key, then the amount of each side.
    pub examples: Vec<Vec<String>>,
}

impl Snapshot {
    /// The rows that violate an invariant.
    ///
    /// # Errors
    /// When the statement does not fit the file, or does not end in time.
    pub fn violations(&self, invariant: &Invariant, author: Author, terms: &Terms) -> Result<Found, Error> {
        let sql = invariant.statement();
        let mut found = blocking::block_in_place(|| {
            armed(&[(&self.connection, author)], terms, || violations(&self.connection, sql, terms))
        })?;
        if !found.looked_at_rows {
            found.looked_at_rows = self.has_rows_for(sql).map_err(|error| Error::of(&error))?;
        }
        Ok(found)
    }

    /// Whether one of the tables that `sql` reads has a row.
    fn has_rows_for(&self, sql: &str) -> rusqlite::Result<bool> {
        let sqlite = self.connection.sqlite();
        for table in program::tables_read(sqlite, sql)? {
            let any = format!("SELECT EXISTS (SELECT 1 FROM \"{}\")", table.replace('"', "\"\""));
            if sqlite.query_row(&any, [], |row| row.get(0))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The keys on whose amounts the sides do not agree: no number lies between the least and the most of each of them.
/// Amounts of one key add up; a side without a row for a key has 0 of it.
///
/// # Errors
/// The number of the side whose statement does not fit its file, returns something else, or does not end in time.
pub fn disagreements(sides: &[Side<'_>], terms: &Terms) -> Result<Disagreement, (usize, Error)> {
    let mut examples = Vec::new();
    let (keys, count) = each_disagreement(sides, terms, &mut |key, ranges| {
        if examples.len() < limits::STORE_VIOLATIONS_SHOWN {
            let amounts = ranges.iter().map(Range::to_string);
            examples.push(std::iter::once(shortened(key)).chain(amounts).collect());
        }
    })?;
    Ok(Disagreement { keys, count, examples })
}

/// As `disagreements`, with `each` called for every such key and the range of each side, in the order of the keys'
/// bytes. How many keys there are, and on how many of them the sides do not agree.
///
/// # Errors
/// As `disagreements`; `each` may have been called before.
pub fn each_disagreement(
    sides: &[Side<'_>],
    terms: &Terms,
    each: &mut dyn FnMut(&str, &[Range]),
) -> Result<(u64, u64), (usize, Error)> {
    let connections: Vec<_> = sides.iter().map(|side| (&side.snapshot.connection, side.author)).collect();
    blocking::block_in_place(|| armed(&connections, terms, || merged(sides, terms, each)))
}

impl Snapshot {
    /// Calls `each` for every key of this side of a total, with what its amounts add up to, in the order of the keys'
    /// bytes, until it returns `false`.
    ///
    /// # Errors
    /// When the statement does not fit the file, returns something else, or does not end in time; `each` may have been
    /// called before.
    pub fn each_amount(
        &self,
        total: &Invariant,
        terms: &Terms,
        each: &mut dyn FnMut(&str, Range) -> bool,
    ) -> Result<(), Error> {
        let side = Side { snapshot: self, invariant: total, author: Author::Context };
        let work = || {
            let mut statement = sorted(&side, terms)?;
            let mut rows = Amounts { connection: &self.connection, rows: statement.raw_query(), ahead: None };
            rows.read()?;
            while let Some(key) = rows.ahead.as_ref().map(|(key, _)| key.clone()) {
                let range = rows.take(&key)?;
                if !each(&key, range) {
                    break;
                }
            }
            Ok(())
        };
        blocking::block_in_place(|| armed(&[(&self.connection, side.author)], terms, work))
    }
}

/// Runs `work` while the guards of these connections are armed.
pub(super) fn armed<T>(connections: &[(&Connection, Author)], terms: &Terms, work: impl FnOnce() -> T) -> T {
    for (connection, author) in connections {
        match author {
            Author::Host => connection.guard().arm_host(terms.deadline),
            Author::Context => connection.guard().arm_examination(terms.deadline),
        }
    }
    let done = work();
    connections.iter().for_each(|(connection, _)| connection.guard().disarm());
    done
}

fn violations(connection: &Connection, sql: &str, terms: &Terms) -> Result<Found, Error> {
    let mut statement = connection.prepare_apart(sql)?;
    bind(&mut statement, terms)?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let (mut count, mut examples) = (0, Vec::new());
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(|error| connection.explain(&error))? {
        count += 1;
        if examples.len() < limits::STORE_VIOLATIONS_SHOWN {
            let cells = (0..columns.len()).map(|at| row.get_ref(at).map(shown));
            examples.push(cells.collect::<Result<_, _>>().map_err(|error| connection.explain(&error))?);
        }
    }
    Ok(Found { columns, count, examples, looked_at_rows: count > 0 })
}

/// Gives a statement its one parameter, if it has it.
fn bind(statement: &mut Statement<'_>, terms: &Terms) -> Result<(), Error> {
    if !statement.readonly() || statement.column_count() == 0 {
        return Err(Error::Denied("the statement of an invariant is a SELECT".to_owned()));
    }
    for at in 1..=statement.parameter_count() {
        if statement.parameter_name(at) != Some(NOW) {
            return Err(Error::Invalid("the statement has other parameters than `:now`".to_owned()));
        }
        statement.raw_bind_parameter(at, terms.now_s).map_err(|error| Error::of(&error))?;
    }
    Ok(())
}

/// The least and the most that an amount can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    pub least: i64,
    pub most: i64,
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.least == self.most {
            true => write!(f, "{}", self.least),
            false => write!(f, "{} to {}", self.least, self.most),
        }
    }
}

/// Whether one number lies between the least and the most of each.
pub fn agree(ranges: &[Range]) -> bool {
    let least = ranges.iter().map(|range| range.least).max();
    least <= ranges.iter().map(|range| range.most).min()
}

/// The sorted rows of one side, one of them read ahead.
struct Amounts<'s> {
    connection: &'s Connection,
    rows: rusqlite::Rows<'s>,
    ahead: Option<(String, Range)>,
}

fn merged(
    sides: &[Side<'_>],
    terms: &Terms,
    each: &mut dyn FnMut(&str, &[Range]),
) -> Result<(u64, u64), (usize, Error)> {
    let mut statements = Vec::new();
    for (at, side) in sides.iter().enumerate() {
        statements.push(sorted(side, terms).map_err(|error| (at, error))?);
    }
    let mut amounts = Vec::new();
    for ((at, side), statement) in sides.iter().enumerate().zip(&mut statements) {
        let mut own = Amounts { connection: &side.snapshot.connection, rows: statement.raw_query(), ahead: None };
        own.read().map_err(|error| (at, error))?;
        amounts.push(own);
    }
    let (mut keys, mut count) = (0, 0);
    while let Some(key) = amounts.iter().filter_map(|side| side.ahead.as_ref().map(|(key, _)| key)).min().cloned() {
        let mut ranges = Vec::with_capacity(amounts.len());
        for (at, side) in amounts.iter_mut().enumerate() {
            ranges.push(side.take(&key).map_err(|error| (at, error))?);
        }
        keys += 1;
        if agree(&ranges) {
            continue;
        }
        count += 1;
        each(&key, &ranges);
    }
    Ok((keys, count))
}

/// The statement of a side, in the order of its keys' bytes.
fn sorted<'s>(side: &Side<'s>, terms: &Terms) -> Result<Statement<'s>, Error> {
    let connection = &side.snapshot.connection;
    let sql = side.invariant.statement();
    // By itself first: an error then tells the place in the text that its author wrote.
    bind(&mut connection.prepare_apart(sql)?, terms)?;
    // The line's end closes a comment.
    let mut statement = connection.prepare_apart(&format!("SELECT * FROM (\n{sql}\n) ORDER BY 1 COLLATE BINARY"))?;
    if !(2..=3).contains(&statement.column_count()) {
        return Err(Error::Invalid("the statement of a total has 2 or 3 columns".to_owned()));
    }
    bind(&mut statement, terms)?;
    Ok(statement)
}

impl Amounts<'_> {
    fn read(&mut self) -> Result<(), Error> {
        let row = self.rows.next().map_err(|error| self.connection.explain(&error))?;
        let next = row.map(amount).transpose()?;
        if let (Some((before, _)), Some((key, _))) = (&self.ahead, &next)
            && key.cmp(before) == Ordering::Less
        {
            return Err(Error::Invalid("the keys of the total are not sorted by their bytes".to_owned()));
        }
        self.ahead = next;
        Ok(())
    }

    /// The amount of `key`, which no key that is ahead comes before.
    fn take(&mut self, key: &str) -> Result<Range, Error> {
        let mut sum = Range::default();
        while let Some((_, range)) = self.ahead.as_ref().filter(|(ahead, _)| ahead == key) {
            let too_large =
                || Error::TooLarge(format!("the amounts of `{}` add up to more than 64 bits", shortened(key)));
            sum.least = sum.least.checked_add(range.least).ok_or_else(too_large)?;
            sum.most = sum.most.checked_add(range.most).ok_or_else(too_large)?;
            self.read()?;
        }
        Ok(sum)
    }
}

/// A row of a total: its key and its range.
fn amount(row: &Row<'_>) -> Result<(String, Range), Error> {
    let wrong = |what: &str, value: ValueRef<'_>| Error::Invalid(format!("{what}, not {}", shown(value)));
    let cell = |at: usize| row.get_ref(at).map_err(|error| Error::of(&error));
    let key = match cell(0)? {
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        other => return Err(wrong("the key of a total is a text", other)),
    };
    let integer = |at: usize| match cell(at)? {
        ValueRef::Integer(amount) => Ok(amount),
        other => Err(wrong(&format!("the amount of `{}` is an integer", shortened(&key)), other)),
    };
    let least = integer(1)?;
    let most = if row.as_ref().column_count() > 2 { integer(2)? } else { least };
    if least > most {
        return Err(Error::Invalid(format!("the least of `{}`, {least}, is above its most, {most}", shortened(&key))));
    }
    Ok((key, Range { least, most }))
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(integer) => integer.to_string(),
        ValueRef::Real(real) => real.to_string(),
        ValueRef::Text(text) => shortened(&String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(limits::STORE_VIOLATION_CHARS_SHOWN) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
