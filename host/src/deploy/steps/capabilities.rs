//! Step `capabilities`: the operator must allow each import that the running version does not have.
//!
//! The manifest grants these imports already, or step `wit` would have refused them. But a grant may be old and wider
//! than its author intended, so the operator allows each new import by name.

use std::collections::BTreeMap;

use seam_runtime::component::Component;
use seam_runtime::component::InterfaceName;

use crate::deploy::report::{GateRefusal, Step};
use crate::deploy::request::Form;

/// Compares the imports of both versions. Returns notes on the new ones.
///
/// # Errors
/// In the full form, when an import is new and not in `allow`.
pub(crate) fn check(
    before: &Component,
    next: &Component,
    allow: &[String],
    form: Form,
) -> Result<Vec<String>, GateRefusal> {
    let had = needs(before);
    let new: Vec<_> = needs(next).into_iter().filter(|(name, _)| !had.contains_key(name)).collect();
    let refused: Vec<_> = new.iter().filter(|(name, _)| !allow.contains(name)).collect();
    if form == Form::Full && !refused.is_empty() {
        let descriptions: Vec<_> = refused.iter().map(|(_, description)| description.as_str()).collect();
        let options: Vec<_> = refused.iter().map(|(name, _)| format!("--allow {name}")).collect();
        return Err(GateRefusal::at(
            Step::Capabilities,
            format!("it imports what the running version does not: {}", descriptions.join(", ")),
            format!("if that is intended, deploy with {}", options.join(" ")),
        ));
    }
    Ok(new.into_iter().map(|(_, description)| format!("new: {description}")).collect())
}

/// The imports of a component that need `--allow`: the name for `--allow`, and a description. Every context may log and
/// read its configuration.
fn needs(component: &Component) -> BTreeMap<String, String> {
    component.imports.iter().filter_map(|import| need(&import.name)).collect()
}

fn need(name: &InterfaceName) -> Option<(String, String)> {
    let named = |allow: &str, description: &str| Some((allow.to_owned(), format!("{description} (`{name}`)")));
    match (name.package(), name.short()) {
        ("wasi:logging" | "wasi:config" | "wasi:io", _) => None,
        ("wasi:clocks", _) => named("clocks", "the clock"),
        ("wasi:random", _) => named("random", "random numbers"),
        // A component that serves HTTP imports the types of `wasi:http`, too; only the handler sends requests.
        ("wasi:http", "outgoing-handler") => named("outgoing", "requests to other machines"),
        ("wasi:http", _) => None,
        ("wasi:cli" | "wasi:filesystem" | "wasi:sockets", _) => named("wasi", "the empty WASI world"),
        ("seam:host", "store") => named("store", "a store"),
        ("seam:host", "attempts") => named("attempts", "counts of attempts"),
        _ => named(&name.path, "another context"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn allow_takes_names_of_grants_and_of_interfaces() {
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
            ("seam:host/attempts@0.1.0", Some("attempts")),
            ("acme:orders/desk@0.1.0", Some("acme:orders/desk")),
        ] {
            assert_eq!(name(import).as_deref(), allow, "{import}");
        }
    }
}
