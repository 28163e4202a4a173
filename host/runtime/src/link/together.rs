//! `seam:host/together`: makes the calls side by side that a guest has kept.
//!
//! Each goes the way of a single call (`seam_call::perform`), with its own share of the caller's places. Those that
//! wait for another host wait together; those that compute in this process do it one after the other, on the task of
//! their caller. The guest's own code does not run meanwhile.
//! Not here: which calls are kept (`guest::together`), and how the guest gets the answers (`seam_call`).

use std::sync::Arc;
use std::time::Instant;

use futures::future::join_all;
use seam_store::blocking;
use seam_store::ids::ContextName;
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use super::encoded::Encoded;
use super::seam_call::{note, perform};
use crate::call::{Call, ContextIndex, Failure};
use crate::guest::Guest;
use crate::guest::dispatch::{DispatchTable, Exchange};
use crate::guest::store::Session;
use crate::guest::together::{Answer, Kept, Together};
use crate::limits;

const INTERFACE: &str = "seam:host/together@0.1.0";

/// `callees`: the contexts whose functions the guest imports.
pub(super) fn add_to_linker(
    linker: &mut Linker<Guest>,
    asynchronous: bool,
    callees: Arc<[ContextIndex]>,
) -> wasmtime::Result<()> {
    let mut instance = linker.instance(INTERFACE)?;
    instance.func_wrap("collect", move |mut cx: StoreContextMut<'_, Guest>, (): ()| {
        let waits = would_wait(cx.data(), &callees);
        match waits {
            true => cx.data_mut().together.get_or_insert_default().expect_call(),
            false => cx.data_mut().together = None,
        }
        Ok((waits,))
    })?;
    instance.func_wrap("finish", |mut cx: StoreContextMut<'_, Guest>, (): ()| {
        finish(&mut cx);
        Ok(())
    })?;
    match asynchronous {
        true => instance.func_wrap_async("perform", |mut cx: StoreContextMut<'_, Guest>, (): ()| {
            Box::new(async move {
                if let Some(batch) = Batch::take(cx.data_mut()) {
                    let calls = batch.perform().await;
                    give_back(cx.data_mut(), calls);
                }
                Ok(())
            })
        }),
        false => instance.func_wrap("perform", |mut cx: StoreContextMut<'_, Guest>, (): ()| {
            if let Some(batch) = Batch::take(cx.data_mut()) {
                let calls = blocking::block_on(batch.perform());
                give_back(cx.data_mut(), calls);
            }
            Ok(())
        }),
    }
}

/// Whether the guest may call others now, and a call of one of them would wait without computing.
fn would_wait(guest: &Guest, callees: &[ContextIndex]) -> bool {
    let (Some(call), Some(table)) = (guest.call(), &guest.callees) else { return false };
    let in_transaction = table.joint().is_some() || guest.store.as_ref().is_some_and(Session::in_transaction);
    let waits = |callee: &ContextIndex| table.get(usize::from(*callee)).is_some_and(|callee| callee.waits(&call));
    !call.affinity.shadow && !in_transaction && callees.iter().any(waits)
}

/// The kept calls of a guest, and what they are made with.
struct Batch {
    context: ContextName,
    call: Call,
    callees: DispatchTable,
    calls: Vec<Kept>,
}

impl Batch {
    fn take(guest: &mut Guest) -> Option<Self> {
        let calls = guest.together.as_mut()?.perform();
        Some(Self { context: guest.context.clone(), call: guest.call()?, callees: guest.callees.clone()?, calls })
    }

    async fn perform(mut self) -> Vec<Kept> {
        let Self { context, call, callees, calls } = &mut self;
        let waits = |kept: &Kept| {
            callees.get(usize::from(kept.function.callee.context)).is_some_and(|callee| callee.waits(call))
        };
        // What computes here would keep the others from leaving.
        calls.sort_by_key(|kept| !waits(kept));
        let answers = join_all(calls.iter().map(|kept| one(context, *call, callees, kept))).await;
        let mut bytes = 0_usize;
        for (kept, mut answer) in calls.iter_mut().zip(answers) {
            bytes = bytes.saturating_add(answer.outcome.as_ref().map_or(0, Vec::len));
            if bytes > limits::SEAM_MESSAGE_BYTES_MAX {
                answer.outcome = Err(too_large(kept));
            }
            kept.answer = Some(answer);
        }
        self.calls
    }
}

async fn one(context: &ContextName, call: Call, callees: &DispatchTable, kept: &Kept) -> Answer {
    let started = Instant::now();
    let mut exchange = Encoded::new(&kept.function, &kept.arguments);
    let outcome = match perform(context, call, callees, &kept.function, &mut exchange).await {
        Ok(()) => {
            let mut bytes = Vec::new();
            exchange.encode_results(&kept.function, &mut bytes).map(|()| bytes).map_err(|error| absent(kept, &error))
        }
        Err(failure) => Err(failure),
    };
    Answer { outcome, took: started.elapsed() }
}

#[cold]
fn too_large(kept: &Kept) -> Failure {
    let most = limits::SEAM_MESSAGE_BYTES_MAX;
    absent(kept, &wasmtime::format_err!("the answers of calls made together have more than {most} bytes"))
}

#[cold]
fn absent(kept: &Kept, error: &wasmtime::Error) -> Failure {
    let reason =
        format!("its answer to `{}.{}` cannot be kept: {error:#}", kept.function.interface, kept.function.name);
    Failure::Absent { context: kept.function.interface.to_string(), reason }
}

fn give_back(guest: &mut Guest, calls: Vec<Kept>) {
    if let Some(together) = guest.together.as_mut().filter(|together| !together.is_performed()) {
        together.performed(calls);
    }
}

/// Ends the batch. The record has the calls, too, whose answers the guest did not want.
fn finish(cx: &mut StoreContextMut<'_, Guest>) {
    let left = cx.data_mut().together.take().map(|together| Together::finish(*together)).unwrap_or_default();
    for Kept { function, arguments, answer } in left {
        let Some(Answer { outcome, took }) = answer else { continue };
        let mut exchange = Encoded::new(&function, &arguments);
        let outcome = outcome.map(|results| exchange.set_results(results));
        note(cx, &function, &exchange, &outcome, took);
    }
}
