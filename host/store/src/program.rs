//! What SQLite has compiled a statement to: whether running it can end the transaction, whether it does the same when
//! it is run again, and which tables it reads.
//!
//! SQLite asks the authorizer about BEGIN, COMMIT and ROLLBACK, but not about what a statement does when a constraint
//! fails: `OR ROLLBACK`, `ON CONFLICT ROLLBACK` and `RAISE (ROLLBACK, ...)`, in the statement or in a trigger that it
//! sets off, would undo the other transactions that share the commit. The program has all of that in it, however the
//! text was written. Not here: the schema (`confine`), the wall behind this one (`Lease::was_lost`).

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};

/// SQLite's number for `ROLLBACK` as the way to resolve a failed constraint.
const ROLLBACK: i64 = 1;

/// Whether the program of `sql` can end the transaction in which it runs. SQLite compiles it once more for that, and
/// runs nothing.
///
/// # Errors
/// When SQLite does not compile it.
pub(super) fn ends_transaction(sqlite: &Connection, sql: &str) -> rusqlite::Result<bool> {
    // The blank ends the word, so what follows has the same tokens as before. The list has the programs of triggers
    // too.
    let mut explained = sqlite.prepare(&format!("EXPLAIN {sql}"))?;
    let mut steps = explained.raw_query();
    while let Some(step) = steps.next()? {
        let (p2, p5): (i64, i64) = (step.get(3)?, step.get(6)?);
        let ends = match step.get_ref(1)?.as_str().unwrap_or_default() {
            // All three that set how a failure is resolved.
            "Halt" | "HaltIfNull" => p2 == ROLLBACK,
            "VUpdate" => p5 == ROLLBACK,
            // The authorizer refuses most of these before.
            "AutoCommit" | "Savepoint" | "Vacuum" | "IncrVacuum" | "JournalMode" | "Checkpoint" => true,
            _ => false,
        };
        if ends {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Functions whose value may be another one when the statement is run again: those of time, too, since they may be
/// asked for the present one, and those of the statement before, which may have been undone.
const VOLATILE: &[&str] = &[
    "changes",
    "current_date",
    "current_time",
    "current_timestamp",
    "date",
    "datetime",
    "julianday",
    "last_insert_rowid",
    "random",
    "randomblob",
    "strftime",
    "time",
    "timediff",
    "total_changes",
    "unixepoch",
];

/// A function in the program of `sql`, or in a trigger that it sets off, whose value may be another one when the same
/// statements are run again from the same state of the file.
///
/// # Errors
/// When SQLite does not compile it.
pub(super) fn volatile_function(sqlite: &Connection, sql: &str) -> rusqlite::Result<Option<String>> {
    let mut explained = sqlite.prepare(&format!("EXPLAIN {sql}"))?;
    let mut steps = explained.raw_query();
    while let Some(step) = steps.next()? {
        if !matches!(step.get_ref(1)?.as_str().unwrap_or_default(), "Function" | "PureFunc") {
            continue;
        }
        // `random(0)`: the name and the number of arguments.
        let function = step.get_ref(5)?.as_str().unwrap_or_default();
        let name = function.split('(').next().unwrap_or_default();
        if VOLATILE.contains(&name) {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}

/// The tables of the file that the program of `sql` reads, also by their indexes alone. Virtual tables are left out.
///
/// # Errors
/// When SQLite does not compile it.
pub(super) fn tables_read(sqlite: &Connection, sql: &str) -> rusqlite::Result<BTreeSet<String>> {
    /// SQLite's number for the file itself, as opposed to what it keeps in memory.
    const MAIN: i64 = 0;
    let mut explained = sqlite.prepare(&format!("EXPLAIN {sql}"))?;
    let mut steps = explained.raw_query();
    let mut roots = BTreeSet::new();
    while let Some(step) = steps.next()? {
        let (opcode, root, file): (String, i64, i64) = (step.get(1)?, step.get(3)?, step.get(4)?);
        if matches!(opcode.as_str(), "OpenRead" | "ReopenIdx") && file == MAIN {
            roots.insert(root);
        }
    }
    let mut named = sqlite.prepare("SELECT tbl_name FROM sqlite_schema WHERE rootpage = ?1")?;
    let names = roots.into_iter().map(|root| named.query_row([root], |row| row.get(0)).optional());
    names.filter_map(Result::transpose).collect()
}

/// The first table or view of the schema for which a plain INSERT, UPDATE or DELETE can end the transaction: because of
/// a constraint of it, or of a trigger.
pub(super) fn ending_table(sqlite: &Connection) -> rusqlite::Result<Option<String>> {
    let names =
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let names: Vec<String> = sqlite.prepare(names)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for name in names {
        // Columns that a statement can set: neither generated nor hidden.
        let columns = "SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0";
        let mut columns = match sqlite
            .prepare(columns)
            .and_then(|mut of| of.query_map([&name], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>())
        {
            Ok(columns) => columns,
            // A view of a table that is gone.
            Err(_) => continue,
        };
        columns.iter_mut().for_each(|column| *column = quoted(column));
        let table = quoted(&name);
        let set = columns.iter().map(|column| format!("{column} = ?")).collect::<Vec<_>>().join(", ");
        let values = vec!["?"; columns.len()].join(", ");
        for sql in [
            format!("INSERT INTO {table} ({}) VALUES ({values})", columns.join(", ")),
            format!("UPDATE {table} SET {set}"),
            format!("DELETE FROM {table}"),
        ] {
            // What SQLite does not compile, it does not run: a view without a trigger, a shadow table.
            if ends_transaction(sqlite, &sql).unwrap_or(false) {
                return Ok(Some(name));
            }
        }
    }
    Ok(None)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
