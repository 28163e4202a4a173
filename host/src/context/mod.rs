//! Contexts at run time: components, their versions, their instances, and which of them answers a call.
//!
//! Floors, each folder importing only those after it: `alone -> serve -> route -> run -> link -> abi_copy, component ->
//! buffered_http`. Drivers see `serve::Registry`. Not here: where requests come from (`http`), what guests are given (`seam`), what
//! is stored (`store`).

pub mod abi_copy;
pub mod alone;
pub mod buffered_http;
pub mod component;
pub mod link;
pub mod route;
pub mod run;
pub mod serve;
