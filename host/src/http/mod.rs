//! The HTTP edge: requests on the listen addresses become calls into contexts, and their answers become responses.
//!
//! Invariants: everything that a client can make grow is bounded (`Limits`). A request that was accepted runs to its
//! end even when its client hangs up. Of a failure, a client learns a status, a sentence and a trace id, never the
//! reason.
//! Not here: which version of a context serves (`seam-runtime`), what a page says (the contexts).
//!
//! Imports point down this list only:
//! - `listen` accepts connections and enforces their timeouts.
//! - `service` checks a request, finds its mount and passes it to one of the next two.
//! - `config` holds what a server is started with.
//! - `guest` passes requests to contexts; `own` has the responses of the host itself.
//! - `response` turns an answer into what this client may get: conditions, compression, error pages.
//! - `body` streams response bodies and reads request bodies.
//! - `observe` records requests: metrics and the access log.
//! - `proxies` finds the client of a request behind proxies.
//! - `separation` keeps contexts apart that share a browser's origin.
//! - `authority` reads the host that a request is for.
//! - `connection_activity`, `client`, `request_error`, `header_fields`, `limits` and `error` import none of the above.

mod authority;
mod body;
mod client;
mod config;
mod connection_activity;
mod error;
mod guest;
mod header_fields;
mod limits;
mod listen;
mod observe;
mod own;
mod proxies;
mod request_error;
mod response;
mod separation;
mod service;

#[cfg(test)]
mod tests;

pub use config::{Config, Mount, mounts};
pub use error::Error;
pub use guest::affinity::AffinityConfig;
pub use limits::Limits;
pub use listen::{Mounts, Server};
pub use own::dev::StatusBoard;
pub use proxies::ProxyConfig;
