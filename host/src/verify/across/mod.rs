//! One total whose contexts live on several hosts: each side's amounts come from its own host, in pages, and are merged
//! here.
//!
//! No moment is common to two hosts, so a key counts only if it was looked at twice: all sides are opened, then all
//! are opened again, and each side says the same in both. The second snapshots are all younger than the first ones, so
//! what a side says twice it also said at the instant between them, and all of them at this one instant (the double
//! collect of Afek et al., "Atomic snapshots of shared memory", 1993): what is under way between hosts differs in one
//! of its sides. An amount that changes and changes back between the two would be missed. A disagreement must stand
//! for some looks besides.
//! Invariant: what could not be read to its end is not known. It neither opens nor closes a disagreement.
//! Not here: how amounts travel (`remote`), what follows from a disagreement (`reconcile`).

mod compare;
mod lend;
mod produce;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use seam_runtime::call::Failure;
use seam_runtime::serve::Registry;
use seam_store::blocking;
use seam_store::ids::ContextName;

use self::compare::Source;
use super::sides::{At, Sides};
use super::unlooked::Unlooked;
use crate::limits;
use crate::remote::{TotalAsk, Totals};

pub use self::compare::Seen;
pub use self::lend::Lender;

/// The amounts of contexts on other hosts. Cheap to clone.
#[derive(Clone, Default)]
pub struct Elsewhere {
    /// `None` when all contexts live in this process.
    totals: Option<Arc<dyn Totals>>,
    /// One total at a time: its sides take a part of the connections to other hosts.
    turn: Arc<Mutex<()>>,
}

impl Elsewhere {
    pub fn new(totals: Option<Arc<dyn Totals>>) -> Self {
        Self { totals, turn: Arc::default() }
    }
}

/// Compares the sides until `deadline`, for `side`, a context of this host. Calls `each` for the keys on which they do
/// not agree, and for those that change while they are compared. How many keys there are.
///
/// # Errors
/// When a side cannot be seen to its end: `each` may have been called before.
pub(super) fn compare(
    (registry, elsewhere): (&Registry, &Elsewhere),
    (total, sides): (&str, &Sides),
    side: &ContextName,
    deadline: Instant,
    each: &mut dyn FnMut(&str, Seen<'_>),
) -> Result<u64, Unlooked> {
    let Some(totals) = &elsewhere.totals else {
        return Err(Unlooked {
            why: "this process has no connections to other hosts".to_owned(),
            remedy: "run it on a host that serves: `seam up --as NAME`".to_owned(),
        });
    };
    let in_time = elsewhere.turn.try_lock_until(deadline);
    let Some(_turn) = in_time else {
        let why = "other totals were compared all the time".to_owned();
        return Err(Unlooked { why, remedy: "they are looked at again by themselves".to_owned() });
    };
    for (host, count) in sides.on_other_hosts() {
        if count > limits::TOTAL_SIDES_ON_A_HOST_MAX {
            let most = limits::TOTAL_SIDES_ON_A_HOST_MAX;
            let why = format!("{count} of its contexts live on host `{host}`, and at most {most} can be asked");
            return Err(Unlooked { why, remedy: "let one of them live on another host".to_owned() });
        }
    }
    let mut open = || open(registry, &**totals, (total, sides), side, deadline);
    compare::twice(&mut open, each)
}

/// All sides, in their order, as their files are now.
fn open(
    registry: &Registry,
    totals: &dyn Totals,
    (total, sides): (&str, &Sides),
    side: &ContextName,
    deadline: Instant,
) -> Result<Vec<Source>, Unlooked> {
    let here: Vec<&str> = sides.all.iter().filter(|one| one.at == At::Here).map(|one| one.context.as_str()).collect();
    let mut here = produce::open(registry, total, &here, deadline, &())?;
    let ask = |context: &ContextName| TotalAsk {
        context: context.clone(),
        total: total.to_owned(),
        side: side.clone(),
        remaining: left(deadline),
    };
    let asked = sides.all.iter().filter(|one| matches!(one.at, At::Host(_))).map(|one| totals.open(ask(&one.context)));
    let mut opened = blocking::block_on(futures::future::join_all(asked)).into_iter();
    let mut sources = Vec::new();
    for one in &sides.all {
        let pages = match &one.at {
            At::Here => here.remove(one.context.as_str()).ok_or_else(|| gone(&one.context))?,
            At::Host(host) => {
                let opened = opened.next().ok_or_else(|| gone(&one.context))?;
                opened.map_err(|failure| unanswered(&one.context, host, &failure))?
            }
        };
        sources.push(Source::new(one.context.clone(), pages, deadline));
    }
    Ok(sources)
}

fn left(deadline: Instant) -> Duration {
    let most = Duration::from_millis(limits::RECONCILE_LOOK_MS);
    deadline.saturating_duration_since(Instant::now()).min(most)
}

fn gone(context: &ContextName) -> Unlooked {
    let why = format!("`{context}` has moved while it was looked at");
    Unlooked { why, remedy: "it is looked at again by itself".to_owned() }
}

fn unanswered(context: &ContextName, host: &str, failure: &Failure) -> Unlooked {
    let why = format!("host `{host}` gives no amounts: {failure}");
    let remedy = match failure {
        Failure::Absent { .. } => {
            format!("see that host `{host}` runs, and what its log and this one say of `{context}`")
        }
        _ => "it is looked at again by itself".to_owned(),
    };
    Unlooked { why, remedy }
}
