//! What a move sends of the file, and that the target has it.

use bytes::Bytes;
use seam_store::{Changes, Follower, Snapshot};

use super::arrival::sums;
use super::departure::{Departure, parsed, refused};
use super::messages::{Pages, Sum, step};
use super::report::{Progress, Refused};
use crate::limits;

/// What the operator follows a move by.
pub type Show<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// What was sent so far.
#[derive(Default)]
pub struct Sent {
    pub pages: u64,
    pub again: u64,
    pub bytes: u64,
}

impl Departure<'_> {
    pub async fn send_base(&self, follower: &mut Follower, sent: &mut Sent, show: Show<'_>) -> Result<(), Refused> {
        let (of, size) = (follower.base_pages(), follower.page_bytes());
        let most = (limits::MOVE_MESSAGE_BYTES as u32 / size).max(1);
        let mut first = 1;
        while first <= of {
            let (mut bytes, mut pages) = (Vec::new(), Pages::new(self.attempt, 0));
            let count = follower.read_base(first, most.min(of + 1 - first), &mut bytes);
            let count = count.map_err(|error| refused(self.context, &error))?;
            for (number, page) in (first..).zip(bytes.chunks_exact(size as usize)) {
                pages.push(number, page);
            }
            sent.pages += u64::from(count);
            self.send(pages, size, sent).await?;
            first += count.max(1);
            show(Progress::Copied { pages: first - 1, of });
            // The log is kept for a follower that keeps up.
            self.send_changes(follower, sent).await?;
        }
        Ok(())
    }

    /// Sends what was committed meanwhile, until little is left.
    pub async fn catch_up(&self, follower: &mut Follower, sent: &mut Sent, show: Show<'_>) -> Result<(), Refused> {
        for _ in 0..limits::MOVE_ROUNDS_MAX {
            let before = sent.again;
            self.send_changes(follower, sent).await?;
            show(Progress::CaughtUp { pages: sent.again });
            if sent.again - before <= limits::MOVE_REST_PAGES {
                return Ok(());
            }
        }
        Err(Refused::new(
            format!("`{}` stays here: it writes faster than its pages can be sent", self.context),
            "try again when it writes less, or on a faster network",
        ))
    }

    /// Sends what is committed now.
    pub async fn send_changes(&self, follower: &mut Follower, sent: &mut Sent) -> Result<(), Refused> {
        match self.changes(follower, sent).await? {
            Some(last) => self.send(last, follower.page_bytes(), sent).await,
            None => Ok(()),
        }
    }

    /// Sends what is committed now, but for the last message of it, if there is any.
    pub async fn changes(&self, follower: &mut Follower, sent: &mut Sent) -> Result<Option<Pages>, Refused> {
        let changes = follower.changes().map_err(|error| refused(self.context, &error))?;
        let Some(Changes { pages: changed, file_pages, .. }) = changes else { return Ok(None) };
        let size = follower.page_bytes();
        let mut pages = Pages::new(self.attempt, file_pages);
        for (number, page) in &changed {
            if pages.len() + page.len() > limits::MOVE_MESSAGE_BYTES {
                self.send(std::mem::replace(&mut pages, Pages::new(self.attempt, file_pages)), size, sent).await?;
            }
            pages.push(*number, page);
        }
        sent.again += changed.len() as u64;
        Ok(Some(pages))
    }

    /// Sends all that is committed. Nothing more is committed meanwhile.
    pub async fn send_rest(&self, follower: &mut Follower, sent: &mut Sent) -> Result<(), Refused> {
        while let Some(pages) = self.changes(follower, sent).await? {
            self.send(pages, follower.page_bytes(), sent).await?;
        }
        Ok(())
    }

    /// As `send_rest`, and all of it is on the target's disk then.
    pub async fn send_last(&self, follower: &mut Follower, sent: &mut Sent) -> Result<(), Refused> {
        let size = follower.page_bytes();
        let mut last = Pages::new(self.attempt, 0);
        while let Some(pages) = self.changes(follower, sent).await? {
            if !last.is_empty() {
                self.send(last, size, sent).await?;
            }
            last = pages;
        }
        self.send_as(step::ARRIVE, last, size, sent).await
    }

    pub async fn send(&self, pages: Pages, page_bytes: u32, sent: &mut Sent) -> Result<(), Refused> {
        self.send_as(step::PAGES, pages, page_bytes, sent).await
    }

    /// Sends pages, and compares what the target has of them then.
    pub async fn send_as(&self, name: &str, pages: Pages, page_bytes: u32, sent: &mut Sent) -> Result<(), Refused> {
        let message = Bytes::from(pages.bytes());
        sent.bytes += message.len() as u64;
        let expected = Pages::digest(page_bytes as usize, &message).map_err(|why| Refused::new(why, "see the log"))?;
        let within = if name == step::ARRIVE { limits::MOVE_PAUSE_STEP_MS_MAX } else { limits::MOVE_STEP_MS_MAX };
        let found = self.step_within(name, message, within).await?;
        match *found == expected {
            true => Ok(()),
            false => {
                let message = format!("host `{}` has other pages than were sent", self.owner.host);
                Err(Refused::new(message, "look at its disk"))
            }
        }
    }

    /// Compares all tables at one moment with those of the copy. How many tables and rows there are.
    pub async fn compare(&self, follower: &mut Follower, sent: &mut Sent) -> Result<(usize, u64), Refused> {
        let snapshot = self.snapshot(follower, sent).await?;
        let own = tokio::task::spawn_blocking(move || sums(&snapshot));
        let theirs: Vec<Sum> = parsed(&self.step(step::COMPARE, Bytes::new()).await?)?;
        let own = own.await.map_err(|error| refused(self.context, &error))?;
        let own = own.map_err(|why| Refused::new(why, "look at the disk"))?;
        let differs = own.iter().find(|sum| !theirs.contains(sum));
        if let Some(Sum { table, rows, .. }) = differs.or_else(|| theirs.iter().find(|sum| !own.contains(sum))) {
            let message = format!(
                "the table `{table}`, with {rows} rows, is not the same here and in the copy on host `{}`",
                self.owner.host
            );
            return Err(Refused::new(message, "look at the disks of both hosts"));
        }
        Ok((own.len(), own.iter().map(|sum| sum.rows).sum()))
    }

    /// The file at a moment of which the target has all. Writes wait for as long as it takes to send the rest.
    pub async fn snapshot(&self, follower: &mut Follower, sent: &mut Sent) -> Result<Snapshot, Refused> {
        let held = self.hold()?;
        let snapshot = held.snapshot().map_err(|error| refused(self.context, &error))?;
        self.send_rest(follower, sent).await?;
        drop(held);
        Ok(snapshot)
    }
}
