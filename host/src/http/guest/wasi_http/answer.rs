//! The body of a `wasi:http` guest's answer on its way to the client, and what becomes of it when the client leaves.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Acquire};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use hyper::body::Frame;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::turns::Turns;
use crate::http::body::{Body, BoxError};
use crate::http::{header_fields, separation};
use crate::limits;

/// The response for the client. `failed` is set before the stream ends when the guest did not finish it.
pub fn received(response: Response<HyperOutgoingBody>, failed: Arc<AtomicBool>, turns: Arc<Turns>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    header_fields::strip_hop_by_hop(&mut parts.headers);
    turns.delivered();
    Response::from_parts(parts, Body::Streamed(Box::pin(Written { body: Some(body), failed, turns })))
}

/// What the guest writes. The end of the stream alone does not show whether the guest finished the body or failed.
struct Written {
    /// `None` after its end.
    body: Option<HyperOutgoingBody>,
    failed: Arc<AtomicBool>,
    turns: Arc<Turns>,
}

impl Drop for Written {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            forget(body, &self.turns);
        }
    }
}

impl hyper::body::Body for Written {
    type Data = Bytes;
    type Error = BoxError;

    /// Is called only when the client can take more: then it is the guest's turn until there is a piece.
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
            self.turns.asked();
            return Poll::Pending;
        };
        if frame.is_some() {
            // A piece that lay ready is a turn of the guest, too: it has its whole time for the next one.
            self.turns.asked();
            self.turns.delivered();
        } else {
            self.body = None;
            self.turns.asked();
        }
        let frame = frame.map(|frame| {
            frame.map(|mut frame| {
                if let Some(trailers) = frame.trailers_mut() {
                    separation::keep_trailers(trailers);
                }
                frame
            })
        });
        match frame {
            // The error closes the connection, so that the client does not take a part for the whole.
            None if self.failed.load(Acquire) => Poll::Ready(Some(Err("the guest failed in the body".into()))),
            frame => Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from))),
        }
    }
}

/// Reads what the client leaves of an answer, after HEAD or because it hung up, so that the guest ends as if the client
/// had read it. Up to `HTTP_FORGOTTEN_BYTES`; a guest that writes more finds its stream closed.
pub fn forget(mut body: HyperOutgoingBody, turns: &Arc<Turns>) {
    turns.left();
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return turns.closed() };
    let turns = turns.clone();
    runtime.spawn(async move {
        let mut left = limits::HTTP_FORGOTTEN_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return turns.closed();
            }
        }
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::{Duration, Instant};

    use http_body_util::StreamBody;

    use super::*;
    use crate::http::header_fields::of;

    #[tokio::test]
    async fn what_follows_a_body_sets_nothing_in_browsers() {
        let trailers =
            of(&[("x-sum", "1"), ("set-cookie", "session=evil"), ("clear-site-data", "\"*\""), ("alt-svc", "a")]);
        let frames = [Ok(Frame::data(Bytes::from("text"))), Ok(Frame::trailers(trailers))];
        let body: HyperOutgoingBody = StreamBody::new(futures::stream::iter(frames)).boxed_unsync();
        let turns = Arc::new(Turns::new(Instant::now() + Duration::from_secs(5), Duration::from_secs(5)));
        let answer = received(Response::new(body), Arc::default(), turns);
        let whole = answer.into_body().collect().await.map_err(|error| error.to_string()).unwrap();
        let left: Vec<_> = whole.trailers().unwrap().keys().map(|name| name.as_str().to_owned()).collect();
        assert_eq!(left, ["x-sum"]);
        assert_eq!(whole.to_bytes(), "text");
    }
}
