//! A schema, as SQLite itself reports it.

use rusqlite::{Connection, Result, Row};

use super::{Action, Column, ForeignKey, Generated, Index, Indexed, Kind, Origin, Schema, Table, Trigger, View};
use crate::name;

impl Schema {
    /// Reads the schema in one transaction.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(connection: &Connection) -> Result<Self> {
        let transaction = connection.unchecked_transaction()?;
        let mut tables = all(
            &transaction,
            "SELECT l.name, l.type, l.strict, l.wr, coalesce(s.sql, '') FROM pragma_table_list AS l \
             JOIN sqlite_schema AS s ON s.type = 'table' AND s.name = l.name \
             WHERE l.schema = 'main' AND l.type <> 'view' AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY l.name",
            [],
            table,
        )?;
        for table in &mut tables {
            table.columns = columns(&transaction, &table.name)?;
            table.indexes = indexes(&transaction, &table.name)?;
            table.has_autoincrement = has_autoincrement(&transaction, table)?;
        }
        let keys = tables.iter().map(|table| foreign_keys(&transaction, &table.name, &tables));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        for (table, keys) in tables.iter_mut().zip(keys) {
            table.foreign_keys = keys;
        }
        let views = all(
            &transaction,
            "SELECT name, coalesce(sql, '') FROM sqlite_schema WHERE type = 'view' ORDER BY name",
            [],
            |row| Ok(View { name: row.get(0)?, sql: row.get(1)? }),
        )?;
        let triggers = all(
            &transaction,
            "SELECT name, tbl_name, coalesce(sql, '') FROM sqlite_schema WHERE type = 'trigger' ORDER BY name",
            [],
            |row| Ok(Trigger { name: row.get(0)?, on: row.get(1)?, sql: row.get(2)? }),
        )?;
        Ok(Self { tables, views, triggers })
    }
}

fn all<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    connection.prepare(sql)?.query_map(parameters, read)?.collect()
}

fn table(row: &Row<'_>) -> Result<Table> {
    let (kind, sql): (String, String) = (row.get(1)?, row.get(4)?);
    Ok(Table {
        name: row.get(0)?,
        kind: match kind.as_str() {
            "virtual" => Kind::Virtual { module: module(&sql) },
            "shadow" => Kind::Shadow,
            _ => Kind::Ordinary,
        },
        is_strict: row.get(2)?,
        has_rowid: !row.get::<_, bool>(3)?,
        has_autoincrement: false,
        columns: Vec::new(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        sql,
    })
}

/// The module of `CREATE VIRTUAL TABLE name USING module(...)`.
fn module(sql: &str) -> String {
    let using = sql.to_ascii_lowercase().find(" using ").map(|at| at + " using ".len());
    let after = using.and_then(|at| sql.get(at..)).unwrap_or_default().trim_start();
    after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<Column>> {
    let mut columns =
        all(connection, "SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?1)", [table], |row| {
            Ok(Column {
                name: row.get(0)?,
                declared: row.get(1)?,
                not_null: row.get(2)?,
                key_position: row.get(3)?,
                generated: match row.get(4)? {
                    2 => Some(Generated::Virtual),
                    3 => Some(Generated::Stored),
                    _ => None,
                },
                collation: String::new(),
            })
        })?;
    for column in &mut columns {
        // It knows columns of tables alone, and a virtual table's have none.
        let known = connection.column_metadata(None, table, column.name.as_str());
        let collation = known.ok().and_then(|(_, collation, ..)| Some(collation?.to_string_lossy().into_owned()));
        column.collation = collation.unwrap_or_else(|| "BINARY".to_owned());
    }
    Ok(columns)
}

fn has_autoincrement(connection: &Connection, table: &Table) -> Result<bool> {
    let Some(column) = table.rowid_column() else { return Ok(false) };
    connection.column_metadata(None, table.name.as_str(), column.name.as_str()).map(|(.., autoincrement)| autoincrement)
}

fn indexes(connection: &Connection, table: &str) -> Result<Vec<Index>> {
    let mut indexes = all(
        connection,
        "SELECT l.name, l.\"unique\", l.origin, l.partial, s.sql FROM pragma_index_list(?1) AS l \
         LEFT JOIN sqlite_schema AS s ON s.type = 'index' AND s.name = l.name ORDER BY l.name",
        [table],
        |row| {
            let origin: String = row.get(2)?;
            Ok(Index {
                name: row.get(0)?,
                is_unique: row.get(1)?,
                is_partial: row.get(3)?,
                origin: match origin.as_str() {
                    "u" => Origin::Unique,
                    "pk" => Origin::PrimaryKey,
                    _ => Origin::CreateIndex,
                },
                columns: Vec::new(),
                sql: row.get(4)?,
            })
        },
    )?;
    for index in &mut indexes {
        index.columns = all(
            connection,
            "SELECT name, coalesce(coll, 'BINARY') FROM pragma_index_xinfo(?1) WHERE key = 1 ORDER BY seqno",
            [&index.name],
            |row| Ok(Indexed { name: row.get(0)?, collation: row.get(1)? }),
        )?;
    }
    Ok(indexes)
}

fn foreign_keys(connection: &Connection, table: &str, tables: &[Table]) -> Result<Vec<ForeignKey>> {
    // One row for each column of a key; SQLite numbers the keys from the last one to the first.
    let rows = all(
        connection,
        "SELECT id, \"table\", \"from\", \"to\", on_delete, on_update FROM pragma_foreign_key_list(?1) \
         ORDER BY id DESC, seq",
        [table],
        |row| {
            let names: (i64, String, String, Option<String>) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            let actions: (String, String) = (row.get(4)?, row.get(5)?);
            Ok((names, action(&actions.0), action(&actions.1)))
        },
    )?;
    let mut keys = Vec::new();
    for of_key in rows.chunk_by(|one, next| one.0.0 == next.0.0) {
        let Some(((_, parent, ..), on_delete, on_update)) = of_key.first() else { continue };
        let found = tables.iter().find(|table| name::is_same(&table.name, parent));
        let named: Option<Vec<&str>> = of_key.iter().map(|((.., to), ..)| to.as_deref()).collect();
        keys.push(ForeignKey {
            columns: of_key.iter().map(|((_, _, from, _), ..)| from.clone()).collect(),
            parent: found.map_or_else(|| parent.clone(), |table| table.name.clone()),
            parent_columns: found.map_or_else(Vec::new, |table| parent_columns(table, named, of_key.len())),
            on_delete: *on_delete,
            on_update: *on_update,
        });
    }
    Ok(keys)
}

/// The columns that a key refers to: those it names, or else the parent's primary key. Empty: not that many, or not
/// there.
fn parent_columns(parent: &Table, named: Option<Vec<&str>>, count: usize) -> Vec<String> {
    let columns = match named {
        Some(names) => names.into_iter().map(|name| parent.column(name)).collect(),
        None => Some(parent.primary_key()),
    };
    let columns = columns.filter(|columns| columns.len() == count).unwrap_or_default();
    columns.into_iter().map(|column| column.name.clone()).collect()
}

fn action(text: &str) -> Action {
    match text {
        "RESTRICT" => Action::Restrict,
        "SET NULL" => Action::SetNull,
        "SET DEFAULT" => Action::SetDefault,
        "CASCADE" => Action::Cascade,
        _ => Action::NoAction,
    }
}
