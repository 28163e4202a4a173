//! Which columns refer to which rows: by declared keys, and by what names and values say where no key is declared.
//!
//! A reference that is not declared has up to three witnesses: its name, its values, and statements that compare it
//! with its parent's key. One witness alone is a guess. Here: names and values.

use rusqlite::Result;
use serde::Serialize;

use crate::file::Foreign;
use crate::rows::{self, Orphans};
use crate::schema::{Action, Kind, Schema, Table};
use crate::statement::log::Usage;
use crate::statement::text::Column;
use crate::words::words;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reference {
    pub child: String,
    pub columns: Vec<String>,
    pub parent: String,
    /// Beside `columns`.
    pub parent_columns: Vec<String>,
    /// None: a guess, by the witnesses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared: Option<Declared>,
    pub witnesses: Vec<Witness>,
    /// None: the rows were not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<Orphans>,
}

impl Reference {
    /// Whether it is more than a guess: it is declared, or has several witnesses.
    pub fn is_certain(&self) -> bool {
        self.declared.is_some() || self.witnesses.len() > 1
    }

    /// Adds a witness once.
    pub fn witness(&mut self, witness: Witness) {
        if !self.witnesses.contains(&witness) {
            self.witnesses.push(witness);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Declared {
    pub on_delete: Action,
    pub on_update: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Witness {
    /// The column is named after the parent.
    Name,
    /// Nearly all values are keys of the parent.
    Values,
    /// A statement compares the two.
    Statement,
}

/// Words at the end of a column's name that say that it is a key.
const KEY_WORDS: [&str; 5] = ["id", "uuid", "guid", "key", "pk"];
/// Names of keys that say nothing of whose they are.
const GENERIC_KEYS: [&str; 10] = ["id", "uuid", "guid", "key", "pk", "name", "code", "email", "slug", "text"];
/// Values are a witness if at least so many rows refer to something, and at most one in so many has no parent.
const ROWS_MIN: u64 = 5;
const ORPHANS_MAX: u64 = 20;

/// The declared keys that lead to a table, and what looks like one. Without rows: `look_at_rows`.
pub fn references(schema: &Schema) -> Vec<Reference> {
    let mut found: Vec<_> = schema.own().flat_map(|child| declared(schema, child)).collect();
    for child in schema.own().filter(|child| child.kind == Kind::Ordinary) {
        let prefix = shared_prefix(child);
        for column in &child.columns {
            let is_declared = child.foreign_keys.iter().any(|key| key.columns == [column.name.as_str()]);
            if is_declared || column.generated.is_some() {
                continue;
            }
            if let Some((parent, key)) = named(schema, child, &column.name, prefix.as_deref()) {
                found.push(Reference {
                    child: child.name.clone(),
                    columns: vec![column.name.clone()],
                    parent: parent.name.clone(),
                    parent_columns: vec![key.to_owned()],
                    declared: None,
                    witnesses: vec![Witness::Name],
                    rows: None,
                });
            }
        }
    }
    found
}

fn declared(schema: &Schema, child: &Table) -> impl Iterator<Item = Reference> {
    let fits = |key: &&crate::schema::ForeignKey| {
        let columns: Vec<_> = key.parent_columns.iter().map(String::as_str).collect();
        !columns.is_empty() && schema.table(&key.parent).is_some_and(|parent| parent.is_unique(&columns))
    };
    child.foreign_keys.iter().filter(fits).map(|key| Reference {
        child: child.name.clone(),
        columns: key.columns.clone(),
        parent: key.parent.clone(),
        parent_columns: key.parent_columns.clone(),
        declared: Some(Declared { on_delete: key.on_delete, on_update: key.on_update }),
        witnesses: Vec::new(),
        rows: None,
    })
}

/// Looks for orphans of each reference, and calls the values a witness where they are one. `next` hears of each before
/// it is looked at.
///
/// # Errors
/// When the file cannot be read.
pub fn look_at_rows(
    file: &Foreign,
    schema: &Schema,
    references: &mut [Reference],
    mut next: impl FnMut(&Reference),
) -> Result<()> {
    for reference in references {
        next(reference);
        let (Some(child), Some(parent)) = (schema.table(&reference.child), schema.table(&reference.parent)) else {
            continue;
        };
        if compares_by_program(child, &reference.columns) || compares_by_program(parent, &reference.parent_columns) {
            continue;
        }
        let pairs: Vec<_> = reference.columns.iter().zip(&reference.parent_columns).collect();
        reference.rows = rows::orphans(file, child, parent, &pairs)?;
        let agree = |rows: &Orphans| rows.looked_at >= ROWS_MIN && rows.orphans <= rows.looked_at / ORPHANS_MAX;
        if reference.declared.is_none() && reference.rows.as_ref().is_some_and(agree) {
            reference.witness(Witness::Values);
        }
    }
    Ok(())
}

/// Takes what statements hold equal as a witness, where one side is a key. What was not seen before is added.
pub fn hear_statements(schema: &Schema, usage: &Usage, references: &mut Vec<Reference>) {
    for (one, other) in usage.statements.iter().flat_map(|statement| &statement.touched.equalities) {
        let is_key = |(table, column): &Column| schema.table(table).is_some_and(|table| table.is_unique(&[column]));
        let is_known = |child: &Column, parent: &Column, reference: &Reference| {
            (&reference.child, &reference.parent) == (&child.0, &parent.0)
                && (&reference.columns[..], &reference.parent_columns[..])
                    == (&[child.1.clone()][..], &[parent.1.clone()][..])
        };
        let known = references.iter_mut().find(|known| is_known(one, other, known) || is_known(other, one, known));
        if let Some(known) = known {
            known.witness(Witness::Statement);
            continue;
        }
        // Two keys that are equal: either may be the child, and names did not tell.
        let (child, parent) = match (is_key(one), is_key(other)) {
            (_, true) => (one, other),
            (true, false) => (other, one),
            (false, false) => continue,
        };
        references.push(Reference {
            child: child.0.clone(),
            columns: vec![child.1.clone()],
            parent: parent.0.clone(),
            parent_columns: vec![parent.1.clone()],
            declared: None,
            witnesses: vec![Witness::Statement],
            rows: None,
        });
    }
}

/// Whether only the program can compare values of these columns.
fn compares_by_program(table: &Table, columns: &[String]) -> bool {
    columns.iter().filter_map(|name| table.column(name)).any(|column| !column.compares_by_sqlite())
}

/// The table after which a column is named, and its key: the table of which the name has most words.
fn named<'a>(schema: &'a Schema, child: &Table, column: &str, prefix: Option<&str>) -> Option<(&'a Table, &'a str)> {
    let of_column = words(prefix.and_then(|prefix| column.strip_prefix(prefix)).unwrap_or(column));
    let ends_as_key = of_column.last().is_some_and(|last| KEY_WORDS.contains(&last.as_str()));
    let stem = if ends_as_key { of_column.split_last().map_or(&[][..], |(_, stem)| stem) } else { &of_column[..] };
    let is_own_key = matches!(child.primary_key()[..], [key] if key.name == column);
    let declared = &child.column(column)?.declared;
    let mut best: Option<(usize, &Table, &str)> = None;
    for parent in schema.own().filter(|parent| parent.kind == Kind::Ordinary) {
        let [key] = parent.primary_key()[..] else { continue };
        if !may_compare(declared, &key.declared) || (is_own_key && parent.name == child.name) {
            continue;
        }
        let of_parent = words(&parent.name);
        // With a key word, other words may stand before: `billing_address_id`. Without one, only a prefix that all
        // columns of the table share says that this is a name of a table: `rev_page`.
        let after_table = if ends_as_key { stem.ends_with(&of_parent) } else { prefix.is_some() && stem == of_parent };
        let of_key = words(&key.name);
        let is_generic = matches!(&of_key[..], [word] if GENERIC_KEYS.contains(&word.as_str()));
        let after_key = !is_generic && (of_column == of_key || words(column) == of_key) && parent.name != child.name;
        if !stem.is_empty() && after_table || after_key {
            let length = of_parent.len();
            if best.is_none_or(|(longest, ..)| length > longest) {
                best = Some((length, parent, &key.name));
            }
        }
    }
    best.filter(|_| !is_own_key || !ends_as_own(child, column)).map(|(_, parent, key)| (parent, key))
}

/// Whether a key is named after its own table: it refers to nothing.
fn ends_as_own(child: &Table, column: &str) -> bool {
    let (of_table, of_column) = (words(&child.name), words(column));
    of_column.split_last().is_some_and(|(_, stem)| stem.is_empty() || of_table.ends_with(stem))
}

/// Whether two declared types may hold the same values: numbers are no texts.
fn may_compare(one: &str, other: &str) -> bool {
    let is_text = |declared: &str| {
        let declared = declared.to_ascii_lowercase();
        ["char", "clob", "text", "uuid"].iter().any(|word| declared.contains(word))
    };
    one.is_empty() || other.is_empty() || is_text(one) == is_text(other)
}

/// What the names of all columns of a table begin with, up to `_`: `rev_`.
fn shared_prefix(table: &Table) -> Option<String> {
    let (first, others) = table.columns.split_first()?;
    let prefix = first.name.split_inclusive('_').next().filter(|prefix| prefix.ends_with('_') && prefix.len() > 1)?;
    let all = others.len() >= 2 && others.iter().all(|column| column.name.starts_with(prefix));
    all.then(|| prefix.to_owned())
}
