//! `wasi:io/poll` for guests that the host calls synchronously: a wait ends at the call's deadline.
//!
//! No epoch tick reaches a guest that sleeps in the host. WASI's synchronous functions block the calling thread, so
//! `run::Generation` hands over the tokio worker before it calls such a guest.

use std::time::Instant;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::io::poll as async_poll;
use wasmtime_wasi::p2::bindings::sync::io::poll;
use wasmtime_wasi::runtime::in_tokio;

use super::Guest;
use crate::call::OutOfTime;

/// Replaces WASI's own functions by these.
pub fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    poll::add_to_linker::<Guest, Bounded>(linker, |guest| Wait {
        deadline: guest.deadline(),
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
}

fn with_deadline<T>(deadline: Instant, future: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
    in_tokio(async { tokio::time::timeout_at(deadline.into(), future).await }).unwrap_or_else(|_| Err(OutOfTime.into()))
}

impl poll::Host for Wait<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        with_deadline(self.deadline, async_poll::Host::poll(self.table, pollables))
    }
}

impl poll::HostPollable for Wait<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        poll::HostPollable::ready(self.table, pollable)
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        with_deadline(self.deadline, async_poll::HostPollable::block(self.table, pollable))
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.table, pollable)
    }
}
