//! Bodies: of responses, buffered or streamed, and of requests.

mod read;

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

pub use self::read::read;
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
            Self::Streamed(stream) => Self::Observed(Box::new(Observed { stream, completion })),
            observed @ Self::Observed(_) => observed,
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
            Self::Observed(observed) => {
                let frame = ready!(observed.stream.as_mut().poll_frame(cx));
                if let Some(Ok(frame)) = &frame {
                    observed.completion.bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Streamed(stream) => stream.is_end_stream(),
            Self::Observed(observed) => observed.stream.is_end_stream(),
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
