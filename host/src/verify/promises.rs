//! The files of a stopped host that have promised to commit their part of a transaction over several files: what the
//! next start does with each.
//!
//! The file of the coordinator says. If it has the decision, a copy of the part is verified, with what it promised
//! written; without one, the part as it is. While that file cannot be asked, the part is not checked.
//! Not here: how a promise is kept (`seam-store`), the files of a running host.

use std::path::Path;

use seam_store::{Decision, Error, Snapshot, Vote, chain};

use super::subject::{Fault, Subject};

/// What becomes of a file.
enum Fate {
    /// It keeps its promise: what it is then, and that it is decided.
    Kept(Box<Snapshot>, String),
    /// It stays as it is, and why.
    AsItIs(String),
    Unknown(Fault),
}

/// Has each of `subjects` be as the next start makes it. Copies are made in `folder`.
pub(super) fn resolve(subjects: &mut [Subject], folder: &Path) {
    let all: &[Subject] = subjects;
    let fates: Vec<_> = all.iter().map(|subject| fate(subject, all, folder)).collect();
    for (subject, fate) in subjects.iter_mut().zip(fates) {
        match fate {
            None => {}
            Some(Fate::Kept(file, why)) => (subject.file, subject.promise) = (Ok(*file), Some(why)),
            Some(Fate::AsItIs(why)) => subject.promise = Some(why),
            Some(Fate::Unknown(fault)) => subject.file = Err(fault),
        }
    }
}

/// `None`: it has promised nothing.
fn fate(subject: &Subject, all: &[Subject], folder: &Path) -> Option<Fate> {
    let file = subject.file.as_ref().ok()?;
    match file.promise() {
        Ok(None) => None,
        Ok(Some(vote)) => Some(decided(&vote, file, all, folder)),
        Err(error) => Some(unreadable(&error, &subject.context, all)),
    }
}

fn decided(vote: &Vote, file: &Snapshot, all: &[Subject], folder: &Path) -> Fate {
    let Vote { transaction, coordinator, .. } = vote;
    let unknown = |why: String| {
        let why =
            format!("it has promised to commit transaction {transaction}, and whether it is to is not known: {why}");
        let remedy =
            format!("put the file of `{coordinator}` back as it was; or start the host, and see `seam transactions`");
        Fate::Unknown(Fault::Unreadable { why, remedy })
    };
    let decisions = match asked(coordinator, all) {
        Ok(decisions) => decisions,
        Err(why) => return unknown(why),
    };
    if !decisions.iter().any(|decision| decision.transaction == *transaction) {
        return Fate::AsItIs(format!(
            "`{coordinator}` has not decided transaction {transaction}: what the file has promised is dropped."
        ));
    }
    match file.with_promise_kept(folder) {
        Ok(kept) => Fate::Kept(
            Box::new(kept),
            format!(
                "`{coordinator}` has decided transaction {transaction}: the file is verified with what it has promised."
            ),
        ),
        Err(error) => Fate::Unknown(Fault::Unreadable {
            why: format!("it is to commit transaction {transaction}, and a copy of it could not: {}", chain(&error)),
            remedy: "start the host, which tries the same; `seam transactions` then says what can be done".to_owned(),
        }),
    }
}

/// What the file of `coordinator` has decided.
fn asked(coordinator: &str, all: &[Subject]) -> Result<Vec<Decision>, String> {
    let Some(decides) = all.iter().find(|subject| subject.context == coordinator) else {
        return Err(format!("the manifest has no `{coordinator}`, whose file decides"));
    };
    match &decides.file {
        Ok(file) => file
            .decisions()
            .map_err(|error| format!("the file of `{coordinator}`, which decides, cannot be read: {error}")),
        Err(fault) => Err(format!("the file of `{coordinator}` decides: {}", fault.why())),
    }
}

/// A promise that cannot be read is lost, unless no decision waits for it.
fn unreadable(error: &Error, context: &str, all: &[Subject]) -> Fate {
    let why = format!("what it has promised cannot be read: {error}");
    for coordinator in all {
        let waits = match &coordinator.file {
            Err(Fault::Absent) => None,
            Err(_) => Some(format!("whether `{}` needs it cannot be read", coordinator.context)),
            Ok(_) => match asked(&coordinator.context, all) {
                Ok(decisions) => {
                    let of_it = decisions.into_iter().find(|one| one.participants.iter().any(|name| name == context));
                    of_it.map(|one| format!("`{}` has decided transaction {}", coordinator.context, one.transaction))
                }
                Err(why) => Some(why),
            },
        };
        if let Some(waits) = waits {
            let remedy = format!("restore a backup: `seam restore {context} --from NAME`");
            return Fate::Unknown(Fault::Unreadable { why: format!("{why}; {waits}"), remedy });
        }
    }
    Fate::AsItIs(format!("{why}; no decision waits for it."))
}
