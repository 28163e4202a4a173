//! A page of a feed: a batch of CloudEvents, the address of the next one, and how long a cache may keep it.

use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use seam_store::FeedPage;
use sha2::{Digest, Sha256};

use super::cloud_event;
use super::feed::{Feed, Most};
use super::fields::own_fields;
use super::query::Query;
use super::tokens::Token;
use crate::http::body::Body;
use crate::http::request_error::RequestError;
use crate::http::response::negotiate;
use crate::limits;

const KIND: &str = "application/cloudevents-batch+json";
/// The position of the last event that the outbox has given.
const HEAD: HeaderName = HeaderName::from_static("seam-feed-head");
/// A full page never changes. Only the reader's own cache may keep it: a shared one would not ask for the token.
const FOREVER: &str = "private, max-age=31536000, immutable";
/// The page at the head, and the one that starts with what is kept.
const ASK_AGAIN: &str = "private, no-cache";

pub fn respond(feed: &Feed, parts: &Parts, token: &Token, query: &Query) -> Result<Response<Body>, RequestError> {
    let most = Most { entries: query.count, bytes: limits::FEED_PAGE_BYTES };
    let read = feed.outbox().and_then(|outbox| feed.read(&outbox, &query.interfaces, query.after, most));
    let page = match read {
        Ok(page) => page,
        Err(problem) => {
            feed.counts.problem(&token.name, &problem);
            return Ok(problem.response());
        }
    };
    let invalid = |_| RequestError::Internal("a header of a feed is no text".to_owned());
    let body = batch(&feed.path, &page);
    let next = format!("<{}?{}>; rel=\"next\"", feed.path, query.at(page.next));
    let stays = page.is_full && query.after.is_some();
    let tag = tag(&body, page.next);
    let mut response = Response::new(Body::Whole(body.into()));
    let fields = response.headers_mut();
    own_fields(fields);
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(KIND));
    fields.insert(header::ETAG, HeaderValue::try_from(tag).map_err(invalid)?);
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static(if stays { FOREVER } else { ASK_AGAIN }));
    fields.insert(header::LINK, HeaderValue::try_from(next).map_err(invalid)?);
    fields.insert(HEAD, HeaderValue::from(page.head));
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let response = negotiate::negotiate(parts, response);
    if parts.method == Method::GET && response.status() == StatusCode::OK {
        feed.counts.served(&token.name, page.entries.len());
    }
    Ok(response)
}

fn batch(source: &str, page: &FeedPage) -> String {
    let mut batch = String::from("[");
    for (number, entry) in page.entries.iter().enumerate() {
        batch.push_str(if number > 0 { ",\n" } else { "" });
        cloud_event::write(&mut batch, source, entry);
    }
    batch.push_str("]\n");
    batch
}

/// The same for the same events and the same next page. An empty page at another position is another page.
fn tag(body: &str, next: u64) -> String {
    let mut digest = Sha256::new();
    digest.update(next.to_le_bytes());
    digest.update(body);
    let digest = digest.finalize();
    format!("\"{}\"", hex::encode(digest.get(..16).unwrap_or_default()))
}
