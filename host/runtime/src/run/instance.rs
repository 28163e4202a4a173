//! One live instance of a component: its store, its guest data and the functions that can be called on it.
//!
//! Invariant: an instance serves one call at a time, and no call after a trap, a timeout or a cancelled call.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use seam_store::blocking;
use wasmtime::component::{ComponentExportIndex, ComponentNamedList, Func, Lift, Lower, ResourceTable, TypedFunc, Val};
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
    /// Linked asynchronously.
    pub(crate) asynchronous: bool,
}

impl Instance {
    /// Instantiates the component: its start functions run now, with nothing but time and memory.
    pub(crate) fn start(blueprint: &Blueprint) -> wasmtime::Result<Box<Self>> {
        if blueprint.asynchronous {
            return blocking::block_on(Self::start_async(blueprint));
        }
        let mut store = new_store(blueprint);
        let instance = blueprint.pre.instantiate(&mut store)?;
        Self::ready(blueprint, store, instance)
    }

    /// Like `start`, for a component that is linked asynchronously, and without holding a thread.
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
        Ok(Box::new(Self { store, instance, functions, http_handler, asynchronous: blueprint.asynchronous }))
    }

    /// Calls the export at `index` on this thread, which waits while the guest waits for another host.
    ///
    /// # Errors
    /// When the export has other types, and as for every call.
    pub(crate) fn call<P, R>(&mut self, index: &ComponentExportIndex, params: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let function = self.instance.get_typed_func::<P, R>(&mut self.store, index)?;
        match self.asynchronous {
            true => blocking::block_on(function.call_async(&mut self.store, params)),
            false => function.call(&mut self.store, params),
        }
    }

    /// Calls `functions[at]` with values, as `call`.
    ///
    /// # Errors
    /// When there is no such function, and as for every call.
    pub(crate) fn call_values(&mut self, at: usize, params: &[Val], results: &mut [Val]) -> wasmtime::Result<()> {
        let missing = || wasmtime::format_err!("no such function");
        let function = *self.functions.get(at).ok_or_else(missing)?;
        match self.asynchronous {
            true => blocking::block_on(function.call_async(&mut self.store, params, results)),
            false => function.call(&mut self.store, params, results),
        }
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
        guest.together = None;
        guest.ticks = 0;
        guest.last_words.clear();
        self.store.set_epoch_deadline(1);
        self.store.set_hostcall_fuel(limits::HOST_CALL_BYTES_MAX);
    }

    /// From now on notes what the guest does in the host.
    pub(crate) fn note(&mut self) {
        let guest = self.store.data_mut();
        guest.notes = Some(Box::default());
        guest.drew.store(false, Ordering::Relaxed);
    }

    /// What was noted since `note`.
    pub(crate) fn noted(&mut self) -> Noted {
        let guest = self.store.data_mut();
        let wrote = guest.store.as_ref().is_some_and(store::Session::wrote);
        Noted { notes: guest.notes.take(), random: guest.drew.load(Ordering::Relaxed), wrote }
    }

    /// Ends the call. Returns whether it left a transaction open; that is rolled back now.
    pub(crate) fn end(&mut self) -> bool {
        let guest = self.store.data_mut();
        guest.call = None;
        guest.callees = None;
        guest.together = None;
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
        together: None,
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
    match Instant::now() < guest.deadline() && !guest.cut_off.is_given() && !guest.is_cancelled() {
        true => Ok(()),
        false => Err(OutOfTime.into()),
    }
}
