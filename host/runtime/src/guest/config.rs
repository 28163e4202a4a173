//! `wasi:config`: the values that the manifest sets for a context.

use wasmtime::component::Linker;
use wasmtime_wasi_config::WasiConfig;

use super::Guest;

pub fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi_config::add_to_linker(linker, |guest: &mut Guest| WasiConfig::new(&guest.config))
}
