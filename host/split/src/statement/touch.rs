//! What a statement touches: every table and column, also through views, triggers and foreign keys.
//!
//! SQLite says it itself: it asks an authorizer for each while it compiles a statement (sqlite3_set_authorizer). What
//! it does not say is added from the text: the columns of an `INSERT`, the rows that `REPLACE` deletes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use serde::Serialize;

use super::text::{Column, Text};
use crate::blank::Blank;
use crate::name::{is_same, quoted};
use crate::schema::Schema;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Touch {
    pub table: String,
    /// None: the row as a whole, as in `count(*)` and `DELETE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    pub act: Act,
    pub by: By,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    Read,
    Insert,
    Update,
    Delete,
}

impl Act {
    pub fn writes(self) -> bool {
        self != Self::Read
    }
}

/// What has a statement touch something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// Its own text.
    Statement,
    View(String),
    Trigger(String),
    /// SQLite checks a reference, or follows it (`CASCADE`, `SET NULL`).
    ForeignKey,
}

/// What one statement touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Touched {
    pub touches: BTreeSet<Touch>,
    /// Columns of two tables that it holds equal.
    pub equalities: Vec<(Column, Column)>,
}

impl Touched {
    /// What its own text and views touch, and not what keys and triggers add.
    pub fn own(&self) -> impl Iterator<Item = &Touch> {
        self.touches.iter().filter(|touch| matches!(touch.by, By::Statement | By::View(_)))
    }
}

impl Blank {
    /// Compiles a statement, and does not run it.
    ///
    /// # Errors
    /// With SQLite's words, when it cannot be compiled on this schema.
    pub fn touched(&mut self, schema: &Schema, sql: &str) -> Result<Touched, String> {
        let text = Text::of(sql);
        let mut own = self.compiled(schema, sql, false)?;
        let of_keys = self.of_keys(schema, sql, &own)?;
        own.extend(of_keys);
        let inserted: Vec<_> =
            own.iter().filter(|touch| touch.act == Act::Insert && touch.by == By::Statement).cloned().collect();
        for touch in inserted {
            let Some(table) = schema.table(&touch.table) else { continue };
            let named = text.inserted();
            let is_named = |name: &str| named.as_ref().is_none_or(|named| named.iter().any(|one| is_same(one, name)));
            let columns = table.columns.iter().filter(|column| column.generated.is_none() && is_named(&column.name));
            own.extend(columns.map(|column| Touch { column: Some(column.name.clone()), ..touch.clone() }));
            if text.replaces() {
                // References to the deleted row are followed as if it were deleted by itself.
                let delete = format!("DELETE FROM {}", quoted(&touch.table));
                let deleted = self.compiled(schema, &delete, false)?;
                own.extend(self.of_keys(schema, &delete, &deleted)?);
                own.insert(Touch { act: Act::Delete, column: None, ..touch });
            }
        }
        Ok(Touched { touches: own, equalities: text.equalities(schema) })
    }

    /// What is touched beside `own` while foreign keys are on.
    fn of_keys(&mut self, schema: &Schema, sql: &str, own: &BTreeSet<Touch>) -> Result<Vec<Touch>, String> {
        let with_keys = self.compiled(schema, sql, true)?;
        Ok(with_keys.difference(own).map(|touch| Touch { by: By::ForeignKey, ..touch.clone() }).collect())
    }

    fn compiled(&mut self, schema: &Schema, sql: &str, foreign_keys: bool) -> Result<BTreeSet<Touch>, String> {
        self.connection.pragma_update(None, "foreign_keys", foreign_keys).map_err(|error| error.to_string())?;
        let seen = Arc::new(Mutex::new(BTreeSet::new()));
        let (see, triggers) = (seen.clone(), schema.triggers.clone());
        let by = move |accessor: Option<&str>| match accessor {
            None => By::Statement,
            Some(name) if triggers.iter().any(|trigger| is_same(&trigger.name, name)) => By::Trigger(name.to_owned()),
            Some(name) => By::View(name.to_owned()),
        };
        let authorizer = move |context: AuthContext<'_>| {
            let (table, column, act) = match context.action {
                AuthAction::Read { table_name, column_name } => (table_name, Some(column_name), Act::Read),
                AuthAction::Insert { table_name } => (table_name, None, Act::Insert),
                AuthAction::Update { table_name, column_name } => (table_name, Some(column_name), Act::Update),
                AuthAction::Delete { table_name } => (table_name, None, Act::Delete),
                _ => return Authorization::Allow,
            };
            let column = column.filter(|column| !column.is_empty()).map(str::to_owned);
            let touch = Touch { table: table.to_owned(), column, act, by: by(context.accessor) };
            see.lock().unwrap_or_else(PoisonError::into_inner).insert(touch);
            Authorization::Allow
        };
        self.connection.authorizer(Some(authorizer)).map_err(|error| error.to_string())?;
        let compiled = self.with_stubs(|connection| connection.prepare(sql).map(drop));
        let ended = self.connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>);
        ended.map_err(|error| error.to_string())?;
        compiled.map_err(|error| error.to_string())?.map_err(|said| without_tokens(&said))?;
        let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(seen.into_iter().filter(|touch| !touch.table.starts_with("sqlite_")).collect())
    }
}

/// SQLite's words without the part of the statement that some of them have: it may be a value.
fn without_tokens(said: &str) -> String {
    let keeps_names = said.starts_with("no such ") || said.starts_with("ambiguous column name");
    match said.split_once('"').zip(said.rsplit_once('"')) {
        Some(((before, _), (_, after))) if !keeps_names => {
            let words = format!("{} {}", before.trim_end().trim_end_matches("near"), after.trim_start_matches(": "));
            words.trim().trim_end_matches(':').to_owned()
        }
        _ => said.to_owned(),
    }
}
