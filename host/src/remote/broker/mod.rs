//! Contexts that have copies: their calls go through a NATS broker, which gives each to one of the copies.
//!
//! docs/remote-calls.md has the form, "Through a broker"; decision 19 says who believes whom.
//!
//! Invariants: a call and its answer are signed by the hosts that send them, and neither counts unless its signature
//! is that of a host whose certificate names the context. The broker learns what is said, and can lose or delay it; it
//! can neither make it up nor have it done twice by one copy. A copy that leaves has answered all that it was given.
//! Not here: which contexts have copies, and where (`manifest`).
//!
//! Imports point down this list only:
//! - `copies` answers calls for the copies of this host; `caller` sends calls.
//! - `connection` is the one to the broker; `configuration` is the broker's own.
//! - `envelope` turns requests and responses into messages, and back; `seal` signs them.

mod caller;
mod configuration;
mod connection;
mod copies;
mod envelope;
mod seal;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use seam_store::ids::ContextName;

pub use self::caller::Broker;
pub use self::configuration::{User, configuration};
pub use self::copies::{Copies, Ready};
use super::config::System;

/// What the calls through a broker are started with.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// `host:port`
    pub address: String,
    /// The name in the broker's certificate.
    pub name: String,
    pub system: System,
    /// The name of this host.
    pub this: String,
    /// The names of all hosts of the system, this one among them: no further one is believed.
    pub hosts: Arc<[String]>,
    /// The contexts that have copies.
    pub contexts: Vec<ContextName>,
}
