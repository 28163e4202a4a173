//! What a cut would tear: tables, columns, keys, joins, transactions and logic in the database that two contexts share.
//! Each tangle has its evidence, and the remedy of the chapter on splitting a monolith.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::references::Reference;
use crate::schema::Schema;
use crate::statement::log::{UNKNOWN, Usage};
use crate::statement::touch::{Act, By};

/// The context of each table that has one.
pub type Assignment = BTreeMap<String, String>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Tangle {
    /// Code of several contexts uses the table, each other columns of it.
    SharedTable {
        table: String,
        columns: BTreeMap<String, BTreeSet<String>>,
    },
    /// Code of several contexts writes the same columns.
    SharedData {
        table: String,
        columns: BTreeSet<String>,
        writers: BTreeSet<String>,
    },
    /// Several contexts read what hardly changes.
    StaticData {
        table: String,
        readers: BTreeSet<String>,
    },
    KeyAcross {
        child: String,
        columns: Vec<String>,
        parent: String,
        contexts: [String; 2],
        is_declared: bool,
    },
    JoinAcross {
        fingerprint: String,
        callers: BTreeSet<String>,
        contexts: BTreeSet<String>,
        count: u64,
    },
    TransactionAcross {
        callers: BTreeSet<String>,
        writes: BTreeSet<String>,
        contexts: BTreeSet<String>,
        count: u64,
    },
    /// A trigger or a view.
    LogicAcross {
        name: String,
        tables: BTreeSet<String>,
        contexts: BTreeSet<String>,
    },
}

impl Tangle {
    /// What the chapter advises.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::SharedTable { .. } => "make two tables with one key; the context that writes a column owns it",
            Self::SharedData { .. } => {
                "it is a context without a name: put it into one package first, and have the others call that"
            }
            Self::StaticData { .. } => {
                "make it configuration; or a copy for each context; or, if it is large, a service"
            }
            Self::KeyAcross { .. } => {
                "ask the parent's context by its interface, or keep a copy of the value; drop the key"
            }
            Self::JoinAcross { .. } => {
                "ask the other context once for the whole list, or keep its columns as copies, or make it a report"
            }
            Self::TransactionAcross { .. } => {
                "try the second part again later, or undo the first, or give the process between them a name"
            }
            Self::LogicAcross { .. } => "make it a call, an event or a read model before the tables move",
        }
    }

    /// How often it gets in the way, as far as is known: the order of the list.
    fn harm(&self) -> (u8, u64) {
        match self {
            Self::TransactionAcross { count, .. } => (6, *count),
            Self::SharedData { writers, .. } => (5, writers.len() as u64),
            Self::LogicAcross { contexts, .. } => (4, contexts.len() as u64),
            Self::SharedTable { columns, .. } => (3, columns.len() as u64),
            Self::JoinAcross { count, .. } => (2, *count),
            Self::KeyAcross { is_declared, .. } => (1, u64::from(*is_declared)),
            Self::StaticData { readers, .. } => (0, readers.len() as u64),
        }
    }
}

/// What is tangled under this assignment, the most harmful first. Tables without a context are no part of it, but for
/// `static_data`.
pub fn tangles(
    schema: &Schema,
    references: &[Reference],
    usage: Option<&Usage>,
    assignment: &Assignment,
    static_data: &[String],
) -> Vec<Tangle> {
    let mut found = Vec::new();
    keys(references, assignment, &mut found);
    logic(schema, assignment, &mut found);
    if let Some(usage) = usage {
        let homes = homes(usage, assignment);
        tables(usage, &homes, assignment, static_data, &mut found);
        statements(usage, assignment, &mut found);
    }
    found.sort_by_key(|tangle| std::cmp::Reverse(tangle.harm()));
    found
}

fn contexts<'a>(tables: impl IntoIterator<Item = &'a String>, assignment: &Assignment) -> BTreeSet<String> {
    tables.into_iter().filter_map(|table| assignment.get(table)).cloned().collect()
}

fn keys(references: &[Reference], assignment: &Assignment, found: &mut Vec<Tangle>) {
    for reference in references {
        let of = |table: &String| assignment.get(table).cloned();
        let Some((child, parent)) = of(&reference.child).zip(of(&reference.parent)) else { continue };
        if child != parent {
            found.push(Tangle::KeyAcross {
                child: reference.child.clone(),
                columns: reference.columns.clone(),
                parent: reference.parent.clone(),
                contexts: [child, parent],
                is_declared: reference.declared.is_some(),
            });
        }
    }
}

fn logic(schema: &Schema, assignment: &Assignment, found: &mut Vec<Tangle>) {
    let triggers = schema.triggers.iter().map(|trigger| (&trigger.name, schema.named_in(&trigger.sql)));
    let views = schema.views.iter().map(|view| (&view.name, schema.named_in(&view.sql)));
    for (name, tables) in triggers.chain(views) {
        let contexts = contexts(&tables, assignment);
        if contexts.len() > 1 {
            found.push(Tangle::LogicAcross { name: name.clone(), tables, contexts });
        }
    }
}

/// The context of each caller: the one whose tables it touches most, where a write counts three times.
fn homes(usage: &Usage, assignment: &Assignment) -> BTreeMap<String, String> {
    let mut much: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for statement in &usage.statements {
        let mut touched: BTreeMap<&str, u64> = BTreeMap::new();
        for touch in statement.touched.own() {
            let Some(context) = assignment.get(&touch.table) else { continue };
            let weight = touched.entry(context).or_default();
            *weight = (*weight).max(if touch.act.writes() { 3 } else { 1 });
        }
        for (caller, count) in statement.callers.iter().filter(|(caller, _)| *caller != UNKNOWN) {
            for (context, weight) in &touched {
                *much.entry(caller).or_default().entry(context).or_default() += count * weight;
            }
        }
    }
    let most = |(caller, much): (&str, BTreeMap<&str, u64>)| {
        let context = much.into_iter().max_by_key(|(context, much)| (*much, std::cmp::Reverse(*context)))?.0;
        Some((caller.to_owned(), context.to_owned()))
    };
    much.into_iter().filter_map(most).collect()
}

/// Which context's code reads and writes which columns of one table.
#[derive(Default)]
struct Uses {
    reads: BTreeMap<String, BTreeSet<String>>,
    writes: BTreeMap<String, BTreeSet<String>>,
}

fn tables(
    usage: &Usage,
    homes: &BTreeMap<String, String>,
    assignment: &Assignment,
    static_data: &[String],
    found: &mut Vec<Tangle>,
) {
    let mut all: BTreeMap<&str, Uses> = BTreeMap::new();
    for statement in &usage.statements {
        for context in statement.callers.keys().filter_map(|caller| homes.get(caller)) {
            for touch in statement.touched.touches.iter().filter(|touch| touch.by == By::Statement) {
                let Some(column) = &touch.column else { continue };
                let uses = all.entry(&touch.table).or_default();
                let of = match touch.act {
                    Act::Read => &mut uses.reads,
                    // A new row has all columns; who changes one later owns it.
                    Act::Insert => continue,
                    Act::Update | Act::Delete => &mut uses.writes,
                };
                of.entry(context.clone()).or_default().insert(column.clone());
            }
        }
    }
    for (table, uses) in all {
        let users: BTreeSet<_> = uses.reads.keys().chain(uses.writes.keys()).cloned().collect();
        if static_data.iter().any(|known| known == table) {
            if users.len() > 1 {
                found.push(Tangle::StaticData { table: table.to_owned(), readers: users });
            }
            continue;
        }
        if !assignment.contains_key(table) || uses.writes.len() < 2 {
            continue;
        }
        let mut writers: BTreeMap<&String, BTreeSet<String>> = BTreeMap::new();
        for (context, columns) in &uses.writes {
            for column in columns {
                writers.entry(column).or_default().insert(context.clone());
            }
        }
        let shared: BTreeSet<_> =
            writers.iter().filter(|(_, by)| by.len() > 1).map(|(column, _)| (*column).clone()).collect();
        if shared.is_empty() {
            found.push(Tangle::SharedTable { table: table.to_owned(), columns: uses.writes });
        } else {
            let writers = shared.iter().filter_map(|column| writers.get(column)).flatten().cloned().collect();
            found.push(Tangle::SharedData { table: table.to_owned(), columns: shared, writers });
        }
    }
}

fn statements(usage: &Usage, assignment: &Assignment, found: &mut Vec<Tangle>) {
    for statement in &usage.statements {
        let tables: BTreeSet<_> = statement.touched.own().map(|touch| touch.table.clone()).collect();
        let contexts = contexts(&tables, assignment);
        if contexts.len() > 1 {
            found.push(Tangle::JoinAcross {
                fingerprint: statement.fingerprint.clone(),
                callers: statement.callers.keys().cloned().collect(),
                contexts,
                count: statement.callers.values().sum(),
            });
        }
    }
    for transaction in &usage.transactions {
        let contexts = contexts(&transaction.writes, assignment);
        if contexts.len() > 1 {
            found.push(Tangle::TransactionAcross {
                callers: transaction.callers.clone(),
                writes: transaction.writes.clone(),
                contexts,
                count: transaction.count,
            });
        }
    }
}
