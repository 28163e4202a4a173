//! The amounts of a total, sent to another host as they are read from the file.
//!
//! Invariant: what was not sent to its end has no last line, so the other host knows that it lacks some.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use seam_runtime::call::Failure;
use tokio::sync::watch;
use tokio::time::timeout;

use super::receive::Running;
use super::shared::{Connected, Phase, Shared};
use crate::remote::totals::{Page, Pages, TotalAsk};
use crate::remote::wire::total::Writer;

/// The lines of an answer.
pub struct Sheet {
    /// `None` once the last line was given.
    pages: Option<Pages>,
    writer: Writer,
    phases: watch::Receiver<Phase>,
    _running: Running,
}

/// Has the amounts read. The file is seen as it is before this is ready.
pub async fn open(shared: &Arc<Shared>, connected: &Arc<Connected>, ask: TotalAsk) -> Result<Sheet, Failure> {
    connected.calls.fetch_add(1, Relaxed);
    let running = Running::new(connected.clone());
    let context = ask.context.to_string();
    let opened = timeout(ask.remaining, shared.totals.open(ask)).await;
    let pages = opened.unwrap_or(Err(Failure::TimedOut { context }))?;
    Ok(Sheet { pages: Some(pages), writer: Writer::default(), phases: shared.phases.clone(), _running: running })
}

impl Body for Sheet {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let stops = *self.phases.borrow() >= Phase::Draining;
        let Some(pages) = &mut self.pages else { return Poll::Ready(None) };
        let page = match stops {
            true => Some(Page::Failed("its host stops".to_owned())),
            false => ready!(pages.poll_recv(cx)),
        };
        if !matches!(page, Some(Page::Rows(_))) {
            self.pages = None;
        }
        Poll::Ready(page.map(|page| Ok(Frame::data(self.writer.write(page)))))
    }
}
