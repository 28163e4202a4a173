//! What operators see of running deliveries beside the tables: why a subscription does not go on, and counts.
//! Not here: what waits (`status`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use seam_store::Source;

/// The tallies of all subscriptions. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tallies(Arc<Mutex<BySubscription>>);

/// By the subscriber, and by whose events it takes.
type BySubscription = BTreeMap<(String, Source), Arc<Tally>>;

/// Of one subscription, since the host started.
#[derive(Debug, Default)]
pub struct Tally {
    delivered: AtomicU64,
    failed: AtomicU64,
    dead: AtomicU64,
    away: Mutex<Option<String>>,
}

impl Tallies {
    /// That of the subscription of `subscriber`.
    pub fn of(&self, subscriber: &str, source: &Source) -> Arc<Tally> {
        self.0.lock().entry((subscriber.to_owned(), source.clone())).or_default().clone()
    }
}

impl Tally {
    pub(super) fn delivered(&self, events: usize) {
        self.delivered.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// Counts a try that failed.
    pub(super) fn failed(&self, is_dead: bool) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.dead.fetch_add(u64::from(is_dead), Ordering::Relaxed);
    }

    /// Sets why the subscription does not go on. Whether that is news.
    pub(super) fn set_away(&self, why: Option<&str>) -> bool {
        let mut away = self.away.lock();
        let is_news = away.as_deref() != why;
        if is_news {
            *away = why.map(str::to_owned);
        }
        is_news
    }

    /// Why the subscription does not go on now, if it does not.
    pub fn away(&self) -> Option<String> {
        self.away.lock().clone()
    }

    /// Events delivered, tries that failed, and events that became dead letters.
    pub fn counts(&self) -> (u64, u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (count(&self.delivered), count(&self.failed), count(&self.dead))
    }
}
