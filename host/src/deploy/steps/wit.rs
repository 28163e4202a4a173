//! Step `wit`: whether everybody who calls the context can go on doing so.
//!
//! By the component model's rules an instance may offer more than was asked for, so what is added is allowed. A function is there with
//! the same type for each that imports it, or the version is refused. What nobody imports may go or change, with a notice, since nobody
//! notices; but a type never changes under a version that is published: whoever is built against it tomorrow would meet another one.

use crate::deploy::report::{GateRefusal, Step};
use seam_runtime::component::{
    Component, ContextSpec, HTTP_HANDLER, Interface, WASI_HTTP, is_seam, same_signature, wit_of,
};
use seam_runtime::link;
use seam_store::ids::ContextName;

/// Compares what `next` offers with what `before` does, and sees that all `specs`, with `next` among them, are one system.
///
/// # Errors
/// For what breaks somebody, or a promise.
pub(crate) fn check(
    before: &ContextSpec,
    next: &Component,
    specs: &[ContextSpec],
    mounted: &[ContextName],
) -> Result<Vec<String>, GateRefusal> {
    let notes = compare(before, next, specs, mounted)?;
    let borrowed: Vec<_> = specs.iter().map(|spec| (&spec.settings, &spec.component)).collect();
    link::plan(&borrowed).map_err(|problems| {
        let refused = GateRefusal::problems(Step::Wit, &problems);
        match problems.first().map(|problem| &problem.context) {
            // A variant may offer more than its context, so there is always an order in which they can go.
            Some(other) if *other != before.settings.name && other.variant().is_some() => {
                GateRefusal { remedy: format!("deploy a version of `{other}` that fits it first"), ..refused }
            }
            _ => refused,
        }
    })?;
    Ok(notes)
}

/// The same without a look at whether they are one system.
///
/// # Errors
/// As those of `check`.
pub(crate) fn compare(
    before: &ContextSpec,
    next: &Component,
    specs: &[ContextSpec],
    mounted: &[ContextName],
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
    let serves = |component: &Component| {
        component.exports.iter().any(|e| e.name.path == HTTP_HANDLER || e.name.path == WASI_HTTP)
    };
    if serves(&before.component) && !serves(next) && mounted.contains(name) {
        let message = format!("it does not answer HTTP any more, and `{name}` is mounted");
        return Err(GateRefusal::at(
            Step::Wit,
            message,
            "export `seam:host/http-handler`, or remove the [[mount]] first",
        ));
    }
    Ok(notes)
}

/// What becomes of one interface that is published now.
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
            [] => Ok(vec![format!("removed: `{}`, which nobody imports", was.name)]),
            who => Err(GateRefusal::at(
                Step::Wit,
                format!("it does not export `{}`, which {} imports", was.name, listed(who)),
                "keep the interface beside its new version until nobody imports it".to_owned(),
            )),
        };
    };
    for (function, old) in &was.functions {
        let full = format!("`{}.{function}`", was.name);
        let users = importers(specs, name, was, Some(function));
        match is.functions.iter().find(|(other, _)| other == function) {
            None if users.is_empty() => notes.push(format!("removed: {full}, which nobody imports")),
            None => {
                let message = format!("it does not export {full}, which {} imports", listed(&users));
                return Err(GateRefusal::at(Step::Wit, message, "keep the function until nobody imports it"));
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
                    let remedy = "a changed type needs a version that the old one does not fit";
                    return Err(GateRefusal::at(Step::Wit, message, remedy));
                }
                notes.push(format!("changed: {full}, which nobody imports: {change}"));
            }
        }
    }
    if same.is_none() {
        notes.push(format!("`{}` became `{}`, which fits", was.name, is.name));
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
