//! The branches on this host of transactions over several files that other hosts coordinate.
//!
//! A branch begins with the first call of its transaction here, and has a part for each context of this host that the
//! transaction writes to. It ends by what its coordinator has decided. A coordinator that falls silent costs no more
//! than a while: before its vote, a branch is rolled back; after it, the files are in doubt, and the host asks.
//! Invariant: what was lost of a transaction is never voted for: its coordinator names the contexts that it has called,
//! and how often.
//! Not here: the parts themselves (`joint`), who may take part (the crate `seam`), who is asked (`serve`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use seam_store::Voted;
use seam_store::ids::ContextName;

use super::joint::Joint;
use super::transactions::Transactions;
use crate::limits;
use crate::two_phase::{Part, Reply, Request, Step};

pub struct Branches {
    /// By the transaction.
    open: Mutex<HashMap<String, Arc<Branch>>>,
    transactions: Arc<Transactions>,
}

struct Branch {
    joint: Arc<Joint>,
    state: Mutex<State>,
}

struct State {
    /// How often each context was called.
    calls: BTreeMap<ContextName, u32>,
    running: u32,
    /// When it was last heard of.
    heard: Instant,
    /// Once it has voted.
    promises: Option<Vec<(ContextName, Voted)>>,
}

/// A call in a branch; the branch does not vote while it runs.
pub struct Entered {
    branch: Arc<Branch>,
}

impl Entered {
    pub fn joint(&self) -> &Arc<Joint> {
        &self.branch.joint
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut state = self.branch.state.lock();
        state.running -= 1;
        state.heard = Instant::now();
    }
}

impl Branches {
    pub fn new(transactions: Arc<Transactions>) -> Self {
        Self { open: Mutex::default(), transactions }
    }

    /// Enters the transaction with a call of `context`; `participants` are those that the coordinator may call in it.
    ///
    /// # Errors
    /// Why the call cannot be a part of it.
    pub fn enter(
        &self,
        part: &Part,
        context: &ContextName,
        participants: &[ContextName],
        trace: String,
    ) -> Result<Entered, String> {
        let mut open = self.open.lock();
        let branch = match open.get(&part.transaction) {
            Some(branch) => branch.clone(),
            None if open.len() >= limits::BRANCHES_MAX => {
                return Err("too many transactions of other hosts are open here".to_owned());
            }
            None => {
                let participants = participants.into();
                let (id, transactions) = (&part.transaction, &self.transactions);
                let joint = Joint::branch(id, &part.coordinator, &participants, trace, transactions);
                let (calls, running, heard) = (BTreeMap::new(), 0, Instant::now());
                let state = Mutex::new(State { calls, running, heard, promises: None });
                let branch = Arc::new(Branch { joint, state });
                open.insert(part.transaction.clone(), branch.clone());
                branch
            }
        };
        drop(open);
        {
            let mut state = branch.state.lock();
            if state.promises.is_some() {
                return Err("the transaction has voted here already".to_owned());
            }
            if state.calls.get(context).copied().unwrap_or_default() != part.before {
                return Err(lost(&part.transaction));
            }
            *state.calls.entry(context.clone()).or_default() += 1;
            state.running += 1;
        }
        Ok(Entered { branch })
    }

    /// Does a step of the coordinator's. `waits` says whether the file of a context waits for a decision.
    ///
    /// # Errors
    /// Why it is not done.
    pub fn settle(&self, request: &Request, waits: impl Fn(&ContextName) -> bool) -> Result<Reply, String> {
        let Request { transaction, participant, .. } = request;
        match request.step {
            Step::Vote { at_ms } => self.vote(transaction, participant, at_ms),
            Step::Commit | Step::RollBack => {
                let Some(branch) = self.open.lock().remove(transaction) else {
                    return match waits(participant) {
                        true => Err("its file is in doubt about the transaction; its host asks".to_owned()),
                        false => Ok(Reply::Done),
                    };
                };
                let promises = branch.state.lock().promises.take();
                match (request.step, promises) {
                    (Step::Commit, Some(promises)) => match branch.joint.keep(promises) {
                        true => Ok(Reply::Done),
                        false => Err("a promise to commit could not be kept yet".to_owned()),
                    },
                    (Step::Commit, None) => Err("it has promised nothing".to_owned()),
                    (_, promises) => {
                        branch.joint.roll_back(promises.unwrap_or_default());
                        Ok(Reply::Done)
                    }
                }
            }
            Step::AskPromise => Ok(Reply::Waits(self.has_promised(transaction) || waits(participant))),
            Step::AskDecision => Err("this host does not coordinate it".to_owned()),
        }
    }

    fn vote(&self, transaction: &str, participant: &ContextName, at_ms: u64) -> Result<Reply, String> {
        let branch = self.open.lock().get(transaction).cloned().ok_or_else(|| lost(transaction))?;
        let mut state = branch.state.lock();
        state.heard = Instant::now();
        if state.running > 0 {
            return Err("a call of it still runs there".to_owned());
        }
        if !state.calls.contains_key(participant) {
            return Err(lost(transaction));
        }
        let promises = match state.promises.take() {
            Some(promises) => promises,
            None => branch.joint.vote(at_ms).inspect_err(|_| {
                self.open.lock().remove(transaction);
            })?,
        };
        let names = promises.iter().map(|(context, _)| context.clone()).collect();
        state.promises = Some(promises);
        Ok(Reply::Promised(names))
    }

    fn has_promised(&self, transaction: &str) -> bool {
        let open = self.open.lock().get(transaction).cloned();
        open.is_some_and(|branch| branch.state.lock().promises.is_some())
    }

    /// Gives up branches whose coordinators have fallen silent. Call it every second or so.
    pub fn expire(&self) {
        let silence = |state: &State| {
            // After the votes, the decision follows at once.
            let ms = if state.promises.is_some() { limits::TWO_PHASE_STEP_MS } else { limits::BRANCH_SILENCE_MS };
            state.heard.elapsed() > Duration::from_millis(ms)
        };
        let is_silent = |branch: &Arc<Branch>| {
            // One that votes now is not.
            branch.state.try_lock().is_some_and(|state| state.running == 0 && silence(&state))
        };
        let mut given_up = Vec::new();
        self.open.lock().retain(|transaction, branch| {
            let keep = !is_silent(branch);
            if !keep {
                given_up.push((transaction.clone(), branch.clone()));
            }
            keep
        });
        for (transaction, branch) in given_up {
            let promises = branch.state.lock().promises.take();
            let word = if promises.is_some() { "asks what was decided" } else { "is rolled back" };
            tracing::warn!(target: "store", transaction, "the coordinator of a transaction is silent: this host's part {word}");
            branch.joint.leave_in_doubt(promises.unwrap_or_default());
        }
    }
}

fn lost(transaction: &str) -> String {
    format!("its host does not know all of transaction {transaction}: it started again, or gave it up meanwhile")
}
