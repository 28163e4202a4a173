//! What the rows of a table say: how many there are, how large, and whose parent is missing. Never a value.
//!
//! Each question has a time; one that does not end within it is asked of a sample, and its answer says so.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Result, Row};
use serde::Serialize;

use crate::file::Foreign;
use crate::limits;
use crate::name::quoted;
use crate::schema::Table;

/// How many rows a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Count {
    Exact(u64),
    /// As many as the rowids leave room for: counting them took too long.
    AtMost(u64),
    /// Counting them took too long.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Size {
    pub rows: Count,
    /// With the indexes. None: adding them up took too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// Children whose parent is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Orphans {
    /// Rows that refer to something, among those looked at.
    pub looked_at: u64,
    pub orphans: u64,
    /// Not all rows were looked at: it would have taken too long.
    pub is_sample: bool,
}

/// Counts the rows of a table.
///
/// # Errors
/// When the file cannot be read.
pub fn count(file: &Foreign, table: &Table) -> Result<Count> {
    let name = quoted(&table.name);
    let all = || file.connection.query_row(&format!("SELECT count(*) FROM {name}"), [], |row| number(row, 0));
    if let Some(count) = file.in_time(all)? {
        return Ok(Count::Exact(count));
    }
    Ok(range(&file.connection, table)?.map_or(Count::Unknown, |(first, last)| Count::AtMost(last.abs_diff(first) + 1)))
}

/// The first and the last rowid. None: no rows, or no rowids.
fn range(connection: &Connection, table: &Table) -> Result<Option<(i64, i64)>> {
    let Some(rowid) = rowid_name(table) else { return Ok(None) };
    let name = quoted(&table.name);
    // Two questions: SQLite looks each of them up, and would scan for both at once.
    let end = |which: &str| {
        connection.query_row(&format!("SELECT {which}({rowid}) FROM {name}"), [], |row| row.get::<_, Option<i64>>(0))
    };
    Ok(end("min")?.zip(end("max")?))
}

/// A name of the rowid that no column has.
fn rowid_name(table: &Table) -> Option<&'static str> {
    ["rowid", "_rowid_", "oid"].into_iter().find(|name| table.has_rowid && table.column(name).is_none())
}

/// The bytes of the pages of each table with its indexes, by the table's name. None: adding them up took too long.
///
/// # Errors
/// When the file cannot be read.
pub fn bytes(file: &Foreign) -> Result<Option<BTreeMap<String, u64>>> {
    let sql = "SELECT s.tbl_name, sum(d.pgsize) FROM dbstat AS d JOIN sqlite_schema AS s ON s.name = d.name \
               WHERE d.aggregate = 1 GROUP BY s.tbl_name";
    file.in_time(|| {
        let mut statement = file.connection.prepare(sql)?;
        statement.query_map([], |row| Ok((row.get(0)?, number(row, 1)?)))?.collect()
    })
}

/// Looks for rows of `child` whose parent is missing. `pairs`: the child's columns, each beside the parent's column,
/// which are together unique in `parent`.
///
/// # Errors
/// When the file cannot be read.
pub fn orphans(file: &Foreign, child: &Table, parent: &Table, pairs: &[(&String, &String)]) -> Result<Option<Orphans>> {
    let refers: Vec<_> = pairs.iter().map(|(column, _)| format!("c.{} IS NOT NULL", quoted(column))).collect();
    let same: Vec<_> = pairs.iter().map(|(column, key)| format!("p.{} = c.{}", quoted(key), quoted(column))).collect();
    let question = |rows: &str| {
        format!(
            "SELECT count(*), coalesce(sum(NOT EXISTS (SELECT 1 FROM {} AS p WHERE {})), 0) FROM {rows} AS c WHERE {}",
            quoted(&parent.name),
            same.join(" AND "),
            refers.join(" AND ")
        )
    };
    let counts = |row: &Row<'_>| Ok((number(row, 0)?, number(row, 1)?));
    let name = quoted(&child.name);
    let all = || file.connection.query_row(&question(&name), [], counts);
    if let Some((looked_at, orphans)) = file.in_time(all)? {
        return Ok(Some(Orphans { looked_at, orphans, is_sample: false }));
    }
    let (Some(rowid), Some((first, last))) = (rowid_name(child), range(&file.connection, child)?) else {
        return Ok(None);
    };
    let some = format!("(SELECT * FROM {name} WHERE {rowid} >= ?1 ORDER BY {rowid} LIMIT {})", SAMPLE_AT_ONE_PLACE);
    file.in_time(|| {
        let mut statement = file.connection.prepare(&question(&some))?;
        let mut sum = Orphans { looked_at: 0, orphans: 0, is_sample: true };
        let step = (last.abs_diff(first) / limits::SAMPLE_PLACES).max(SAMPLE_AT_ONE_PLACE);
        for place in 0..limits::SAMPLE_PLACES {
            let Some(at) = first.checked_add_unsigned(place * step).filter(|at| *at <= last) else { break };
            if let Some((looked_at, orphans)) = statement.query_row([at], counts).optional()? {
                sum.looked_at += looked_at;
                sum.orphans += orphans;
            }
        }
        Ok(sum)
    })
}

/// A count, or a sum of bytes.
fn number(row: &Row<'_>, at: usize) -> Result<u64> {
    Ok(row.get::<_, i64>(at)?.cast_unsigned())
}

const SAMPLE_AT_ONE_PLACE: u64 = limits::SAMPLE_ROWS / limits::SAMPLE_PLACES;
