//! One total of the running system: every key on which its contexts do not agree, not examples alone.

use std::time::{Duration, Instant};

use seam_runtime::did_you_mean;
use seam_runtime::serve::Registry;
use seam_store::ids::ContextName;
use seam_store::{Invariant, Range, Terms, each_disagreement};

use super::across::{self, Elsewhere, Seen as SeenTwice};
use super::report::Outcome;
use super::run::{comparable, totals};
use super::seen::{Seen, see};
use super::sides::{Sides, declares, is_total};
use super::unlooked::Unlooked;
use crate::limits;

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotalLook {
    /// Those that declare the total.
    pub contexts: Vec<String>,
    /// Keys that at least one of them has a row for.
    pub keys: u64,
}

/// Gets a key, and the context and range of each side; `None` for a key that changes while hosts compare it, so that
/// it is not known whether they agree.
pub type EachKey<'a> = dyn FnMut(&str, Option<&[(&str, Range)]>) + 'a;

/// Looks at `total` in the files of all contexts that declare it: on this host as they are at one moment, for which
/// alone commits wait; on several hosts as `across` says. Calls `each` for every key on which they do not agree.
///
/// # Errors
/// When it could not be looked at, or not to the end: `each` may have been called before.
pub fn look_at_total(
    registry: &Registry,
    elsewhere: &Elsewhere,
    (total, mends): (&str, Option<&ContextName>),
    each: &mut EachKey<'_>,
) -> Result<TotalLook, Unlooked> {
    let deadline = Instant::now() + Duration::from_millis(limits::RECONCILE_LOOK_MS);
    let sides = Sides::of(registry, total);
    if sides.all.len() < 2 {
        return Err(alone(total, &sides.names(), registry));
    }
    if !sides.are_apart() {
        return look_here(registry, total, deadline, each);
    }
    let contexts = sides.names();
    let asks = sides.here().or(mends);
    let side = asks.ok_or_else(|| alone(total, &contexts, registry))?;
    let keys = across::compare((registry, elsewhere), (total, &sides), side, deadline, &mut |key, seen| match seen {
        SeenTwice::Changes => each(key, None),
        SeenTwice::Disagree(ranges) => each(key, Some(&named(&contexts, ranges))),
    })?;
    Ok(TotalLook { contexts, keys })
}

fn named<'c>(contexts: &'c [String], ranges: &[Range]) -> Vec<(&'c str, Range)> {
    contexts.iter().map(String::as_str).zip(ranges.iter().copied()).collect()
}

/// All of its contexts live here.
fn look_here(
    registry: &Registry,
    total: &str,
    deadline: Instant,
    each: &mut EachKey<'_>,
) -> Result<TotalLook, Unlooked> {
    let Seen { subjects, now, .. } = see(registry, &|_| true, &|declared| declares(declared, total))
        .map_err(|error| Unlooked { why: seam_store::chain(&error), remedy: error.remedy() })?;
    let found = totals(&subjects).into_iter().find(|(name, _)| *name == total);
    let sides = found.map(|(_, sides)| sides).unwrap_or_default();
    let name_of = |at: usize| subjects.get(at).map_or("", |subject| subject.context.as_str());
    let contexts: Vec<String> = sides.iter().map(|(at, _)| name_of(*at).to_owned()).collect();
    if contexts.len() < 2 {
        return Err(alone(total, &contexts, registry));
    }
    let compared = comparable(&sides, &subjects).map_err(|(context, fault)| fault.without_file(context))?;
    let terms = Terms { now_s: now.unix_timestamp(), deadline };
    let counted = each_disagreement(&compared, &terms, &mut |key, ranges| each(key, Some(&named(&contexts, ranges))));
    let side = |at: usize| contexts.get(at).map_or("", String::as_str);
    let (keys, _) = counted.map_err(|(at, error)| Outcome::unchecked_side(side(at), &error))?;
    Ok(TotalLook { contexts, keys })
}

/// The contexts that declare `total`, on whichever hosts they live: at least two.
///
/// # Errors
/// When there are fewer.
pub fn declaring(registry: &Registry, total: &str) -> Result<Vec<String>, Unlooked> {
    let contexts = Sides::of(registry, total).names();
    if contexts.len() < 2 { Err(alone(total, &contexts, registry)) } else { Ok(contexts) }
}

/// Why there is nothing to compare.
fn alone(total: &str, contexts: &[String], registry: &Registry) -> Unlooked {
    // One that does not serve may declare it.
    if let Some(out) = registry.out_of_service().first() {
        let why = format!("`{out}` is out of service, and no two other contexts declare the total `{total}`");
        return Unlooked { why, remedy: "`seam contexts` shows why, and the ways out".to_owned() };
    }
    let generations = registry.all_generations();
    let declared = generations.iter().filter_map(|generation| generation.invariants().ok()).flatten();
    let names: Vec<String> = declared.filter(is_total).map(|one: Invariant| one.name).collect();
    undeclared(total, contexts, &names)
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
