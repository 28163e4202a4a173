//! One transaction over the files of several contexts: who may take part, what each part has written, and its end.
//!
//! The calls of one request run one after the other, so a part is used by one call at a time. A call takes the
//! transaction of its context's file out, and puts it back at its end.
//! Invariants: after the decision nothing is rolled back, and before it nothing is committed. However it is dropped,
//! what is not decided is rolled back.
//! Not here: the interface (`two_phase`), what a crash leaves (`serve`), how a file keeps a promise (`seam-store`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use seam_store::ids::ContextName;
use seam_store::{Database, Decided, Decision, Error, Transaction, Vote, Voted, new_transaction_id};

use super::transactions::{Ended, Ending, Held, Turn};

/// Why a transaction did not commit, as `seam:host/two-phase` says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    Busy(String),
    Aborted(String),
    InDoubt(String),
    Refused(String),
    Unavailable(String),
}

pub struct Joint {
    id: String,
    coordinator: ContextName,
    participants: Arc<[ContextName]>,
    trace: String,
    began: Instant,
    parts: Mutex<BTreeMap<ContextName, Part>>,
    /// Why a part cannot commit.
    failed: Mutex<Option<String>>,
    ended: Mutex<Option<(Ending, String)>>,
    turn: Turn,
}

/// What one context has of it.
struct Part {
    /// `None` while a call uses it, and after its end.
    transaction: Option<Transaction>,
    began: Instant,
    held: Option<Held>,
}

impl Joint {
    pub fn new(coordinator: &ContextName, participants: &Arc<[ContextName]>, trace: String, turn: Turn) -> Arc<Self> {
        let id = new_transaction_id();
        turn.transactions().opens(&id);
        Arc::new(Self {
            id,
            coordinator: coordinator.clone(),
            participants: participants.clone(),
            trace,
            began: Instant::now(),
            parts: Mutex::default(),
            failed: Mutex::default(),
            ended: Mutex::default(),
            turn,
        })
    }

    /// Whether a context may take part; a variant may if its context may.
    pub fn lets_in(&self, context: &ContextName) -> bool {
        let name = context.variant().map_or(context.as_str(), |(context, _)| context);
        self.participants.iter().any(|participant| participant.as_str() == name)
    }

    /// The part of a context, for a call.
    pub fn take(&self, context: &ContextName) -> Option<Transaction> {
        self.parts.lock().get_mut(context)?.transaction.take()
    }

    /// After the call.
    pub fn put_back(&self, context: &ContextName, transaction: Transaction) {
        if let Some(part) = self.parts.lock().get_mut(context) {
            part.transaction = Some(transaction);
        }
    }

    /// Begins the part of a context, for a call.
    ///
    /// # Errors
    /// When its file is not free in time, or cannot be written.
    pub fn begin(&self, context: &ContextName, database: &Database, deadline: Instant) -> Result<Transaction, Error> {
        let transaction = database.begin_branch(deadline)?;
        let part = Part { transaction: None, began: Instant::now(), held: None };
        self.parts.lock().insert(context.clone(), part);
        Ok(transaction)
    }

    /// From now on it cannot commit any more.
    pub fn fail(&self, context: &ContextName, why: &str) {
        self.failed.lock().get_or_insert_with(|| format!("`{context}`: {why}"));
    }

    /// Has all parts commit, or none; `own` is that of the coordinator, in `database`.
    ///
    /// # Errors
    /// Why it is not committed, or that it is not known whether it is.
    pub fn commit(&self, own: Transaction, database: &Database) -> Result<(), Failed> {
        let done = self.try_commit(own, database);
        let (ending, why) = match &done {
            Ok(()) => (Ending::Committed, String::new()),
            Err(Failed::InDoubt(why)) => (Ending::InDoubt, why.clone()),
            Err(Failed::Busy(why) | Failed::Aborted(why) | Failed::Refused(why) | Failed::Unavailable(why)) => {
                (Ending::Aborted, why.clone())
            }
        };
        *self.ended.lock() = Some((ending, why));
        done
    }

    fn try_commit(&self, own: Transaction, database: &Database) -> Result<(), Failed> {
        if let Some(why) = self.failed.lock().take() {
            return Err(Failed::Aborted(why));
        }
        let mut voted = Vec::new();
        let at_ms = database.clock().wall_ms();
        let vote = Vote::new(&self.id, self.coordinator.as_str(), at_ms);
        for (context, transaction) in self.all() {
            if !transaction.has_written() {
                // It has nothing to promise; from here on others may write.
                transaction.rollback();
                self.ends(&context, false);
                continue;
            }
            match transaction.vote(&vote) {
                Ok(promise) => voted.push((context, promise)),
                Err(error) => {
                    self.ends(&context, true);
                    self.roll_back(voted);
                    return Err(Failed::Aborted(format!("`{context}` cannot promise to commit: {error}")));
                }
            }
        }
        let participants = voted.iter().map(|(context, _)| context.to_string()).collect::<Vec<_>>();
        let decision = Decision { transaction: self.id.clone(), at_ms, participants };
        let transactions = self.turn.transactions();
        let forgotten = transactions.forgotten(&self.coordinator);
        let decided = own.decide((!voted.is_empty()).then_some(&decision), &forgotten);
        if decided != Decided::Committed {
            forgotten.into_iter().for_each(|transaction| transactions.forget(&self.coordinator, transaction));
        }
        let decided = match decided {
            Decided::Unknown(error) => match database.has_decided(&self.id) {
                Ok(true) => Decided::Committed,
                Ok(false) if !voted.is_empty() => Decided::RolledBack(error),
                // Without a decision there is nothing to ask for.
                Ok(false) => return Err(Failed::InDoubt(error.to_string())),
                Err(unread) => {
                    self.leave_in_doubt(voted);
                    return Err(Failed::InDoubt(format!("{error}; then: {unread}")));
                }
            },
            known => known,
        };
        match decided {
            Decided::Committed => {
                if self.keep(voted) && !decision.participants.is_empty() {
                    transactions.forget(&self.coordinator, self.id.clone());
                }
                Ok(())
            }
            Decided::RolledBack(error) | Decided::Unknown(error) => {
                self.roll_back(voted);
                Err(match error {
                    Error::Unavailable(why) => Failed::Unavailable(why),
                    Error::Busy(why) => Failed::Busy(why),
                    other => Failed::Aborted(format!("`{}`: {other}", self.coordinator)),
                })
            }
        }
    }

    /// The parts, out of their places.
    fn all(&self) -> Vec<(ContextName, Transaction)> {
        let mut parts = self.parts.lock();
        parts.iter_mut().filter_map(|(context, part)| Some((context.clone(), part.transaction.take()?))).collect()
    }

    /// Commits what is decided. Whether all of it is committed; what is not is in doubt, and tried again.
    fn keep(&self, voted: Vec<(ContextName, Voted)>) -> bool {
        let mut all = true;
        for (context, promise) in voted {
            if let Err(error) = promise.commit() {
                tracing::error!(
                    target: "store", %context, transaction = self.id,
                    "a promise to commit could not be kept yet; until it is, nothing is written to the store: {error}"
                );
                all = false;
            }
            self.ends(&context, true);
        }
        all
    }

    fn roll_back(&self, voted: Vec<(ContextName, Voted)>) {
        for (context, promise) in voted {
            promise.roll_back();
            self.ends(&context, true);
        }
    }

    fn leave_in_doubt(&self, voted: Vec<(ContextName, Voted)>) {
        for (context, promise) in voted {
            drop(promise);
            self.ends(&context, true);
        }
    }

    /// The part of a context does not hold its file any more.
    fn ends(&self, context: &ContextName, wrote: bool) {
        if let Some(part) = self.parts.lock().get_mut(context) {
            part.held.get_or_insert_with(|| held(context, part.began, wrote));
        }
    }
}

fn held(context: &ContextName, since: Instant, wrote: bool) -> Held {
    let ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    Held { context: context.clone(), ms, wrote }
}

impl Drop for Joint {
    fn drop(&mut self) {
        let (ending, why) = self.ended.get_mut().take().unwrap_or((Ending::RolledBack, String::new()));
        let mut all = vec![held(&self.coordinator, self.began, true)];
        for (context, part) in self.parts.get_mut() {
            let wrote = part.transaction.as_ref().is_some_and(Transaction::has_written);
            drop(part.transaction.take());
            all.push(part.held.take().unwrap_or_else(|| held(context, part.began, wrote)));
        }
        let at_ms = seam_store::clock::Clock::system().wall_ms();
        self.turn.transactions().note(Ended {
            transaction: std::mem::take(&mut self.id),
            coordinator: self.coordinator.clone(),
            trace: std::mem::take(&mut self.trace),
            at_ms,
            ending,
            why,
            held: all,
        });
    }
}
