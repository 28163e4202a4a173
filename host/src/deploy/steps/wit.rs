//! Step `wit`: checks that the callers of the context work with the new version.
//!
//! By the component model's rules an instance may export more than its callers import, so additions pass. A function
//! that another context imports must keep its type. A function or interface that no context imports may be removed,
//! with a note. But a type never changes under a published version of its package, because a component built against
//! that version later would find another type.

use seam_runtime::component::{Component, ContextSpec, Interface, is_seam, same_signature, wit_of};
use seam_runtime::link;
use seam_store::ids::ContextName;

use crate::deploy::report::{GateRefusal, Step};
use crate::fit::{self, HostCalls, serves_http};

/// Compares the exports of `next` with those of `before`, and checks that all `specs`, which include `next`, link as
/// one system. Returns notes on what changes for callers.
///
/// # Errors
/// When a caller would break, or a published type changes.
pub(crate) fn check(
    before: &ContextSpec,
    next: &Component,
    specs: &[ContextSpec],
    calls: &HostCalls,
) -> Result<Vec<String>, GateRefusal> {
    let notes = compare(before, next, specs, calls)?;
    let borrowed: Vec<_> = specs.iter().map(|spec| (&spec.settings, &spec.component)).collect();
    link::plan(&borrowed).map_err(|problems| {
        let refusal = GateRefusal::problems(Step::Wit, &problems);
        match problems.first().map(|problem| &problem.context) {
            // A variant may export more than its context, so deploying the variant first always works.
            Some(other) if *other != before.settings.name && other.variant().is_some() => {
                GateRefusal { remedy: format!("deploy a version of `{other}` that fits it first"), ..refusal }
            }
            _ => refusal,
        }
    })?;
    Ok(notes)
}

/// `check` without the test that all contexts link.
///
/// # Errors
/// As for `check`.
pub(crate) fn compare(
    before: &ContextSpec,
    next: &Component,
    specs: &[ContextSpec],
    calls: &HostCalls,
) -> Result<Vec<String>, GateRefusal> {
    let name = &before.settings.name;
    let mut notes = Vec::new();
    let seams = |component: &Component| -> Vec<Interface> {
        component.exports.iter().filter(|e| is_seam(&e.name)).cloned().collect()
    };
    let (old, new) = (seams(&before.component), seams(next));
    for was in &old {
        notes.extend(interface(name, was, &new, specs)?);
    }
    for is in new.iter().filter(|is| !old.iter().any(|was| was.name.accepts(&is.name))) {
        notes.push(format!("added: `{}`", is.name));
    }
    if serves_http(&before.component) && !serves_http(next) && calls.mounted.contains(name) {
        let message = format!("it no longer serves HTTP, but `{name}` is mounted");
        return Err(GateRefusal::at(
            Step::Wit,
            message,
            "export `seam:host/http-handler`, or remove the [[mount]] first",
        ));
    }
    for schedule in calls.schedules.iter().filter(|schedule| schedule.context == *name) {
        // A schedule that called nothing before is no reason to keep a version out.
        let worked = fit::schedule_problem_in(schedule, &before.component).is_none();
        if let Some(problem) = fit::schedule_problem_in(schedule, next).filter(|_| worked) {
            return Err(GateRefusal::at(
                Step::Wit,
                problem.message,
                format!("keep the function for its [[schedule]], or remove that first; {}", problem.remedy),
            ));
        }
    }
    for reconcile in calls.reconciles.iter().filter(|one| one.mend.as_ref() == Some(name)) {
        let worked = fit::mend_problem_in(reconcile, &before.component).is_none();
        if let Some(problem) = fit::mend_problem_in(reconcile, next).filter(|_| worked) {
            return Err(GateRefusal::at(Step::Wit, problem.message, problem.remedy));
        }
    }
    Ok(notes)
}

/// Compares one interface of the running version with the exports `new`.
fn interface(
    name: &ContextName,
    was: &Interface,
    new: &[Interface],
    specs: &[ContextSpec],
) -> Result<Vec<String>, GateRefusal> {
    let same = new.iter().find(|is| is.name == was.name);
    let mut notes = Vec::new();
    let Some(is) = same.or_else(|| new.iter().find(|is| was.name.accepts(&is.name))) else {
        return match importers(specs, name, was, None).as_slice() {
            [] => Ok(vec![format!("removed: `{}`, which no context imports", was.name)]),
            users => Err(GateRefusal::at(
                Step::Wit,
                format!("it does not export `{}`, which {} imports", was.name, listed(users)),
                "keep the interface beside its new version until no context imports it".to_owned(),
            )),
        };
    };
    for (function, old) in &was.functions {
        let full = format!("`{}.{function}`", was.name);
        let users = importers(specs, name, was, Some(function));
        match is.functions.iter().find(|(other, _)| other == function) {
            None if users.is_empty() => notes.push(format!("removed: {full}, which no context imports")),
            None => {
                let message = format!("it does not export {full}, which {} imports", listed(&users));
                return Err(GateRefusal::at(Step::Wit, message, "keep the function until no context imports it"));
            }
            Some((_, new)) if same_signature(old, new) => {}
            Some((_, new)) => {
                let change = format!("{} became {}", wit_of(function, old), wit_of(function, new));
                if same.is_some() {
                    let message = format!("it changes the type of {full}: {change}");
                    let remedy = "a changed type needs a new version of the package, beside the old one";
                    return Err(GateRefusal::at(Step::Wit, message, remedy));
                }
                if !users.is_empty() {
                    let message = format!("it changes the type of {full}, which {} imports: {change}", listed(&users));
                    let remedy =
                        "a changed type needs a new version of the package that is not compatible with the old one";
                    return Err(GateRefusal::at(Step::Wit, message, remedy));
                }
                notes.push(format!("changed: {full}, which no context imports: {change}"));
            }
        }
    }
    if same.is_none() {
        notes.push(format!("`{}` became `{}`, which is compatible", was.name, is.name));
    }
    for (function, ty) in is.functions.iter().filter(|(f, _)| !was.functions.iter().any(|(other, _)| other == f)) {
        notes.push(format!("added: `{}.{}`", is.name, wit_of(function, ty)));
    }
    Ok(notes)
}

/// Contexts other than `name` that import the interface, or one function of it.
fn importers<'a>(
    specs: &'a [ContextSpec],
    name: &ContextName,
    interface: &Interface,
    function: Option<&str>,
) -> Vec<&'a ContextName> {
    let uses = |spec: &&ContextSpec| {
        spec.component.imports.iter().any(|import| {
            import.name.accepts(&interface.name)
                && function.is_none_or(|function| import.functions.iter().any(|(f, _)| f == function))
        })
    };
    let others = specs.iter().filter(|spec| spec.settings.name != *name);
    others.filter(uses).map(|spec| &spec.settings.name).collect()
}

fn listed(names: &[&ContextName]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
