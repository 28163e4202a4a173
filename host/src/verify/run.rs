//! Asks every check of every subject.
//!
//! Totals and events come first, while all files are held at the moment; then each file by itself, which is let go
//! after that.

use std::collections::{BTreeMap, BTreeSet};

use seam_store::{Author, Error as StoreError, Invariant, InvariantKind, Side, Snapshot, Terms, disagreements};

use super::Progress;
use super::error::Error;
use super::events::{Pair, pairs};
use super::own::own;
use super::report::{Check, CheckKind, Outcome};
use super::subject::{Fault, Subject};

/// A total: what the contexts that declare it say of it, each with its number among the subjects.
type Total<'s> = (&'s str, Vec<(usize, &'s Invariant)>);

/// All checks of `subjects`, or of those that are named in `only`.
///
/// # Errors
/// When a name in `only` is that of no subject.
pub fn run(
    subjects: Vec<Subject>,
    only: &[String],
    terms: &Terms,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Vec<Check>, Error> {
    let known: BTreeSet<&str> = subjects.iter().map(|subject| subject.context.as_str()).collect();
    if let Some(unknown) = only.iter().find(|name| !known.contains(name.as_str())) {
        let known = known.into_iter().map(str::to_owned).collect();
        return Err(Error::NoContext { context: unknown.clone(), known });
    }
    let named = |context: &str| only.is_empty() || only.iter().any(|name| name == context);
    let totals: Vec<Total<'_>> = totals(&subjects)
        .into_iter()
        .filter(|(_, sides)| sides.iter().any(|(at, _)| subjects.get(*at).is_some_and(|s| named(&s.context))))
        .filter(|(_, sides)| sides.iter().any(|(at, _)| subjects.get(*at).is_some_and(|s| !s.is_elsewhere)))
        .collect();
    let pairs: Vec<Pair<'_>> = pairs(&subjects).into_iter().filter(|pair| pair.is_of(&named)).collect();
    let looked_at = |subject: &Subject| !subject.is_elsewhere && named(&subject.context);
    let alone = |subject: &Subject| declared(subject, InvariantKind::Violations).count() + own().count();
    let of =
        totals.len() + pairs.len() + subjects.iter().filter(|subject| looked_at(subject)).map(alone).sum::<usize>();
    let mut done = 0;
    let mut step = |now: String| {
        progress(&Progress { done, of, now });
        done += 1;
    };
    let mut compared = Vec::new();
    for (name, sides) in &totals {
        step(format!("total {name}"));
        compared.push(total(name, sides, &subjects, terms));
    }
    for pair in &pairs {
        step(format!("events {}", pair.interface));
        compared.push(pair.check(terms));
    }
    let mut checks = Vec::new();
    for subject in subjects.into_iter().filter(looked_at) {
        each(&subject, terms, &mut checks, &mut step);
    }
    checks.extend(compared);
    Ok(checks)
}

fn declared(subject: &Subject, kind: InvariantKind) -> impl Iterator<Item = &Invariant> {
    subject.declared.iter().flatten().filter(move |invariant| invariant.kind == kind)
}

pub(super) fn totals(subjects: &[Subject]) -> Vec<Total<'_>> {
    let mut totals: BTreeMap<&str, Vec<(usize, &Invariant)>> = BTreeMap::new();
    for (at, subject) in subjects.iter().enumerate() {
        for total in declared(subject, InvariantKind::Total) {
            totals.entry(&total.name).or_default().push((at, total));
        }
    }
    totals.into_iter().collect()
}

/// The checks of one file.
fn each(subject: &Subject, terms: &Terms, checks: &mut Vec<Check>, step: &mut dyn FnMut(String)) {
    let Subject { context, file, declared: invariants, promise, .. } = subject;
    let check = |kind, name: &str, sentence: &str, outcome| Check {
        contexts: vec![context.clone()],
        kind,
        name: name.to_owned(),
        sentence: sentence.to_owned(),
        outcome,
    };
    match file {
        Ok(file) => {
            for own in own() {
                step(format!("{context}: {}", own.name));
                let outcome = match violations(file, &own, Author::Host, terms) {
                    // It looks at the file itself.
                    Outcome::Empty { .. } => Outcome::Holds { keys: None },
                    outcome => outcome,
                };
                checks.push(check(CheckKind::File, &own.name, &own.sentence, outcome));
            }
            if let Some(decided) = promise {
                checks.push(check(CheckKind::File, "promise-is-decided", decided, Outcome::Holds { keys: None }));
            }
            if let Some(outcome) = sagas(file, terms) {
                let sentence = "Every saga in process goes on by itself, waits, or is stuck for a reason that it has.";
                checks.push(check(CheckKind::File, "sagas-go-on", sentence, outcome));
            }
            if let Some(outcome) = seals(file, terms) {
                let sentence = "Every row of a sealed table is as it was sealed, and none is gone.";
                checks.push(check(CheckKind::File, "seals-fit", sentence, outcome));
            }
        }
        Err(fault) => {
            let sentence = "The file is there, and is the one that the host has seen last.";
            checks.push(check(CheckKind::File, "file-is-there", sentence, fault.outcome()));
        }
    }
    if let Err(fault) = invariants {
        let sentence = "The component says what holds in its file.";
        checks.push(check(CheckKind::Invariant, "invariants", sentence, fault.outcome()));
    }
    for invariant in declared(subject, InvariantKind::Violations) {
        step(format!("{context}: {}", invariant.name));
        let outcome = match file {
            Ok(file) => violations(file, invariant, Author::Context, terms),
            Err(fault) => fault.without_file(context),
        };
        checks.push(check(CheckKind::Invariant, &invariant.name, &invariant.sentence, outcome));
    }
}

fn violations(file: &Snapshot, invariant: &Invariant, author: Author, terms: &Terms) -> Outcome {
    match file.violations(invariant, author, terms) {
        Ok(found) if found.count > 0 => Outcome::Violated {
            count: found.count,
            columns: found.columns,
            examples: found.examples,
            remedy: String::new(),
        },
        Ok(found) if found.looked_at_rows => Outcome::Holds { keys: None },
        Ok(_) => Outcome::Empty { why: "none of the tables that it reads has a row".to_owned() },
        // What SQLite calls malformed while it looks for faults is one.
        Err(StoreError::Unavailable(why)) if author == Author::Host => Outcome::Violated {
            count: 1,
            columns: vec!["fault".to_owned()],
            examples: vec![vec![why]],
            remedy: "restore a backup: `seam restore`".to_owned(),
        },
        Err(error) => Outcome::unchecked(&error),
    }
}

/// Whether sagas go on; `None` if the file never had one.
fn sagas(file: &Snapshot, terms: &Terms) -> Option<Outcome> {
    let found = match file.verify_sagas(terms) {
        Ok(found) => found?,
        Err(error) => return Some(Outcome::unchecked(&error)),
    };
    Some(match found.faults {
        0 => Outcome::Holds { keys: Some(found.rows) },
        count => Outcome::Violated {
            count,
            columns: vec!["fault".to_owned()],
            examples: found.examples.into_iter().map(|fault| vec![fault]).collect(),
            remedy: "`seam sagas show` has the timeline, and `seam sagas retry` has it go on".to_owned(),
        },
    })
}

/// What the seals of rows say; `None` if no table is sealed.
fn seals(file: &Snapshot, terms: &Terms) -> Option<Outcome> {
    let verified = match file.verify_seals(terms) {
        Ok(verified) => verified?,
        Err(error) => return Some(Outcome::unchecked(&error)),
    };
    Some(match (verified.broken.len() as u64, verified.whole) {
        (0, true) => Outcome::Holds { keys: Some(verified.rows) },
        (0, false) => Outcome::unchecked(&StoreError::Interrupted("the time did not suffice".to_owned())),
        (count, _) => Outcome::Violated {
            count,
            columns: vec!["fault".to_owned()],
            examples: verified.broken.into_iter().map(|row| vec![row]).collect(),
            remedy: "restore a backup: `seam restore`".to_owned(),
        },
    })
}

fn total(name: &str, sides: &[(usize, &Invariant)], subjects: &[Subject], terms: &Terms) -> Check {
    let of = |at: usize| subjects.get(at).map_or("", |subject| subject.context.as_str());
    let sentence = sides.first().map(|(_, invariant)| invariant.sentence.clone()).unwrap_or_default();
    let contexts: Vec<String> = sides.iter().map(|(at, _)| of(*at).to_owned()).collect();
    let outcome = compare(sides, subjects, terms, &contexts);
    Check { contexts, kind: CheckKind::Total, name: name.to_owned(), sentence, outcome }
}

fn compare(sides: &[(usize, &Invariant)], subjects: &[Subject], terms: &Terms, contexts: &[String]) -> Outcome {
    if let [one] = contexts {
        return Outcome::Empty { why: format!("only `{one}` declares it: there is nothing to compare it with") };
    }
    let compared = match comparable(sides, subjects) {
        Ok(compared) => compared,
        Err((context, fault)) => return fault.without_file(context),
    };
    match disagreements(&compared, terms) {
        Ok(found) if found.count > 0 => Outcome::Violated {
            count: found.count,
            columns: std::iter::once("key".to_owned()).chain(contexts.iter().cloned()).collect(),
            examples: found.examples,
            remedy: String::new(),
        },
        Ok(found) if found.keys > 0 => Outcome::Holds { keys: Some(found.keys) },
        Ok(_) => Outcome::Empty { why: "no context has a key for it".to_owned() },
        Err((at, error)) => Outcome::unchecked_side(contexts.get(at).map_or("", String::as_str), &error),
    }
}

/// The sides of a total with their files; or the context whose file cannot be read, and why.
pub(super) fn comparable<'s>(
    sides: &[(usize, &'s Invariant)],
    subjects: &'s [Subject],
) -> Result<Vec<Side<'s>>, (&'s str, &'s Fault)> {
    let side = |(at, invariant): &(usize, &'s Invariant)| {
        let subject = subjects.get(*at)?;
        let side = |snapshot| Side { snapshot, invariant, author: Author::Context };
        Some(subject.file.as_ref().map(side).map_err(|fault| (subject.context.as_str(), fault)))
    };
    sides.iter().filter_map(side).collect()
}
