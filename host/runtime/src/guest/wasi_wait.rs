//! `wasi:io/poll` for guests that are called synchronously: a wait ends with the call's time.
//!
//! No epoch tick reaches a guest that sleeps in the host. Whoever calls such a guest has given the runtime's worker away before
//! (`context::run::Generation`), since WASI's synchronous functions wait on the thread that calls them.

use std::time::Instant;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::io::poll as waiting;
use wasmtime_wasi::p2::bindings::sync::io::poll;
use wasmtime_wasi::runtime::in_tokio;

use super::Guest;
use crate::call::OutOfTime;

/// Puts these functions in the place of WASI's own.
pub fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    poll::add_to_linker::<Guest, Bounded>(linker, |guest| Wait { deadline: guest.deadline, table: &mut guest.table })?;
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

fn until<T>(deadline: Instant, future: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
    in_tokio(async { tokio::time::timeout_at(deadline.into(), future).await }).unwrap_or_else(|_| Err(OutOfTime.into()))
}

impl poll::Host for Wait<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        until(self.deadline, waiting::Host::poll(self.table, pollables))
    }
}

impl poll::HostPollable for Wait<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        poll::HostPollable::ready(self.table, pollable)
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        until(self.deadline, waiting::HostPollable::block(self.table, pollable))
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.table, pollable)
    }
}
