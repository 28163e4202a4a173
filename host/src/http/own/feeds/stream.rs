//! A feed as it happens: server-sent events. Each has the position as its `id`, so that a reader that was cut off goes
//! on where it was.
//!
//! A stream reads the next events only when its reader has taken the ones before: a slow reader costs no memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::StreamBody;
use hyper::body::Frame;
use seam_store::{Database, FeedPage, Listener};
use tokio::sync::{Notify, watch};

use super::cloud_event;
use super::feed::{Feed, Most};
use super::fields::own_fields;
use super::metrics::OpenStream;
use super::places::{Place, Places};
use super::problem::Problem;
use super::query::Query;
use super::tokens::Token;
use crate::http::body::{Body, BoxError};
use crate::http::response::uncached;
use crate::limits;

pub const KIND: &str = "text/event-stream";
/// Has nginx pass each event on at once.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Ends the streams of a server.
pub struct Closing(watch::Sender<bool>);

impl Default for Closing {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Closing {
    pub fn close(&self) {
        self.0.send_replace(true);
    }
}

/// One reader's stream.
struct Stream {
    feed: Arc<Feed>,
    token: Token,
    query: Query,
    place: Place,
    _open: OpenStream,
    closed: watch::Receiver<bool>,
    /// The file that it reads, once it has read.
    outbox: Option<Arc<Database>>,
    woken: Arc<Notify>,
    listener: Arc<Listener>,
    /// Whether the reader knows the position of `query`.
    is_said: bool,
    /// When the reader got its last piece.
    said_at: Instant,
    /// After the last piece.
    ended: bool,
}

/// The stream after the query's position; a problem if it cannot start there.
pub fn open(feed: Arc<Feed>, token: Token, query: Query, places: &Arc<Places>, closing: &Closing) -> Response<Body> {
    let Some(place) = places.take(&feed.path, &token, Instant::now()) else { return Problem::crowded().response() };
    let woken = Arc::new(Notify::new());
    let wakes = woken.clone();
    let listener: Arc<Listener> = Arc::new(move || wakes.notify_one());
    let closed = closing.0.subscribe();
    let mut stream = Stream {
        _open: feed.counts.open(&token.name),
        feed,
        token,
        query,
        place,
        closed,
        outbox: None,
        woken,
        listener,
        is_said: true,
        said_at: Instant::now(),
        ended: false,
    };
    // What cannot be served has a status of its own, and is no stream.
    let first = match stream.read() {
        Ok(page) => format!("retry: {}\n\n{}", limits::FEED_RECONNECT_MS, stream.took(&page)),
        Err(problem) => {
            stream.feed.counts.problem(&stream.token.name, &problem);
            return problem.response();
        }
    };
    let pieces = futures::stream::unfold((stream, Some(first)), |(mut stream, first)| async move {
        let piece = match first {
            Some(first) => first,
            None => stream.next().await?,
        };
        stream.said_at = Instant::now();
        stream.place.delivered(stream.said_at);
        Some((Ok::<_, BoxError>(Frame::data(Bytes::from(piece))), (stream, None)))
    });
    response(Body::Streamed(Box::pin(StreamBody::new(pieces))))
}

pub fn response(body: Body) -> Response<Body> {
    let mut response = uncached(StatusCode::OK, KIND, "").map(|_| body);
    let fields = response.headers_mut();
    own_fields(fields);
    // Compressed, an event would wait in the encoders of proxies.
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    fields.insert(BUFFERING, HeaderValue::from_static("no"));
    response
}

impl Stream {
    /// The next piece, once there is one; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if self.ended || *self.closed.borrow() || !self.place.asked() || !self.feed.tokens.has(&self.token) {
                return None;
            }
            let page = match self.read() {
                Ok(page) => page,
                Err(problem) => {
                    // The reader comes back and gets it as the status of an answer.
                    self.ended = true;
                    self.feed.counts.problem(&self.token.name, &problem);
                    return Some(format!("event: problem\ndata: {}\n\n", problem.text()));
                }
            };
            let is_full = page.is_full;
            let piece = self.took(&page);
            if !piece.is_empty() {
                return Some(piece);
            }
            // Events that the reader does not want may wake it all the time.
            let silence = Duration::from_millis(limits::FEED_HEARTBEAT_MS).saturating_sub(self.said_at.elapsed());
            if silence.is_zero() {
                return Some(self.heartbeat());
            }
            if is_full {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                () = self.woken.notified() => {}
                changed = self.closed.changed() => changed.ok()?,
                () = tokio::time::sleep(silence) => {}
            }
        }
    }

    /// The events after the position that the reader has.
    fn read(&mut self) -> Result<FeedPage, Problem> {
        let outbox = self.feed.outbox()?;
        if !self.outbox.as_ref().is_some_and(|other| Arc::ptr_eq(other, &outbox)) {
            // Before it reads: what is published after that wakes it.
            outbox.listen(&self.listener);
            self.outbox = Some(outbox.clone());
        }
        let most = Most { entries: limits::FEED_STREAM_PAGE, bytes: limits::FEED_STREAM_BYTES };
        self.feed.read(&outbox, &self.query.interfaces, self.query.after, most)
    }

    /// The page as a piece of the stream. The reader has read up to its end from now on.
    fn took(&mut self, page: &FeedPage) -> String {
        let mut piece = String::new();
        for entry in &page.entries {
            piece.push_str(&format!("id: {}\ndata: ", entry.position()));
            cloud_event::write(&mut piece, &self.feed.path, entry);
            piece.push_str("\n\n");
        }
        self.feed.counts.served(&self.token.name, page.entries.len());
        let moved = self.query.after != Some(page.next);
        self.is_said = page.entries.last().map_or(self.is_said && !moved, |last| last.position() == page.next);
        self.query.after = Some(page.next);
        piece
    }

    /// A comment, so that the write fails when the reader is gone. With the position, where only events that the reader
    /// does not want have moved it: the reader does not fall behind what is kept.
    fn heartbeat(&mut self) -> String {
        match (self.query.after, std::mem::replace(&mut self.is_said, true)) {
            (Some(after), false) => format!(":\nid: {after}\n\n"),
            _ => ":\n\n".to_owned(),
        }
    }
}
