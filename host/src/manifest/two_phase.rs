//! `two_phase`: the contexts that may take part in transactions that a context begins over several files.

use seam_runtime::did_you_mean;
use seam_store::ids::ContextName;

use super::model::Places;
use super::parse::Parsed;
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
fn part(name: &ContextName) -> String {
    format!("two_phase {name}")
}

/// Reports each participant that is no context with a store, and each coordinator without one.
pub fn check(document: &Document<'_>, parsed: &Parsed) {
    let contexts = &parsed.manifest.contexts;
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
                None if parsed.broken.iter().any(|broken| broken == participant.as_str()) => {}
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
