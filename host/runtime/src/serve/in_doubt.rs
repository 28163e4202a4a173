//! Files that have promised to commit their part of a transaction, and do not know whether they are to.
//!
//! The file of the coordinator says: if it has the decision, the part commits, else it is rolled back. While that file
//! cannot be asked, the others stay in doubt.
//! Not here: what a doubt means for a file (`seam-store`), an operator's choice (the host's drivers).

use std::sync::Arc;

use seam_store::ids::ContextName;
use seam_store::{Database, Doubt};

use crate::guest::transactions::Transactions;

type Files = [(ContextName, Arc<Database>)];

/// Ends what doubt there is about `files`, and forgets decisions that no promise waits for.
pub fn resolve(files: &Files, transactions: &Transactions) {
    for (context, database) in files {
        if let Some(doubt) = database.doubt() {
            end_doubt(files, context, database, &doubt);
        }
        compare_forced(files, context, database);
    }
    for (coordinator, database) in files {
        forget(files, coordinator, database, transactions);
    }
}

fn file<'f>(files: &'f Files, context: &str) -> Option<&'f Arc<Database>> {
    files.iter().find(|(name, _)| name.as_str() == context).map(|(_, database)| database)
}

fn end_doubt(files: &Files, context: &ContextName, database: &Database, doubt: &Doubt) {
    let (Some(transaction), Some(coordinator)) = (&doubt.transaction, &doubt.coordinator) else {
        return end_unreadable(files, context, database);
    };
    let Some(decides) = file(files, coordinator) else {
        return database.stays_in_doubt(format!("the file of `{coordinator}`, which decides, is not in use"));
    };
    match decides.has_decided(transaction) {
        Err(error) => database.stays_in_doubt(format!("`{coordinator}`, which decides, cannot be asked: {error}")),
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
fn compare_forced(files: &Files, context: &ContextName, database: &Database) {
    for forced in database.forced().unwrap_or_default().into_iter().filter(|forced| !forced.damaged) {
        let transaction = &forced.vote.transaction;
        let Some(Ok(decided)) = file(files, &forced.vote.coordinator).map(|file| file.has_decided(transaction)) else {
            continue;
        };
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
fn forget(files: &Files, coordinator: &ContextName, database: &Database, transactions: &Transactions) {
    let waits = |transaction: &str, participant: &String| match file(files, participant) {
        None => true,
        Some(database) => {
            let in_doubt = database.doubt().is_some_and(|doubt| doubt.transaction.is_none_or(|one| one == transaction));
            let forced =
                database.forced().map_or(true, |all| all.iter().any(|one| one.vote.transaction == transaction));
            in_doubt || forced
        }
    };
    let Ok(decisions) = database.decisions() else { return };
    for decision in decisions {
        if !transactions.is_open(&decision.transaction)
            && !decision.participants.iter().any(|participant| waits(&decision.transaction, participant))
        {
            transactions.forget(coordinator, decision.transaction);
        }
    }
}
