//! Decides which context answers each import, for all contexts at once.
//!
//! Invariant: a component that `plan` accepts can be linked. `plan` reports all problems of all contexts together, each
//! with the context whose manifest entry or code has to change.

use seam_store::ids::ContextName;

use super::host_imports::{HostImports, bare_import_problem};
use super::wiring::{Provider, Wiring};
use super::{cycle, host_exports, publication, subscription, variant_check};
use crate::call::ContextIndex;
use crate::component::{Component, ContextProblem, Interface, InterfaceName, later_wasi, same_signature, seam_rules};
use crate::did_you_mean::nearest;
use crate::settings::ContextSettings;

/// Finds the provider of each import. An import that no context exports is taken for one of a placeholder, if there is
/// one.
///
/// # Errors
/// All problems of all contexts, in the manifest's order.
pub fn plan(contexts: &[(&ContextSettings, &Component)]) -> Result<Vec<Wiring>, Vec<ContextProblem>> {
    let mut problems = Vec::new();
    let mut wirings = Vec::new();
    let mut host = contexts.first().map(|(_, component)| HostImports::new(component.code.engine()));
    for (context, component) in contexts {
        let mut said_later = false;
        let mut report = |part: &str, message: String, remedy: String| {
            problems.push(ContextProblem { context: context.name.clone(), part: part.to_owned(), message, remedy });
        };
        for export in &component.exports {
            if host_exports::is_for_host(&export.name) {
                if let Some((what, remedy)) = host_exports::problem(component, export) {
                    report("component", format!("`{}` {what}", context.name), remedy);
                }
                continue;
            }
            for (message, remedy) in seam_rules::violations(export) {
                report("component", message, remedy);
            }
        }
        for import in &component.bare_imports {
            let (message, remedy) = bare_import_problem(context, component, import);
            report("component", message, remedy);
        }
        let mut wiring = Wiring::new();
        for import in &component.imports {
            match import.name.namespace() {
                "wasi" | "seam" => {
                    // A component for a later WASI imports many interfaces of it: one sentence is enough.
                    let later = later_wasi(&import.name).is_some();
                    if !(later && std::mem::replace(&mut said_later, true)) {
                        let found = host.iter_mut().flat_map(|host| host.problems(context, import));
                        found.into_iter().for_each(|(message, remedy)| report("", message, remedy));
                    }
                }
                _ => match subscription::published(context, import) {
                    Some(publication) => {
                        let found = publication::problems(import, publication);
                        found.into_iter().for_each(|(what, remedy)| report("publishes", what, remedy));
                    }
                    None => match provider(contexts, context, import) {
                        Ok(provider) => drop(wiring.insert(import.name.to_string(), provider)),
                        Err(found) => {
                            found.into_iter().for_each(|(message, remedy)| report(&import.name.path, message, remedy));
                        }
                    },
                },
            }
        }
        wirings.push(wiring);
    }
    for (context, component) in contexts {
        problems.extend(variant_check::problems(contexts, context, component));
        problems.extend(subscription::problems(contexts, context, component));
    }
    let callees = variant_check::callees(contexts, &wirings);
    let suspends = suspends(contexts, &callees);
    for provider in wirings.iter_mut().flat_map(Wiring::values_mut) {
        provider.suspends = suspends.get(usize::from(provider.callee)).copied().unwrap_or_default();
    }
    if let Some(cycle) = cycle::find_cycle(&callees) {
        let names: Vec<_> =
            cycle.iter().filter_map(|at| contexts.get(usize::from(*at))).map(|c| c.0.name.as_str()).collect();
        if let Some((first, _)) = cycle.first().and_then(|at| contexts.get(usize::from(*at))) {
            problems.push(ContextProblem {
                context: first.name.clone(),
                part: "imports".into(),
                message: format!("contexts import each other in a circle: {}", names.join(" -> ")),
                remedy: "let one of them publish events to the others, or move what both need into a third context"
                    .into(),
            });
        }
    }
    if problems.is_empty() { Ok(wirings) } else { Err(problems) }
}

/// For each context, whether a call of it may wait for another host; for one with variants, whether a call of any of
/// them may.
fn suspends(contexts: &[(&ContextSettings, &Component)], callees: &[Vec<ContextIndex>]) -> Vec<bool> {
    let mut suspends: Vec<bool> = contexts.iter().map(|(context, _)| context.at.is_some()).collect();
    loop {
        let any = |found: &[bool], of: &[ContextIndex]| of.iter().any(|at| found.get(usize::from(*at)) == Some(&true));
        let mut next: Vec<bool> =
            callees.iter().zip(&suspends).map(|(callees, before)| *before || any(&suspends, callees)).collect();
        for (at, (context, _)) in contexts.iter().enumerate() {
            let main = context.name.variant().map(|(main, _)| main);
            let main = contexts.iter().position(|(other, _)| Some(other.name.as_str()) == main);
            if let (Some(true), Some(main)) = (next.get(at).copied(), main.and_then(|main| next.get_mut(main))) {
                *main = true;
            }
        }
        if next == suspends {
            return suspends;
        }
        suspends = next;
    }
}

/// Why the manifest does not let `caller` import `name`: another version is listed, a similar name is, or none.
fn not_listed(caller: &ContextSettings, name: &InterfaceName) -> (String, String) {
    let listed: Vec<InterfaceName> = caller.imports.iter().filter_map(|grant| InterfaceName::parse(grant)).collect();
    let version = |name: &InterfaceName| name.version.as_ref().map_or("no version".into(), |v| format!("@{v}"));
    let others: Vec<String> = listed.iter().filter(|grant| grant.path == name.path).map(version).collect();
    if !others.is_empty() {
        let (lists, needed) = (others.join(" and "), version(name));
        return (
            format!("`{}` imports `{name}`, but its manifest entry lists {lists}, needed is {needed}", caller.name),
            format!("write \"{name}\" in `imports` of [context.{}]", caller.name),
        );
    }
    let message = format!("`{}` imports `{name}`, but the manifest does not allow it", caller.name);
    let remedy = match nearest(&name.path, listed.iter().map(|grant| grant.path.as_str())) {
        Some(near) => format!("write \"{name}\" instead of \"{near}\" in `imports` of [context.{}]", caller.name),
        None => format!("add \"{}\" to `imports` of [context.{}]", name.path, caller.name),
    };
    (message, remedy)
}

/// The context that provides `import` to `caller`, or all reasons why no context does.
fn provider(
    contexts: &[(&ContextSettings, &Component)],
    caller: &ContextSettings,
    import: &Interface,
) -> Result<Provider, Vec<(String, String)>> {
    let mut problems = Vec::new();
    let name = &import.name;
    if !caller.imports.iter().any(|grant| name.granted_by(grant)) {
        problems.push(not_listed(caller, name));
    }
    let exporting = |fits: &dyn Fn(&InterfaceName) -> bool| -> Vec<(usize, &ContextName, &Interface)> {
        let all = contexts.iter().enumerate().filter(|(_, (c, _))| c.name.variant().is_none());
        all.flat_map(|(at, (c, component))| component.exports.iter().map(move |e| (at, &c.name, e)))
            .filter(|(_, _, e)| fits(&e.name))
            .collect()
    };
    // A context may export compatible versions side by side; its generation chooses in the same way.
    let mut providers = exporting(&|offered| name.accepts(offered));
    let all = providers.clone();
    providers.retain(|(at, _, e)| {
        let own = all.iter().filter(|(other, ..)| other == at);
        name.choose(own, |(_, _, own)| &own.name).is_some_and(|(_, _, chosen)| chosen.name == e.name)
    });
    match providers.as_slice() {
        [] => {
            let others = exporting(&|offered| offered.path == name.path);
            // A component that could not be loaded may have exported it: that of the package's name, or any.
            let absent = contexts.iter().enumerate().filter(|(_, (_, component))| component.is_placeholder());
            let named = |(_, (context, _)): &(usize, &(&ContextSettings, &Component))| {
                name.package().ends_with(&format!(":{}", context.name))
            };
            if let (true, Some((at, _))) = (problems.is_empty(), absent.clone().find(named).or(absent.clone().next()))
                && let Ok(callee) = ContextIndex::try_from(at)
            {
                return Ok(Provider { callee, suspends: false });
            }
            let exported = exporting(&|_| true);
            let near = nearest(&name.path, exported.iter().map(|(_, _, e)| e.name.path.as_str()));
            let (why, remedy) = if others.is_empty() {
                let remedy = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("add a context that exports `{}`", name.path),
                };
                ("no context exports it".to_owned(), remedy)
            } else {
                let list: Vec<_> = others.iter().map(|(_, c, e)| format!("`{c}` has `{}`", e.name)).collect();
                (format!("only other versions exist: {}", list.join(", ")), "build both against one version".to_owned())
            };
            problems.push((format!("`{}` imports `{name}`, but {why}", caller.name), remedy));
        }
        [(at, callee, export)] => {
            for (function, wanted) in &import.functions {
                match export.functions.iter().find(|(n, _)| n == function) {
                    None => problems.push((
                        format!("`{}` imports `{name}.{function}`, which `{callee}` does not have", caller.name),
                        format!("build `{}` against the interface that `{callee}` exports", caller.name),
                    )),
                    Some((_, offered)) if !same_signature(wanted, offered) => problems.push((
                        format!("`{}` and `{callee}` disagree about the type of `{name}.{function}`", caller.name),
                        "build both against the same WIT; a changed type needs a new version of the package".into(),
                    )),
                    Some(_) => {}
                }
            }
            if let (true, Ok(callee)) = (problems.is_empty(), ContextIndex::try_from(*at)) {
                return Ok(Provider { callee, suspends: false });
            }
        }
        several => {
            let list: Vec<_> = several.iter().map(|(_, c, e)| format!("`{c}` (`{}`)", e.name)).collect();
            problems.push((
                format!(
                    "`{}` imports `{name}`, and more than one context exports it: {}",
                    caller.name,
                    list.join(", ")
                ),
                "remove all but one of them from the manifest".into(),
            ));
        }
    }
    Err(problems)
}
