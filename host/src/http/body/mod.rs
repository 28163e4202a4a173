//! Bodies: a response's, buffered or streamed, and the reading of a request's with its limits.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};

use crate::http::response::error_page::Refusal;
use crate::http::service::Finished;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub type Stream = Pin<Box<dyn hyper::body::Body<Data = Bytes, Error = BoxError> + Send>>;

/// The body of a response.
pub enum Body {
    Whole(Bytes),
    Streamed(Stream),
    /// A stream whose end is waited for.
    Watched(Box<Watched>),
}

pub struct Watched {
    stream: Stream,
    /// Written down when the last byte is out or the client is gone.
    finished: Finished,
}

impl Body {
    pub fn empty() -> Self {
        Self::Whole(Bytes::new())
    }

    pub fn is_streamed(&self) -> bool {
        !matches!(self, Self::Whole(_))
    }

    /// Hands `finished` over: at once for a buffered body, at the stream's end otherwise.
    pub fn watch(self, mut finished: Finished) -> Self {
        match self {
            Self::Whole(bytes) => {
                finished.bytes = bytes.len() as u64;
                Self::Whole(bytes)
            }
            Self::Streamed(stream) => Self::Watched(Box::new(Watched { stream, finished })),
            watched @ Self::Watched(_) => watched,
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
            Self::Watched(watched) => {
                let frame = ready!(watched.stream.as_mut().poll_frame(cx));
                if let Some(Ok(frame)) = &frame {
                    watched.finished.bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Streamed(stream) => stream.is_end_stream(),
            Self::Watched(watched) => watched.stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Streamed(stream) => stream.size_hint(),
            Self::Watched(watched) => watched.stream.size_hint(),
        }
    }
}

/// The whole body of a request, at most `bytes` long and here within `time`.
pub async fn read(mut body: Incoming, bytes: usize, time: Duration) -> Result<Vec<u8>, Refusal> {
    if body.is_end_stream() {
        return Ok(Vec::new());
    }
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bytes {
        return Err(Refusal::BodyTooLarge);
    }
    let all = async {
        // What is only announced is not yet worth its memory.
        let mut whole = Vec::with_capacity(announced.min(64 * 1024));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Refusal::Bad(bad(&error)))?;
            let data = frame.into_data().unwrap_or_default();
            if data.len() > bytes - whole.len() {
                return Err(Refusal::BodyTooLarge);
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole)
    };
    tokio::time::timeout(time, all).await.unwrap_or(Err(Refusal::BodyTooSlow))
}

fn bad(error: &hyper::Error) -> &'static str {
    if error.is_incomplete_message() { "the body ended early" } else { "the body could not be read" }
}
