//! The amounts of a total, sent to another host as they are read from the file.
//!
//! Invariant: what was not sent to its end has no last line, so the other host knows that it lacks some.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use h2::SendStream;
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

impl Sheet {
    /// Sends all of it, as fast as the other host takes it.
    pub async fn send(mut self, mut stream: SendStream<Bytes>) {
        while let Some(mut lines) = self.next(&mut stream).await {
            while !lines.is_empty() {
                stream.reserve_capacity(lines.len());
                while stream.capacity() == 0 {
                    let Some(Ok(_)) = poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
                }
                let some = lines.split_to(lines.len().min(stream.capacity()));
                if stream.send_data(some, false).is_err() {
                    return;
                }
            }
        }
        // The other host may have gone away.
        stream.send_data(Bytes::new(), true).ok();
    }

    /// The next lines. `None` after the last one, and once the other host has gone away.
    async fn next(&mut self, stream: &mut SendStream<Bytes>) -> Option<Bytes> {
        let pages = self.pages.as_mut()?;
        let page = tokio::select! {
            biased;
            _ = self.phases.wait_for(|phase| *phase >= Phase::Draining) => {
                Some(Page::Failed("its host stops".to_owned()))
            }
            page = pages.recv() => page,
            _ = poll_fn(|cx| stream.poll_reset(cx)) => None,
        };
        if !matches!(page, Some(Page::Rows(_))) {
            self.pages = None;
        }
        page.map(|page| self.writer.write(page))
    }
}
