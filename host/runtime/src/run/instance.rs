//! One live instance of a component: its store, its guest data and the functions that can be called on it.
//!
//! Invariant: an instance serves one call at a time, and no call after a trap, a timeout or a cancelled call.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use seam_store::blocking;
use wasmtime::component::{Func, ResourceTable, TypedFunc};
use wasmtime::{Store, StoreContextMut, UpdateDeadline};
use wasmtime_wasi_http::WasiHttpCtx;

use super::blueprint::Blueprint;
use super::recorder::Noted;
use crate::buffered_http;
use crate::call::{Call, OutOfTime};
use crate::guest::last_words::LastWords;
use crate::guest::{Guest, dispatch, memory, store, wasi};
use crate::limits;

/// Kept in a box: a `Store` is large and moves between the pool and the stack with every call.
pub struct Instance {
    pub(crate) store: Store<Guest>,
    pub(crate) instance: wasmtime::component::Instance,
    /// In the order of the generation's `exports`.
    pub(crate) functions: Vec<Func>,
    pub(crate) http_handler: Option<TypedFunc<(buffered_http::Request,), (buffered_http::Response,)>>,
}

impl Instance {
    /// Instantiates the component: its start functions run now, with nothing but time and memory.
    pub(crate) fn start(blueprint: &Blueprint) -> wasmtime::Result<Box<Self>> {
        let mut store = new_store(blueprint);
        let instance = blueprint.pre.instantiate(&mut store)?;
        Self::ready(blueprint, store, instance)
    }

    /// Like `start`, for a component that is linked asynchronously.
    pub(crate) async fn start_async(blueprint: &Blueprint) -> wasmtime::Result<Box<Self>> {
        let mut store = new_store(blueprint);
        let instance = blueprint.pre.instantiate_async(&mut store).await?;
        Self::ready(blueprint, store, instance)
    }

    fn ready(
        blueprint: &Blueprint,
        mut store: Store<Guest>,
        instance: wasmtime::component::Instance,
    ) -> wasmtime::Result<Box<Self>> {
        let missing = || wasmtime::format_err!("an export that the component declares is missing");
        let functions = blueprint
            .exports
            .iter()
            .map(|export| instance.get_func(&mut store, export.index).ok_or_else(missing))
            .collect::<wasmtime::Result<_>>()?;
        let http_handler = match &blueprint.http_handler {
            Some(index) => Some(instance.get_typed_func(&mut store, index)?),
            None => None,
        };
        Ok(Box::new(Self { store, instance, functions, http_handler }))
    }

    /// Moves an idle instance to another generation of its component. Its memory and its resource table stay, because
    /// it may hold handles.
    pub(crate) fn move_to(&mut self, blueprint: &Blueprint) {
        let mut guest = new_guest(blueprint);
        let old = self.store.data_mut();
        std::mem::swap(&mut guest.memory, &mut old.memory);
        std::mem::swap(&mut guest.table, &mut old.table);
        *old = guest;
    }

    /// Prepares the instance for one call.
    pub(crate) fn begin(&mut self, call: Call, callees: dispatch::DispatchTable) {
        let guest = self.store.data_mut();
        guest.deadline = call.deadline;
        guest.moving = None;
        guest.outgoing.close(call.affinity.shadow);
        guest.call = Some(call);
        if let Some(session) = &mut guest.store {
            session.enter(&callees, &guest.context);
        }
        guest.callees = Some(callees);
        guest.ticks = 0;
        guest.last_words.clear();
        self.store.set_epoch_deadline(1);
        self.store.set_hostcall_fuel(limits::HOST_CALL_BYTES_MAX);
    }

    /// Runs `work` and notes in `noted` what it does in the host.
    pub(crate) fn noting<T>(
        &mut self,
        noted: &mut Noted,
        work: impl FnOnce(&mut Store<Guest>, &[Func]) -> wasmtime::Result<T>,
    ) -> wasmtime::Result<T> {
        let guest = self.store.data_mut();
        guest.notes = Some(Box::default());
        guest.drew.store(false, Ordering::Relaxed);
        let done = work(&mut self.store, &self.functions);
        let guest = self.store.data_mut();
        noted.notes = guest.notes.take();
        noted.random = guest.drew.load(Ordering::Relaxed);
        noted.wrote = guest.store.as_ref().is_some_and(store::Session::wrote);
        done
    }

    /// Ends the call. Returns whether it left a transaction open; that is rolled back now.
    pub(crate) fn end(&mut self) -> bool {
        let guest = self.store.data_mut();
        guest.call = None;
        guest.callees = None;
        guest.store.as_mut().is_some_and(store::Session::finish)
    }
}

fn new_guest(blueprint: &Blueprint) -> Guest {
    let grants = &blueprint.grants;
    let (drew, last_words) = (Arc::default(), LastWords::default());
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits::HANDLES_MAX);
    Guest {
        context: blueprint.context.clone(),
        call: None,
        callees: None,
        deadline: Instant::now() + Duration::from_millis(limits::START_MS_MAX),
        moving: None,
        ticks: 0,
        cut_off: grants.cut_off.clone(),
        store: grants.database.clone().map(store::Session::new),
        two_phase: grants.two_phase.clone(),
        sagas: grants.sagas.clone(),
        config: grants.config.clone(),
        outgoing: grants.outgoing.clone(),
        notes: None,
        memory: memory::Limiter::new(grants.memory.clone(), grants.instance_memory_mb),
        attempts: grants.attempts.clone(),
        log_budget: grants.log_budget.clone(),
        wasi: wasi::empty_world(&blueprint.context, &grants.log_budget, &grants.world, &drew, &last_words),
        drew,
        last_words,
        http: WasiHttpCtx::new(),
        table,
    }
}

fn new_store(blueprint: &Blueprint) -> Store<Guest> {
    let mut store = Store::new(blueprint.pre.engine(), new_guest(blueprint));
    store.limiter(|guest| &mut guest.memory);
    store.set_hostcall_fuel(limits::HOST_CALL_BYTES_MAX);
    store.set_max_component_handles(limits::HANDLES_MAX);
    store.set_epoch_deadline(1);
    if blueprint.asynchronous {
        store.epoch_deadline_callback(|cx| in_time(&cx).map(|()| UpdateDeadline::Yield(1)));
    } else {
        store.epoch_deadline_callback(tick);
    }
    store
}

/// Runs once a tick while the guest computes.
fn tick(mut cx: StoreContextMut<'_, Guest>) -> wasmtime::Result<UpdateDeadline> {
    in_time(&cx)?;
    let guest = cx.data_mut();
    guest.ticks += 1;
    if guest.ticks.is_power_of_two() {
        // This call is long, so the runtime's other tasks move to another worker. On a busy machine no worker may have
        // been free to take them; hence more than one try, each after twice the time.
        blocking::yield_worker();
    }
    Ok(UpdateDeadline::Continue(1))
}

fn in_time(cx: &StoreContextMut<'_, Guest>) -> wasmtime::Result<()> {
    let guest = cx.data();
    match Instant::now() < guest.deadline() && !guest.cut_off.is_given() {
        true => Ok(()),
        false => Err(OutOfTime.into()),
    }
}
