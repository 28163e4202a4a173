//! Requests into contexts and their answers, through `seam:host/http-handler` or `wasi:http`.

pub mod affinity;
mod buffered_http;
mod routed;
mod wasi_http;

use http::{Method, Response};
use hyper::body::Incoming;

use self::affinity::{AffinityConfig, give_key};
pub use self::routed::RoutedRequest;
use super::body::Body;
use super::request_error::RequestError;
use seam_runtime::run::Serves;
use seam_runtime::serve::Registry;
use seam_store::blocking;
use seam_store::ids::ContextName;

/// A function in place of all contexts.
#[cfg(test)]
pub type Native = Box<
    dyn Fn(
            seam_runtime::call::Call,
            seam_runtime::buffered_http::Request,
        ) -> Result<seam_runtime::buffered_http::Response, seam_runtime::call::Failure>
        + Send
        + Sync,
>;

/// The contexts that answer requests.
pub enum Contexts {
    Registry(Registry),
    #[cfg(test)]
    Native(Native),
}

impl Contexts {
    /// Why the host cannot do all that is asked of it; `None` when these contexts serve and every store works.
    pub fn not_ready<'a>(&self, mut contexts: impl Iterator<Item = &'a ContextName>) -> Option<String> {
        match self {
            Self::Registry(registry) => {
                // A page may need any context, also one that is not mounted.
                let why = registry.generations().into_iter().find_map(|generation| {
                    let context = generation.context();
                    match (generation.out_of_service(), generation.store_trouble()) {
                        (Some(_), _) => Some(format!("`{context}` is out of service")),
                        (None, Some(_)) => Some(format!("the store of `{context}` does not work")),
                        (None, None) => None,
                    }
                });
                let mut missing = || contexts.find(|context| registry.live(context.as_str()).is_err());
                why.or_else(|| missing().map(|context| format!("`{context}` does not serve")))
            }
            #[cfg(test)]
            Self::Native(_) => None,
        }
    }

    /// Passes the request to the variant of its context that `affinity` chooses.
    pub async fn respond(
        &self,
        request: RoutedRequest<'_>,
        affinity: &AffinityConfig,
        body: Incoming,
    ) -> Result<Response<Body>, RequestError> {
        let (parts, separation) = (request.parts, request.separation);
        let span = tracing::info_span!(
            target: "http",
            "request",
            trace = %format_args!("{:032x}", request.trace.trace_id),
            method = %parts.method,
            path = request.path,
            context = %request.context,
        );
        let registry = match self {
            Self::Registry(registry) => registry,
            #[cfg(test)]
            Self::Native(native) => {
                let handle = |call, request| span.in_scope(|| native(call, request));
                let mut answer = buffered_http::respond(request, body, handle).await;
                answer.iter_mut().for_each(|response| separation.keep_allowed(response.headers_mut()));
                return answer;
            }
        };
        let visitor = affinity.visitor(&parts.headers, || registry.is_split());
        let requested = affinity.requested(request.client.address, &parts.headers);
        let query = parts.uri.query().filter(|_| parts.method == Method::GET);
        let live = registry.live_for(request.context.as_str(), visitor.affinity, requested, query)?;
        let secure = request.client.secure;
        let answer = match live.serves() {
            Serves::BufferedHttp => {
                let suspends = live.suspends();
                let handle = |call, request| span.in_scope(|| live.handle(call, request));
                if suspends {
                    buffered_http::respond_async(request, body, live, span).await
                } else if parts.method.is_safe() {
                    buffered_http::respond(request, body, handle).await
                } else {
                    // It will write and wait for the disk several times: the worker's other tasks move once for all of
                    // them.
                    let handle = |call, request| blocking::block_in_place(|| handle(call, request));
                    buffered_http::respond(request, body, handle).await
                }
            }
            Serves::WasiHttp => wasi_http::respond(request, live, body, span).await,
            // Its component may be one that cannot be loaded.
            Serves::Nothing if live.generation().out_of_service().is_some() => Err(live.generation().absence().into()),
            Serves::Nothing => Err(RequestError::NotFound),
        };
        answer.map(|mut response| {
            separation.keep_allowed(response.headers_mut());
            if let Some(key) = &visitor.new_key {
                give_key(&mut response, key, secure);
            }
            response
        })
    }
}
