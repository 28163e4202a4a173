//! A request whose mount is known.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use seam_store::ids::{ContextName, Trace};

use crate::http::client::Client;
use crate::http::limits::Limits;
use crate::http::observe::metrics::ContextMetrics;

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
    pub metrics: &'a Arc<ContextMetrics>,
    pub limits: &'a Limits,
}
