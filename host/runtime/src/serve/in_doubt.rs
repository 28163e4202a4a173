//! Files that have promised to commit their part of a transaction, and do not know whether they are to.
//!
//! The file of the coordinator says: if it has the decision, the part commits, else it is rolled back. It may be on
//! another host. While it cannot be asked, the others stay in doubt.
//! Not here: what a doubt means for a file (`seam-store`), an operator's choice (the host's drivers).

use std::sync::Arc;
use std::time::Duration;

use seam_store::ids::ContextName;
use seam_store::{Database, Doubt, Error, blocking};

use crate::guest::transactions::Transactions;
use crate::limits;
use crate::remote::Carrier;
use crate::two_phase::{Reply, Request, Step};

type Files = [(ContextName, Arc<Database>)];

/// The other hosts, if there are some.
type Others<'o> = Option<&'o Arc<dyn Carrier>>;

/// Ends what doubt there is about `files`, and forgets decisions that no promise waits for.
pub fn resolve(files: &Files, transactions: &Transactions, others: Others<'_>) {
    for (context, database) in files {
        if let Some(doubt) = database.doubt() {
            end_doubt(files, context, database, &doubt, others);
        }
        compare_forced(files, context, database, others);
    }
    for (coordinator, database) in files {
        forget(files, coordinator, database, transactions, others);
    }
}

/// Whether the file of `context`, if it is one of `files`, waits for the decision about a transaction.
pub fn waits(files: &Files, context: &str, transaction: &str) -> Option<bool> {
    let database = file(files, context)?;
    let in_doubt = database.doubt().is_some_and(|doubt| doubt.transaction.is_none_or(|one| one == transaction));
    let forced = || database.forced().map_or(true, |all| all.iter().any(|one| one.vote.transaction == transaction));
    Some(in_doubt || forced())
}

/// What a host says of a transaction whose coordinator has its file `database` there.
///
/// # Errors
/// When the file cannot be asked.
pub fn decision(transactions: &Transactions, database: &Database, transaction: &str) -> Result<Reply, Error> {
    // Until its end, nothing is decided for certain.
    if transactions.is_open(transaction) {
        return Ok(Reply::Undecided);
    }
    database.has_decided(transaction).map(|decided| if decided { Reply::Committed } else { Reply::RolledBack })
}

/// What the file of the coordinator says, here or on its host.
///
/// # Errors
/// Why it cannot be asked.
fn decided(
    files: &Files,
    coordinator: &str,
    (context, transaction): (&ContextName, &str),
    others: Others<'_>,
) -> Result<bool, String> {
    if let Some(decides) = file(files, coordinator) {
        let decided = decides.has_decided(transaction);
        return decided.map_err(|error| format!("`{coordinator}`, which decides, cannot be asked: {error}"));
    }
    let (Some(others), Some(name)) = (others, ContextName::parse(coordinator)) else {
        return Err(format!("the file of `{coordinator}`, which decides, is not in use"));
    };
    match asked(others, Step::AskDecision, transaction, (&name, context)) {
        Ok(Reply::Committed) => Ok(true),
        Ok(Reply::RolledBack) => Ok(false),
        Ok(_) => Err(format!("`{coordinator}` has not decided yet")),
        Err(why) => Err(format!("the host of `{coordinator}`, which decides, cannot be asked: {why}")),
    }
}

fn asked(
    others: &Arc<dyn Carrier>,
    step: Step,
    transaction: &str,
    (coordinator, participant): (&ContextName, &ContextName),
) -> Result<Reply, String> {
    let (coordinator, participant) = (coordinator.clone(), participant.clone());
    let remaining = Duration::from_millis(limits::TWO_PHASE_STEP_MS);
    let request = Request { transaction: transaction.to_owned(), coordinator, participant, step, remaining };
    blocking::block_on(others.settle(request)).map_err(|failure| failure.to_string())
}

fn file<'f>(files: &'f Files, context: &str) -> Option<&'f Arc<Database>> {
    files.iter().find(|(name, _)| name.as_str() == context).map(|(_, database)| database)
}

fn end_doubt(files: &Files, context: &ContextName, database: &Database, doubt: &Doubt, others: Others<'_>) {
    let (Some(transaction), Some(coordinator)) = (&doubt.transaction, &doubt.coordinator) else {
        return match others {
            None => end_unreadable(files, context, database),
            Some(_) => database.stays_in_doubt(
                "what was promised cannot be read, and contexts of other hosts may have decided about it".to_owned(),
            ),
        };
    };
    match decided(files, coordinator, (context, transaction), others) {
        Err(why) => database.stays_in_doubt(why),
        Ok(committed) => match database.resolve(committed) {
            Ok(()) => {
                let outcome = if committed { "committed" } else { "rolled back" };
                tracing::warn!(target: "store", %context, transaction, "a promise to commit is resolved: {outcome}");
            }
            Err(error) => {
                tracing::error!(target: "store", %context, transaction, "a promise to commit cannot be resolved: {error}");
            }
        },
    }
}

/// A promise that cannot be read is needed by no decision, or lost.
fn end_unreadable(files: &Files, context: &ContextName, database: &Database) {
    for (coordinator, decides) in files {
        let waits = match decides.decisions() {
            Err(error) => Some(format!("`{coordinator}` cannot be asked whether it is needed: {error}")),
            Ok(decisions) => {
                decisions.into_iter().find(|one| one.participants.iter().any(|p| p == context.as_str())).map(|one| {
                    format!(
                        "`{coordinator}` has decided transaction {}, and what was promised is lost",
                        one.transaction
                    )
                })
            }
        };
        if let Some(why) = waits {
            return database.stays_in_doubt(why);
        }
    }
    match database.set_promise_aside() {
        Ok(aside) => tracing::warn!(
            target: "store", %context, file = %aside.display(),
            "a promise to commit that cannot be read was set aside: no decision waits for it"
        ),
        Err(error) => database.stays_in_doubt(error.to_string()),
    }
}

/// What an operator chose, against what was decided.
fn compare_forced(files: &Files, context: &ContextName, database: &Database, others: Others<'_>) {
    for forced in database.forced().unwrap_or_default().into_iter().filter(|forced| !forced.damaged) {
        let transaction = &forced.vote.transaction;
        let Ok(decided) = decided(files, &forced.vote.coordinator, (context, transaction), others) else { continue };
        if database.settle_forced(transaction, Some(decided)).unwrap_or(false) {
            let word = |committed| if committed { "committed" } else { "rolled back" };
            tracing::error!(
                target: "store", %context, transaction,
                hint = "`seam transactions` shows the statements; make the files agree, then `seam transactions forget`",
                "heuristic damage: an operator had this part {}, and the transaction was {}",
                word(forced.committed), word(decided)
            );
        }
    }
}

/// Forgets decisions that a crash has left and that every participant has kept.
fn forget(
    files: &Files,
    coordinator: &ContextName,
    database: &Database,
    transactions: &Transactions,
    others: Others<'_>,
) {
    let waits = |transaction: &str, participant: &String| {
        waits(files, participant, transaction).unwrap_or_else(|| match (others, ContextName::parse(participant)) {
            (Some(others), Some(participant)) => {
                let asked = asked(others, Step::AskPromise, transaction, (coordinator, &participant));
                !matches!(asked, Ok(Reply::Waits(false)))
            }
            _ => true,
        })
    };
    let Ok(decisions) = database.decisions() else { return };
    for decision in decisions {
        if !transactions.is_open(&decision.transaction)
            && !transactions.is_forgotten(coordinator, &decision.transaction)
            && !decision.participants.iter().any(|participant| waits(&decision.transaction, participant))
        {
            transactions.forget(coordinator, decision.transaction);
        }
    }
}
