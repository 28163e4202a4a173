//! `two_phase`: the contexts that may take part in transactions that a context begins over several files.

use seam_runtime::did_you_mean;
use seam_store::ids::ContextName;

use super::model::{Context, Places};
use super::table::{Document, Table};

/// The contexts that it names. Whether there are such contexts is checked when all are read.
pub fn participants(table: &Table<'_, '_>, context: &str, places: &mut Places) -> Vec<ContextName> {
    let mut participants: Vec<ContextName> = Vec::new();
    for named in table.strings("two_phase", "warehouse") {
        let report = |message: String, remedy: &str| table.document.report(named.place, message, remedy);
        let what = table.path("two_phase");
        match ContextName::new(&named.value) {
            None => {
                report(format!("`{what}` names `{}`, which is no name of a context", named.value), "name a context")
            }
            Some(name) if name.as_str() == context => {
                report(format!("`{what}` names `{context}` itself"), "leave it out: who begins one takes part anyway");
            }
            Some(name) if participants.contains(&name) => {
                report(format!("`{what}` names `{name}` twice"), "list it once");
            }
            Some(name) => {
                places.parts.insert(part(&name), named.place);
                participants.push(name);
            }
        }
    }
    participants
}

/// The part of a context's places that is a name in `two_phase`.
pub fn part(name: &ContextName) -> String {
    format!("two_phase {name}")
}

/// Reports each participant that is no context with a store, and each coordinator without one. Entries that are
/// `broken` have been reported.
pub fn check(document: &Document<'_>, contexts: &[Context], broken: &[String]) {
    let entries = || contexts.iter().filter(|context| context.settings.name.variant().is_none());
    for context in entries().filter(|context| !context.settings.two_phase.is_empty()) {
        let name = &context.settings.name;
        if context.settings.store.is_none() {
            let message = format!("`{name}` has `two_phase` and no store, in which it would write its decisions");
            document.report(context.places.of("two_phase"), message, format!("add `store = true` to [context.{name}]"));
        }
        for participant in &context.settings.two_phase {
            let place = context.places.of(&part(participant));
            match entries().find(|entry| entry.settings.name == *participant) {
                None if broken.iter().any(|broken| broken == participant.as_str()) => {}
                None => {
                    let message =
                        format!("`context.{name}.two_phase` names `{participant}`, and there is no such context");
                    let names = entries().map(|entry| entry.settings.name.as_str());
                    document.report(place, message, did_you_mean::hint(participant.as_str(), names));
                }
                Some(entry) if entry.settings.store.is_none() => {
                    let message = format!("`context.{name}.two_phase` names `{participant}`, which has no store");
                    document.report(place, message, "leave it out: it has no file that could take part");
                }
                Some(_) => {}
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use crate::manifest::Manifest;

    #[test]
    fn who_takes_part_is_another_context_with_a_store() {
        let text = "[context.a]\ncomponent = \"component.wasm\"\n\
                    two_phase = [\"a\", \"Bad\", \"b\", \"b\", \"nothing\", \"wharehouse\"]\n\
                    [context.b]\ncomponent = \"component.wasm\"\n\
                    [context.warehouse]\ncomponent = \"component.wasm\"\nstore = true\n";
        let problems = Manifest::parse(text, Path::new("seam.toml")).unwrap_err().to_string();
        for expect in [
            "`a` has `two_phase` and no store, in which it would write its decisions",
            "seam.toml:3:14: error: `context.a.two_phase` names `a` itself",
            "seam.toml:3:19: error: `context.a.two_phase` names `Bad`, which is no name of a context",
            "seam.toml:3:26: error: `context.a.two_phase` names `b`, which has no store",
            "seam.toml:3:31: error: `context.a.two_phase` names `b` twice",
            "seam.toml:3:36: error: `context.a.two_phase` names `nothing`, and there is no such context\n  \
             hint: there are: a, b, warehouse",
            "seam.toml:3:47: error: `context.a.two_phase` names `wharehouse`, and there is no such context\n  \
             hint: did you mean `warehouse`?",
        ] {
            assert!(problems.contains(expect), "no `{expect}` in:\n{problems}");
        }
        let fine = text
            .replace("[\"a\", \"Bad\", \"b\", \"b\", \"nothing\", \"wharehouse\"]", "[\"warehouse\"]\nstore = true");
        let manifest = Manifest::parse(&fine, Path::new("seam.toml")).unwrap();
        let names = manifest.contexts.iter().map(|context| context.settings.two_phase.len()).collect::<Vec<_>>();
        assert_eq!(names, [1, 0, 0]);
    }
}
