//! One live instance of a component: its store, its guest data and the functions that can be called on it.
//!
//! Invariant: an instance serves one call at a time, and none any more after a trap, a timeout or a cancelled call.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use wasmtime::component::{Func, ResourceTable, TypedFunc};
use wasmtime::{Store, StoreContextMut, UpdateDeadline};
use wasmtime_wasi_http::WasiHttpCtx;

use super::generation::Blueprint;
use super::lean;
use super::recorder::Noted;
use crate::call::{Call, OutOfTime};
use crate::seam::{Guest, dispatch, memory, store, wasi};
use crate::{handoff, limits};

/// Boxed by whoever keeps it: a `Store` is large and moves between the pool and the stack with every call.
pub struct Instance {
    pub(super) store: Store<Guest>,
    pub(super) instance: wasmtime::component::Instance,
    /// In the order of the generation's `exports`.
    pub(super) functions: Vec<Func>,
    pub(super) lean: Option<TypedFunc<(lean::Request,), (lean::Response,)>>,
}

impl Instance {
    /// Instantiates: start functions run now, with nothing but time and memory.
    pub(super) fn start(plan: &Blueprint) -> wasmtime::Result<Box<Self>> {
        let mut store = new_store(plan);
        let instance = plan.pre.instantiate(&mut store)?;
        Self::ready(plan, store, instance)
    }

    /// The same for a component that is linked asynchronously.
    pub(super) async fn start_async(plan: &Blueprint) -> wasmtime::Result<Box<Self>> {
        let mut store = new_store(plan);
        let instance = plan.pre.instantiate_async(&mut store).await?;
        Self::ready(plan, store, instance)
    }

    fn ready(
        plan: &Blueprint,
        mut store: Store<Guest>,
        instance: wasmtime::component::Instance,
    ) -> wasmtime::Result<Box<Self>> {
        let missing = || wasmtime::format_err!("an export that the component declares is missing");
        let functions = plan
            .exports
            .iter()
            .map(|export| instance.get_func(&mut store, export.index).ok_or_else(missing))
            .collect::<wasmtime::Result<_>>()?;
        let lean = match &plan.lean {
            Some(index) => Some(instance.get_typed_func(&mut store, index)?),
            None => None,
        };
        Ok(Box::new(Self { store, instance, functions, lean }))
    }

    /// Makes an idle instance one of another generation of its component. What it may hold handles to stays as it is.
    pub(super) fn move_to(&mut self, plan: &Blueprint) {
        let mut guest = new_guest(plan);
        let old = self.store.data_mut();
        std::mem::swap(&mut guest.memory, &mut old.memory);
        std::mem::swap(&mut guest.table, &mut old.table);
        *old = guest;
    }

    /// Readies the instance for one call.
    pub(super) fn begin(&mut self, call: Call, set: dispatch::Set) {
        let guest = self.store.data_mut();
        guest.deadline = call.deadline;
        guest.outgoing.close(call.steer.shadow);
        guest.call = Some(call);
        guest.set = Some(set);
        guest.ticks = 0;
        self.store.set_epoch_deadline(1);
        self.store.set_hostcall_fuel(limits::HOST_CALL_BYTES_MAX);
    }

    /// Runs `work` and takes down what it does in the host.
    pub(super) fn noting<T>(
        &mut self,
        noted: &mut Noted,
        work: impl FnOnce(&mut Store<Guest>, &[Func]) -> wasmtime::Result<T>,
    ) -> wasmtime::Result<T> {
        self.store.data_mut().notes = Some(Box::default());
        let done = work(&mut self.store, &self.functions);
        let guest = self.store.data_mut();
        noted.notes = guest.notes.take();
        noted.wrote = guest.store.as_ref().is_some_and(store::Session::wrote);
        done
    }

    /// Ends the call. Returns whether it left a transaction open, which is rolled back now.
    pub(super) fn end(&mut self) -> bool {
        let guest = self.store.data_mut();
        guest.call = None;
        guest.set = None;
        guest.store.as_mut().is_some_and(store::Session::finish)
    }
}

fn new_guest(plan: &Blueprint) -> Guest {
    let grants = &plan.grants;
    let mut table = ResourceTable::new();
    table.set_max_capacity(limits::HANDLES_MAX);
    Guest {
        context: plan.context.clone(),
        call: None,
        set: None,
        deadline: Instant::now() + Duration::from_millis(limits::START_MS_MAX),
        ticks: 0,
        cut_off: grants.cut_off.clone(),
        store: grants.database.clone().map(store::Session::new),
        config: grants.config.clone(),
        outgoing: grants.outgoing.clone(),
        notes: None,
        memory: memory::Limiter::new(grants.memory.clone(), grants.instance_memory_mb),
        log_budget: grants.log_budget.clone(),
        wasi: wasi::empty_world(&plan.context, &grants.log_budget, &grants.world),
        http: WasiHttpCtx::new(),
        table,
    }
}

fn new_store(plan: &Blueprint) -> Store<Guest> {
    let mut store = Store::new(plan.pre.engine(), new_guest(plan));
    store.limiter(|guest| &mut guest.memory);
    store.set_hostcall_fuel(limits::HOST_CALL_BYTES_MAX);
    store.set_max_component_handles(limits::HANDLES_MAX);
    store.set_epoch_deadline(1);
    if plan.asynchronous {
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
        // This call is a long one, so the runtime's other tasks go on elsewhere. On a busy machine nobody may have come to take
        // them in the time given; hence more than one try, each after twice the time.
        handoff::step_aside();
    }
    Ok(UpdateDeadline::Continue(1))
}

fn in_time(cx: &StoreContextMut<'_, Guest>) -> wasmtime::Result<()> {
    let guest = cx.data();
    match Instant::now() < guest.deadline && !guest.cut_off.load(Ordering::Relaxed) {
        true => Ok(()),
        false => Err(OutOfTime.into()),
    }
}
