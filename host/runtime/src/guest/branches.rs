//! The branches on this host of transactions over several files that other hosts coordinate.
//!
//! A branch begins with the first call of its transaction here, and has a part for each context of this host that the
//! transaction writes to. It ends by what its coordinator has decided. A coordinator that falls silent costs no more
//! than a while: before its vote, a branch is rolled back; after it, the files are in doubt, and the host asks.
//! Invariants: what was lost of a transaction is never voted for: its coordinator names the contexts that it has
//! called, and how often. A branch is forgotten after its end alone: what asks meanwhile waits for that, and never gets
//! the answer that nothing waits here.
//! Not here: the parts themselves (`joint`), who may take part (the crate `seam`), who is asked (`serve`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use seam_store::Voted;
use seam_store::clock::Clock;
use seam_store::ids::ContextName;

use super::joint::Joint;
use super::transactions::Transactions;
use crate::limits;
use crate::two_phase::{Part, Reply, Request, Step};

pub struct Branches {
    /// By the transaction.
    open: Mutex<HashMap<String, Arc<Branch>>>,
    transactions: Arc<Transactions>,
    clock: Clock,
}

struct Branch {
    coordinator: ContextName,
    joint: Arc<Joint>,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    /// How often each context was called.
    calls: BTreeMap<ContextName, u32>,
    running: u32,
    /// When it was last heard of.
    heard: Instant,
    stage: Stage,
}

enum Stage {
    Open,
    /// It has voted.
    Promised(Vec<(ContextName, Voted)>),
    /// Its files say what became of it.
    Ended,
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
        state.heard = self.branch.clock.now();
    }
}

impl Branches {
    pub fn new(transactions: Arc<Transactions>, clock: Clock) -> Self {
        Self { open: Mutex::default(), transactions, clock }
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
                let (calls, running, heard) = (BTreeMap::new(), 0, self.clock.now());
                let state = Mutex::new(State { calls, running, heard, stage: Stage::Open });
                let (coordinator, clock) = (part.coordinator.clone(), self.clock.clone());
                let branch = Arc::new(Branch { coordinator, joint, clock, state });
                open.insert(part.transaction.clone(), branch.clone());
                branch
            }
        };
        drop(open);
        branch.is_of(&part.coordinator)?;
        {
            let mut state = branch.state.lock();
            if !matches!(state.stage, Stage::Open) {
                return Err("the transaction has voted here already, or has ended".to_owned());
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
        let Request { transaction, coordinator, participant, .. } = request;
        let branch = self.open.lock().get(transaction).cloned();
        if let Some(branch) = &branch {
            branch.is_of(coordinator)?;
        }
        match request.step {
            Step::Vote { at_ms } => {
                let branch = branch.ok_or_else(|| lost(transaction))?;
                self.vote(&branch, request, at_ms)
            }
            Step::Commit | Step::RollBack => {
                if let Some(branch) = branch {
                    let ended = branch.end(request.step == Step::Commit);
                    self.forget(transaction);
                    ended?;
                }
                match waits(participant) {
                    true => Err("its file is in doubt about the transaction; its host asks".to_owned()),
                    false => Ok(Reply::Done),
                }
            }
            Step::AskPromise => {
                let promised = branch.is_some_and(|branch| matches!(branch.state.lock().stage, Stage::Promised(_)));
                Ok(Reply::Waits(promised || waits(participant)))
            }
            Step::AskDecision | Step::Join { .. } => Err("this host does not coordinate it".to_owned()),
        }
    }

    fn vote(&self, branch: &Branch, request: &Request, at_ms: u64) -> Result<Reply, String> {
        let mut state = branch.state.lock();
        state.heard = self.clock.now();
        if state.running > 0 {
            return Err("a call of it still runs there".to_owned());
        }
        if !state.calls.contains_key(&request.participant) {
            return Err(lost(&request.transaction));
        }
        if let Stage::Open = state.stage {
            let voted = branch.joint.vote(at_ms);
            state.stage = Stage::Ended;
            state.stage = Stage::Promised(voted.inspect_err(|_| self.forget(&request.transaction))?);
        }
        match &state.stage {
            Stage::Promised(promises) => {
                Ok(Reply::Promised(promises.iter().map(|(context, _)| context.clone()).collect()))
            }
            Stage::Open | Stage::Ended => Err(lost(&request.transaction)),
        }
    }

    fn forget(&self, transaction: &str) {
        self.open.lock().remove(transaction);
    }

    /// Gives up branches whose coordinators have fallen silent. Call it every second or so.
    pub fn expire(&self) {
        let silence = |state: &State| match state.stage {
            // After the votes, the decision follows at once.
            Stage::Promised(_) => limits::TWO_PHASE_STEP_MS,
            Stage::Open | Stage::Ended => limits::BRANCH_SILENCE_MS,
        };
        let is_silent = |branch: &Branch| {
            // One that votes or ends now is not.
            branch.state.try_lock().is_some_and(|state| {
                let silent = self.clock.elapsed_since(state.heard);
                state.running == 0 && silent > Duration::from_millis(silence(&state))
            })
        };
        let open: Vec<_> = self.open.lock().iter().map(|(id, branch)| (id.clone(), branch.clone())).collect();
        for (transaction, branch) in open.into_iter().filter(|(_, branch)| is_silent(branch)) {
            let mut state = branch.state.lock();
            if state.running > 0 {
                continue;
            }
            let stage = std::mem::replace(&mut state.stage, Stage::Ended);
            let word = if let Stage::Promised(_) = stage { "asks what was decided" } else { "is rolled back" };
            tracing::warn!(target: "store", transaction, "the coordinator of a transaction is silent: this host's part {word}");
            if let Stage::Promised(promises) = stage {
                branch.joint.leave_in_doubt(promises);
            }
            drop(state);
            self.forget(&transaction);
        }
    }
}

impl Branch {
    /// # Errors
    /// When another context began the transaction.
    fn is_of(&self, coordinator: &ContextName) -> Result<(), String> {
        match self.coordinator == *coordinator {
            true => Ok(()),
            false => Err(format!("`{}` began the transaction, not `{coordinator}`", self.coordinator)),
        }
    }

    /// Ends it as it was decided. Does nothing when it has ended.
    ///
    /// # Errors
    /// When it is to commit and has not promised to, or cannot yet.
    fn end(&self, commits: bool) -> Result<(), String> {
        let mut state = self.state.lock();
        match (std::mem::replace(&mut state.stage, Stage::Ended), commits) {
            (Stage::Promised(promises), true) => match self.joint.keep(promises) {
                true => Ok(()),
                false => Err("a promise to commit could not be kept yet".to_owned()),
            },
            (Stage::Promised(promises), false) => {
                self.joint.roll_back(promises);
                Ok(())
            }
            (Stage::Open, true) => Err("it has promised nothing".to_owned()),
            (Stage::Open, false) | (Stage::Ended, _) => Ok(()),
        }
    }
}

fn lost(transaction: &str) -> String {
    format!("its host does not know all of transaction {transaction}: it started again, or gave it up meanwhile")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use seam_store::{Config, Database, Migration, migrate};

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    struct Scene {
        _folder: tempfile::TempDir,
        file: Arc<Database>,
        branches: Branches,
    }

    fn name(name: &str) -> ContextName {
        ContextName::new(name).unwrap()
    }

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = Database::open(Config::plain(folder.path().join("books.db"), 64)).unwrap();
            let (number, sql) = (1, "CREATE TABLE got (number INTEGER) STRICT".to_owned());
            migrate(&file, &[Migration { number, name: "got".to_owned(), sql }]).unwrap();
            Self { _folder: folder, file, branches: Branches::new(Arc::default(), Clock::system()) }
        }

        fn part(coordinator: &str, before: u32) -> Part {
            Part { transaction: ID.to_owned(), coordinator: name(coordinator), before }
        }

        /// A call of `books` that writes a row.
        fn write(&self, before: u32) -> Result<(), String> {
            let (books, deadline) = (name("books"), Instant::now() + Duration::from_secs(20));
            let part = Self::part("desk", before);
            let entered = self.branches.enter(&part, &books, std::slice::from_ref(&books), String::new())?;
            let joint = entered.joint();
            let part = joint.take(&books);
            let mut part = part.unwrap_or_else(|| joint.begin(&books, &self.file, deadline).unwrap());
            part.execute("INSERT INTO got VALUES (1)", &[], deadline).unwrap();
            joint.put_back(&books, part);
            Ok(())
        }

        fn settle(&self, coordinator: &str, step: Step) -> Result<Reply, String> {
            let request = Request {
                transaction: ID.to_owned(),
                coordinator: name(coordinator),
                participant: name("books"),
                step,
                remaining: Duration::from_secs(1),
            };
            self.branches.settle(&request, |_| self.file.doubt().is_some())
        }

        fn rows(&self) -> usize {
            let deadline = Instant::now() + Duration::from_secs(20);
            let packed = self.file.query("SELECT number FROM got", &[], deadline).unwrap();
            let (mut rows, mut row, mut count) = (seam_store::Rows::new(&packed).unwrap(), Vec::new(), 0);
            while rows.next_into(&mut row).unwrap() {
                count += 1;
            }
            count
        }
    }

    const VOTE: Step = Step::Vote { at_ms: 1 };

    #[test]
    fn a_branch_promises_once_and_keeps_it_and_a_step_that_comes_again_says_the_same() {
        let scene = Scene::new();
        scene.write(0).unwrap();
        scene.write(1).unwrap();
        for _ in 0..2 {
            assert_eq!(scene.settle("desk", VOTE), Ok(Reply::Promised(vec![name("books")])));
            assert_eq!(scene.settle("desk", Step::AskPromise), Ok(Reply::Waits(true)));
        }
        assert!(scene.write(2).unwrap_err().contains("has voted"));
        assert_eq!(scene.rows(), 0);
        for _ in 0..2 {
            assert_eq!(scene.settle("desk", Step::Commit), Ok(Reply::Done));
            assert_eq!(scene.settle("desk", Step::AskPromise), Ok(Reply::Waits(false)));
        }
        assert_eq!(scene.rows(), 2);
        assert!(scene.settle("desk", VOTE).is_err(), "it has ended");
    }

    #[test]
    fn what_was_lost_of_a_transaction_is_not_voted_for() {
        let scene = Scene::new();
        assert!(scene.write(1).unwrap_err().contains("does not know all"), "a call before it is not known here");
        assert!(scene.settle("desk", VOTE).unwrap_err().contains("does not know all"));
        let scene = Scene::new();
        scene.write(0).unwrap();
        assert_eq!(scene.settle("desk", Step::RollBack), Ok(Reply::Done));
        assert!(scene.settle("desk", VOTE).is_err());
        assert_eq!(scene.rows(), 0);
    }

    #[test]
    fn another_context_does_not_end_it() {
        let scene = Scene::new();
        scene.write(0).unwrap();
        let books = name("books");
        let entered =
            scene.branches.enter(&Scene::part("till", 1), &books, std::slice::from_ref(&books), String::new());
        assert!(entered.err().unwrap().contains("not `till`"));
        for step in [VOTE, Step::Commit, Step::RollBack] {
            assert!(scene.settle("till", step.clone()).unwrap_err().contains("`desk` began"), "{step:?}");
        }
        assert_eq!(scene.settle("desk", VOTE), Ok(Reply::Promised(vec![name("books")])));
    }

    #[test]
    fn a_branch_that_was_given_up_is_waited_for_until_its_file_is_certain() {
        let scene = Scene::new();
        scene.write(0).unwrap();
        scene.settle("desk", VOTE).unwrap();
        let branch = scene.branches.open.lock().get(ID).cloned().unwrap();
        branch.state.lock().heard -= Duration::from_millis(limits::TWO_PHASE_STEP_MS + 1);
        drop(branch);
        scene.branches.expire();
        assert!(scene.file.doubt().is_some(), "it asks");
        assert!(scene.settle("desk", Step::Commit).unwrap_err().contains("in doubt"));
        assert_eq!(scene.settle("desk", Step::AskPromise), Ok(Reply::Waits(true)));
        scene.file.resolve(true).unwrap();
        assert_eq!((scene.settle("desk", Step::Commit), scene.rows()), (Ok(Reply::Done), 1));
    }
}
