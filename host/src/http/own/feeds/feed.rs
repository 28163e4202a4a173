//! The feed of one context: what it grants, and where its events are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use seam_store::ids::ContextName;
use seam_store::{Database, FeedPage, FeedRequest, blocking};

use super::metrics::{FeedCounts, FeedMetrics};
use super::problem::Problem;
use super::tokens::Tokens;
use crate::http::client::Client;
use crate::http::error::Error;
use crate::{limits, manifest};

/// Finds the file of a context, which has its outbox; `None` while it has none that serves.
pub type Outboxes = Arc<dyn Fn(&ContextName) -> Option<Arc<Database>> + Send + Sync>;

pub struct Feed {
    pub path: String,
    pub settings: manifest::Feed,
    pub tokens: Tokens,
    pub counts: FeedCounts,
    outboxes: Outboxes,
    noted_plain: AtomicBool,
}

/// The bounds of one page.
#[derive(Debug, Clone, Copy)]
pub struct Most {
    pub entries: u32,
    pub bytes: usize,
}

impl Feed {
    /// # Errors
    /// When a token cannot be read or is too weak.
    pub fn open(settings: manifest::Feed, outboxes: Outboxes, metrics: &FeedMetrics) -> Result<Self, Error> {
        let (path, tokens) = (manifest::Feed::path(&settings.context), Tokens::open(&settings)?);
        Ok(Self {
            path,
            tokens,
            counts: metrics.of(&settings),
            settings,
            outboxes,
            noted_plain: AtomicBool::new(false),
        })
    }

    /// # Errors
    /// When the context's file does not work now.
    pub fn outbox(&self) -> Result<Arc<Database>, Problem> {
        (self.outboxes)(&self.settings.context).ok_or_else(Problem::away)
    }

    /// The events of `interfaces` after a position. May wait for the disk.
    ///
    /// # Errors
    /// Why there are none for this position.
    pub fn read(
        &self,
        outbox: &Database,
        interfaces: &[String],
        after: Option<u64>,
        most: Most,
    ) -> Result<FeedPage, Problem> {
        let Most { entries, bytes } = most;
        let request = FeedRequest { interfaces, after, most: entries, bytes, looks: limits::FEED_LOOKS };
        match blocking::block_in_place(|| outbox.feed(&request)) {
            Ok(seam_store::Feed::Page(page)) => Ok(page),
            Ok(seam_store::Feed::Behind { kept_after, head }) => Err(Problem::behind(&self.path, kept_after, head)),
            Ok(seam_store::Feed::Ahead { head }) => Err(Problem::ahead(head)),
            Err(error) => {
                tracing::warn!(target: "http", feed = self.path, %error, "cannot read the events of a feed");
                Err(Problem::away())
            }
        }
    }

    /// Logs, once, that a reader should use TLS.
    pub fn note_plain(&self, client: &Client) {
        if !self.noted_plain.swap(true, Relaxed) {
            tracing::warn!(
                target: "http", feed = self.path, client = %client.address,
                hint = "let the reader use TLS; behind a proxy that speaks it, name that in `trusted_proxies` of \
                        `[http]`; or write `plain_http = true` in the `[[feed]]`: docs/feeds.md",
                "a reader on another machine asks for a feed without TLS and is refused; further ones are not logged"
            );
        }
    }
}
