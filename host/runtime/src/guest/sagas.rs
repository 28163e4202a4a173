//! `seam:host/sagas`: a guest starts, resumes and gives up its context's sagas, and asks where they stand.
//!
//! Invariants: what changes a saga is a part of the open transaction, or one of its own. A call that waits for a saga
//! gives its places away, because the saga's steps need places, too; it waits no longer than it may take.
//! Not here: the tables (`store`), and when steps are performed (the driver of sagas).

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use seam_store::{Database, Error, Listener, SagaChange, SagaDefinition, SagaState, Transaction, blocking};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

use super::Guest;
use super::cut_off::CutOff;
use super::dispatch::DispatchTable;
use super::places::Places;
use super::store::Session;
use crate::did_you_mean::hint;
use crate::limits;

/// The sagas of one generation; shared by its instances.
#[derive(Clone)]
pub struct Sagas {
    definitions: Arc<OnceLock<Vec<SagaDefinition>>>,
    /// Whether the host performs them. It does not in a fixture or a trial.
    run: bool,
}

impl Sagas {
    pub fn new(run: bool) -> Self {
        Self { definitions: Arc::default(), run }
    }

    /// Once, before any call.
    pub fn declare(&self, definitions: Vec<SagaDefinition>) {
        self.definitions.set(definitions).ok();
    }

    pub fn definitions(&self) -> &[SagaDefinition] {
        self.definitions.get().map_or(&[], Vec::as_slice)
    }
}

/// The WIT enum `state`.
#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub enum StateCase {
    #[component(name = "running")]
    Running,
    #[component(name = "waiting")]
    Waiting,
    #[component(name = "undoing")]
    Undoing,
    #[component(name = "stuck")]
    Stuck,
    #[component(name = "done")]
    Done,
    #[component(name = "undone")]
    Undone,
}

/// The WIT record `status`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub struct Status {
    state: StateCase,
    step: String,
    cause: String,
}

/// The WIT variant `error`.
#[derive(ComponentType, Lower)]
#[component(variant)]
enum Failure {
    #[component(name = "unknown")]
    Unknown(String),
    #[component(name = "refused")]
    Refused(String),
    #[component(name = "invalid")]
    Invalid(String),
    #[component(name = "unavailable")]
    Unavailable(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(text) | Error::Constraint(text) | Error::TooLarge(text) => Self::Invalid(text),
            Error::Denied(text) => Self::Refused(text),
            Error::Busy(text) | Error::Full(text) | Error::Interrupted(text) | Error::Unavailable(text) => {
                Self::Unavailable(text)
            }
        }
    }
}

/// The return values of a function of the interface: a tuple of one.
type Returned<T> = (Result<T, Failure>,);

pub const INTERFACE: &str = "seam:host/sagas@0.1.0";

/// All functions are synchronous: they run inline on the caller's thread.
pub fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut sagas = linker.instance(INTERFACE)?;
    sagas.func_wrap("start", |cx: StoreContextMut<'_, Guest>, (kind, id): (String, String)| start(cx, &kind, &id))?;
    sagas.func_wrap("resume", |cx: StoreContextMut<'_, Guest>, (kind, id, step): (String, String, String)| {
        let changed = |transaction: &mut Transaction, now_ms| transaction.saga_resume(&kind, &id, &step, now_ms);
        change(cx, &kind, &id, changed)
    })?;
    sagas.func_wrap("give-up", |cx: StoreContextMut<'_, Guest>, (kind, id, cause): (String, String, String)| {
        let changed = |transaction: &mut Transaction, now_ms| transaction.saga_give_up(&kind, &id, &cause, now_ms);
        change(cx, &kind, &id, changed)
    })?;
    sagas.func_wrap("get-status", |mut cx: StoreContextMut<'_, Guest>, (kind, id): (String, String)| {
        let Call { session, .. } = Call::of(&mut cx, "get-status")?;
        Ok((status(session, &kind, &id),))
    })?;
    sagas.func_wrap("settle", |cx: StoreContextMut<'_, Guest>, (kind, id, most): (String, String, u32)| {
        settle(cx, &kind, &id, Duration::from_millis(most.into()))
    })
}

/// What a function of the interface works with.
struct Call<'g> {
    session: &'g mut Session,
    definitions: Sagas,
    deadline: Instant,
    trace: String,
    shadow: bool,
}

impl<'g> Call<'g> {
    /// # Errors
    /// Traps: the guest is only starting, or has no store, without which the host does not link the interface.
    fn of(cx: &'g mut StoreContextMut<'_, Guest>, function: &str) -> wasmtime::Result<Self> {
        let guest = cx.data_mut();
        let Some(call) = guest.call() else {
            wasmtime::bail!("`{INTERFACE}.{function}` was called during the start of the component");
        };
        let session = guest.store.as_mut().ok_or_else(|| wasmtime::format_err!("it has no store"))?;
        let (definitions, trace) = (guest.sagas.clone(), call.trace.to_string());
        Ok(Self { session, definitions, deadline: call.deadline, trace, shadow: call.affinity.shadow })
    }

    fn change<T>(self, change: impl FnOnce(&mut Transaction, u64) -> Result<T, Error>) -> Result<T, Error> {
        let now_ms = self.session.database.clock().wall_ms();
        self.session.change(self.deadline, |transaction| change(transaction, now_ms))
    }
}

fn start(mut cx: StoreContextMut<'_, Guest>, kind: &str, id: &str) -> wasmtime::Result<Returned<()>> {
    let call = Call::of(&mut cx, "start")?;
    let sagas = call.definitions.clone();
    let Some(definition) = sagas.definitions().iter().find(|definition| definition.kind == kind) else {
        let known = sagas.definitions().iter().map(|definition| definition.kind.as_str());
        let message = format!("this context declares no saga `{}`; {}", short(kind), hint(kind, known));
        return Ok((Err(Failure::Unknown(message)),));
    };
    if call.shadow {
        // What a shadow does stays with it.
        return Ok((Ok(()),));
    }
    let trace = call.trace.clone();
    let started = call.change(|transaction, now_ms| transaction.saga_start(definition, id, &trace, now_ms));
    note_effect(&cx);
    Ok((started.map(drop).map_err(Failure::from),))
}

fn change(
    mut cx: StoreContextMut<'_, Guest>,
    kind: &str,
    id: &str,
    change: impl FnOnce(&mut Transaction, u64) -> Result<SagaChange, Error>,
) -> wasmtime::Result<Returned<()>> {
    let call = Call::of(&mut cx, "resume")?;
    if call.shadow {
        return Ok((Ok(()),));
    }
    let changed = call.change(change);
    note_effect(&cx);
    Ok((match changed {
        Ok(SagaChange::Done) => Ok(()),
        Ok(SagaChange::Unknown) => Err(no_saga(kind, id)),
        Ok(SagaChange::Refused(why)) => Err(Failure::Refused(why)),
        Err(error) => Err(error.into()),
    },))
}

/// A request that has committed something is not run again.
fn note_effect(cx: &StoreContextMut<'_, Guest>) {
    let guest = cx.data();
    if guest.store.as_ref().is_some_and(Session::wrote)
        && let Some(retry) = guest.callees.as_ref().and_then(DispatchTable::retry_state)
    {
        retry.had_effect();
    }
}

fn status(session: &mut Session, kind: &str, id: &str) -> Result<Status, Failure> {
    let database = session.database.clone();
    let saga = match session.open_transaction() {
        Some(transaction) => transaction.saga(kind, id)?,
        None => database.saga(kind, id)?,
    };
    let saga = saga.ok_or_else(|| no_saga(kind, id))?;
    let state = match saga.state {
        SagaState::Running => StateCase::Running,
        SagaState::Waiting => StateCase::Waiting,
        SagaState::Undoing => StateCase::Undoing,
        SagaState::Stuck => StateCase::Stuck,
        SagaState::Done => StateCase::Done,
        SagaState::Undone => StateCase::Undone,
    };
    Ok(Status { state, cause: saga.why().to_owned(), step: saga.step })
}

fn settle(
    mut cx: StoreContextMut<'_, Guest>,
    kind: &str,
    id: &str,
    most: Duration,
) -> wasmtime::Result<Returned<Status>> {
    let (cut_off, run) = (cx.data().cut_off.clone(), cx.data().sagas.run);
    // The caller keeps some time, as it does for a callee.
    let now = Instant::now();
    let until = cx.data().call().map_or(now, |call| call.callee_deadline(now)).min(now + most);
    let Call { session, .. } = Call::of(&mut cx, "settle")?;
    if session.in_transaction() || session.is_delivery() {
        let message = "the call has a transaction open, for whose end the saga would wait";
        return Ok((Err(Failure::Refused(message.to_owned())),));
    }
    if run {
        wait(&session.database, session.places(), (kind, id), until, &cut_off);
    }
    Ok((status(session, kind, id),))
}

/// Waits while the saga runs or is being undone. Does not wait when too many calls do already.
fn wait(database: &Database, places: Option<&Places>, (kind, id): (&str, &str), until: Instant, cut_off: &CutOff) {
    let runs = || match database.saga(kind, id) {
        Ok(Some(saga)) => matches!(saga.state, SagaState::Running | SagaState::Undoing),
        // The status says what is wrong.
        Ok(None) | Err(_) => false,
    };
    if !runs() {
        return;
    }
    let away = places.map(Places::away_for_saga);
    if let Some(None) = away {
        return;
    }
    let bell = Arc::new((Mutex::new(false), Condvar::new()));
    let rung = bell.clone();
    let listener: Arc<Listener> = Arc::new(move || {
        *rung.0.lock() = true;
        rung.1.notify_one();
    });
    database.listen_sagas(&listener);
    blocking::block_in_place(|| {
        while runs() && !cut_off.is_given() {
            let now = Instant::now();
            if now >= until {
                break;
            }
            // A ring may be lost.
            let look = now + Duration::from_millis(limits::SAGA_SETTLE_LOOK_MS);
            let mut rung = bell.0.lock();
            if !*rung {
                bell.1.wait_until(&mut rung, look.min(until));
            }
            *rung = false;
        }
    });
}

fn no_saga(kind: &str, id: &str) -> Failure {
    Failure::Unknown(format!("there is no saga `{}` of the kind `{}`", short(id), short(kind)))
}

/// A name that may be any text.
fn short(text: &str) -> String {
    text.chars().take(seam_store::limits::SAGA_ID_CHARS_MAX).collect()
}
