//! Checks that a variant can replace its context: its exports, and the contexts that a call may reach
//! through variants.

use super::wiring::Wiring;
use crate::call::ContextIndex;
use crate::component::{Component, ContextProblem, HTTP_HANDLER, Interface, WASI_HTTP, is_seam, same_signature};
use crate::settings::ContextSettings;

/// All reasons why a variant cannot replace its context.
pub fn problems(
    contexts: &[(&ContextSettings, &Component)],
    variant: &ContextSettings,
    component: &Component,
) -> Vec<ContextProblem> {
    let Some((context, _)) = variant.name.variant() else { return Vec::new() };
    let problem = |message: String| ContextProblem {
        context: variant.name.clone(),
        part: "component".into(),
        message,
        remedy: format!("build it against the interfaces that `{context}` exports"),
    };
    let Some((_, main)) = contexts.iter().find(|(c, _)| c.name.as_str() == context) else {
        return vec![problem(format!("`{}` is a variant of `{context}`, which does not exist", variant.name))];
    };
    let mut problems = Vec::new();
    let required = |e: &&Interface| is_seam(&e.name) || [HTTP_HANDLER, WASI_HTTP].contains(&e.name.path.as_str());
    for export in main.exports.iter().filter(required) {
        let name = &export.name;
        let Some(own) = name.choose(&component.exports, |own| &own.name) else {
            problems.push(problem(format!("`{}` does not export `{name}`, but `{context}` does", variant.name)));
            continue;
        };
        for (function, signature) in &export.functions {
            match own.functions.iter().find(|(own, _)| own == function) {
                None => problems
                    .push(problem(format!("`{}` has no `{name}.{function}`, but `{context}` does", variant.name))),
                Some((_, own)) if !same_signature(signature, own) => problems.push(problem(format!(
                    "`{}` and `{context}` disagree about the type of `{name}.{function}`",
                    variant.name
                ))),
                Some(_) => {}
            }
        }
    }
    problems
}

/// For each context, the contexts that it may call, including the variants that may answer for them.
pub fn callees(contexts: &[(&ContextSettings, &Component)], wirings: &[Wiring]) -> Vec<Vec<ContextIndex>> {
    let variants_of = |main: ContextIndex| {
        let main = contexts.get(usize::from(main)).map(|(c, _)| c.name.as_str());
        let of_main = move |c: &ContextSettings| main.is_some() && c.name.variant().map(|(of, _)| of) == main;
        let all = contexts.iter().enumerate().filter(move |(_, (c, _))| of_main(c));
        all.filter_map(|(at, _)| ContextIndex::try_from(at).ok())
    };
    let callees = |wiring: &Wiring| {
        wiring
            .values()
            .flat_map(|provider| std::iter::once(provider.callee).chain(variants_of(provider.callee)))
            .collect()
    };
    wirings.iter().map(callees).collect()
}
