//! The files that the contexts of this host have open, as they are at one moment, and what their serving versions
//! declare.

use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_runtime::run::Generation;
use seam_runtime::serve::Registry;
use seam_store::{Snapshot, moment};
use time::OffsetDateTime;

use super::error::Error;
use super::subject::{Fault, Subject};
use crate::limits;

/// Contexts that serve, with their files as they were at one moment.
pub(super) struct Seen {
    pub subjects: Vec<Subject>,
    pub now: OffsetDateTime,
    /// How long commits waited for the moment, in ms.
    pub held_ms: u64,
}

/// Sees those contexts of this host that `named` is true of, and `wanted` of what they declare.
///
/// # Errors
/// When their files cannot be seen at one moment.
pub(super) fn see(
    registry: &Registry,
    named: &dyn Fn(&str) -> bool,
    wanted: &dyn Fn(&Declared) -> bool,
) -> Result<Seen, Error> {
    let has_store = |generation: &Arc<Generation>| {
        let settings = &generation.spec().settings;
        settings.store.is_some() && named(settings.name.as_str())
    };
    let generations = registry.generations().into_iter().filter(has_store);
    // Reading them takes longer than the moment: before it.
    let (generations, declared): (Vec<_>, Vec<_>) =
        generations.map(|g| (declared_by(&g), g)).filter(|(d, _)| wanted(d)).map(|(d, g)| (g, d)).unzip();
    // A transaction over several files that waits for a file held by the moment would hold another one. While one
    // commits, its files are in doubt for a moment, too, and that is no trouble.
    let turn = registry.transactions().turn(Instant::now() + Duration::from_millis(limits::MOMENT_TURN_MS));
    let usable =
        |generation: &Arc<Generation>| generation.database().filter(|d| !d.is_fenced() && d.doubt().is_none()).cloned();
    let open: Vec<_> = generations.iter().map(usable).collect();
    let databases: Vec<_> = open.iter().flatten().cloned().collect();
    let started = Instant::now();
    let mut snapshots = moment(&databases).map_err(Error::Moment)?.into_iter();
    drop(turn);
    let now = OffsetDateTime::now_utc();
    let held_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut subjects = Vec::new();
    for ((generation, declared), open) in generations.iter().zip(declared).zip(open) {
        let snapshot: Option<Snapshot> = open.and_then(|_| snapshots.next());
        let file = snapshot.ok_or_else(|| closed(generation));
        let settings = &generation.spec().settings;
        subjects.push(Subject {
            context: settings.name.to_string(),
            file,
            declared,
            events: settings.into(),
            promise: None,
            is_elsewhere: false,
        });
    }
    Ok(Seen { subjects, now, held_ms })
}

/// What a context declares, or why that is not known.
pub(super) type Declared = Result<Vec<seam_store::Invariant>, Fault>;

/// What the version declares. Of one that could not be loaded, nothing is known.
pub(super) fn declared_by(generation: &Generation) -> Declared {
    match generation.component().is_placeholder() {
        true => Err(closed(generation)),
        false => generation.invariants().map_err(Fault::from),
    }
}

/// Why the host has not got the file open.
fn closed(generation: &Generation) -> Fault {
    let problem = generation.out_of_service().or_else(|| generation.store_trouble());
    problem.map_or_else(
        || Fault::Unreadable {
            why: format!("`{}` has no open file", generation.context()),
            remedy: "`seam contexts` shows why".to_owned(),
        },
        Fault::from,
    )
}
