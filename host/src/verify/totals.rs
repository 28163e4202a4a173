//! One total of the running system: every key on which its contexts do not agree, not examples alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_runtime::did_you_mean;
use seam_runtime::run::Generation;
use seam_runtime::serve::Registry;
use seam_store::{Invariant, InvariantKind, Range, Terms, each_disagreement};

use super::live::{Declared, Seen, declared_by, see};
use super::report::Outcome;
use super::run::{comparable, totals};
use crate::limits;

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotalLook {
    /// Those that declare the total.
    pub contexts: Vec<String>,
    /// Keys that at least one of them has a row for.
    pub keys: u64,
}

/// Why nothing is known of a total, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlooked {
    pub why: String,
    pub remedy: String,
}

/// Gets a key, and the context and range of each side.
pub type EachKey<'a> = dyn FnMut(&str, &[(&str, Range)]) + 'a;

/// Looks at `total` in the files of all contexts that declare it, as they are at one moment. Calls `each` for every key
/// on which they do not agree. Commits wait for the moment alone.
///
/// # Errors
/// When it could not be looked at, or not to the end: `each` may have been called before.
pub fn look_at_total(registry: &Registry, total: &str, each: &mut EachKey<'_>) -> Result<TotalLook, Unlooked> {
    let Seen { subjects, now, .. } = see(registry, &|declared| declares(declared, total))
        .map_err(|error| Unlooked { why: seam_store::chain(&error), remedy: error.remedy() })?;
    let found = totals(&subjects).into_iter().find(|(name, _)| *name == total);
    let sides = found.map(|(_, sides)| sides).unwrap_or_default();
    let name_of = |at: usize| subjects.get(at).map_or("", |subject| subject.context.as_str());
    let contexts: Vec<String> = sides.iter().map(|(at, _)| name_of(*at).to_owned()).collect();
    if contexts.len() < 2 {
        return Err(alone(total, &contexts, registry));
    }
    let compared = comparable(&sides, &subjects).map_err(|(context, fault)| fault.without_file(context))?;
    let deadline = Instant::now() + Duration::from_millis(limits::RECONCILE_LOOK_MS);
    let terms = Terms { now_s: now.unix_timestamp(), deadline };
    let counted = each_disagreement(&compared, &terms, &mut |key, ranges| {
        let sides: Vec<(&str, Range)> = contexts.iter().map(String::as_str).zip(ranges.iter().copied()).collect();
        each(key, &sides);
    });
    let side = |at: usize| contexts.get(at).map_or("", String::as_str);
    let (keys, _) = counted.map_err(|(at, error)| Outcome::unchecked_side(side(at), &error))?;
    Ok(TotalLook { contexts, keys })
}

/// The contexts that declare `total`: at least two.
///
/// # Errors
/// When there are fewer.
pub fn declaring(registry: &Registry, total: &str) -> Result<Vec<String>, Unlooked> {
    let declares_it = |generation: &Arc<Generation>| declares(&declared_by(generation), total);
    let contexts: Vec<String> =
        registry.generations().iter().filter(|one| declares_it(one)).map(|one| one.context().to_string()).collect();
    if contexts.len() < 2 { Err(alone(total, &contexts, registry)) } else { Ok(contexts) }
}

fn declares(declared: &Declared, total: &str) -> bool {
    declared.iter().flatten().any(|one| one.kind == InvariantKind::Total && one.name == total)
}

/// Why there is nothing to compare.
fn alone(total: &str, contexts: &[String], registry: &Registry) -> Unlooked {
    // One that does not serve may declare it.
    if let Some(out) = registry.out_of_service().first() {
        let why = format!("`{out}` is out of service, and no two other contexts declare the total `{total}`");
        return Unlooked { why, remedy: "`seam contexts` shows why, and the ways out".to_owned() };
    }
    let generations = registry.generations();
    let declared = generations.iter().filter_map(|generation| generation.invariants().ok()).flatten();
    let names: Vec<String> = declared.filter(is_total).map(|one: Invariant| one.name).collect();
    undeclared(total, contexts, &names)
}

fn is_total(one: &Invariant) -> bool {
    one.kind == InvariantKind::Total
}

/// Why a total that only `contexts` declare, none or one, cannot be reconciled; `names` are all totals that there are.
pub fn undeclared(total: &str, contexts: &[String], names: &[String]) -> Unlooked {
    match contexts.first() {
        None => Unlooked {
            why: format!("no context declares the total `{total}`"),
            remedy: did_you_mean::hint(total, names.iter().map(String::as_str)),
        },
        Some(context) => Unlooked {
            why: format!("only `{context}` declares the total `{total}`: there is nothing to compare it with"),
            remedy: "declare it in the context that it must agree with, too, or remove its `[[reconcile]]`".to_owned(),
        },
    }
}

impl From<Outcome> for Unlooked {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Unchecked { why, remedy } => Self { why, remedy },
            Outcome::Empty { why } => Self { why, remedy: "`seam contexts` shows why".to_owned() },
            // No check of a total ends with these before it has looked.
            Outcome::Holds { .. } | Outcome::Violated { .. } => Self { why: String::new(), remedy: String::new() },
        }
    }
}
