//! What an operator does to sagas, one or many at once: a plan says what would happen to which, and is then carried
//! out.
//!
//! Invariants: a saga that is not as it was when it was looked at is left alone, and reported; so is one whose state
//! does not allow the action. Sagas of one file change in few transactions, each of which is short.

use std::sync::Arc;
use std::time::Duration;

use seam_store::{Database, Saga, SagaChange, SagaState};

use super::look::{Found, SagaFile, file, find, one, open};
use super::types::{NotActed, SagaAct, SagaActRequest, SagaName, SagaOrder, SagaPlan, SagaSelection, SagaTarget};
use crate::audit::quoted;
use crate::limits;
use crate::refused::Refused;
use crate::times::rfc3339;

/// What was found, and what is to become of it.
pub(super) struct Prepared {
    pub plan: SagaPlan,
    /// In the order of `plan.acts`.
    pub sagas: Vec<(String, Saga)>,
}

/// The states to which an order applies, where the operator names none.
fn states(order: SagaOrder) -> &'static [SagaState] {
    match order {
        SagaOrder::Retry | SagaOrder::Skip => &[SagaState::Running, SagaState::Undoing, SagaState::Stuck],
        SagaOrder::Undo => &[SagaState::Running, SagaState::Waiting, SagaState::Stuck],
        SagaOrder::Resume => &[SagaState::Waiting],
    }
}

/// # Errors
/// For an unknown context, kind, state or saga; for a single saga also when its state does not allow the action, or
/// when it has moved on since the preview.
pub(super) fn prepare(
    files: &[SagaFile<Arc<Database>>],
    request: &SagaActRequest,
    now_ms: u64,
) -> Result<Prepared, Refused> {
    let order = request.order;
    let found = match &request.of {
        SagaTarget::One(name) => {
            let saga = one(open(file(files, &name.context)?)?, name)?;
            Found { sagas: vec![(name.context.clone(), saga)], more: false, unread: Vec::new() }
        }
        SagaTarget::All(selection) => find(files, selection, states(order), now_ms, limits::SAGA_ACTS_MAX)?,
    };
    if let Some(unread) = found.unread.first() {
        let message = format!("the sagas of `{}` cannot be read: {}", unread.context, unread.why);
        return Err(Refused::new(
            message,
            "name another context with `--context`, or bring this one back into service",
        ));
    }
    let mut plan = SagaPlan {
        as_of: rfc3339(now_ms),
        done: false,
        acts: Vec::new(),
        refused: Vec::new(),
        moved: Vec::new(),
        more: found.more,
    };
    let mut sagas = Vec::new();
    for (context, saga) in found.sagas {
        let name = SagaName { context: context.clone(), kind: saga.kind.clone(), id: saga.id.clone() };
        let has_moved = request.as_of_ms.is_some_and(|as_of| saga.step_since_ms.max(ended(&saga)) > as_of);
        if let Some(why) = order.action().refusal(&saga) {
            plan.refused.push(NotActed { name, why });
        } else if has_moved {
            plan.moved.push(NotActed { name, why: format!("it has moved on since: {}", stands(&saga)) });
        } else {
            let (state, step) = (saga.state.name().to_owned(), saga.step.clone());
            plan.acts.push(SagaAct { name, state, step, effect: effect(order, &saga) });
            sagas.push((context, saga));
        }
    }
    if let SagaTarget::One(name) = &request.of
        && let Some(not) = plan.refused.first().or(plan.moved.first())
    {
        return Err(refused(name, &not.why));
    }
    Ok(Prepared { plan, sagas })
}

/// When it ended, or 0.
fn ended(saga: &Saga) -> u64 {
    if saga.state.has_ended() { saga.changed_ms } else { 0 }
}

fn refused(name: &SagaName, why: &str) -> Refused {
    let SagaName { context, kind, id } = name;
    Refused::new(
        format!("saga {name}: {why}"),
        format!("`seam sagas show {context} {kind} {id}` shows where it stands"),
    )
}

fn stands(saga: &Saga) -> String {
    format!("it is {} at `{}`", saga.state.name(), saga.step)
}

/// What the order does to a saga whose state allows it.
fn effect(order: SagaOrder, saga: &Saga) -> String {
    let step = &saga.step;
    match order {
        SagaOrder::Retry if saga.undoing => format!("`{step}` is undone now"),
        SagaOrder::Retry => format!("`{step}` is tried now"),
        SagaOrder::Skip if saga.undoing => format!("`{step}` counts as undone, and the steps before it are undone"),
        SagaOrder::Skip => format!("`{step}` counts as performed, and the saga goes on"),
        SagaOrder::Resume => format!("`{step}` counts as performed, and the saga goes on"),
        SagaOrder::Undo => {
            let last = saga.reach.last().unwrap_or(step);
            format!("its steps are undone, from `{last}` back to the first")
        }
    }
}

/// Carries a plan out. What has moved on meanwhile, or whose state no longer allows it, goes to those that were not
/// acted on.
///
/// # Errors
/// When a file cannot be written: with the number of sagas that were acted on before.
pub(super) fn carry_out(
    files: &[SagaFile<Arc<Database>>],
    Prepared { mut plan, sagas }: Prepared,
    order: SagaOrder,
    (who, why): (&str, &str),
    now_ms: u64,
) -> Result<SagaPlan, Refused> {
    let planned = std::mem::take(&mut plan.acts);
    let mut all: Vec<(SagaAct, String, Saga)> =
        planned.into_iter().zip(sagas).map(|(act, (context, saga))| (act, context, saga)).collect();
    // The sagas of one file share transactions.
    all.sort_by(|(_, one, _), (_, other, _)| one.cmp(other));
    for file in files {
        let of_file: Vec<_> = all.iter().filter(|(_, context, _)| *context == file.context).collect();
        for batch in of_file.chunks(limits::SAGA_ACTS_PER_COMMIT) {
            let listed: Vec<&Saga> = batch.iter().map(|(_, _, saga)| saga).collect();
            let done = open(file).and_then(|database| act(database, &listed, order, (who, why), now_ms));
            let done = done.map_err(|error| {
                let acted = plan.acts.len();
                Refused::new(format!("{}; {acted} sagas were acted on before that", error.message), error.remedy)
            })?;
            for ((act, _, _), result) in batch.iter().zip(done) {
                let not = |why| NotActed { name: act.name.clone(), why };
                match result {
                    Acted::Done => plan.acts.push(act.clone()),
                    Acted::Refused(why) => plan.refused.push(not(why)),
                    Acted::Moved(why) => plan.moved.push(not(why)),
                }
            }
        }
    }
    plan.done = true;
    Ok(plan)
}

enum Acted {
    Done,
    Refused(String),
    Moved(String),
}

/// Acts on some sagas of one file, in one transaction.
fn act(
    database: &Database,
    listed: &[&Saga],
    order: SagaOrder,
    by: (&str, &str),
    now_ms: u64,
) -> Result<Vec<Acted>, Refused> {
    let deadline = database.clock().now() + Duration::from_millis(limits::ADMIN_REQUEST_MS);
    let mut tx = database.begin(deadline)?;
    let mut done = Vec::new();
    for then in listed {
        let name = (then.kind.as_str(), then.id.as_str());
        let Some(now) = tx.saga(name.0, name.1)? else {
            done.push(Acted::Moved("it is gone".to_owned()));
            continue;
        };
        let waits = |saga: &Saga| saga.state == SagaState::Waiting;
        let is_same = now.step == then.step && now.undoing == then.undoing && waits(&now) == waits(then);
        if !is_same || now.state.has_ended() {
            done.push(Acted::Moved(format!("it has moved on: {}", stands(&now))));
            continue;
        }
        done.push(match tx.saga_act(name, order.action(), by, now_ms)? {
            SagaChange::Done => Acted::Done,
            SagaChange::Unknown => Acted::Moved("it is gone".to_owned()),
            SagaChange::Refused(why) => Acted::Refused(why),
        });
    }
    tx.commit()?;
    Ok(done)
}

/// The command, as it would be typed.
pub(super) fn command(request: &SagaActRequest) -> String {
    let mut command = format!("seam sagas {}", request.order.action().name());
    match &request.of {
        SagaTarget::One(SagaName { context, kind, id }) => {
            [context, kind, id].into_iter().for_each(|word| command.push_str(&format!(" {}", quoted(word))));
        }
        SagaTarget::All(SagaSelection { context, kind, states, older_than_s, cause }) => {
            command.push_str(" --all");
            let mut option = |name: &str, value: &str| command.push_str(&format!(" --{name} {}", quoted(value)));
            context.iter().for_each(|value| option("context", value));
            kind.iter().for_each(|value| option("kind", value));
            states.iter().for_each(|value| option("state", value));
            older_than_s.iter().for_each(|value| option("older-than", &format!("{value}s")));
            cause.iter().for_each(|value| option("cause", value));
        }
    }
    command
}
