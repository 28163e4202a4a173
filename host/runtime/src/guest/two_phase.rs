//! `seam:host/two-phase`: one transaction over the files of several contexts.
//!
//! Not here: what it is made of (`joint`), what a callee's calls do in it (`store`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_store::Error;
use seam_store::ids::ContextName;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Linker, Lower};

use super::Guest;
use super::joint::{Failed, Joint};
use super::transactions::Transactions;
use crate::limits;

/// What a context that may begin such transactions has.
#[derive(Clone)]
pub struct Grant {
    /// The contexts that may take part.
    pub participants: Arc<[ContextName]>,
    pub transactions: Arc<Transactions>,
}

/// The WIT variant `error`.
#[derive(ComponentType, Lower)]
#[component(variant)]
enum Failure {
    #[component(name = "busy")]
    Busy(String),
    #[component(name = "aborted")]
    Aborted(String),
    #[component(name = "in-doubt")]
    InDoubt(String),
    #[component(name = "refused")]
    Refused(String),
    #[component(name = "unavailable")]
    Unavailable(String),
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Busy(why) => Self::Busy(why),
            Failed::Aborted(why) => Self::Aborted(why),
            Failed::InDoubt(why) => Self::InDoubt(why),
            Failed::Refused(why) => Self::Refused(why),
            Failed::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

/// A tuple of one.
type Returned = (Result<(), Failure>,);

pub const INTERFACE: &str = "seam:host/two-phase@0.1.0";

/// All functions are synchronous: they run inline on the caller's thread.
pub fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(INTERFACE)?;
    instance.func_wrap("begin", |mut cx: StoreContextMut<'_, Guest>, (): ()| -> wasmtime::Result<Returned> {
        Ok((begin(cx.data_mut()).map_err(Failure::from),))
    })?;
    instance.func_wrap("commit", |mut cx: StoreContextMut<'_, Guest>, (): ()| -> wasmtime::Result<Returned> {
        Ok((commit(cx.data_mut()).map_err(Failure::from),))
    })?;
    instance.func_wrap("rollback", |mut cx: StoreContextMut<'_, Guest>, (): ()| {
        roll_back(cx.data_mut());
        Ok(())
    })
}

fn begin(guest: &mut Guest) -> Result<(), Failed> {
    let refused = |why: &str| Failed::Refused(why.to_owned());
    let call = guest.call().ok_or_else(|| refused("it is available during calls only"))?;
    let grant = guest.two_phase.clone().ok_or_else(|| refused("the manifest grants this context no `two_phase`"))?;
    let (Some(session), Some(callees)) = (&mut guest.store, &mut guest.callees) else {
        return Err(refused("the context has no store"));
    };
    if call.affinity.shadow {
        return Err(refused("a shadow writes its own store only"));
    }
    if callees.joint().is_some() {
        return Err(refused("another one of these transactions is open in this call"));
    }
    if !session.is_free() {
        return Err(refused("a transaction is open; commit or roll back first"));
    }
    let deadline = call.deadline.min(Instant::now() + Duration::from_millis(limits::TWO_PHASE_WAIT_MS));
    let busy = |why: &str| Failed::Busy(why.to_owned());
    let turn = {
        let _away = session.away_for_writer().map_err(|error| Failed::Busy(error.to_string()))?;
        grant.transactions.turn(deadline)
    };
    let turn = turn.ok_or_else(|| busy("another transaction over several files was open until the deadline"))?;
    session.coordinate(deadline).map_err(|error| match error {
        Error::Busy(why) => Failed::Busy(why),
        other => Failed::Unavailable(other.to_string()),
    })?;
    let joint = Joint::new(&guest.context, &grant.participants, call.trace.to_string(), turn);
    callees.join(Some(joint));
    Ok(())
}

fn commit(guest: &mut Guest) -> Result<(), Failed> {
    let refused = |why: &str| Failed::Refused(why.to_owned());
    let (Some(session), Some(callees)) = (&mut guest.store, &mut guest.callees) else {
        return Err(refused("no transaction over several files is open"));
    };
    if !session.coordinates() {
        return Err(refused("this call began no transaction over several files"));
    }
    if session.in_guest_transaction() {
        return Err(refused("a transaction of `store` is open; commit or roll it back first"));
    }
    let (Some(joint), Some(own)) = (callees.join(None), session.end_coordination()) else {
        return Err(refused("no transaction over several files is open"));
    };
    if let Some(retry) = callees.retry_state() {
        retry.had_effect();
    }
    let _away = session.away_for_commit();
    joint.commit(own, &session.database)
}

fn roll_back(guest: &mut Guest) {
    let (Some(session), Some(callees)) = (&mut guest.store, &mut guest.callees) else { return };
    if session.coordinates() {
        drop(session.end_coordination());
        drop(callees.join(None));
    }
}
