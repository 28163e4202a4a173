//! An empty copy of a schema, in memory. Statements are prepared there, to learn what they would touch.
//!
//! What only the program has, its functions, collations and modules, is put in place of as far as it is asked for, and
//! remembered: nothing here computes with it.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::functions::FunctionFlags;
use rusqlite::types::Null;
use rusqlite::{Connection, Result};
use serde::Serialize;

use crate::limits;
use crate::name::{folded, quoted};
use crate::schema::{Kind, Schema, Table, is_own_collation};

/// What a schema takes from the program that made it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Program {
    /// Lower case.
    pub functions: BTreeSet<String>,
    pub collations: BTreeSet<String>,
    pub modules: BTreeSet<String>,
}

pub struct Blank {
    pub connection: Connection,
    pub program: Program,
    /// What cannot be made or used as it is declared, and what SQLite says of it: a view of a table that is gone.
    pub broken: BTreeMap<String, String>,
}

impl Blank {
    /// Makes the copy, and has every view read and every trigger compiled once.
    ///
    /// # Errors
    /// When there is no memory.
    pub fn of(schema: &Schema) -> Result<Self> {
        let connection = Connection::open_in_memory()?;
        // As in the file: an unknown function there does not keep SQLite from opening it.
        connection.pragma_update(None, "foreign_keys", false)?;
        let mut blank = Self { connection, program: Program::default(), broken: BTreeMap::new() };
        for table in schema.own() {
            blank.table(table)?;
        }
        let indexes = schema.own().flat_map(|table| &table.indexes);
        let made = indexes.filter_map(|index| Some((&index.name, index.sql.as_ref()?)));
        let made = made.chain(schema.views.iter().map(|view| (&view.name, &view.sql)));
        for (name, sql) in made.chain(schema.triggers.iter().map(|trigger| (&trigger.name, &trigger.sql))) {
            blank.make(name, sql)?;
        }
        for view in &schema.views {
            blank.use_once(&view.name, &format!("SELECT * FROM {}", quoted(&view.name)))?;
        }
        let on: BTreeSet<_> = schema.triggers.iter().map(|trigger| folded(&trigger.on)).collect();
        for name in on {
            blank.fire(schema, &name)?;
        }
        blank.collations_of_columns(schema);
        Ok(blank)
    }

    fn table(&mut self, table: &Table) -> Result<()> {
        if let Kind::Virtual { module } = &table.kind
            && !self.has_module(module)?
        {
            self.program.modules.insert(module.clone());
            let columns: Vec<_> = table.columns.iter().map(|column| quoted(&column.name)).collect();
            return self.make(&table.name, &format!("CREATE TABLE {}({})", quoted(&table.name), columns.join(", ")));
        }
        self.make(&table.name, &table.sql)
    }

    fn has_module(&self, module: &str) -> Result<bool> {
        let sql = "SELECT count(*) FROM pragma_module_list WHERE name = ?1 COLLATE NOCASE";
        self.connection.query_row(sql, [module], |row| row.get(0))
    }

    fn make(&mut self, name: &str, sql: &str) -> Result<()> {
        let made = self.with_stubs(|connection| connection.execute_batch(sql))?;
        self.note(name, made);
        Ok(())
    }

    fn use_once(&mut self, name: &str, sql: &str) -> Result<()> {
        let used = self.with_stubs(|connection| connection.prepare(sql).map(drop))?;
        self.note(name, used);
        Ok(())
    }

    /// Compiles every trigger on a table or view.
    fn fire(&mut self, schema: &Schema, name: &str) -> Result<()> {
        let on = quoted(name);
        let columns: Vec<_> = match schema.table(name) {
            Some(table) => {
                table.columns.iter().filter(|column| column.generated.is_none()).map(|c| c.name.clone()).collect()
            }
            None => self.columns_of_view(name),
        };
        let set: Vec<_> = columns.iter().map(|column| format!("{0} = {0}", quoted(column))).collect();
        for sql in [
            format!("INSERT INTO {on} DEFAULT VALUES"),
            format!("UPDATE {on} SET {}", set.join(", ")),
            format!("DELETE FROM {on}"),
        ] {
            // A view without such a trigger refuses it: that is no fault.
            let fired = self.with_stubs(|connection| connection.prepare(&sql).map(drop))?;
            let is_view = schema.table(name).is_none();
            if !is_view {
                self.note(name, fired);
            }
        }
        Ok(())
    }

    fn columns_of_view(&self, name: &str) -> Vec<String> {
        let read = self.connection.prepare(&format!("SELECT * FROM {}", quoted(name)));
        read.map_or_else(|_| Vec::new(), |statement| statement.column_names().map(str::to_owned).collect())
    }

    /// Tries until nothing of the program is missing.
    pub(crate) fn with_stubs(
        &mut self,
        what: impl Fn(&Connection) -> Result<()>,
    ) -> Result<std::result::Result<(), String>> {
        for _ in 0..limits::PROGRAM_NAMES_MAX {
            let Err(error) = what(&self.connection) else { return Ok(Ok(())) };
            let text = said(&error);
            if let Some(function) = after(&text, &["no such function: ", "unknown function: "]) {
                let function = folded(function.trim_end_matches("()"));
                if !self.program.functions.insert(function.clone()) {
                    return Ok(Err(text));
                }
                let flags =
                    FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
                self.connection.create_scalar_function(function.as_str(), -1, flags, |_| Ok(Null))?;
            } else if let Some(collation) = after(&text, &["no such collation sequence: "]) {
                if !self.program.collations.insert(collation.to_owned()) {
                    return Ok(Err(text));
                }
                self.connection.create_collation(collation, |one, other| one.cmp(other))?;
            } else {
                return Ok(Err(text));
            }
        }
        Ok(Err(format!("more than {} functions and collations of the program", limits::PROGRAM_NAMES_MAX)))
    }

    fn note(&mut self, name: &str, outcome: std::result::Result<(), String>) {
        if let Err(text) = outcome {
            self.broken.entry(name.to_owned()).or_insert(text);
        }
    }

    fn collations_of_columns(&mut self, schema: &Schema) {
        let columns = schema.own().flat_map(|table| {
            let indexed = table.indexes.iter().flat_map(|index| &index.columns).map(|indexed| &indexed.collation);
            table.columns.iter().map(|column| &column.collation).chain(indexed)
        });
        let names: BTreeSet<_> = columns.filter(|name| !is_own_collation(name)).cloned().collect();
        self.program.collations.extend(names);
    }
}

/// SQLite's words, without the statement.
fn said(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

fn after<'a>(text: &'a str, beginnings: &[&str]) -> Option<&'a str> {
    beginnings.iter().find_map(|beginning| text.find(beginning).and_then(|at| text.get(at + beginning.len()..)))
}
