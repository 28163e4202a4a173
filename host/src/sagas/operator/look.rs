//! Which sagas there are in the files of contexts, and what an operator sees of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use seam_runtime::did_you_mean;
use seam_store::{Database, Saga, SagaFilter, SagaState};

use super::types::{
    SagaGroup, SagaGroups, SagaList, SagaName, SagaSelection, SagaStatus, ShownAttempt, ShownSaga, Unread, cause,
};
use crate::limits;
use crate::refused::Refused;
use crate::times::rfc3339;

/// The file of a context, or why it cannot be read now.
pub struct SagaFile {
    pub context: String,
    pub database: Result<Arc<Database>, String>,
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
pub(super) fn file<'f>(files: &'f [SagaFile], context: &str) -> Result<&'f SagaFile, Refused> {
    files.iter().find(|file| file.context == context).ok_or_else(|| {
        let hint = did_you_mean::hint(context, files.iter().map(|file| file.context.as_str()));
        Refused::new(format!("there is no context `{context}` with a store, and so with sagas"), hint)
    })
}

pub(super) fn open(file: &SagaFile) -> Result<&Arc<Database>, Refused> {
    file.database.as_ref().map_err(|why| {
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
pub(super) fn find(
    files: &[SagaFile],
    selection: &SagaSelection,
    states: &[SagaState],
    now_ms: u64,
    most: u32,
) -> Result<Found, Refused> {
    let filter = filter(selection, states, now_ms)?;
    let files: Vec<&SagaFile> = match &selection.context {
        Some(context) => vec![file(files, context)?],
        None => files.iter().collect(),
    };
    let (mut sagas, mut unread) = (Vec::new(), Vec::new());
    for file in &files {
        let read = file.database.as_ref().map_err(Clone::clone);
        // One more than is asked for says that there are more.
        let read = read
            .and_then(|database| database.sagas(&filter, 0, most.saturating_add(1)).map_err(|error| error.to_string()));
        match read {
            Ok(found) => sagas.extend(found.into_iter().map(|saga| (file.context.clone(), saga))),
            Err(why) => unread.push(Unread { context: file.context.clone(), why }),
        }
    }
    if let (true, Some(kind)) = (sagas.is_empty() && unread.is_empty(), &selection.kind) {
        known_kind(files.iter().filter_map(|file| file.database.as_ref().ok().map(Arc::as_ref)), kind)?;
    }
    sagas.sort_by_key(|(_, saga)| saga.started_ms);
    let more = sagas.len() > most as usize;
    sagas.truncate(most as usize);
    Ok(Found { sagas, more, unread })
}

/// # Errors
/// When no saga of this kind was ever started, and others were.
fn known_kind<'d>(files: impl Iterator<Item = &'d Database>, kind: &str) -> Result<(), Refused> {
    let mut kinds = BTreeSet::new();
    for database in files {
        let any = database.sagas(&SagaFilter::default(), 0, limits::SAGA_LIST_MAX)?;
        kinds.extend(any.into_iter().map(|saga| saga.kind));
    }
    if kinds.is_empty() || kinds.contains(kind) {
        return Ok(());
    }
    let hint = did_you_mean::hint(kind, kinds.iter().map(String::as_str));
    Err(Refused::new(format!("no saga of the kind `{kind}` was started"), hint))
}

/// See `find`; in process unless the selection says otherwise.
pub(super) fn list(files: &[SagaFile], selection: &SagaSelection, now_ms: u64, most: u32) -> Result<SagaList, Refused> {
    let Found { sagas, more, unread } = find(files, selection, &IN_PROCESS, now_ms, most.min(limits::SAGA_LIST_MAX))?;
    let sagas = sagas.iter().map(|(context, saga)| SagaStatus::of(context, saga, now_ms)).collect();
    Ok(SagaList { sagas, more, unread })
}

/// What groups sagas: all that is the same of them.
type Alike = (String, String, SagaState, String, String);

/// The sagas of a selection by where they are, and why.
pub(super) fn groups(files: &[SagaFile], selection: &SagaSelection, now_ms: u64) -> Result<SagaGroups, Refused> {
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
pub(super) fn one(database: &Database, name: &SagaName) -> Result<Saga, Refused> {
    if let Some(saga) = database.saga(&name.kind, &name.id)? {
        return Ok(saga);
    }
    let of_kind = SagaFilter { kind: Some(name.kind.clone()), ..SagaFilter::default() };
    let others = database.sagas(&of_kind, 0, limits::SAGA_LIST_MAX)?;
    if others.is_empty() {
        known_kind(std::iter::once(database), &name.kind)?;
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

pub(super) fn show(database: &Database, name: &SagaName, now_ms: u64) -> Result<ShownSaga, Refused> {
    let saga = one(database, name)?;
    let timeline = database.saga_timeline(&name.kind, &name.id)?;
    Ok(ShownSaga {
        status: SagaStatus::of(&name.context, &saga, now_ms),
        undone_because: saga.cause,
        traceparent: saga.trace,
        perhaps_performed: if saga.in_doubt { saga.reach.into_iter().skip(1).collect() } else { Vec::new() },
        timeline: timeline
            .into_iter()
            .map(|line| ShownAttempt {
                number: line.number,
                time: rfc3339(line.at_ms),
                took_ms: line.took_ms,
                step: line.step,
                undo: line.undo,
                answer: line.answer,
                by: line.by,
            })
            .collect(),
    })
}
