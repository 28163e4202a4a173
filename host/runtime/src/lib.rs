//! Contexts at run time: components, their versions, their instances, and which of them answers a call.
//!
//! Floors, each importing only those after it: `alone -> serve -> pretend, route -> remote, run -> link -> abi_copy,
//! component -> guest -> two_phase -> call, codec, json, settings -> buffered_http, did_you_mean -> limits`. Drivers
//! use `serve::Registry`. One call must go up: a guest calls another context. It goes through the trait
//! `guest::dispatch::Dispatch`.
//! Not here: where requests come from, manifests, deploys (the crate `seam`), storage (the crate `seam-store`).

pub mod abi_copy;
pub mod alone;
pub mod buffered_http;
pub mod call;
pub mod codec;
pub mod component;
pub mod did_you_mean;
pub mod guest;
pub mod interface_name;
pub mod json;
pub mod limits;
pub mod link;
pub mod pretend;
pub mod remote;
pub mod route;
pub mod run;
#[cfg(test)]
mod samples;
pub mod serve;
pub mod settings;
pub mod two_phase;
