//! `seam:host/store`: passes a guest's statements to its context's file.
//!
//! Texts and blobs are read in place in the guest's memory; rows return in one packed list.
//! Not here: which SQL is allowed and which call may write (`store`).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_store::{Database, Error, Transaction, Value};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower, WasmList, WasmStr};

use super::Guest;
use super::dispatch::DispatchTable;
use super::places::{Away, Places};
use crate::limits;

/// One instance's access to its context's file, with the open transaction of its call, if any.
pub struct Session {
    pub database: Arc<Database>,
    transaction: Option<Transaction>,
    /// Whether this call committed something, or may have.
    wrote: bool,
    /// Of the call; given away while it waits for the writer or the disk.
    places: Option<Arc<Places>>,
}

impl Session {
    pub fn new(database: Arc<Database>) -> Self {
        Self { database, transaction: None, wrote: false, places: None }
    }

    /// Prepares the session for a call that holds these places.
    pub fn enter(&mut self, places: Option<&Arc<Places>>) {
        self.places = places.cloned();
    }

    /// Whether the call holds the context's writer now. Other calls wait for it, so the host refuses calls to other
    /// contexts meanwhile.
    pub fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Whether the call has committed something, or may have. A transaction that only read counts too.
    pub fn wrote(&self) -> bool {
        self.wrote
    }

    /// Ends the call. Rolls back a transaction that the call left open, and returns whether there was one. Dropping the
    /// session rolls back too.
    pub fn finish(&mut self) -> bool {
        self.wrote = false;
        self.places = None;
        self.transaction.take().map(Transaction::rollback).is_some()
    }

    fn query(&mut self, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<Vec<u8>, Error> {
        match &mut self.transaction {
            Some(transaction) => transaction.query(sql, params, deadline),
            None => {
                if let Some(rows) = self.database.read(sql, params, deadline)? {
                    return Ok(rows);
                }
                let _away = away_for_writer(self.places.as_deref())?;
                self.wrote = true;
                self.database.write_and_read(sql, params, deadline)
            }
        }
    }

    fn execute(&mut self, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<u64, Error> {
        match &mut self.transaction {
            Some(transaction) => transaction.execute(sql, params, deadline),
            None => {
                let _away = away_for_writer(self.places.as_deref())?;
                self.wrote = true;
                self.database.execute(sql, params, deadline)
            }
        }
    }

    fn execute_many(&mut self, sql: &str, rows: &[u8], deadline: Instant) -> Result<u64, Error> {
        match &mut self.transaction {
            Some(transaction) => transaction.execute_many(sql, rows, deadline),
            None => {
                let _away = away_for_writer(self.places.as_deref())?;
                self.wrote = true;
                self.database.execute_many(sql, rows, deadline)
            }
        }
    }

    fn begin(&mut self, deadline: Instant) -> Result<(), Error> {
        if self.transaction.is_some() {
            return Err(Error::Invalid("a transaction is already open, and transactions do not nest".to_owned()));
        }
        let _away = away_for_writer(self.places.as_deref())?;
        self.transaction = Some(self.database.begin(deadline)?);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Error> {
        let transaction = self.transaction.take().ok_or_else(no_transaction)?;
        self.wrote = true;
        let _away = self.places.as_deref().and_then(Places::away_for_commit);
        transaction.commit()
    }

    fn rollback(&mut self) -> Result<(), Error> {
        let transaction = self.transaction.take().ok_or_else(no_transaction)?;
        // The last of a group commits for the others, even if it rolls its own transaction back.
        let _away = self.places.as_deref().and_then(Places::away_for_commit);
        transaction.rollback();
        Ok(())
    }
}

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
