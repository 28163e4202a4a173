//! What a context has published, as those who deliver it read it: from its file, or from the host on which it lives.
//!
//! Invariant: both say the same of the same outbox. A position means the same on every host.
//! Not here: how an outbox of another host is followed (`outbox_elsewhere`), and how the questions travel (the crate
//! `seam`, `remote`).

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use seam_store::clock::Clock;
use seam_store::ids::ContextName;
use seam_store::{Bounds, Database, Event, Kept, Kind, Listener, Span};

use crate::call::Failure;

/// What a subscriber asks about the outbox of a context that lives on another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Who takes the events: a context of the host that asks, or a variant of one.
    pub subscriber: ContextName,
    /// Whose outbox: a context, or a variant of one.
    pub publisher: ContextName,
    /// The path of the events interface, without a version.
    pub interface: String,
    pub question: Question,
    /// The time that the answer may take.
    pub remaining: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// The events after a position, oldest first: at most `most`.
    Page {
        after: u64,
        most: u32,
        /// How long the answer waits for an event if there is none.
        wait: Duration,
        /// The position up to which the subscriber's file durably has all events; `None`: it is not said.
        taken: Option<u64>,
    },
    /// The events after one position and up to another, counted up to `most`.
    Span { after: u64, up_to: u64, most: u32 },
    /// The kinds of events after a position.
    Kinds { after: u64 },
    /// Which positions the outbox has, as seen from one of them.
    Bounds { at: u64 },
}

/// The answer to a `Question`, in the same order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Page(Page),
    Span(Span),
    Kinds(Vec<Kind>),
    Bounds(Bounds),
}

/// Events, and what the outbox has kept when they were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub events: Vec<Event>,
    pub kept: Kept,
}

/// The answer, or why there is none.
pub type Asked = Result<Reply, Failure>;

pub type Asking = Pin<Box<dyn Future<Output = Asked> + Send>>;

/// Why an outbox cannot be read now.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unread {
    #[error(transparent)]
    Store(#[from] seam_store::Error),
    /// It is on another host.
    #[error("{0}")]
    Elsewhere(Failure),
}

/// The outbox of a publisher. `interface` is the path of an events interface, without a version.
pub trait Outbox: Send + Sync {
    /// The events after a position, oldest first: at most `most`, and of about `EVENT_PAGE_BYTES_MAX` of the store's
    /// limits together. The caller's file durably has all events up to `after`.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    fn published(&self, interface: &str, after: u64, most: u32) -> Result<Vec<Event>, Unread>;

    /// The event of the interface at this position, if the outbox still has it.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    fn published_at(&self, interface: &str, position: u64) -> Result<Option<Event>, Unread>;

    /// What the outbox still has.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    fn kept(&self, interface: &str) -> Result<Kept, Unread>;

    /// As `kept`, when `published` read it last: no question to another host.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    fn kept_then(&self) -> Result<Kept, Unread>;

    /// Has the publisher's host forget no event after `at` before the subscriber is further again: for a subscriber
    /// that is set back to `at`, which is no further than it is. What the outbox has then.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    fn hold(&self, interface: &str, at: u64) -> Result<Kept, Unread>;

    /// The events after one position and up to another, counted up to `most`.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    fn span(&self, interface: &str, after: u64, up_to: u64, most: u32) -> Result<Span, Unread>;

    /// The kinds of events that come after this position.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    fn kinds(&self, interface: &str, after: u64) -> Result<Vec<Kind>, Unread>;

    /// Which positions the outbox has, as seen from `at`.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    fn bounds(&self, interface: &str, at: u64) -> Result<Bounds, Unread>;

    /// Has `listener` called when there may be new events, until its last owner drops it. A hint that may be lost.
    fn listen(&self, listener: &Arc<Listener>);

    /// The clock of this host.
    fn clock(&self) -> &Clock;
}

impl Outbox for Database {
    fn published(&self, interface: &str, after: u64, most: u32) -> Result<Vec<Event>, Unread> {
        Ok(Self::published(self, Some(interface), after, most)?)
    }

    fn published_at(&self, interface: &str, position: u64) -> Result<Option<Event>, Unread> {
        let is_of_it = |event: &Event| seam_store::ids::interface_path(&event.interface) == interface;
        Ok(Self::published_at(self, position)?.filter(is_of_it))
    }

    fn kept(&self, _: &str) -> Result<Kept, Unread> {
        Ok(Self::kept(self)?)
    }

    fn kept_then(&self) -> Result<Kept, Unread> {
        Ok(Self::kept(self)?)
    }

    /// How far its subscriber is stands in a file of this host.
    fn hold(&self, _: &str, _: u64) -> Result<Kept, Unread> {
        Ok(Self::kept(self)?)
    }

    fn span(&self, interface: &str, after: u64, up_to: u64, most: u32) -> Result<Span, Unread> {
        Ok(Self::span(self, interface, after, up_to, most)?)
    }

    fn kinds(&self, interface: &str, after: u64) -> Result<Vec<Kind>, Unread> {
        Ok(Self::kinds(self, interface, after)?)
    }

    fn bounds(&self, interface: &str, at: u64) -> Result<Bounds, Unread> {
        Ok(Self::bounds(self, interface, at)?)
    }

    fn listen(&self, listener: &Arc<Listener>) {
        Self::listen(self, listener);
    }

    fn clock(&self) -> &Clock {
        Self::clock(self)
    }
}
