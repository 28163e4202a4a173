//! Decides which context answers each import, for all contexts at once.
//!
//! Invariant: a component that `plan` accepts can be linked. `plan` reports all problems of all contexts together, each
//! with the context whose manifest entry or code has to change.

use seam_store::ids::ContextName;

use super::wiring::{Provider, Wiring};
use super::{cycle, variant_check};
use crate::call::ContextIndex;
use crate::component::{Component, ContextProblem, Interface, InterfaceName, is_seam, same_signature, seam_rules};
use crate::settings::ContextSettings;

/// Finds the provider of each import. An import that no context exports is taken for one of a placeholder, if there is
/// one.
///
/// # Errors
/// All problems of all contexts, in the manifest's order.
pub fn plan(contexts: &[(&ContextSettings, &Component)]) -> Result<Vec<Wiring>, Vec<ContextProblem>> {
    let mut problems = Vec::new();
    let mut wirings = Vec::new();
    for (context, component) in contexts {
        let mut report = |part: &str, message: String, remedy: String| {
            problems.push(ContextProblem { context: context.name.clone(), part: part.to_owned(), message, remedy });
        };
        for export in component.exports.iter().filter(|e| is_seam(&e.name)) {
            for (message, remedy) in seam_rules::violations(export) {
                report("component", message, remedy);
            }
        }
        let mut wiring = Wiring::new();
        for import in &component.imports {
            match import.name.namespace() {
                "wasi" | "seam" => {
                    if let Some((message, remedy)) = host_import_problem(context, &import.name) {
                        report("", message, remedy);
                    }
                }
                _ => match provider(contexts, context, import) {
                    Ok(provider) => drop(wiring.insert(import.name.to_string(), provider)),
                    Err(found) => {
                        found.into_iter().for_each(|(message, remedy)| report(&import.name.path, message, remedy));
                    }
                },
            }
        }
        wirings.push(wiring);
    }
    for (context, component) in contexts {
        problems.extend(variant_check::problems(contexts, context, component));
        problems.extend(variant_check::catch_up_problem(contexts, context, component));
    }
    if let Some(cycle) = cycle::find_cycle(&variant_check::callees(contexts, &wirings)) {
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

fn host_import_problem(context: &ContextSettings, name: &InterfaceName) -> Option<(String, String)> {
    let granted = |capability: &str| context.capabilities.iter().any(|c| c.as_str() == capability);
    let not_granted = |what: &str, line: &str| {
        let message = format!("`{}` imports `{name}`, but the manifest does not grant it {what}", context.name);
        (message, format!("add `{line}` to [context.{}], or leave the import out", context.name))
    };
    match name.package() {
        "seam:host" if name.short() == "store" => {
            context.store.is_none().then(|| not_granted("a store", "store = true"))
        }
        "wasi:logging" | "wasi:config" | "wasi:io" | "wasi:http" => None,
        "wasi:clocks" => {
            (!granted("clocks") && !granted("wasi")).then(|| not_granted("clocks", "capabilities = [\"clocks\"]"))
        }
        "wasi:random" => (!granted("random") && !granted("wasi"))
            .then(|| not_granted("random numbers", "capabilities = [\"random\"]")),
        "wasi:cli" | "wasi:filesystem" | "wasi:sockets" => {
            (!granted("wasi")).then(|| not_granted("the empty WASI world", "capabilities = [\"wasi\"]"))
        }
        _ => Some((
            format!("`{}` imports `{name}`, which this host does not offer", context.name),
            "build the component without it".into(),
        )),
    }
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
        problems.push((
            format!("`{}` imports `{name}`, but the manifest does not allow it", caller.name),
            format!("add \"{}\" to `imports` of [context.{}]", name.path, caller.name),
        ));
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
                return Ok(Provider { callee });
            }
            let (why, remedy) = if others.is_empty() {
                ("no context exports it".to_owned(), format!("add a context that exports `{}`", name.path))
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
                return Ok(Provider { callee });
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
