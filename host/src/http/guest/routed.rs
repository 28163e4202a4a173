//! A request whose mount is known.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use seam_store::ids::{ContextName, Trace};

use crate::http::client::Client;
use crate::http::limits::Limits;
use crate::http::observe::metrics::ContextMetrics;
use crate::http::separation::Separation;

/// A request to one context, without its body.
pub struct RoutedRequest<'a> {
    pub context: &'a ContextName,
    /// How long the context has to answer.
    pub timeout: Duration,
    /// The path below the mount, with a leading slash.
    pub path: &'a str,
    /// The host and port that the request is for; `None` for HTTP/1.0 without it.
    pub host: Option<&'a str>,
    pub parts: &'a Parts,
    pub trace: Trace,
    pub client: &'a Client,
    /// What the context may see and set in browsers.
    pub separation: &'a Separation,
    pub metrics: &'a Arc<ContextMetrics>,
    pub limits: &'a Limits,
}

/// A request of `parts` with what else a mount gives it, for tests.
#[cfg(test)]
pub fn with<T>(parts: &Parts, separation: &Separation, look: impl FnOnce(&RoutedRequest<'_>) -> T) -> T {
    #![allow(clippy::unwrap_used)]
    let metrics = crate::http::observe::metrics::Metrics::new(&prometheus::Registry::new()).unwrap();
    look(&RoutedRequest {
        context: &ContextName::new("shop").unwrap(),
        timeout: Duration::from_secs(1),
        path: "/a",
        host: Some("shop.example"),
        parts,
        trace: Trace::start(),
        client: &Client::peer("192.0.2.1:4711".parse().unwrap(), false),
        separation,
        metrics: &metrics.context("shop").unwrap(),
        limits: &Limits::default(),
    })
}
