//! What is declared in a file: tables, indexes, keys, views, triggers. Names are as they are spelled there.
//!
//! Not here: what is in the rows, and what follows from the declarations (`difficulty`, `references`).

mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::name;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Schema {
    /// In the order of their names.
    pub tables: Vec<Table>,
    pub views: Vec<View>,
    pub triggers: Vec<Trigger>,
}

impl Schema {
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| name::is_same(&table.name, name))
    }

    /// Whether a table, a column or a view has this name.
    pub fn has_name(&self, name: &str) -> bool {
        self.tables.iter().any(|table| name::is_same(&table.name, name) || table.column(name).is_some())
            || self.views.iter().any(|view| name::is_same(&view.name, name))
    }

    /// The tables that a trigger or a view names in its text.
    pub fn named_in(&self, sql: &str) -> BTreeSet<String> {
        let text = name::folded(sql);
        let words: BTreeSet<_> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let named =
            |table: &&Table| words.contains(name::folded(&table.name).as_str()) || text.contains(&quoted(table));
        self.own().filter(named).map(|table| table.name.clone()).collect()
    }

    /// The tables that a program made itself: no shadow of a virtual table.
    pub fn own(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter().filter(|table| table.kind != Kind::Shadow)
    }
}

/// A name of several words stands in quotes.
fn quoted(table: &Table) -> String {
    name::folded(&name::quoted(&table.name))
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Ordinary,
    /// Of this module, such as `fts5`.
    Virtual {
        module: String,
    },
    /// In which a virtual table keeps its rows.
    Shadow,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    pub name: String,
    pub kind: Kind,
    pub is_strict: bool,
    /// False: `WITHOUT ROWID`.
    pub has_rowid: bool,
    pub has_autoincrement: bool,
    pub columns: Vec<Column>,
    pub indexes: Vec<Index>,
    pub foreign_keys: Vec<ForeignKey>,
    /// As it was made.
    pub sql: String,
}

impl Table {
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| name::is_same(&column.name, name))
    }

    /// The columns of the primary key, in its order.
    pub fn primary_key(&self) -> Vec<&Column> {
        let mut key: Vec<_> = self.columns.iter().filter(|column| column.key_position > 0).collect();
        key.sort_by_key(|column| column.key_position);
        key
    }

    /// The column that is the rowid itself: the only one of the primary key, declared as `INTEGER`.
    pub fn rowid_column(&self) -> Option<&Column> {
        match self.primary_key()[..] {
            // `INTEGER PRIMARY KEY DESC` has an index of its own, and is none.
            [column] if self.has_rowid && name::is_same(&column.declared, "INTEGER") => {
                let indexed = self.indexes.iter().any(|index| index.origin == Origin::PrimaryKey);
                (!indexed).then_some(column)
            }
            _ => None,
        }
    }

    /// Whether no two rows have the same values there: they are the primary key, or a unique index has exactly these.
    pub fn is_unique(&self, columns: &[&str]) -> bool {
        let same = |names: &[&str]| {
            names.len() == columns.len()
                && names.iter().all(|one| columns.iter().any(|other| name::is_same(one, other)))
        };
        let key: Vec<_> = self.primary_key().iter().map(|column| column.name.as_str()).collect();
        let whole = |index: &Index| {
            let names: Option<Vec<_>> = index.columns.iter().map(|column| column.name.as_deref()).collect();
            index.is_unique && !index.is_partial && names.is_some_and(|names| same(&names))
        };
        same(&key) || self.indexes.iter().any(whole)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    pub name: String,
    /// The type as declared; empty: none.
    pub declared: String,
    pub not_null: bool,
    /// From 1 on; 0: not in the primary key.
    pub key_position: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generated: Option<Generated>,
    /// `BINARY` unless declared otherwise.
    pub collation: String,
}

impl Column {
    /// Whether SQLite itself has the collation of the column.
    pub fn compares_by_sqlite(&self) -> bool {
        is_own_collation(&self.collation)
    }
}

/// Whether SQLite itself has a collation of this name.
pub fn is_own_collation(name: &str) -> bool {
    ["BINARY", "NOCASE", "RTRIM"].iter().any(|own| name::is_same(own, name))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Generated {
    Virtual,
    Stored,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Index {
    pub name: String,
    pub is_unique: bool,
    pub is_partial: bool,
    pub origin: Origin,
    pub columns: Vec<Indexed>,
    /// None: a constraint of the table made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
}

/// What made an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    CreateIndex,
    Unique,
    PrimaryKey,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Indexed {
    /// None: an expression.
    pub name: Option<String>,
    pub collation: String,
}

/// A reference that the schema declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForeignKey {
    pub columns: Vec<String>,
    /// As the parent itself spells its name, if it is there.
    pub parent: String,
    /// Beside `columns`. Empty: the parent has no such key, or is not there.
    pub parent_columns: Vec<String>,
    pub on_delete: Action,
    pub on_update: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    NoAction,
    Restrict,
    SetNull,
    SetDefault,
    Cascade,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    pub name: String,
    pub sql: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trigger {
    pub name: String,
    /// The table or view whose changes fire it.
    pub on: String,
    pub sql: String,
}
