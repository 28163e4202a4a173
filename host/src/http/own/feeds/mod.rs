//! Feeds: the events of a context, read from outside of the host over HTTP (docs/feeds.md).
//!
//! Invariants: only who sends a token of the feed learns more of it than that it wants one. A reader gets every event
//! after its position, in order, or a status and a reason why it cannot. What is open or in memory for readers is
//! bounded.
//! Not here: which events there are (`seam_store`), and what a feed is granted (`crate::manifest`).

mod cloud_event;
mod feed;
mod fields;
mod metrics;
mod page;
mod places;
mod problem;
mod query;
mod stream;
mod tokens;

use std::net::IpAddr;
use std::sync::Arc;

use http::header;
use http::request::Parts;
use http::{Method, Response};
use seam_runtime::guest::attempts::{Attempts, Limit};
use seam_store::clock::Clock;

use self::feed::Feed;
pub use self::feed::Outboxes;
use self::metrics::{FeedMetrics, Refusal};
use self::places::Places;
use self::query::Query;
use self::stream::Closing;
use self::tokens::{Refused, Token};
use crate::http::authority;
use crate::http::body::Body;
use crate::http::client::Client;
use crate::http::error::Error;
use crate::http::request_error::RequestError;
use crate::limits;
use crate::manifest::{self, is_named};

/// All feeds of a server.
pub struct Feeds {
    feeds: Vec<Arc<Feed>>,
    attempts: Attempts,
    places: Arc<Places>,
    closing: Closing,
}

impl Feeds {
    /// # Errors
    /// When a token cannot be read or is too weak, or `metrics` has those of feeds already.
    pub fn open(
        feeds: Vec<manifest::Feed>,
        outboxes: &Outboxes,
        metrics: &prometheus::Registry,
    ) -> Result<Self, Error> {
        let metrics = FeedMetrics::new(metrics)?;
        let open = |settings: manifest::Feed| Feed::open(settings, outboxes.clone(), &metrics).map(Arc::new);
        Ok(Self {
            feeds: feeds.into_iter().map(open).collect::<Result<_, _>>()?,
            attempts: Attempts::new(Clock::default()),
            places: Arc::default(),
            closing: Closing::default(),
        })
    }

    /// Ends all streams; a server that is stopping would wait for them.
    pub fn close(&self) {
        self.closing.close();
    }

    /// The response at the path of a feed; `None` for every other path. `host` is the authority that the request is
    /// for.
    pub fn respond(
        &self,
        parts: &Parts,
        host: Option<&str>,
        client: &Client,
        from_this_machine: impl FnOnce() -> bool,
    ) -> Option<Result<Response<Body>, RequestError>> {
        let path = parts.uri.path();
        let named = |feed: &&Arc<Feed>| match &feed.settings.host {
            Some(name) => host.is_some_and(|host| is_named(authority::host(host), name)),
            None => true,
        };
        let feed = self.feeds.iter().filter(|feed| feed.path == path).find(named)?;
        Some(self.answer(feed, parts, client, from_this_machine))
    }

    fn answer(
        &self,
        feed: &Arc<Feed>,
        parts: &Parts,
        client: &Client,
        from_this_machine: impl FnOnce() -> bool,
    ) -> Result<Response<Body>, RequestError> {
        if parts.method != Method::GET && parts.method != Method::HEAD {
            return Err(RequestError::MethodNotAllowed("GET, HEAD"));
        }
        if !client.secure && !feed.settings.plain_http && !from_this_machine() {
            feed.note_plain(client);
            feed.counts.refused(Refusal::Plain);
            return Err(RequestError::Forbidden);
        }
        let guess =
            [Limit { key: network(client.address), most: limits::FEED_GUESSES, window_s: limits::FEED_GUESSES_S }];
        // Counted before it is compared, so that many at once are no more than the limit.
        let refused = |refusal: Refusal, error: RequestError| {
            feed.counts.refused(refusal);
            error
        };
        let sent = tokens::sent(&parts.headers);
        let sent = sent.ok_or_else(|| refused(Refusal::NoToken, RequestError::Unauthorized))?;
        self.attempts
            .take(&guess)
            .map_err(|wait_s| refused(Refusal::Guesses, RequestError::TooManyAttempts(wait_s)))?;
        let token = feed.tokens.find(sent);
        let token = token.map_err(|Refused| refused(Refusal::WrongToken, RequestError::Unauthorized))?;
        self.attempts.give_back(&guess);
        tracing::debug!(target: "http", feed = feed.path, token = token.name, "a reader of the feed asks");
        let answer = self.answer_reader(feed, parts, &token);
        let status = answer.as_ref().map_or_else(RequestError::status, Response::status);
        feed.counts.answered(&token.name, status);
        answer
    }

    fn answer_reader(&self, feed: &Arc<Feed>, parts: &Parts, token: &Token) -> Result<Response<Body>, RequestError> {
        let query = match Query::read(parts, &feed.settings.interfaces) {
            Ok(query) => query,
            Err(problem) => return Ok(problem.response()),
        };
        if !asks_for_events(parts) {
            return page::respond(feed, parts, token, &query);
        }
        if parts.method == Method::HEAD {
            return Ok(stream::response(Body::empty()));
        }
        Ok(stream::open(feed.clone(), token.clone(), query, &self.places, &self.closing))
    }
}

/// Whether the client wants a stream of events, and not a page.
fn asks_for_events(parts: &Parts) -> bool {
    let fields = parts.headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let kind = |range: &str| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    fields.flat_map(|field| field.split(',')).any(|range| kind(range) == stream::KIND)
}

/// What tells one client from another when wrong tokens are counted: a whole IPv6 network is one customer's.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{:x}", address.to_bits() >> 64),
    }
}
