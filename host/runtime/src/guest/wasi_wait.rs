//! `wasi:io/poll` for guests that the host calls synchronously: a wait ends at the call's deadline, or when the call is
//! cut off.
//!
//! No epoch tick reaches a guest that sleeps in the host. WASI's synchronous functions block the calling thread, so
//! `run::Generation` hands over the tokio worker before it calls such a guest.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::io::poll as async_poll;
use wasmtime_wasi::p2::bindings::sync::io::poll;
use wasmtime_wasi::runtime::in_tokio;

use super::Guest;
use super::cut_off::CutOff;
use crate::call::OutOfTime;

/// Replaces WASI's own functions by these.
pub fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    poll::add_to_linker::<Guest, Bounded>(linker, |guest| Wait {
        deadline: guest.deadline(),
        cut_off: guest.cut_off.clone(),
        table: &mut guest.table,
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

struct Bounded;

impl HasData for Bounded {
    type Data<'a> = Wait<'a>;
}

struct Wait<'a> {
    table: &'a mut ResourceTable,
    deadline: Instant,
    cut_off: Arc<CutOff>,
}

fn bounded<T>(
    deadline: Instant,
    cut_off: &CutOff,
    future: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<T> {
    in_tokio(async {
        tokio::select! {
            biased;
            done = future => done,
            () = tokio::time::sleep_until(deadline.into()) => Err(OutOfTime.into()),
            () = cut_off.wait() => Err(OutOfTime.into()),
        }
    })
}

impl poll::Host for Wait<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        bounded(self.deadline, &self.cut_off, async_poll::Host::poll(self.table, pollables))
    }
}

impl poll::HostPollable for Wait<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        poll::HostPollable::ready(self.table, pollable)
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        bounded(self.deadline, &self.cut_off, async_poll::HostPollable::block(self.table, pollable))
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.table, pollable)
    }
}
