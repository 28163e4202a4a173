//! Who publishes and who subscribes: whether the two sides of an events interface fit.

use crate::component::{Component, ContextProblem, Interface, InterfaceName, same_signature};
use crate::did_you_mean::nearest;
use crate::settings::{ContextSettings, Publication};

/// How `context` publishes the interface that it imports, if it does.
pub fn published<'s>(context: &'s ContextSettings, import: &Interface) -> Option<&'s Publication> {
    context.publishes.iter().find(|publication| import.name.granted_by(&publication.interface))
}

/// Why a context cannot publish or subscribe as its manifest entry says.
pub fn problems(
    contexts: &[(&ContextSettings, &Component)],
    context: &ContextSettings,
    component: &Component,
) -> Vec<ContextProblem> {
    let mut problems = Vec::new();
    let mut report = |part: &str, message: String, remedy: String| {
        problems.push(ContextProblem { context: context.name.clone(), part: part.to_owned(), message, remedy });
    };
    let name = &context.name;
    if context.store.is_none() && !context.publishes.is_empty() {
        let what = format!("`{name}` publishes and has no store, and the outbox is a table there");
        report("publishes", what, format!("add `store = true` to [context.{name}]"));
    }
    if context.store.is_none() && !context.subscribes.is_empty() {
        let what = format!("`{name}` subscribes and has no store, and what it has seen is written there");
        report("subscribes", what, format!("add `store = true` to [context.{name}]"));
    }
    // A variant has the entry of its context, and need not publish what that does.
    if !component.is_placeholder() && name.variant().is_none() {
        for publication in &context.publishes {
            if !component.imports.iter().any(|import| import.name.granted_by(&publication.interface)) {
                let what =
                    format!("`{name}` publishes `{}`, but its component does not import it", publication.interface);
                let near = nearest(&publication.interface, component.imports.iter().map(|i| i.name.path.as_str()));
                let remedy = near
                    .map_or_else(|| "remove it from the manifest".to_owned(), |near| format!("did you mean `{near}`?"));
                report("publishes", what, remedy);
            }
        }
    }
    for subscription in &context.subscribes {
        let interface = &subscription.interface;
        let exported: Vec<&Interface> =
            component.exports.iter().filter(|export| export.name.granted_by(interface)).collect();
        if exported.is_empty() && !component.is_placeholder() {
            let near = nearest(interface, component.exports.iter().map(|export| export.name.path.as_str()));
            let near = near.map_or_else(
                || "export it, or remove it from the manifest".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            report(
                "subscribes",
                format!("`{name}` subscribes to `{interface}`, but its component does not export it"),
                near,
            );
            continue;
        }
        let publishers = || {
            let imports = |(other, component): &(&ContextSettings, &Component)| {
                let published = component.imports.iter().filter(|import| published(other, import).is_some());
                published.map(|import| (other.name.clone(), import.clone())).collect::<Vec<_>>()
            };
            contexts.iter().flat_map(imports).filter(|(_, import)| import.name.granted_by(interface))
        };
        let absent = contexts.iter().any(|(_, component)| component.is_placeholder());
        if publishers().next().is_none() && !absent {
            let all: Vec<&str> =
                contexts.iter().flat_map(|(other, _)| &other.publishes).map(|p| p.interface.as_str()).collect();
            let remedy = nearest(interface, all).map_or_else(
                || "let a context publish it (`publishes`), or remove it from `subscribes`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            report("subscribes", format!("`{name}` subscribes to `{interface}`, which no context publishes"), remedy);
        }
        for (publisher, import) in publishers() {
            for (message, remedy) in misfits(name.as_str(), &exported, publisher.as_str(), &import) {
                report("subscribes", message, remedy);
            }
        }
    }
    problems
}

/// Why events of `import` cannot be delivered to what the subscriber exports.
fn misfits(subscriber: &str, exported: &[&Interface], publisher: &str, import: &Interface) -> Vec<(String, String)> {
    let name: &InterfaceName = &import.name;
    let Some(export) = name.choose(exported.iter().copied(), |export| &export.name) else {
        let has: Vec<String> = exported.iter().map(|export| format!("`{}`", export.name)).collect();
        return match has.is_empty() {
            true => Vec::new(),
            false => vec![(
                format!("`{publisher}` publishes `{name}`, and `{subscriber}` takes only {}", has.join(", ")),
                format!("let `{subscriber}` export a version that fits, beside the other while events of it wait"),
            )],
        };
    };
    let mut found = Vec::new();
    for (function, wanted) in &import.functions {
        match export.functions.iter().find(|(other, _)| other == function) {
            None => found.push((
                format!("`{publisher}` publishes `{name}.{function}`, which `{subscriber}` does not have"),
                format!("build `{subscriber}` against the interface that `{publisher}` publishes"),
            )),
            Some((_, offered)) if !same_signature(wanted, offered) => found.push((
                format!("`{publisher}` and `{subscriber}` disagree about the type of `{name}.{function}`"),
                "build both against the same WIT; a changed type needs a new version of the package".to_owned(),
            )),
            Some(_) => {}
        }
    }
    found
}
