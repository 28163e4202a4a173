//! Bodies: of responses, buffered or streamed, and of requests.

mod read;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

pub use self::read::{read, skip};
use super::observe::completion::Completion;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub type Stream = Pin<Box<dyn hyper::body::Body<Data = Bytes, Error = BoxError> + Send>>;

/// The body of a response.
pub enum Body {
    Whole(Bytes),
    Streamed(Stream),
    /// A stream at whose end a request is recorded.
    Observed(Box<Observed>),
}

pub struct Observed {
    stream: Stream,
    /// After its last byte, or its failure.
    ended: bool,
    /// Dropped with the stream: after its last byte, or when the client is gone.
    completion: Completion,
}

impl Body {
    pub fn empty() -> Self {
        Self::Whole(Bytes::new())
    }

    pub fn is_streamed(&self) -> bool {
        !matches!(self, Self::Whole(_))
    }

    /// Records the request: now for a buffered body, at the stream's end otherwise.
    pub fn observe(self, mut completion: Completion) -> Self {
        match self {
            Self::Whole(bytes) => {
                completion.bytes = bytes.len() as u64;
                Self::Whole(bytes)
            }
            Self::Streamed(stream) => {
                completion.active.delivered();
                Self::Observed(Box::new(Observed { stream, ended: false, completion }))
            }
            observed @ Self::Observed(_) => observed,
        }
    }
}

impl Observed {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.completion.active.asked();
        // A panic in the host's own code, for example while it compresses, costs this request only.
        let polled = catch_unwind(AssertUnwindSafe(|| self.stream.as_mut().poll_frame(cx)));
        let frame = match polled {
            Ok(polled) => ready!(polled),
            Err(_) => {
                self.completion.metrics.panicked(&self.completion.trace, "in the body of an answer");
                Some(Err("the host failed in the body".into()))
            }
        };
        match &frame {
            Some(Ok(frame)) => {
                self.completion.active.delivered();
                self.completion.bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
            }
            _ => self.ended = true,
        }
        Poll::Ready(frame)
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        if !self.ended && !self.stream.is_end_stream() {
            self.completion.cut();
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Streamed(stream) => stream.as_mut().poll_frame(cx),
            Self::Observed(observed) => observed.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Streamed(stream) => stream.is_end_stream(),
            Self::Observed(observed) => observed.ended || observed.stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Streamed(stream) => stream.size_hint(),
            Self::Observed(observed) => observed.stream.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::sync::Arc;
    use std::time::Instant;

    use http::StatusCode;
    use http_body_util::{BodyExt, StreamBody};
    use seam_store::ids::Trace;

    use super::*;
    use crate::http::connection_activity::ConnectionActivity;
    use crate::http::observe::metrics::{ContextMetrics, Cut, Metrics};

    /// A streamed answer of the pieces that `next` gives, and what is recorded about it.
    fn observed(
        next: impl FnMut() -> Option<Result<Frame<Bytes>, BoxError>> + Send + Unpin + 'static,
    ) -> (Body, Arc<ContextMetrics>) {
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap().context("shop").unwrap();
        let connection = Arc::new(ConnectionActivity::new("192.0.2.1:1".parse().unwrap(), false, false, false));
        let completion = Completion {
            bytes: 0,
            status: StatusCode::OK,
            started: Instant::now(),
            metrics: metrics.clone(),
            access: None,
            trace: Trace::start(),
            active: connection.begin_request(),
        };
        let stream = StreamBody::new(futures::stream::iter(std::iter::from_fn(next)));
        (Body::Streamed(Box::pin(stream)).observe(completion), metrics)
    }

    #[tokio::test]
    async fn a_panic_in_a_body_ends_that_answer_and_is_the_hosts() {
        let (mut body, metrics) = observed(|| panic!("SECRET"));
        let error = body.frame().await.unwrap().unwrap_err();
        assert!(!error.to_string().contains("SECRET"));
        assert!(body.frame().await.is_none(), "it is not asked again");
        drop(body);
        assert_eq!((metrics.panics(), metrics.cuts(Cut::HangUp)), (1, 0));
    }

    #[tokio::test]
    async fn a_client_that_leaves_before_the_end_is_counted() {
        let mut left = 2;
        let next = move || {
            left -= 1;
            (left >= 0).then(|| Ok(Frame::data(Bytes::from_static(b"x"))))
        };
        let (body, metrics) = observed(next);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "xx");
        assert_eq!(metrics.cuts(Cut::HangUp), 0);
        let (mut body, metrics) = observed(next);
        body.frame().await.unwrap().unwrap();
        drop(body);
        assert_eq!((metrics.panics(), metrics.cuts(Cut::HangUp)), (0, 1));
    }
}
