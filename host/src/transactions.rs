//! Transactions over several files, for an operator: which files are in doubt, what became of the last transactions and
//! for how long they held their files, and what an operator may choose for a file in doubt.
//!
//! Invariant: every change goes through `Audit::act`, which notes who made it and why.
//! Not here: how a doubt ends by itself (`seam-runtime`).

use seam_runtime::guest::transactions::Ended;
use seam_runtime::serve::Registry;
use seam_store::ids::ContextName;
use seam_store::{Database, Forced};
use serde::{Deserialize, Serialize};

use crate::audit::{Act, Audit};
use crate::refused::{Refused, reason};
use crate::times::rfc3339;

/// What `seam transactions` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    pub in_doubt: Vec<InDoubt>,
    pub chosen: Vec<Chosen>,
    /// The last ones since the host started, the latest first.
    pub ended: Vec<Shown>,
}

/// A file that has promised to commit and does not know whether it is to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InDoubt {
    pub context: String,
    /// `None` when what it promised cannot be read.
    pub transaction: Option<String>,
    /// The context whose file knows.
    pub coordinator: Option<String>,
    /// When it promised: RFC 3339, UTC.
    pub since: String,
    pub why: String,
}

/// An outcome that an operator chose for a file, and that nothing has confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    pub context: String,
    pub transaction: String,
    pub coordinator: String,
    pub committed: bool,
    /// RFC 3339, UTC.
    pub at: String,
    /// Whether the opposite was decided: heuristic damage.
    pub damaged: bool,
    /// What the part was to write, without values.
    pub statements: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    pub transaction: String,
    pub coordinator: String,
    /// When it ended: RFC 3339, UTC.
    pub at: String,
    pub outcome: String,
    pub why: String,
    /// W3C `traceparent`.
    pub trace: String,
    /// For how long each file was held; the coordinator's first.
    pub held: Vec<Hold>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub context: String,
    pub ms: u64,
    pub wrote: bool,
}

/// What an operator chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    Commit,
    Rollback,
    /// The difference that a choice has made has been seen to.
    Forget,
}

impl Choice {
    fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Rollback => "rollback",
            Self::Forget => "forget",
        }
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Operator {
    registry: Registry,
    audit: Audit,
}

impl Operator {
    pub fn new(registry: Registry, audit: Audit) -> Self {
        Self { registry, audit }
    }

    /// Asks the files that decide first, so that what is shown as in doubt is.
    pub fn overview(&self) -> Overview {
        self.registry.resolve_doubts();
        let mut stores = self.registry.stores();
        stores.sort_by(|(one, _), (other, _)| one.cmp(other));
        let in_doubt = stores.iter().filter_map(|(context, database)| in_doubt(context, database)).collect();
        let chosen = stores.iter().flat_map(|(context, database)| chosen(context, database)).collect();
        Overview { in_doubt, chosen, ended: self.registry.transactions().ended().iter().map(shown).collect() }
    }

    /// Ends the doubt about the files that take part in this transaction, or forgets what a choice has damaged. Returns
    /// their contexts.
    ///
    /// # Errors
    /// When no file waits for it, it can be ended without a choice, or one cannot be written.
    pub fn choose(&self, who: &str, transaction: &str, choice: Choice, why: &str) -> Result<Vec<String>, Refused> {
        let why = reason(why, Some("a choice may damage files"))?;
        self.registry.resolve_doubts();
        let mut concerned = self.registry.stores();
        concerned.retain(|(_, database)| concerns(database, transaction, choice));
        if concerned.is_empty() {
            let what = if choice == Choice::Forget { "no choice about" } else { "no file is in doubt about" };
            let (message, remedy) =
                (format!("{what} transaction `{transaction}`"), "`seam transactions` shows what there is");
            return Err(Refused { message, remedy: remedy.to_owned() });
        }
        let command = format!("seam transactions {} {transaction}", choice.name());
        self.audit.act(&Act { who, command: &command, why }, || {
            let mut done = Vec::new();
            for (context, database) in &concerned {
                let ended = match choice {
                    Choice::Commit => database.force(transaction, true),
                    Choice::Rollback => database.force(transaction, false),
                    Choice::Forget => database.settle_forced(transaction, None).map(drop),
                };
                ended.map_err(|error| Refused {
                    message: format!("`{context}`: {error}; done before it: {}", list(&done)),
                    remedy: "see the log; the file is as it was".to_owned(),
                })?;
                done.push(context.to_string());
            }
            let what = list(&done);
            Ok((done, what))
        })
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn concerns(database: &Database, transaction: &str, choice: Choice) -> bool {
    match choice {
        Choice::Forget => database.forced().unwrap_or_default().iter().any(|one| one.vote.transaction == transaction),
        Choice::Commit | Choice::Rollback => {
            database.doubt().is_some_and(|doubt| doubt.transaction.as_deref() == Some(transaction))
        }
    }
}

fn in_doubt(context: &ContextName, database: &Database) -> Option<InDoubt> {
    let doubt = database.doubt()?;
    Some(InDoubt {
        context: context.to_string(),
        transaction: doubt.transaction,
        coordinator: doubt.coordinator,
        since: rfc3339(doubt.since_ms),
        why: doubt.why,
    })
}

fn chosen(context: &ContextName, database: &Database) -> Vec<Chosen> {
    let one = |Forced { vote, committed, at_ms, damaged, statements }: Forced| Chosen {
        context: context.to_string(),
        transaction: vote.transaction,
        coordinator: vote.coordinator,
        committed,
        at: rfc3339(at_ms),
        damaged,
        statements,
    };
    database.forced().unwrap_or_default().into_iter().map(one).collect()
}

fn shown(ended: &Ended) -> Shown {
    Shown {
        transaction: ended.transaction.clone(),
        coordinator: ended.coordinator.to_string(),
        at: rfc3339(ended.at_ms),
        outcome: ended.ending.name().to_owned(),
        why: ended.why.clone(),
        trace: ended.trace.clone(),
        held: ended
            .held
            .iter()
            .map(|held| Hold { context: held.context.to_string(), ms: held.ms, wrote: held.wrote })
            .collect(),
    }
}
