//! Transactions over the files of several contexts, as the host and its operators see them: whose turn it is, what
//! became of the last ones, and how long each held its files.
//!
//! Invariant: one of them is open at a time. Two could wait for each other's files.
//! Not here: one transaction (`joint`).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use seam_store::blocking;
use seam_store::ids::ContextName;

use crate::limits;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Committed,
    /// A context could not promise to commit, or the decision could not be written.
    Aborted,
    /// By the context that began it, or because its call ended.
    RolledBack,
    /// Whether it is committed was not known when its call ended.
    InDoubt,
}

impl Ending {
    pub const ALL: [Self; 4] = [Self::Committed, Self::Aborted, Self::RolledBack, Self::InDoubt];

    pub fn name(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Aborted => "aborted",
            Self::RolledBack => "rolled-back",
            Self::InDoubt => "in-doubt",
        }
    }
}

/// For how long a transaction held the writer of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub context: ContextName,
    pub ms: u64,
    pub wrote: bool,
}

/// A transaction that has ended since the host started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// 32 hex digits.
    pub transaction: String,
    /// The context that began it.
    pub coordinator: ContextName,
    /// W3C `traceparent`.
    pub trace: String,
    /// When it ended, in milliseconds since 1970.
    pub at_ms: u64,
    pub ending: Ending,
    /// Why it did not commit.
    pub why: String,
    /// The coordinator's file first.
    pub held: Vec<Held>,
}

/// The metric families of transactions over several files.
#[derive(Clone)]
pub struct Families {
    held: HistogramVec,
    ended: IntCounterVec,
}

impl Families {
    /// # Errors
    /// When `registry` has metrics of these names already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let what = "Time for which a transaction over several files held the writer of a context's file";
        // From 1 ms, below a sync of the disk, to 16 s, beyond the longest transaction.
        let opts = HistogramOpts::new("seam_two_phase_held_seconds", what)
            .buckets(prometheus::exponential_buckets(1e-3, 2.0, 15)?);
        let held = HistogramVec::new(opts, &["context"])?;
        registry.register(Box::new(held.clone()))?;
        let opts = Opts::new("seam_two_phase_total", "Transactions over several files that have ended");
        let ended = IntCounterVec::new(opts, &["outcome"])?;
        registry.register(Box::new(ended.clone()))?;
        Ending::ALL.iter().for_each(|ending| drop(ended.with_label_values(&[ending.name()])));
        Ok(Self { held, ended })
    }
}

/// A transaction that this host coordinates, for the calls that participants on other hosts make in it.
pub(super) trait Joins: Send + Sync {
    /// Counts a call of `callee`, which lives on another host. How many calls of it there were before.
    ///
    /// # Errors
    /// Why it cannot be a part.
    fn join(&self, callee: &ContextName) -> Result<u32, String>;
}

/// The transactions over several files of one host.
#[derive(Default)]
pub struct Transactions {
    open: Mutex<bool>,
    /// The one that is open, from its beginning on.
    current: Mutex<Option<(String, Weak<dyn Joins>)>>,
    free: Condvar,
    ended: Mutex<VecDeque<Ended>>,
    /// Decisions for which no promise waits, by the coordinator that may forget them.
    forgotten: Mutex<HashMap<ContextName, BTreeSet<String>>>,
    families: Option<Families>,
}

/// The right to have one open.
pub struct Turn(Arc<Transactions>);

impl Transactions {
    pub fn new(families: Families) -> Self {
        Self { families: Some(families), ..Self::default() }
    }

    /// Waits until no other one is open, until `deadline`.
    pub fn turn(self: &Arc<Self>, deadline: Instant) -> Option<Turn> {
        let mut open = self.open.lock();
        if *open {
            drop(open);
            open = blocking::block_in_place(|| {
                let mut open = self.open.lock();
                while *open && !self.free.wait_until(&mut open, deadline).timed_out() {}
                open
            });
        }
        if *open {
            return None;
        }
        *open = true;
        Some(Turn(self.clone()))
    }

    /// The last ones that have ended, the latest first.
    pub fn ended(&self) -> Vec<Ended> {
        self.ended.lock().iter().cloned().collect()
    }

    /// No promise waits for this decision of `coordinator` any more.
    pub fn forget(&self, coordinator: &ContextName, transaction: String) {
        self.forgotten.lock().entry(coordinator.clone()).or_default().insert(transaction);
    }

    /// The decisions that `coordinator` may forget with its next one.
    pub fn forgotten(&self, coordinator: &ContextName) -> Vec<String> {
        self.forgotten.lock().remove(coordinator).unwrap_or_default().into_iter().collect()
    }

    /// Whether this one is open.
    pub fn is_open(&self, transaction: &str) -> bool {
        self.current.lock().as_ref().is_some_and(|(id, _)| id == transaction)
    }

    pub(super) fn opens(&self, transaction: &str, joins: Weak<dyn Joins>) {
        *self.current.lock() = Some((transaction.to_owned(), joins));
    }

    /// Counts a call that a participant on another host makes of `callee` on a third one. How many calls of it there
    /// were before.
    ///
    /// # Errors
    /// Why it cannot be a part of the transaction.
    pub fn join(&self, transaction: &str, callee: &ContextName) -> Result<u32, String> {
        let current = self.current.lock().as_ref().filter(|(id, _)| id == transaction).map(|(_, joins)| joins.clone());
        let joins = current.and_then(|joins| joins.upgrade());
        joins.ok_or_else(|| format!("transaction {transaction} has ended"))?.join(callee)
    }

    pub(super) fn note(&self, ended: Ended) {
        if let Some(families) = &self.families {
            families.ended.with_label_values(&[ended.ending.name()]).inc();
        }
        self.note_held(&ended.held);
        let mut all = self.ended.lock();
        all.truncate(limits::TRANSACTIONS_KEPT - 1);
        all.push_front(ended);
    }
}

impl Transactions {
    /// Whether `forget` was said of this decision and it is not deleted yet.
    pub fn is_forgotten(&self, coordinator: &ContextName, transaction: &str) -> bool {
        self.forgotten.lock().get(coordinator).is_some_and(|all| all.contains(transaction))
    }

    pub(super) fn note_held(&self, held: &[Held]) {
        let Some(families) = &self.families else { return };
        for held in held {
            families.held.with_label_values(&[held.context.as_str()]).observe(held.ms as f64 / 1e3);
        }
    }
}

impl Turn {
    pub(super) fn transactions(&self) -> &Arc<Transactions> {
        &self.0
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.current.lock() = None;
        *self.0.open.lock() = false;
        self.0.free.notify_one();
    }
}
