//! `seam:host/store`: passes a guest's statements to its context's file.
//!
//! Texts and blobs are read in place in the guest's memory; rows return in one packed list.
//! Not here: which SQL is allowed and which call may write (`store`).

mod parts;
mod publish;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_store::ids::ContextName;
use seam_store::{Database, Error, NewEvent, Transaction, Value};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower, WasmList, WasmStr};

use super::Guest;
use super::dispatch::DispatchTable;
use super::joint::Joint;
use super::places::{Away, Places};
use crate::limits;

pub use publish::publish;

/// One instance's access to its context's file, with the open transaction of its call, if any.
pub struct Session {
    pub database: Arc<Database>,
    transaction: Option<Transaction>,
    /// Set while the host delivers events: its transaction goes over several calls.
    delivery: Option<Delivery>,
    /// The transaction over several files that the call is a part of, and the context's name in it.
    joint: Option<(Arc<Joint>, ContextName)>,
    /// Whether this call began a transaction over several files, which is open.
    coordinates: bool,
    /// Whether this call committed something, or may have.
    wrote: bool,
    /// Of the call; given away while it waits for the writer or the disk.
    places: Option<Arc<Places>>,
}

impl Session {
    pub fn new(database: Arc<Database>) -> Self {
        Self {
            database,
            transaction: None,
            delivery: None,
            joint: None,
            coordinates: false,
            wrote: false,
            places: None,
        }
    }

    /// Whether the call holds the context's writer now, and other contexts do not wait for the same end. Other calls
    /// wait for it, so the host refuses calls to other contexts meanwhile.
    pub fn in_transaction(&self) -> bool {
        match self.coordinates || self.joint.is_some() {
            true => self.in_guest_transaction(),
            false => self.transaction.is_some(),
        }
    }

    /// Whether the call has committed something, or may have. A transaction that only read counts too.
    pub fn wrote(&self) -> bool {
        self.wrote
    }

    /// Ends the call. Rolls back a transaction that the call left open, and returns whether there was one. Dropping the
    /// session rolls back too.
    pub fn finish(&mut self) -> bool {
        let left_open = self.joint.is_some() && self.in_guest_transaction();
        self.leave(true);
        self.wrote = false;
        self.places = None;
        self.delivery = None;
        self.coordinates = false;
        self.transaction.take().is_some() || left_open
    }

    fn query(&mut self, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<Vec<u8>, Error> {
        if self.transaction.is_none() {
            if let Some(rows) = self.database.read(sql, params, deadline)? {
                return Ok(rows);
            }
            if self.delivery.is_none() {
                let _away = away_for_writer(self.places.as_deref())?;
                self.wrote = true;
                return self.database.write_and_read(sql, params, deadline);
            }
        }
        self.transaction_of_delivery(deadline)?.query(sql, params, deadline)
    }

    fn execute(&mut self, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<u64, Error> {
        if self.commits_each() {
            let _away = away_for_writer(self.places.as_deref())?;
            self.wrote = true;
            return self.database.execute(sql, params, deadline);
        }
        self.transaction_of_delivery(deadline)?.execute(sql, params, deadline)
    }

    fn execute_many(&mut self, sql: &str, rows: &[u8], deadline: Instant) -> Result<u64, Error> {
        if self.commits_each() {
            let _away = away_for_writer(self.places.as_deref())?;
            self.wrote = true;
            return self.database.execute_many(sql, rows, deadline);
        }
        self.transaction_of_delivery(deadline)?.execute_many(sql, rows, deadline)
    }

    /// At once, or at `due_ms`, in milliseconds since 1970, if that is later.
    fn publish(&mut self, event: &NewEvent<'_>, due_ms: Option<u64>, deadline: Instant) -> Result<(), Error> {
        let due_ms = due_ms.filter(|due_ms| *due_ms > event.time_ms);
        if self.commits_each() {
            let _away = away_for_writer(self.places.as_deref())?;
            self.wrote = true;
            return match due_ms {
                None => self.database.publish(event, deadline),
                Some(due_ms) => self.database.publish_at(event, due_ms, deadline),
            };
        }
        let transaction = self.transaction_of_delivery(deadline)?;
        match due_ms {
            None => transaction.publish(event),
            Some(due_ms) => transaction.publish_at(event, due_ms),
        }
    }

    /// Runs `change` in the open transaction, or in one of its own.
    ///
    /// # Errors
    /// As `change`, and as for a commit if the transaction is its own.
    pub(super) fn change<T>(
        &mut self,
        deadline: Instant,
        change: impl FnOnce(&mut Transaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if !self.commits_each() {
            return change(self.transaction_of_delivery(deadline)?);
        }
        let waited = away_for_writer(self.places.as_deref())?;
        let mut transaction = self.database.begin(deadline)?;
        drop(waited);
        let changed = change(&mut transaction)?;
        self.wrote = true;
        let _away = self.places.as_deref().and_then(Places::away_for_commit);
        transaction.commit().map(|()| changed)
    }

    pub(super) fn open_transaction(&mut self) -> Option<&mut Transaction> {
        self.transaction.as_mut()
    }

    /// Whether the host delivers events to the call, or has it perform a step of a saga.
    pub(super) fn is_delivery(&self) -> bool {
        self.delivery.is_some()
    }

    pub(super) fn places(&self) -> Option<&Places> {
        self.places.as_deref()
    }

    /// Whether a statement now is a transaction of its own.
    fn commits_each(&self) -> bool {
        self.transaction.is_none() && self.delivery.is_none()
    }

    /// The open transaction. While events are delivered, and in the transaction of another context, the first statement
    /// that writes opens it.
    fn transaction_of_delivery(&mut self, deadline: Instant) -> Result<&mut Transaction, Error> {
        if self.transaction.is_none() {
            let _away = away_for_writer(self.places.as_deref())?;
            let mut transaction = match &self.joint {
                Some((joint, context)) => {
                    let wait = Instant::now() + Duration::from_millis(limits::TWO_PHASE_WAIT_MS);
                    joint.begin(context, &self.database, deadline.min(wait))?
                }
                None => self.database.begin(deadline)?,
            };
            transaction.savepoint(EVENT)?;
            self.transaction = Some(transaction);
        }
        self.transaction.as_mut().ok_or_else(no_transaction)
    }

    fn begin(&mut self, deadline: Instant) -> Result<(), Error> {
        let open = self.delivery.as_ref().map_or(self.transaction.is_some(), |delivery| delivery.guest_began);
        if open {
            return Err(Error::Invalid("a transaction is already open, and transactions do not nest".to_owned()));
        }
        if self.delivery.is_some() {
            self.transaction_of_delivery(deadline)?.savepoint(GUEST)?;
            self.delivery = Some(Delivery { guest_began: true });
            return Ok(());
        }
        let _away = away_for_writer(self.places.as_deref())?;
        self.transaction = Some(self.database.begin(deadline)?);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Error> {
        if self.delivery.is_some() {
            // It commits with the mark that the event is done.
            return self.end_in_delivery(|transaction| transaction.release(GUEST));
        }
        let transaction = self.transaction.take().ok_or_else(no_transaction)?;
        self.wrote = true;
        let _away = self.places.as_deref().and_then(Places::away_for_commit);
        transaction.commit()
    }

    fn rollback(&mut self) -> Result<(), Error> {
        if self.delivery.is_some() {
            return self.end_in_delivery(|transaction| transaction.roll_back_to(GUEST));
        }
        let transaction = self.transaction.take().ok_or_else(no_transaction)?;
        // One that read what others of its group wrote waits for their commit.
        let _away = self.places.as_deref().and_then(Places::away_for_commit);
        transaction.rollback()
    }

    fn end_in_delivery(&mut self, end: impl FnOnce(&mut Transaction) -> Result<(), Error>) -> Result<(), Error> {
        match (&mut self.delivery, &mut self.transaction) {
            (Some(delivery), Some(transaction)) if delivery.guest_began => {
                delivery.guest_began = false;
                end(transaction)
            }
            _ => Err(no_transaction()),
        }
    }

    /// From now on all calls until `end_delivery` share one transaction.
    pub fn start_delivery(&mut self) {
        self.delivery = Some(Delivery { guest_began: false });
    }

    /// From now on `end_events` can undo what is written.
    ///
    /// # Errors
    /// As for a statement; the transaction is not to be committed then.
    pub fn start_events(&mut self) -> Result<(), Error> {
        self.transaction.as_mut().map_or(Ok(()), |transaction| transaction.savepoint(EVENT))
    }

    /// Ends one call of several.
    ///
    /// # Errors
    /// As for a statement; the transaction is not to be committed then. `Error::Constraint` when rows violate foreign
    /// keys: `end_events` must undo them.
    pub fn end_call(&mut self) -> Result<(), Error> {
        let left_open = self.delivery.replace(Delivery { guest_began: false }).is_some_and(|was| was.guest_began);
        let Some(transaction) = self.transaction.as_mut() else { return Ok(()) };
        if left_open {
            // As at the end of any call.
            transaction.roll_back_to(GUEST)?;
        }
        transaction.check_deferred_keys()
    }

    /// Keeps what was written since `start_events`, or undoes it alone.
    ///
    /// # Errors
    /// As for a statement; the transaction is not to be committed then.
    pub fn end_events(&mut self, keep: bool) -> Result<(), Error> {
        let Some(transaction) = self.transaction.as_mut() else { return Ok(()) };
        if keep { transaction.release(EVENT) } else { transaction.roll_back_to(EVENT) }
    }

    /// Ends the only call since the transaction began: keeps what it wrote, or undoes that.
    ///
    /// # Errors
    /// As for `end_call`; what violates foreign keys is undone.
    pub fn end_event(&mut self, keep: bool) -> Result<(), Error> {
        match self.end_call() {
            Err(error @ Error::Constraint(_)) if keep => self.end_events(false).and(Err(error)),
            Err(Error::Constraint(_)) | Ok(()) => self.end_events(keep),
            Err(error) => Err(error),
        }
    }

    /// Has `mark` add what the host keeps of the delivery, and commits all of it.
    ///
    /// # Errors
    /// As for a commit. Nothing is written then, except after `Error::Unavailable`, when that is not known.
    pub fn end_delivery(
        &mut self,
        deadline: Instant,
        mark: impl FnOnce(&mut Transaction) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.delivery = None;
        let mut transaction = match self.transaction.take() {
            Some(transaction) => transaction,
            None => {
                let _away = away_for_writer(self.places.as_deref())?;
                self.database.begin(deadline)?
            }
        };
        mark(&mut transaction)?;
        self.wrote = true;
        let _away = self.places.as_deref().and_then(Places::away_for_commit);
        transaction.commit()
    }
}

/// The state of a delivery, or of another transaction over several calls.
#[derive(Clone, Copy)]
struct Delivery {
    /// Whether a transaction of the guest is open.
    guest_began: bool,
}

/// Names of savepoints: around one event, and where the guest began its transaction.
const EVENT: &str = "event";
const GUEST: &str = "guest";

fn away_for_writer(places: Option<&Places>) -> Result<Option<Away<'_>>, Error> {
    let Some(places) = places else { return Ok(None) };
    let busy = || Error::Busy("as many calls as may wait for a commit wait already".to_owned());
    places.away_for_writer().ok_or_else(busy).map(Some)
}

fn no_transaction() -> Error {
    Error::Invalid("no transaction is open".to_owned())
}

/// The WIT variant `value`, still in the guest's memory.
#[derive(ComponentType, Lift)]
#[component(variant)]
enum Param {
    #[component(name = "null")]
    Null,
    #[component(name = "integer")]
    Integer(i64),
    #[component(name = "real")]
    Real(f64),
    #[component(name = "text")]
    Text(WasmStr),
    #[component(name = "blob")]
    Blob(WasmList<u8>),
}

/// The WIT variant `error`.
#[derive(ComponentType, Lower)]
#[component(variant)]
enum Failure {
    #[component(name = "constraint")]
    Constraint(String),
    #[component(name = "busy")]
    Busy(String),
    #[component(name = "full")]
    Full(String),
    #[component(name = "too-large")]
    TooLarge(String),
    #[component(name = "denied")]
    Denied(String),
    #[component(name = "interrupted")]
    Interrupted(String),
    #[component(name = "invalid")]
    Invalid(String),
    #[component(name = "unavailable")]
    Unavailable(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Constraint(text) => Self::Constraint(text),
            Error::Busy(text) => Self::Busy(text),
            Error::Full(text) => Self::Full(text),
            Error::TooLarge(text) => Self::TooLarge(text),
            Error::Denied(text) => Self::Denied(text),
            Error::Interrupted(text) => Self::Interrupted(text),
            Error::Invalid(text) => Self::Invalid(text),
            Error::Unavailable(text) => Self::Unavailable(text),
        }
    }
}

/// The return values of a function of the interface: a tuple of one.
type Returned<T> = (Result<T, Failure>,);

pub const INTERFACE: &str = "seam:host/store@0.1.0";

/// All functions are synchronous: they run inline on the caller's thread.
pub fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut store = linker.instance(INTERFACE)?;
    store.func_wrap("query", |mut cx: StoreContextMut<'_, Guest>, (sql, params): (WasmStr, WasmList<Param>)| {
        let params = lift(&mut cx, &params)?;
        with_statement(cx, &sql, &params, Session::query)
    })?;
    store.func_wrap("execute", |mut cx: StoreContextMut<'_, Guest>, (sql, params): (WasmStr, WasmList<Param>)| {
        let params = lift(&mut cx, &params)?;
        with_statement(cx, &sql, &params, Session::execute)
    })?;
    store.func_wrap("execute-many", |cx: StoreContextMut<'_, Guest>, (sql, rows): (WasmStr, WasmList<u8>)| {
        with_session(cx, |guest, session, deadline| {
            let sql = sql.to_str(guest)?;
            let result = session.execute_many(&sql, rows.as_le_slice(guest), deadline);
            Ok((result, Some(sql)))
        })
    })?;
    store.func_wrap("begin", |cx: StoreContextMut<'_, Guest>, (): ()| {
        with_session(cx, |_, session, deadline| Ok((session.begin(deadline), None)))
    })?;
    store.func_wrap("commit", |cx: StoreContextMut<'_, Guest>, (): ()| {
        with_session(cx, |_, session, _| Ok((session.commit(), None)))
    })?;
    store.func_wrap("rollback", |cx: StoreContextMut<'_, Guest>, (): ()| {
        with_session(cx, |_, session, _| Ok((session.rollback(), None)))
    })
}

fn lift(cx: &mut StoreContextMut<'_, Guest>, params: &WasmList<Param>) -> wasmtime::Result<Vec<Param>> {
    // Stops after one too many: a guest must not make the host allocate for a list that no statement accepts.
    let most = usize::try_from(limits::STORE_PARAMETERS_MAX).unwrap_or(usize::MAX);
    let lifted = params.iter(&mut *cx)?.take(most + 1);
    lifted.collect()
}

fn with_statement<T>(
    cx: StoreContextMut<'_, Guest>,
    sql: &WasmStr,
    params: &[Param],
    run: impl FnOnce(&mut Session, &str, &[Value<'_>], Instant) -> Result<T, Error>,
) -> wasmtime::Result<Returned<T>> {
    with_session(cx, |guest, session, deadline| {
        let sql = sql.to_str(guest)?;
        let mut values = Vec::with_capacity(params.len());
        for param in params {
            values.push(match param {
                Param::Null => Value::Null,
                Param::Integer(i) => Value::Integer(*i),
                Param::Real(r) => Value::Real(*r),
                Param::Text(text) => Value::Text(text.to_str(guest)?),
                Param::Blob(bytes) => Value::Blob(bytes.as_le_slice(guest)),
            });
        }
        Ok((run(session, &sql, &values, deadline), Some(sql)))
    })
}

/// Takes the session out of the guest's data while `run` executes, so that statements can borrow the guest's memory.
/// `run` returns an error only when the guest broke the ABI; the error traps the guest.
fn with_session<'a, T>(
    mut cx: StoreContextMut<'a, Guest>,
    run: impl for<'g> FnOnce(
        &'g StoreContextMut<'a, Guest>,
        &mut Session,
        Instant,
    ) -> wasmtime::Result<(Result<T, Error>, Option<Cow<'g, str>>)>,
) -> wasmtime::Result<Returned<T>> {
    let Some(deadline) = cx.data().call().map(|call| call.deadline) else {
        return Ok((Err(Failure::Denied(
            "the store is available during calls only, not while an instance starts".to_owned(),
        )),));
    };
    let Some(mut session) = cx.data_mut().store.take() else {
        return Ok((Err(Failure::Denied("the manifest grants this context no store".to_owned())),));
    };
    let started = Instant::now();
    let done = run(&cx, &mut session, deadline);
    let done = done.map(|(result, sql)| {
        let took = started.elapsed();
        if took > Duration::from_millis(limits::STORE_SLOW_MS) {
            log_slow(&cx, took, sql.as_deref(), result.as_ref().err());
        }
        result
    });
    if session.wrote()
        && let Some(state) = cx.data().callees.as_ref().and_then(DispatchTable::retry_state)
    {
        state.had_effect();
    }
    cx.data_mut().store = Some(session);
    Ok((done?.map_err(Failure::from),))
}

/// The time includes waits for the writer, a reader and the disk. The SQL text contains no values; those are
/// parameters.
#[cold]
fn log_slow(cx: &StoreContextMut<'_, Guest>, took: Duration, sql: Option<&str>, error: Option<&Error>) {
    let text: String = sql.unwrap_or("begin, commit or rollback").chars().take(200).collect();
    let trace = cx.data().call.map(|call| call.trace.to_string());
    tracing::warn!(
        context = %cx.data().context,
        trace,
        ms = took.as_millis() as u64,
        error = error.map(tracing::field::display),
        sql = text,
        "slow statement"
    );
}
