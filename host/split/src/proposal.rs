//! A first cut: which tables belong together, with the reasons. People edit it.
//!
//! Tables are drawn together by keys, by triggers, by words that their names share, and most of all by the code that
//! uses them. A join draws nothing together: it is a coupling that a split has to cut. The same input and seed give the
//! same proposal.

use std::collections::{BTreeMap, BTreeSet};

use leiden_rs::{GraphDataBuilder, Leiden, LeidenConfig};
use serde::Serialize;

use crate::limits;
use crate::references::Reference;
use crate::rows::{Count, Size};
use crate::schema::{Action, Schema};
use crate::statement::log::{UNKNOWN, Usage};
use crate::tangle::Assignment;
use crate::words::words;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proposal {
    pub seed: u64,
    /// In the order of their names.
    pub contexts: Vec<Context>,
    /// Small tables that many refer to and that hardly change. They are no reason to keep others together.
    pub static_data: Vec<String>,
}

impl Proposal {
    pub fn assignment(&self) -> Assignment {
        let of = |context: &Context| {
            let name = context.name.clone();
            let tables: Vec<_> = context.tables.iter().map(|member| (member.table.clone(), name.clone())).collect();
            tables
        };
        self.contexts.iter().flat_map(of).collect()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Context {
    pub name: String,
    pub tables: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Member {
    pub table: String,
    /// What draws it to others of its context, the strongest first.
    pub ties: Vec<Tie>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tie {
    pub to: String,
    pub weight: f64,
    pub because: BTreeSet<Reason>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// A declared key, or one with several witnesses.
    Reference,
    /// The child is a part of its parent: its key has the parent's in it, or it is deleted with it.
    Part,
    /// A reference with one witness.
    Guess,
    Trigger(String),
    /// Their names share this word.
    Word(String),
    /// This part of the code uses both.
    Code(String),
}

/// How strongly each reason draws. A reference counts less the more references its parent has: what all refer to
/// belongs to none of them.
mod weight {
    pub const REFERENCE: f64 = 1.0;
    pub const PART: f64 = 1.0;
    pub const GUESS: f64 = 0.5;
    pub const TRIGGER: f64 = 1.0;
    pub const WORD: f64 = 0.5;
    pub const CODE: f64 = 2.0;
}

type Ties = BTreeMap<(usize, usize), (f64, BTreeSet<Reason>)>;

/// Proposes contexts. `usage`: what a log shows, if there is one.
pub fn propose(
    schema: &Schema,
    sizes: &BTreeMap<String, Size>,
    references: &[Reference],
    usage: Option<&Usage>,
    seed: u64,
) -> Proposal {
    let static_data = static_data(schema, sizes, references, usage);
    let tables: Vec<&str> =
        schema.own().map(|table| table.name.as_str()).filter(|name| !static_data.contains(*name)).collect();
    let mut ties = Ties::new();
    let mut draw = |one: &str, other: &str, weight: f64, reason: Reason| {
        let at = |name: &str| tables.iter().position(|table| *table == name);
        if let Some((one, other)) = at(one).zip(at(other)).filter(|(one, other)| one != other) {
            let (sum, because) = ties.entry((one.min(other), one.max(other))).or_default();
            *sum += weight;
            because.insert(reason);
        }
    };
    by_references(schema, references, &mut draw);
    by_triggers(schema, &mut draw);
    by_words(&tables, &mut draw);
    if let Some(usage) = usage {
        by_code(usage, &mut draw);
    }
    let groups = groups(tables.len(), &ties, seed);
    let mut contexts: Vec<_> = groups.iter().map(|group| context(group, &tables, &ties, references)).collect();
    contexts.sort_by(|one, other| one.name.cmp(&other.name));
    tell_apart(&mut contexts);
    Proposal { seed, contexts, static_data: static_data.into_iter().collect() }
}

/// Tables with few rows that refer to nothing, and to which several tables refer; never written by a statement of the
/// log.
fn static_data(
    schema: &Schema,
    sizes: &BTreeMap<String, Size>,
    references: &[Reference],
    usage: Option<&Usage>,
) -> BTreeSet<String> {
    let written: BTreeSet<&str> = usage
        .into_iter()
        .flat_map(|usage| &usage.statements)
        .flat_map(|statement| &statement.touched.touches)
        .filter(|touch| touch.act.writes())
        .map(|touch| touch.table.as_str())
        .collect();
    let is_static = |name: &str| {
        let children: BTreeSet<_> =
            references.iter().filter(|r| r.parent == name && r.child != name).map(|r| &r.child).collect();
        let small = sizes.get(name).is_some_and(|size| matches!(size.rows, Count::Exact(1..=limits::STATIC_ROWS_MAX)));
        let refers = references.iter().any(|reference| reference.child == name && reference.parent != name);
        small && !refers && children.len() >= limits::STATIC_READERS_MIN && !written.contains(name)
    };
    schema.own().map(|table| &table.name).filter(|name| is_static(name)).cloned().collect()
}

fn by_references(schema: &Schema, references: &[Reference], draw: &mut impl FnMut(&str, &str, f64, Reason)) {
    for reference in references {
        let count = references.iter().filter(|other| other.parent == reference.parent).count().max(1) as f64;
        let (child, parent) = (reference.child.as_str(), reference.parent.as_str());
        if !reference.is_certain() {
            draw(child, parent, weight::GUESS / count, Reason::Guess);
            continue;
        }
        draw(child, parent, weight::REFERENCE / count, Reason::Reference);
        let key = schema.table(child).map(|table| table.primary_key()).unwrap_or_default();
        let in_key = key.len() > 1 && reference.columns.iter().all(|column| key.iter().any(|key| key.name == *column));
        let deleted_with = reference.declared.is_some_and(|declared| declared.on_delete == Action::Cascade);
        if in_key || deleted_with {
            draw(child, parent, weight::PART / count, Reason::Part);
        }
    }
}

fn by_triggers(schema: &Schema, draw: &mut impl FnMut(&str, &str, f64, Reason)) {
    for trigger in &schema.triggers {
        for table in schema.named_in(&trigger.sql) {
            draw(&trigger.on, &table, weight::TRIGGER, Reason::Trigger(trigger.name.clone()));
        }
    }
}

/// A word counts more the fewer tables have it.
fn by_words(tables: &[&str], draw: &mut impl FnMut(&str, &str, f64, Reason)) {
    let mut having: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for table in tables {
        for word in words(table).into_iter().collect::<BTreeSet<_>>() {
            having.entry(word).or_default().push(table);
        }
    }
    let all = tables.len() as f64;
    for (word, having) in having.iter().filter(|(_, having)| having.len() > 1 && having.len() < tables.len()) {
        let rarity = (all / having.len() as f64).ln() / all.ln();
        for (at, one) in having.iter().enumerate() {
            for other in having.iter().skip(at + 1) {
                draw(one, other, weight::WORD * rarity, Reason::Word(word.clone()));
            }
        }
    }
}

/// Tables that the same parts of the code use, by how much of each table's use is theirs.
fn by_code(usage: &Usage, draw: &mut impl FnMut(&str, &str, f64, Reason)) {
    let mut uses: BTreeMap<&str, BTreeMap<&str, f64>> = BTreeMap::new();
    for statement in &usage.statements {
        let tables: BTreeSet<_> = statement.touched.own().map(|touch| touch.table.as_str()).collect();
        let writes: BTreeSet<_> =
            statement.touched.own().filter(|touch| touch.act.writes()).map(|touch| touch.table.as_str()).collect();
        for (caller, count) in statement.callers.iter().filter(|(caller, _)| *caller != UNKNOWN) {
            for table in &tables {
                // Often is not ten times as much as sometimes. Who writes a table has more to do with it than who
                // reads.
                let much = (1.0 + *count as f64).ln() * if writes.contains(table) { 3.0 } else { 1.0 };
                *uses.entry(table).or_default().entry(module(caller)).or_default() += much;
            }
        }
    }
    let length = |of: &BTreeMap<&str, f64>| of.values().map(|much| much * much).sum::<f64>().sqrt();
    let mut rest = uses.iter();
    while let Some((one, by_one)) = rest.next() {
        for (other, by_other) in rest.clone() {
            let both = by_one.iter().filter_map(|(module, much)| Some((module, much * by_other.get(module)?)));
            let Some((module, _)) = both.clone().max_by(|one, other| one.1.total_cmp(&other.1)) else { continue };
            let alike = both.map(|(_, product)| product).sum::<f64>() / (length(by_one) * length(by_other));
            draw(one, other, weight::CODE * alike, Reason::Code((*module).to_owned()));
        }
    }
}

/// The part of the code that a caller is in: `orders` of `orders.place`, `orders/place.py` and `orders::place`.
fn module(caller: &str) -> &str {
    caller.split(['.', '/', ':', '#']).find(|part| !part.is_empty()).unwrap_or(caller)
}

fn groups(count: usize, ties: &Ties, seed: u64) -> Vec<Vec<usize>> {
    let mut graph = GraphDataBuilder::new(count);
    for ((one, other), (weight, _)) in ties {
        // The only errors are those of a node that is not there and of a weight that is no number.
        drop(graph.add_edge(*one, *other, *weight));
    }
    let config = LeidenConfig { seed: Some(seed), ..LeidenConfig::default() };
    let partition = graph.build().ok().and_then(|graph| Leiden::new(config).run(&graph).ok());
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for node in 0..count {
        let group = partition.as_ref().map_or(node, |found| found.partition.community_of(node));
        groups.entry(group).or_default().push(node);
    }
    groups.into_values().collect()
}

fn context(group: &[usize], tables: &[&str], ties: &Ties, references: &[Reference]) -> Context {
    let name = |at: &usize| tables.get(*at).copied().unwrap_or_default();
    let member = |at: &usize| {
        let mine = ties.iter().filter_map(|((one, other), (weight, because))| {
            let to = if one == at { other } else { one };
            let is_mine = (one == at || other == at) && group.contains(to);
            is_mine.then(|| Tie { to: name(to).to_owned(), weight: *weight, because: because.clone() })
        });
        let mut ties: Vec<_> = mine.collect();
        ties.sort_by(|one, other| other.weight.total_cmp(&one.weight));
        ties.truncate(limits::TIES_SHOWN);
        Member { table: name(at).to_owned(), ties }
    };
    let names: Vec<_> = group.iter().map(name).collect();
    Context { name: name_of(&names, references), tables: group.iter().map(member).collect() }
}

/// The word that most of the names share, or the table to which most of the others refer.
fn name_of(tables: &[&str], references: &[Reference]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for table in tables {
        for word in words(table).into_iter().collect::<BTreeSet<_>>() {
            *counts.entry(word).or_default() += 1;
        }
    }
    let most = counts.iter().max_by_key(|(word, count)| (**count, std::cmp::Reverse((*word).clone())));
    if let Some((word, count)) = most
        && tables.len() > 1
        && *count * 2 > tables.len()
    {
        return word.clone();
    }
    let referred = |table: &&&str| references.iter().filter(|reference| reference.parent == **table).count();
    let first = tables.iter().max_by_key(|table| (referred(table), std::cmp::Reverse(**table)));
    first.map_or_else(String::new, |table| words(table).join("-"))
}

/// Gives contexts of one name a number each.
fn tell_apart(contexts: &mut [Context]) {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for context in contexts {
        let count = seen.entry(context.name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            context.name = format!("{}-{count}", context.name);
        }
    }
}
