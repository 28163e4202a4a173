//! Step `capabilities`: what the new version could reach that the one which serves cannot.
//!
//! The manifest has granted it, or `wit` would have refused it; but a grant may be older and wider than what anybody thought of. So each
//! new one wants a yes by name.

use std::collections::BTreeMap;

use crate::deploy::report::{GateRefusal, Step};
use crate::deploy::request::Form;
use seam_runtime::component::Component;
use seam_runtime::component::InterfaceName;

/// # Errors
/// For imports that are new and not in `allow`.
pub(crate) fn check(
    before: &Component,
    next: &Component,
    allow: &[String],
    form: Form,
) -> Result<Vec<String>, GateRefusal> {
    let had = needs(before);
    let new: Vec<_> = needs(next).into_iter().filter(|(name, _)| !had.contains_key(name)).collect();
    let asked: Vec<_> = new.iter().filter(|(name, _)| !allow.contains(name)).collect();
    if form == Form::Full && !asked.is_empty() {
        let whats: Vec<_> = asked.iter().map(|(_, what)| what.as_str()).collect();
        let names: Vec<_> = asked.iter().map(|(name, _)| format!("--allow {name}")).collect();
        return Err(GateRefusal::at(
            Step::Capabilities,
            format!("it imports what the running version does not: {}", whats.join(", ")),
            format!("if that is meant, say so: {}", names.join(" ")),
        ));
    }
    Ok(new.into_iter().map(|(_, what)| format!("new: {what}")).collect())
}

/// What a component reaches beyond itself: its name for `--allow`, and what it is. Logging and configuration are everybody's.
fn needs(component: &Component) -> BTreeMap<String, String> {
    component.imports.iter().filter_map(|import| need(&import.name)).collect()
}

fn need(name: &InterfaceName) -> Option<(String, String)> {
    let named = |allow: &str, what: &str| Some((allow.to_owned(), format!("{what} (`{name}`)")));
    match (name.package(), name.short()) {
        ("wasi:logging" | "wasi:config" | "wasi:io", _) => None,
        ("wasi:clocks", _) => named("clocks", "the clock"),
        ("wasi:random", _) => named("random", "random numbers"),
        // The types of the world that it serves; only the handler sends anything.
        ("wasi:http", "outgoing-handler") => named("outgoing", "requests to other machines"),
        ("wasi:http", _) => None,
        ("wasi:cli" | "wasi:filesystem" | "wasi:sockets", _) => named("wasi", "the empty WASI world"),
        ("seam:host", "store") => named("store", "a store"),
        _ => named(&name.path, "another context"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_manifest_and_of_interfaces() {
        let name = |text: &str| need(&InterfaceName::parse(text).unwrap()).map(|(allow, _)| allow);
        for (import, allow) in [
            ("wasi:clocks/wall-clock@0.2.0", Some("clocks")),
            ("wasi:clocks/monotonic-clock@0.2.3", Some("clocks")),
            ("wasi:random/random@0.2.0", Some("random")),
            ("wasi:http/outgoing-handler@0.2.0", Some("outgoing")),
            ("wasi:http/types@0.2.0", None),
            ("wasi:filesystem/types@0.2.0", Some("wasi")),
            ("wasi:logging/logging@0.1.0-draft", None),
            ("seam:host/store@0.1.0", Some("store")),
            ("acme:orders/desk@0.1.0", Some("acme:orders/desk")),
        ] {
            assert_eq!(name(import).as_deref(), allow, "{import}");
        }
    }
}
