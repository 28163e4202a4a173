//! Connections between the hosts of one system: calls over HTTP/2 with mutual TLS. docs/remote-calls.md has the form.
//!
//! Invariants: a call is performed only for a context that the certificate of its host names, whose imports allow it,
//! at a host that has the same placement. A call is sent again only if the other host has certainly not performed it.
//! Nothing that the other side does is unbounded, and nothing waits longer than the call may take.
//! Not here: what the bytes of arguments and results mean (`seam_runtime`), which context lives where (`manifest`).
//!
//! Imports point down this list only:
//! - `broker` does both for contexts that have copies behind a NATS broker.
//! - `server` answers the calls of other hosts; `client` sends calls to them.
//! - `admit` says what another host may ask for.
//! - `wire` turns calls and their outcomes into HTTP, and back.
//! - `metrics` counts calls.
//! - `authority` makes the certificates; `certificate_text` says what is in one.
//! - `credentials` holds what this host shows and whom it trusts, and takes up renewed files.
//! - `handshake` says why one failed.
//! - `trust` verifies a certificate; `names` reads whose it is.
//! - `refusals` logs what is refused; `config`, `totals` and `error` import none of the above.

mod admit;
pub mod authority;
mod broker;
mod certificate_text;
pub(crate) mod client;
mod config;
mod credentials;
mod error;
mod handshake;
mod http2;
mod metrics;
mod names;
mod refusals;
mod server;
mod totals;
mod trust;
mod wire;

#[cfg(test)]
mod tests;

pub use broker::{Broker, BrokerConfig, Copies, Ready, User, configuration};
pub use certificate_text::Described;
pub use client::{Client, ClientConfig, Learned};
pub use config::{Allow, Identity, Moves, Peer, System, Taking};
pub use credentials::Credentials;
pub use error::Error;
pub use metrics::Metrics;
pub use server::{Server, ServerConfig};
pub use totals::{Opening, Page, Pages, TotalAsk, Totals};
pub use wire::Step;
