//! The body of a request on its way to a `wasi:http` guest: within its limits, whatever length was announced.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::Error;

use super::turns::{Turns, UploadFault};

pub struct Upload {
    /// `None` after its end, so that the connection can be used again, or closed.
    body: Option<Incoming>,
    bytes_left: usize,
    /// How much longer the guest may wait for the client. A guest that does other work keeps the client from sending,
    /// so that time is not the client's.
    time_left: Duration,
    /// While the guest waits.
    alarm: Option<Pin<Box<Sleep>>>,
    turns: Arc<Turns>,
}

impl Upload {
    /// The body, up to `bytes_max`, for which the guest waits no longer than `time` in all.
    pub fn new(body: Incoming, bytes_max: usize, time: Duration, turns: Arc<Turns>) -> Self {
        Self { body: Some(body), bytes_left: bytes_max, time_left: time, alarm: None, turns }
    }

    fn fail(&mut self, fault: UploadFault, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.body = None;
        self.turns.upload_failed(fault);
        Poll::Ready(Some(Err(error)))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
            let time_left = this.time_left;
            let alarm = this.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(time_left)));
            if alarm.as_mut().poll(cx).is_ready() {
                return this.fail(UploadFault::TooSlow, Error::ConnectionReadTimeout);
            }
            this.turns.upload_waits(alarm.deadline().into_std());
            return Poll::Pending;
        };
        if let Some(alarm) = this.alarm.take() {
            this.time_left = alarm.deadline().saturating_duration_since(Instant::now());
            this.turns.upload_resumes();
        }
        match frame {
            Some(Ok(frame)) => match this.bytes_left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(left) => {
                    this.bytes_left = left;
                    Poll::Ready(Some(Ok(frame)))
                }
                None => this.fail(UploadFault::TooLarge, Error::HttpRequestBodySize(None)),
            },
            Some(Err(error)) => this.fail(UploadFault::Cut, Error::Hyper(error)),
            None => {
                this.body = None;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
