//! One transaction over the files of several contexts: who may take part, what each part has written, and its end.
//!
//! The calls of one request run one after the other, so a part is used by one call at a time. A call takes the
//! transaction of its context's file out, and puts it back at its end.
//! A context of another host takes part by a branch there: this host counts the calls, and asks that host to vote. A
//! branch that calls a third host has the call counted here before (`Joins`).
//! Invariants: after the decision nothing is rolled back, and before it nothing is committed. However it is dropped,
//! what is not decided is rolled back.
//! Not here: the interface (`two_phase`), a branch of a transaction that another host coordinates (`branches`), what a
//! crash leaves (`serve`), how a file keeps a promise (`seam-store`).

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures::future::join_all;
use parking_lot::Mutex;
use seam_store::ids::ContextName;
use seam_store::{Database, Decided, Decision, Error, Transaction, Vote, Voted, blocking, new_transaction_id};

use super::transactions::{Ended, Ending, Held, Joins, Transactions, Turn};
use crate::limits;
use crate::two_phase::{Part as PartElsewhere, Replied, Reply, Request, Settle, Step};

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
    transactions: Arc<Transactions>,
    /// `None` in a branch: another host coordinates the transaction.
    turn: Option<Turn>,
    /// The contexts of other hosts that it has called.
    elsewhere: Mutex<BTreeMap<ContextName, Elsewhere>>,
}

/// A context of another host.
struct Elsewhere {
    settle: Arc<Settle>,
    calls: u32,
}

impl Elsewhere {
    /// Counts a call. How many there were before.
    fn count(&mut self) -> u32 {
        let before = self.calls;
        self.calls += 1;
        before
    }
}

impl Joins for Joint {
    fn join(&self, callee: &ContextName) -> Result<u32, String> {
        if !self.lets_in(callee) {
            return Err(format!("`two_phase` of `{}` does not name `{callee}`", self.coordinator));
        }
        if self.ended.lock().is_some() {
            return Err("the transaction has ended".to_owned());
        }
        let mut elsewhere = self.elsewhere.lock();
        // Any of them asks the host of the context that it is asked about.
        let settle = elsewhere.values().next().map(|there| there.settle.clone());
        let settle = settle.ok_or_else(|| "it has called no context of another host".to_owned())?;
        Ok(elsewhere.entry(callee.clone()).or_insert(Elsewhere { settle, calls: 0 }).count())
    }
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
        let (id, transactions) = (new_transaction_id(), turn.transactions().clone());
        let joint = Arc::new(Self::of(id, coordinator, participants, trace, transactions.clone(), Some(turn)));
        let joins: Weak<dyn Joins> = Arc::<Self>::downgrade(&joint);
        transactions.opens(&joint.id, joins);
        joint
    }

    /// The branch on this host of a transaction that another one coordinates.
    pub fn branch(
        id: &str,
        coordinator: &ContextName,
        participants: &Arc<[ContextName]>,
        trace: String,
        transactions: &Arc<Transactions>,
    ) -> Arc<Self> {
        Arc::new(Self::of(id.to_owned(), coordinator, participants, trace, transactions.clone(), None))
    }

    fn of(
        id: String,
        coordinator: &ContextName,
        participants: &Arc<[ContextName]>,
        trace: String,
        transactions: Arc<Transactions>,
        turn: Option<Turn>,
    ) -> Self {
        Self {
            id,
            coordinator: coordinator.clone(),
            participants: participants.clone(),
            trace,
            began: Instant::now(),
            parts: Mutex::default(),
            failed: Mutex::default(),
            ended: Mutex::default(),
            transactions,
            turn,
            elsewhere: Mutex::default(),
        }
    }

    /// Whether a context may take part; a variant may if its context may.
    pub fn lets_in(&self, context: &ContextName) -> bool {
        let name = context.variant().map_or(context.as_str(), |(context, _)| context);
        self.participants.iter().any(|participant| participant.as_str() == name)
    }

    /// What `caller` says to the coordinator's host before it calls `callee`, which lives on another host than this
    /// one. `None`: this is the coordinator's host.
    pub fn joining(&self, caller: &ContextName, callee: &ContextName) -> Option<Request> {
        self.turn.is_none().then(|| Request {
            transaction: self.id.clone(),
            coordinator: self.coordinator.clone(),
            participant: caller.clone(),
            step: Step::Join { callee: callee.clone() },
            remaining: Duration::from_millis(limits::TWO_PHASE_STEP_MS),
        })
    }

    /// What a call says of the transaction whose coordinator's host has counted so many `before`.
    pub fn joined(&self, before: u32) -> PartElsewhere {
        PartElsewhere { transaction: self.id.clone(), coordinator: self.coordinator.clone(), before }
    }

    /// What a call of a context of another host says of the transaction; `settle` asks that host.
    pub fn part_of(&self, context: &ContextName, settle: impl FnOnce() -> Arc<Settle>) -> PartElsewhere {
        let mut elsewhere = self.elsewhere.lock();
        let called = elsewhere.entry(context.clone()).or_insert_with(|| Elsewhere { settle: settle(), calls: 0 });
        self.joined(called.count())
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
        let at_ms = database.clock().wall_ms();
        let promised = self.vote_elsewhere(at_ms).map_err(Failed::Aborted)?;
        let voted = self.vote(at_ms).map_err(Failed::Aborted)?;
        let participants = voted.iter().map(|(context, _)| context).chain(&promised);
        let participants: Vec<String> = participants.map(ToString::to_string).collect();
        let decision = Decision { transaction: self.id.clone(), at_ms, participants };
        let has_promises = !decision.participants.is_empty();
        let transactions = &self.transactions;
        let forgotten = transactions.forgotten(&self.coordinator);
        let decided = own.decide(has_promises.then_some(&decision), &forgotten);
        if decided != Decided::Committed {
            forgotten.into_iter().for_each(|transaction| transactions.forget(&self.coordinator, transaction));
        }
        let decided = match decided {
            Decided::Unknown(error) => match database.has_decided(&self.id) {
                Ok(true) => Decided::Committed,
                Ok(false) if has_promises => Decided::RolledBack(error),
                // Without a decision there is nothing to ask for.
                Ok(false) => return Err(Failed::InDoubt(error.to_string())),
                Err(unread) => {
                    // The other hosts ask.
                    self.elsewhere.lock().clear();
                    self.leave_in_doubt(voted);
                    return Err(Failed::InDoubt(format!("{error}; then: {unread}")));
                }
            },
            known => known,
        };
        match decided {
            Decided::Committed => {
                let (here, there) = (self.keep(voted), self.commit_elsewhere());
                if here && there && has_promises {
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

    /// Has all parts on this host promise to commit.
    ///
    /// # Errors
    /// Why one cannot. All are rolled back then.
    pub fn vote(&self, at_ms: u64) -> Result<Vec<(ContextName, Voted)>, String> {
        let all = self.all();
        if let Some(why) = self.failed.lock().take() {
            return Err(why);
        }
        let vote = Vote::new(&self.id, self.coordinator.as_str(), at_ms);
        let mut voted = Vec::new();
        for (context, transaction) in all {
            if !transaction.has_written() {
                // It has nothing to promise; from here on others may write.
                drop(transaction);
                self.ends(&context, false);
                continue;
            }
            match transaction.vote(&vote) {
                Ok(promise) => voted.push((context, promise)),
                Err(error) => {
                    self.ends(&context, true);
                    self.roll_back(voted);
                    return Err(format!("`{context}` cannot promise to commit: {error}"));
                }
            }
        }
        Ok(voted)
    }

    /// Has the other hosts promise to commit, side by side. The contexts that have promised.
    ///
    /// # Errors
    /// Why one has not.
    fn vote_elsewhere(&self, at_ms: u64) -> Result<Vec<ContextName>, String> {
        if let Some(why) = &*self.failed.lock() {
            return Err(why.clone());
        }
        let mut promised = Vec::new();
        for (context, replied) in self.ask_elsewhere(Step::Vote { at_ms }) {
            match replied {
                Ok(Reply::Promised(contexts)) => match contexts.iter().find(|context| !self.lets_in(context)) {
                    None => promised.extend(contexts),
                    Some(other) => {
                        return Err(format!("the host of `{context}` promises for `{other}`, which is no part"));
                    }
                },
                Ok(_) => return Err(format!("the host of `{context}` answers a vote with something else")),
                Err(failure) => return Err(format!("`{context}` cannot promise to commit: {failure}")),
            }
        }
        // Two contexts of one host both say what the host has promised.
        promised.sort();
        promised.dedup();
        Ok(promised)
    }

    /// Says what is decided. Whether the other hosts have committed; one that has not asks.
    fn commit_elsewhere(&self) -> bool {
        let mut all = true;
        for (context, replied) in self.ask_elsewhere(Step::Commit) {
            if let Err(failure) = replied {
                tracing::warn!(
                    target: "store", %context, transaction = self.id,
                    "it is not known that the other host has kept its promise to commit; it asks: {failure}"
                );
                all = false;
            }
        }
        self.elsewhere.lock().clear();
        all
    }

    fn ask_elsewhere(&self, step: Step) -> Vec<(ContextName, Replied)> {
        let asked: Vec<_> = self.requests(step).collect();
        if asked.is_empty() {
            return Vec::new();
        }
        let asking =
            asked.into_iter().map(|(context, request, settle)| async move { (context, settle(request).await) });
        blocking::block_on(join_all(asking))
    }

    fn requests(&self, step: Step) -> impl Iterator<Item = (ContextName, Request, Arc<Settle>)> {
        let elsewhere = self.elsewhere.lock();
        let requests: Vec<_> = elsewhere
            .iter()
            .map(|(context, there)| {
                let request = Request {
                    transaction: self.id.clone(),
                    coordinator: self.coordinator.clone(),
                    participant: context.clone(),
                    step: step.clone(),
                    remaining: Duration::from_millis(limits::TWO_PHASE_STEP_MS),
                };
                (context.clone(), request, there.settle.clone())
            })
            .collect();
        requests.into_iter()
    }

    /// The parts, out of their places.
    fn all(&self) -> Vec<(ContextName, Transaction)> {
        let mut parts = self.parts.lock();
        parts.iter_mut().filter_map(|(context, part)| Some((context.clone(), part.transaction.take()?))).collect()
    }

    /// Commits what is decided. Whether all of it is committed; what is not is in doubt, and tried again.
    pub fn keep(&self, voted: Vec<(ContextName, Voted)>) -> bool {
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

    pub fn roll_back(&self, voted: Vec<(ContextName, Voted)>) {
        for (context, promise) in voted {
            promise.roll_back();
            self.ends(&context, true);
        }
    }

    pub fn leave_in_doubt(&self, voted: Vec<(ContextName, Voted)>) {
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
        // Nothing was decided, and nothing will be.
        for (_, request, settle) in self.requests(Step::RollBack) {
            // A host that does not hear of it asks.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(settle(request));
            }
        }
        let (ending, why) = self.ended.get_mut().take().unwrap_or((Ending::RolledBack, String::new()));
        let own = self.turn.is_some().then(|| held(&self.coordinator, self.began, true));
        let mut all: Vec<Held> = own.into_iter().collect();
        for (context, part) in self.parts.get_mut() {
            let wrote = part.transaction.as_ref().is_some_and(Transaction::has_written);
            drop(part.transaction.take());
            all.push(part.held.take().unwrap_or_else(|| held(context, part.began, wrote)));
        }
        let at_ms = seam_store::clock::Clock::system().wall_ms();
        if self.turn.is_none() {
            // Its coordinator's host knows how it ended.
            return self.transactions.note_held(&all);
        }
        self.transactions.note(Ended {
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
