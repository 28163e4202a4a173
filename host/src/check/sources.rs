//! Whether the components are what their sources say: older than them, or without migrations that lie beside them; and
//! which of their invariants compare nothing.

use std::path::{Path, PathBuf};

use seam_runtime::component::ContextProblem;
use seam_runtime::did_you_mean;
use seam_runtime::run::INVARIANT_PART;
use seam_store::ids::ContextName;
use seam_store::{Invariant, InvariantKind, Migration};

use crate::build;
use crate::manifest::{Manifest, Place, Problem, Reconcile};
use crate::verify::{self, Unlooked};

/// The contexts whose components are older than their sources. A component without a record of its build, or without
/// any of its sources on this machine, is none of them.
pub fn stale(manifest: &Manifest) -> Vec<(ContextName, Problem)> {
    let problem = |(name, why): (ContextName, String)| {
        let place = manifest.context(name.as_str()).map_or(Place::default(), |context| context.places.of("build"));
        let message = format!("the component of `{name}` is older than its sources: {why}");
        let problem = Problem::new(place, message, format!("run `seam build {name}`"));
        (name, problem)
    };
    build::stale(manifest).into_iter().map(problem).collect()
}

/// Files in the context's folder `migrations` that its component does not embed, or embeds with another text. With
/// `stale`, only those that the next build would not take.
pub fn migrations(manifest: &Manifest, context: &ContextName, embedded: &[Migration], stale: bool) -> Vec<Problem> {
    let Some(folder) = folder(manifest, context, "migrations") else { return Vec::new() };
    let mut files: Vec<String> = std::fs::read_dir(&folder)
        .map(|entries| entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    // What editors leave beside a file.
    files.retain(|name| !name.starts_with('.') && !name.ends_with('~'));
    files.sort();
    let mut problems = Vec::new();
    let mut report = |file: &str, message: String, remedy: String| {
        problems.push(Problem::new(Place::default(), message, remedy).in_file(folder.join(file)));
    };
    let mut expected = 1;
    for file in &files {
        let Some((number, _)) = parts(file) else {
            let message =
                format!("`{context}` does not embed it: a migration is called `NNNN-name.sql`, with four digits");
            report(file, message, "rename or remove it".to_owned());
            continue;
        };
        if number != expected {
            let message = format!("its number should be {expected:04}: migrations count from 0001, without gaps");
            report(file, message, "rename it".to_owned());
        }
        expected = number + 1;
        let build = || format!("run `seam build {context}`");
        match embedded.iter().find(|migration| migration.number == number) {
            _ if stale => {}
            None => report(file, format!("the component of `{context}` does not embed it"), build()),
            Some(migration) if !same(&folder.join(file), &migration.sql) => {
                report(file, format!("the component of `{context}` embeds another text of it"), build());
            }
            Some(_) => {}
        }
    }
    problems
}

/// Totals that one context declares alone: there is nothing to compare them with.
pub fn lonely_totals(declared: &[(ContextName, Vec<Invariant>)]) -> Vec<ContextProblem> {
    let totals = || {
        let of = |(context, all): &'_ (ContextName, Vec<Invariant>)| {
            let totals = all.iter().filter(|one| one.kind == InvariantKind::Total);
            totals.map(|one| (context.clone(), one.name.clone())).collect::<Vec<_>>()
        };
        declared.iter().flat_map(of)
    };
    let alone = totals().filter(|(context, name)| !totals().any(|(other, same)| other != *context && same == *name));
    let problem = |(context, name): (ContextName, String)| {
        let others: Vec<String> = totals().filter(|(other, _)| *other != context).map(|(_, name)| name).collect();
        let near = did_you_mean::nearest(&name, others.iter().map(String::as_str));
        let remedy = near.map_or_else(
            || "declare a total of this name in the context that it must agree with, too".to_owned(),
            |near| format!("did you mean the total `{near}` of another context?"),
        );
        let message = format!("`{context}` alone declares the total `{name}`: no other context is compared with it");
        ContextProblem { context, part: format!("{INVARIANT_PART}{name}"), message, remedy }
    };
    alone.map(problem).collect()
}

/// Totals that are to be reconciled and that fewer than two contexts declare.
pub fn undeclared_totals(manifest: &Manifest, declared: &[(ContextName, Vec<Invariant>)]) -> Vec<Problem> {
    let is_total = |one: &&Invariant| one.kind == InvariantKind::Total;
    let names: Vec<String> =
        declared.iter().flat_map(|(_, all)| all.iter().filter(is_total).map(|one| one.name.clone())).collect();
    let problem = |reconcile: &Reconcile| {
        let has_it = |all: &[Invariant]| all.iter().filter(is_total).any(|one| one.name == reconcile.total);
        let contexts: Vec<String> =
            declared.iter().filter(|(_, all)| has_it(all)).map(|(context, _)| context.to_string()).collect();
        let Unlooked { why, remedy } = verify::undeclared(&reconcile.total, &contexts, &names);
        (contexts.len() < 2).then(|| Problem::new(reconcile.place, why, remedy))
    };
    manifest.reconciles.iter().filter_map(problem).collect()
}

/// The problem at its place in the manifest or, of an invariant that lies beside the sources, in its file.
pub fn in_its_file(manifest: &Manifest, problem: &ContextProblem) -> Problem {
    let located = manifest.located(problem);
    let Some(name) = problem.part.strip_prefix(INVARIANT_PART) else { return located };
    let Some(folder) = folder(manifest, &problem.context, "invariants") else { return located };
    let files = ["", "totals/"].map(|kind| folder.join(format!("{kind}{name}.sql")));
    match files.into_iter().find(|file| file.is_file()) {
        Some(file) => Problem::new(Place::default(), located.message, located.remedy).in_file(file),
        None => located,
    }
}

/// The one folder of this name among a context's sources.
fn folder(manifest: &Manifest, context: &ContextName, name: &str) -> Option<PathBuf> {
    let context = manifest.context(context.as_str())?;
    let mut found = Vec::new();
    for source in build::source_folders(manifest, context) {
        let is_it = source.file_name().is_some_and(|is| is == name);
        found.push(if is_it { source } else { source.join(name) });
    }
    found.retain(|folder| folder.is_dir());
    found.dedup();
    match found.len() {
        1 => found.pop(),
        _ => None,
    }
}

/// `0001-albums.sql` is number 1, name `albums`.
fn parts(file: &str) -> Option<(u32, &str)> {
    let (number, name) = file.strip_suffix(".sql")?.split_once('-')?;
    let digits = number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit());
    Some((number.parse().ok().filter(|_| digits && !name.is_empty())?, name))
}

fn same(file: &Path, sql: &str) -> bool {
    seam_store::text::read(file).is_ok_and(|text| text == seam_store::text::normalised(sql))
}
