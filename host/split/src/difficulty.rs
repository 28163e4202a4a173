//! What makes a table hard to move, by its declarations alone.
//!
//! Not here: what only rows can say (orphans), and what only statements can say (who uses it).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::blank::Program;
use crate::name::{folded, is_same};
use crate::schema::{Kind, Schema, Table};

/// Columns that mark a row as deleted while it stays.
const SOFT_DELETES: &[&str] = &[
    "deleted",
    "deleted_at",
    "deleted_on",
    "is_deleted",
    "isdeleted",
    "date_deleted",
    "tombstone",
    "archived_at",
    "removed_at",
];

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Difficulty {
    NoPrimaryKey,
    /// The primary key is one column, and not the rowid, which is then a second key that a copy may change.
    KeyBesideRowid {
        column: String,
    },
    CompositeKey {
        columns: Vec<String>,
    },
    WithoutRowid,
    RefersToItself {
        columns: Vec<String>,
    },
    /// These tables refer to each other, each to the next one and the last to the first.
    Circle {
        tables: Vec<String>,
    },
    ParentIsMissing {
        columns: Vec<String>,
        parent: String,
    },
    /// The parent has no such key, or it is not unique: SQLite refuses each change with `foreign key mismatch`.
    KeyDoesNotFit {
        columns: Vec<String>,
        parent: String,
    },
    HasTriggers {
        triggers: Vec<String>,
    },
    Virtual {
        module: String,
        shadows: Vec<String>,
    },
    GeneratedColumns {
        columns: Vec<String>,
    },
    CollationOfProgram {
        columns: Vec<String>,
        collations: Vec<String>,
    },
    FunctionOfProgram {
        functions: Vec<String>,
    },
    Json {
        columns: Vec<String>,
    },
    Blobs {
        columns: Vec<String>,
    },
    SoftDelete {
        column: String,
    },
    /// Ids of deleted rows are not given again, as long as the counter moves along.
    Autoincrement,
}

impl fmt::Display for Difficulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match self {
            Self::NoPrimaryKey => {
                f.write_str("no primary key: only its rowid tells its rows apart, and a copy may change that")
            }
            Self::KeyBesideRowid { column } => {
                write!(f, "its key `{column}` is not the rowid, which is a second, hidden key that a copy may change")
            }
            Self::CompositeKey { columns } => write!(f, "its key has several columns: {}", list(columns)),
            Self::WithoutRowid => f.write_str("has no rowid"),
            Self::RefersToItself { columns } => write!(f, "refers to itself by {}", list(columns)),
            Self::Circle { tables } => write!(f, "is in a circle of references: {}", list(tables)),
            Self::ParentIsMissing { columns, parent } => {
                write!(f, "{} refers to `{parent}`, which is not there", list(columns))
            }
            Self::KeyDoesNotFit { columns, parent } => {
                write!(f, "{} refers to columns of `{parent}` that are not there or not unique", list(columns))
            }
            Self::HasTriggers { triggers } => write!(f, "triggers run when it changes: {}", list(triggers)),
            Self::Virtual { module, shadows } if shadows.is_empty() => write!(f, "is a virtual table of `{module}`"),
            Self::Virtual { module, shadows } => {
                write!(f, "is a virtual table of `{module}`, which keeps its rows in {}", list(shadows))
            }
            Self::GeneratedColumns { columns } => write!(f, "computes columns: {}", list(columns)),
            Self::CollationOfProgram { columns, collations } => {
                write!(f, "{} compares by {}, which only the program has", list(columns), list(collations))
            }
            Self::FunctionOfProgram { functions } => {
                write!(f, "its declarations call {}, which only the program has", list(functions))
            }
            Self::Json { columns } => write!(f, "keeps JSON in {}: it may hold ids", list(columns)),
            Self::Blobs { columns } => write!(f, "keeps bytes in {}", list(columns)),
            Self::SoftDelete { column } => write!(f, "`{column}` marks deleted rows, which stay"),
            Self::Autoincrement => f.write_str("its counter of ids must move along"),
        }
    }
}

/// The difficulties of each table that has any, by its name, in a fixed order.
pub fn difficulties(schema: &Schema, program: &Program) -> BTreeMap<String, Vec<Difficulty>> {
    let circles = circles(schema);
    let mut all = BTreeMap::new();
    for table in schema.own() {
        let mut found = Vec::new();
        key(table, &mut found);
        references(schema, table, &circles, &mut found);
        contents(schema, table, program, &mut found);
        found.sort();
        if !found.is_empty() {
            all.insert(table.name.clone(), found);
        }
    }
    all
}

fn key(table: &Table, found: &mut Vec<Difficulty>) {
    if let Kind::Virtual { .. } = table.kind {
        return;
    }
    let columns: Vec<_> = table.primary_key().iter().map(|column| column.name.clone()).collect();
    if !table.has_rowid {
        found.push(Difficulty::WithoutRowid);
    }
    match &columns[..] {
        [] => found.push(Difficulty::NoPrimaryKey),
        [column] if table.has_rowid && table.rowid_column().is_none() => {
            found.push(Difficulty::KeyBesideRowid { column: column.clone() });
        }
        [_] => {}
        _ => found.push(Difficulty::CompositeKey { columns }),
    }
    if table.has_autoincrement {
        found.push(Difficulty::Autoincrement);
    }
}

fn references(schema: &Schema, table: &Table, circles: &[Vec<String>], found: &mut Vec<Difficulty>) {
    for key in &table.foreign_keys {
        let (columns, parent) = (key.columns.clone(), key.parent.clone());
        let Some(of) = schema.table(&parent) else {
            found.push(Difficulty::ParentIsMissing { columns, parent });
            continue;
        };
        let unique: Vec<_> = key.parent_columns.iter().map(String::as_str).collect();
        if unique.is_empty() || !of.is_unique(&unique) {
            found.push(Difficulty::KeyDoesNotFit { columns, parent });
        } else if is_same(&parent, &table.name) {
            found.push(Difficulty::RefersToItself { columns });
        }
    }
    let mine = circles.iter().filter(|circle| circle.contains(&table.name));
    found.extend(mine.map(|tables| Difficulty::Circle { tables: tables.clone() }));
}

fn contents(schema: &Schema, table: &Table, program: &Program, found: &mut Vec<Difficulty>) {
    let names = |is: &dyn Fn(&crate::schema::Column) -> bool| -> Vec<String> {
        table.columns.iter().filter(|column| is(column)).map(|column| column.name.clone()).collect()
    };
    if let Kind::Virtual { module } = &table.kind {
        let of = |shadow: &&Table| shadow.kind == Kind::Shadow && shadow.name.starts_with(&format!("{}_", table.name));
        let shadows = schema.tables.iter().filter(of).map(|shadow| shadow.name.clone()).collect();
        found.push(Difficulty::Virtual { module: module.clone(), shadows });
    }
    let triggers = schema.triggers.iter().filter(|trigger| is_same(&trigger.on, &table.name));
    let triggers: Vec<_> = triggers.map(|trigger| trigger.name.clone()).collect();
    if !triggers.is_empty() {
        found.push(Difficulty::HasTriggers { triggers });
    }
    let generated = names(&|column| column.generated.is_some());
    if !generated.is_empty() {
        found.push(Difficulty::GeneratedColumns { columns: generated });
    }
    let by = names(&|column| program.collations.contains(&column.collation));
    if !by.is_empty() {
        let collations: BTreeSet<_> = table.columns.iter().map(|column| column.collation.clone()).collect();
        let collations = collations.intersection(&program.collations).cloned().collect();
        found.push(Difficulty::CollationOfProgram { columns: by, collations });
    }
    let functions = functions(schema, table, program);
    if !functions.is_empty() {
        found.push(Difficulty::FunctionOfProgram { functions });
    }
    let typed = |column: &crate::schema::Column, word: &str| column.declared.to_ascii_lowercase().contains(word);
    let json = names(&|column| typed(column, "json") || folded(&column.name).split('_').any(|word| word == "json"));
    if !json.is_empty() {
        found.push(Difficulty::Json { columns: json });
    }
    let blobs = names(&|column| typed(column, "blob") || typed(column, "binary"));
    if !blobs.is_empty() {
        found.push(Difficulty::Blobs { columns: blobs });
    }
    let soft = table.columns.iter().find(|column| SOFT_DELETES.contains(&folded(&column.name).as_str()));
    if let Some(column) = soft {
        found.push(Difficulty::SoftDelete { column: column.name.clone() });
    }
}

/// The functions of the program that a table's own text, its indexes or its triggers call.
fn functions(schema: &Schema, table: &Table, program: &Program) -> Vec<String> {
    let triggers = schema.triggers.iter().filter(|trigger| is_same(&trigger.on, &table.name)).map(|t| &t.sql);
    let indexes = table.indexes.iter().filter_map(|index| index.sql.as_ref());
    let text: Vec<_> = triggers.chain(indexes).chain([&table.sql]).map(|sql| folded(sql)).collect();
    let called = |function: &&String| text.iter().any(|sql| calls(sql, function));
    program.functions.iter().filter(called).cloned().collect()
}

/// Whether the lower-case text has `function(`.
fn calls(sql: &str, function: &str) -> bool {
    sql.match_indices(function).any(|(at, _)| {
        let before = sql.get(..at).and_then(|text| text.chars().next_back());
        let after = sql.get(at + function.len()..).unwrap_or_default().trim_start();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_') && after.starts_with('(')
    })
}

/// The circles of tables by their declared references, longer than one; each once, from its first name on. Of each part
/// in which all reach all, one: the shortest through its first table.
fn circles(schema: &Schema) -> Vec<Vec<String>> {
    let next: BTreeMap<&str, BTreeSet<&str>> = schema
        .own()
        .map(|table| {
            let parents = table.foreign_keys.iter().map(|key| key.parent.as_str());
            (table.name.as_str(), parents.filter(|parent| *parent != table.name).collect())
        })
        .collect();
    let mut found: Vec<Vec<String>> = Vec::new();
    for start in next.keys() {
        if found.iter().any(|circle| circle.iter().any(|name| name == start)) {
            continue;
        }
        // The shortest way back, by breadth.
        let mut came: BTreeMap<&str, &str> = BTreeMap::new();
        let mut queue = std::collections::VecDeque::from([*start]);
        let mut last = None;
        'search: while let Some(at) = queue.pop_front() {
            for to in next.get(at).into_iter().flatten() {
                if to == start {
                    last = Some(at);
                    break 'search;
                }
                if !came.contains_key(to) {
                    came.insert(to, at);
                    queue.push_back(to);
                }
            }
        }
        if let Some(mut at) = last {
            let mut circle = vec![at.to_owned()];
            while let Some(before) = came.get(at) {
                at = before;
                circle.push(at.to_owned());
            }
            circle.reverse();
            found.push(circle);
        }
    }
    found
}
