//! `wasi:http/outgoing-handler`: a guest's requests, only to the `host:port` pairs that the manifest grants.
//!
//! The check compares host names before resolving them: an operator who grants a name trusts its DNS.
//! Not here: incoming requests, which the HTTP driver hands to an instance.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, StreamBody};
use tokio::time::timeout_at;
use wasmtime::component::Linker;
use wasmtime_wasi_http::{
    Error, RequestOptions, Result, WasiBody, WasiHttpCtxView, WasiHttpHooks, WasiHttpView, default_send_request,
};

use super::Guest;
use super::dispatch::DispatchTable;
use crate::limits;

/// Where a guest may send requests.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// `host:port`, lower case.
    granted: Arc<[String]>,
    /// Set while the guest runs a shadow call: it may send nothing.
    closed: bool,
    /// When waiting for another machine ends: a guest that waits on a thread of the host is not interrupted there.
    until: Option<Instant>,
}

impl Outgoing {
    pub fn new(granted: &[String]) -> Self {
        Self { granted: granted.iter().map(|pair| pair.to_ascii_lowercase()).collect(), closed: false, until: None }
    }

    /// `true`: refuses all requests from now on; `false`: allows the granted ones again.
    pub fn close(&mut self, closed: bool) {
        self.closed = closed;
    }

    fn allows(&self, uri: &http::Uri) -> bool {
        let Some(host) = uri.host() else { return false };
        let secure = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let pair = format!("{}:{port}", host.to_ascii_lowercase());
        !self.closed && self.granted.contains(&pair)
    }
}

type Sent = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<()>> + Send>)>;

impl WasiHttpHooks for Outgoing {
    /// The host holds two pieces of each body that a guest has open, outside of the guest's accounted memory.
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        limits::BODY_PIECE_BYTES
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: Box<dyn Future<Output = Result<()>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        if !self.allows(request.uri()) {
            let (host, port) = (request.uri().host().unwrap_or_default(), request.uri().port_u16());
            tracing::warn!(target: "guest", host, port, "refused a request to a host that the manifest does not grant");
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        let mut options = options.unwrap_or_default();
        let bound = |asked: &mut Option<Duration>, longest_ms| {
            let longest = Duration::from_millis(longest_ms);
            *asked = Some(asked.map_or(longest, |asked| asked.min(longest)));
        };
        bound(&mut options.connect_timeout, limits::OUTGOING_CONNECT_MS);
        bound(&mut options.first_byte_timeout, limits::OUTGOING_SILENCE_MS);
        bound(&mut options.between_bytes_timeout, limits::OUTGOING_SILENCE_MS);
        let until = self.until.map(Into::into);
        Box::new(async move {
            let sending = default_send_request(request, Some(options));
            let (response, connection) = match until {
                Some(until) => timeout_at(until, sending).await.map_err(|_| Error::HttpResponseTimeout)??,
                None => sending.await?,
            };
            let connection: Box<dyn Future<Output = _> + Send> = Box::new(connection);
            let response = response.map(|body| match until {
                Some(until) => ending(body.boxed_unsync(), until),
                None => body.boxed_unsync(),
            });
            Ok((response, connection))
        })
    }
}

/// The body, of which reading ends with an error at `until`.
fn ending(body: WasiBody, until: tokio::time::Instant) -> WasiBody {
    let frames = futures::stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        match timeout_at(until, body.frame()).await {
            Ok(frame) => frame.map(|frame| (frame, Some(body))),
            Err(_) => Some((Err(Error::ConnectionReadTimeout), None)),
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        // Every use of `wasi:http` counts as an effect, as it may send a request.
        if let Some(state) = self.callees.as_ref().and_then(DispatchTable::retry_state) {
            state.had_effect();
        }
        // The driver of a `wasi:http` request, whose deadline moves, ends its waiting by itself.
        self.outgoing.until = self.moving.is_none().then_some(self.deadline);
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.outgoing }
    }
}

/// For guests that the host calls synchronously: every context behind a seam.
pub fn add_to_linker_sync(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_sync(linker)
}

/// For guests that serve `wasi:http`.
pub fn add_to_linker_async(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_reach_only_granted_hosts_and_ports() {
        let mut outgoing = Outgoing::new(&["api.example:443".into(), "Plain.example:8080".into()]);
        outgoing.close(true);
        assert!(!outgoing.allows(&http::Uri::from_static("https://api.example/x")));
        outgoing.close(false);
        let check =
            |uri: &'static str, expect| assert_eq!(outgoing.allows(&http::Uri::from_static(uri)), expect, "{uri}");
        check("https://api.example/x", true);
        check("https://API.example:443/x", true);
        check("http://api.example/x", false);
        check("http://plain.example:8080/", true);
        check("http://plain.example/", false);
        check("https://api.example.evil/", false);
        check("https://api.example@evil.example/", false);
        check("https://user@api.example/", true);
        check("/no-host", false);
    }
}
