//! Which sagas there are in the files of contexts, and what an operator sees of them.
//!
//! The files are open in this process, or those of a host that is stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use seam_runtime::did_you_mean;
use seam_store::{Database, Error, Saga, SagaAttempt, SagaDefinition, SagaFilter, SagaState, Snapshot};

use super::steps::steps;
use super::types::{
    SagaGroup, SagaGroups, SagaList, SagaName, SagaSelection, SagaStatus, ShownAttempt, ShownSaga, Unread, cause,
};
use crate::limits;
use crate::refused::Refused;
use crate::times::rfc3339;

/// The file of a context, or why it cannot be read now.
pub struct SagaFile<F> {
    pub context: String,
    pub file: Result<F, String>,
}

/// A file whose sagas can be read.
pub(super) trait Readable {
    /// # Errors
    /// When the file cannot be read; so for the others.
    fn saga(&self, kind: &str, id: &str) -> Result<Option<Saga>, Error>;
    fn sagas(&self, filter: &SagaFilter, count: u32) -> Result<Vec<Saga>, Error>;
    fn timeline(&self, kind: &str, id: &str) -> Result<Vec<SagaAttempt>, Error>;
}

impl Readable for Arc<Database> {
    fn saga(&self, kind: &str, id: &str) -> Result<Option<Saga>, Error> {
        Database::saga(self, kind, id)
    }

    fn sagas(&self, filter: &SagaFilter, count: u32) -> Result<Vec<Saga>, Error> {
        Database::sagas(self, filter, 0, count)
    }

    fn timeline(&self, kind: &str, id: &str) -> Result<Vec<SagaAttempt>, Error> {
        self.saga_timeline(kind, id)
    }
}

impl Readable for Snapshot {
    fn saga(&self, kind: &str, id: &str) -> Result<Option<Saga>, Error> {
        Snapshot::saga(self, kind, id)
    }

    fn sagas(&self, filter: &SagaFilter, count: u32) -> Result<Vec<Saga>, Error> {
        Snapshot::sagas(self, filter, 0, count)
    }

    fn timeline(&self, kind: &str, id: &str) -> Result<Vec<SagaAttempt>, Error> {
        self.saga_timeline(kind, id)
    }
}

/// The sagas that a selection has found, the oldest first.
pub(super) struct Found {
    pub sagas: Vec<(String, Saga)>,
    pub more: bool,
    pub unread: Vec<Unread>,
}

/// States from which an ended saga is left out.
const IN_PROCESS: [SagaState; 4] = [SagaState::Running, SagaState::Waiting, SagaState::Undoing, SagaState::Stuck];

/// The file of this context.
pub(super) fn file<'f, F>(files: &'f [SagaFile<F>], context: &str) -> Result<&'f SagaFile<F>, Refused> {
    files.iter().find(|file| file.context == context).ok_or_else(|| {
        let hint = did_you_mean::hint(context, files.iter().map(|file| file.context.as_str()));
        Refused::new(format!("there is no context `{context}` with a store, and so with sagas"), hint)
    })
}

pub(super) fn open<F>(file: &SagaFile<F>) -> Result<&F, Refused> {
    file.file.as_ref().map_err(|why| {
        let message = format!("the file of `{}` is not open: {why}", file.context);
        Refused::new(message, "bring the context back into service first")
    })
}

/// The filter of a selection; without states, `states` are meant.
fn filter(selection: &SagaSelection, states: &[SagaState], now_ms: u64) -> Result<SagaFilter, Refused> {
    let state = |name: &String| {
        SagaState::parse(name).ok_or_else(|| {
            let hint = did_you_mean::hint(name, SagaState::ALL.iter().map(|state| state.name()));
            Refused::new(format!("there is no state `{name}` of a saga"), hint)
        })
    };
    let named: Vec<SagaState> = selection.states.iter().map(state).collect::<Result<_, _>>()?;
    let older_than_ms = |seconds: u64| now_ms.saturating_sub(seconds.saturating_mul(1_000)).saturating_add(1);
    Ok(SagaFilter {
        kind: selection.kind.clone(),
        states: if named.is_empty() { states.to_vec() } else { named },
        older_than_ms: selection.older_than_s.map(older_than_ms),
        cause: selection.cause.clone(),
    })
}

/// The sagas of a selection, at most `most`; without states in it, those in `states`.
///
/// # Errors
/// For an unknown context, kind or state.
pub(super) fn find<F: Readable>(
    files: &[SagaFile<F>],
    selection: &SagaSelection,
    states: &[SagaState],
    now_ms: u64,
    most: u32,
) -> Result<Found, Refused> {
    let filter = filter(selection, states, now_ms)?;
    let files: Vec<&SagaFile<F>> = match &selection.context {
        Some(context) => vec![file(files, context)?],
        None => files.iter().collect(),
    };
    let (mut sagas, mut unread) = (Vec::new(), Vec::new());
    for file in &files {
        let read = file.file.as_ref().map_err(Clone::clone);
        // One more than is asked for says that there are more.
        let read = read.and_then(|file| file.sagas(&filter, most.saturating_add(1)).map_err(|error| error.to_string()));
        match read {
            Ok(found) => sagas.extend(found.into_iter().map(|saga| (file.context.clone(), saga))),
            Err(why) => unread.push(Unread { context: file.context.clone(), why }),
        }
    }
    if let (true, Some(kind)) = (sagas.is_empty() && unread.is_empty(), &selection.kind) {
        known_kind(files.iter().filter_map(|file| file.file.as_ref().ok()), kind)?;
    }
    sagas.sort_by_key(|(_, saga)| saga.started_ms);
    let more = sagas.len() > most as usize;
    sagas.truncate(most as usize);
    Ok(Found { sagas, more, unread })
}

/// # Errors
/// When no saga of this kind was ever started, and others were.
fn known_kind<'f, F: Readable + 'f>(files: impl Iterator<Item = &'f F>, kind: &str) -> Result<(), Refused> {
    let mut kinds = BTreeSet::new();
    for file in files {
        let any = file.sagas(&SagaFilter::default(), limits::SAGA_LIST_MAX)?;
        kinds.extend(any.into_iter().map(|saga| saga.kind));
    }
    if kinds.is_empty() || kinds.contains(kind) {
        return Ok(());
    }
    let hint = did_you_mean::hint(kind, kinds.iter().map(String::as_str));
    Err(Refused::new(format!("no saga of the kind `{kind}` was started"), hint))
}

/// See `find`; in process unless the selection says otherwise.
pub(super) fn list<F: Readable>(
    files: &[SagaFile<F>],
    selection: &SagaSelection,
    now_ms: u64,
    most: u32,
) -> Result<SagaList, Refused> {
    let Found { sagas, more, unread } = find(files, selection, &IN_PROCESS, now_ms, most.min(limits::SAGA_LIST_MAX))?;
    let sagas = sagas.iter().map(|(context, saga)| SagaStatus::of(context, saga, now_ms)).collect();
    Ok(SagaList { sagas, more, unread })
}

/// What groups sagas: all that is the same of them.
type Alike = (String, String, SagaState, String, String);

/// The sagas of a selection by where they are, and why.
pub(super) fn groups<F: Readable>(
    files: &[SagaFile<F>],
    selection: &SagaSelection,
    now_ms: u64,
) -> Result<SagaGroups, Refused> {
    let found = find(files, selection, &IN_PROCESS, now_ms, limits::SAGA_GROUPED_MAX)?;
    let mut groups = BTreeMap::<Alike, (u64, u64)>::new();
    for (context, saga) in found.sagas {
        let alike = (context, saga.kind.clone(), saga.state, saga.step.clone(), without_numbers(cause(&saga)));
        let (sagas, oldest_ms) = groups.entry(alike).or_insert((0, u64::MAX));
        *sagas += 1;
        *oldest_ms = saga.started_ms.min(*oldest_ms);
    }
    let group = |((context, kind, state, step, cause), (sagas, oldest_ms)): (Alike, (u64, u64))| SagaGroup {
        sagas,
        context,
        kind,
        state: state.name().to_owned(),
        step,
        cause,
        oldest_s: now_ms.saturating_sub(oldest_ms) / 1_000,
    };
    let mut groups: Vec<SagaGroup> = groups.into_iter().map(group).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.sagas));
    Ok(SagaGroups { groups, unread: found.unread })
}

/// A cause without what makes it that of one saga: numbers of orders, amounts, times.
fn without_numbers(cause: &str) -> String {
    let word = |word: &str| if word.contains(|c: char| c.is_ascii_digit()) { "#".to_owned() } else { word.to_owned() };
    cause.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// One saga.
///
/// # Errors
/// When there is none of this name: with the nearest one.
pub(super) fn one<F: Readable>(file: &F, name: &SagaName) -> Result<Saga, Refused> {
    if let Some(saga) = file.saga(&name.kind, &name.id)? {
        return Ok(saga);
    }
    let of_kind = SagaFilter { kind: Some(name.kind.clone()), ..SagaFilter::default() };
    let others = file.sagas(&of_kind, limits::SAGA_LIST_MAX)?;
    if others.is_empty() {
        known_kind(std::iter::once(file), &name.kind)?;
    }
    let near = did_you_mean::nearest(&name.id, others.iter().map(|saga| saga.id.as_str()));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            format!("`seam sagas --context {}` shows those in process; ended ones are kept for a month", name.context)
        }
    };
    Err(Refused::new(format!("there is no saga {name}"), hint))
}

/// One saga with its timeline, and with its steps by the definition that its version declares, or why there is none.
///
/// # Errors
/// As `one`.
pub(super) fn show<F: Readable>(
    file: &F,
    name: &SagaName,
    definition: Result<SagaDefinition, String>,
    now_ms: u64,
) -> Result<ShownSaga, Refused> {
    let saga = one(file, name)?;
    let timeline = file.timeline(&name.kind, &name.id)?;
    let (steps, steps_unknown) = match definition {
        Ok(definition) => (steps(&definition, &saga, &timeline), String::new()),
        Err(why) => (Vec::new(), why),
    };
    Ok(ShownSaga {
        status: SagaStatus::of(&name.context, &saga, now_ms),
        undone_because: saga.cause,
        traceparent: saga.trace,
        perhaps_performed: if saga.in_doubt { saga.reach.into_iter().skip(1).collect() } else { Vec::new() },
        steps,
        steps_unknown,
        timeline: timeline.into_iter().map(ShownAttempt::from).collect(),
    })
}

impl From<SagaAttempt> for ShownAttempt {
    fn from(line: SagaAttempt) -> Self {
        let SagaAttempt { number, at_ms, took_ms, step, undo, answer, by } = line;
        Self { number, time: rfc3339(at_ms), took_ms, step, undo, answer, by }
    }
}

/// The definition of this kind among those that a version declares.
pub(super) fn definition(all: &[SagaDefinition], kind: &str) -> Result<SagaDefinition, String> {
    let found = all.iter().find(|definition| definition.kind == kind).cloned();
    found.ok_or_else(|| format!("the version that serves has no sagas of the kind `{kind}`"))
}
