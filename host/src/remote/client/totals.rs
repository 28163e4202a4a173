//! Asks other hosts for the amounts of totals, and reads them as they come.

use std::time::Duration;

use bytes::Bytes;
use seam_runtime::call::Failure;
use seam_runtime::remote::Carried;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::link::Link;
use super::{Client, Lost, begin, collected};
use crate::limits;
use crate::remote::http2::Body;
use crate::remote::totals::{Opening, Page, Pages, TotalAsk, Totals};
use crate::remote::wire::total::Reader;
use crate::remote::wire::{self, Rejection};

impl Totals for Client {
    fn open(&self, ask: TotalAsk) -> Opening {
        let (home, homes) = (self.home(&ask.context), self.homes());
        Box::pin(async move {
            let ask = &ask;
            homes.ask(&ask.context, home, |link| async move { link.open(ask).await }).await
        })
    }
}

impl Link {
    async fn open(&self, ask: &TotalAsk) -> Result<Pages, Failure> {
        let asked = format!("the amounts of the total `{}` of `{}` for `{}`", ask.total, ask.context, ask.side);
        let mut body = None;
        let answer = timeout(ask.remaining, self.ask_for_amounts(ask, &mut body)).await;
        let (outcome, carried) = self.came_of(&ask.context, &asked, answer.ok());
        self.metrics.asked(&self.peer, outcome);
        carried?;
        let context = ask.context.to_string();
        let body = body.ok_or_else(|| Failure::Absent { context, reason: "its host gives no amounts".to_owned() })?;
        let (pages, opened) = mpsc::channel(limits::TOTAL_PAGES);
        tokio::spawn(read(body, pages, ask.remaining));
        Ok(opened)
    }

    /// Puts what comes after the head of the response into `rows`, if there are rows.
    async fn ask_for_amounts(&self, ask: &TotalAsk, rows: &mut Option<Body>) -> Result<Carried, Rejection> {
        let absent = |reason: String| Ok(Err(Failure::Absent { context: ask.context.to_string(), reason }));
        let peer = &self.peer;
        for _ in 0..=limits::REMOTE_RESENDS {
            let line = match self.line().await {
                Ok(line) => line,
                Err(reason) => return absent(reason.to_string()),
            };
            if !line.names.has(&ask.context) {
                let why = format!("the certificate of host `{peer}` does not name `{}`", ask.context);
                return Err(Rejection::Forbidden(why));
            }
            let request = wire::total::request(&self.authority, &self.system, ask).map_err(Rejection::Unreadable)?;
            let failed = match begin(&line, request).await {
                Ok((answered, body)) if answered.has_results() => {
                    *rows = Some(body);
                    return Ok(Ok(Bytes::new()));
                }
                Ok((answered, body)) => match collected(answered, body).await {
                    Ok((answered, body)) => return answered.carried(ask.context.as_str(), peer, body),
                    Err(lost) => lost,
                },
                Err((_, lost)) => lost,
            };
            if failed != Lost::Unsent {
                return absent(format!("the connection to its host `{peer}` was lost"));
            }
            self.retire(&line);
        }
        absent(format!("its host `{peer}` takes no calls now"))
    }
}

/// Passes on what comes, until its end, or until the pages are dropped.
async fn read(body: Body, pages: mpsc::Sender<Page>, within: Duration) {
    tokio::select! {
        () = pages.closed() => {}
        // Without a last page, the reader knows that it lacks some.
        _ = timeout(within, pass_on(body, &pages)) => {}
    }
}

async fn pass_on(mut body: Body, pages: &mpsc::Sender<Page>) {
    let mut reader = Reader::default();
    let cut_off = || Page::Failed("its answer was cut off".to_owned());
    loop {
        let Some(Ok(data)) = body.next().await else { return drop(pages.send(cut_off()).await) };
        let some = reader.read(&data);
        for page in some.unwrap_or_else(|why| vec![Page::Failed(format!("its answer cannot be read: {why}"))]) {
            let is_last = !matches!(page, Page::Rows(_));
            if pages.send(page).await.is_err() || is_last {
                return;
            }
        }
    }
}
