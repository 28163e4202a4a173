//! Part of step `wit`: events wait for the context in an older version of their interface, and the new version of the
//! context must take them, too.
//!
//! A publisher may have moved on to another version of the interface, so that no import asks for the old one any more;
//! what was published before is delivered as it was published.

use std::collections::BTreeMap;

use seam_runtime::component::{Component, ContextSpec, InterfaceName};
use seam_runtime::remote::Unread;
use seam_store::ids::interface_path;
use seam_store::{Kind, Source};

use crate::deploy::report::{GateRefusal, Step};
use crate::deploy::system::System;

/// The name for `--allow` that permits a version for which such events become dead letters.
const UNDELIVERED: &str = "undelivered-events";

/// How often the tables are read again while events are delivered. After that, the number may be too high.
const LOOKS_MAX: u32 = 10;

/// Looks at what waits for the context of `before`. Returns notes on what `next` does not take.
///
/// # Errors
/// When events wait that `before` takes and `next` does not, unless `allow` has `undelivered-events`.
pub(crate) fn check(
    system: &System,
    before: &ContextSpec,
    next: &Component,
    allow: &[String],
) -> Result<Vec<String>, GateRefusal> {
    let name = before.settings.name.as_str();
    if before.settings.subscribes.is_empty() || !system.serves(name) {
        return Ok(Vec::new());
    }
    let waiting = match waiting(system, before) {
        Ok(waiting) => waiting,
        // The other host may be away for long, and a new version may be urgent.
        Err(error) if allow.iter().any(|allowed| allowed == UNDELIVERED) => {
            return Ok(vec![format!("it is not known which events wait: {error}")]);
        }
        Err(error) => {
            let message = format!("cannot read which events wait for `{name}`: {error}");
            let remedy = format!(
                "`seam contexts` shows what is wrong with a file, and `seam events` what with another host; to deploy \
                 without knowing it, add `--allow {UNDELIVERED}`"
            );
            return Err(GateRefusal::at(Step::Wit, message, remedy));
        }
    };
    let lost: Vec<String> = waiting
        .iter()
        .filter(|((interface, function), _)| takes(&before.component, interface, function))
        .filter(|((interface, function), _)| !takes(next, interface, function))
        .map(|((interface, function), events)| format!("{events} of `{interface}.{function}`"))
        .collect();
    if lost.is_empty() {
        return Ok(Vec::new());
    }
    let lost = lost.join(", ");
    if allow.iter().any(|allowed| allowed == UNDELIVERED) {
        return Ok(vec![format!("events that it does not take become dead letters: {lost}")]);
    }
    Err(GateRefusal::at(
        Step::Wit,
        format!("events wait that it does not take: {lost}"),
        format!(
            "keep the old version of the interface beside the new one until `seam events` shows that none waits; to \
             make them dead letters, deploy with `--allow {UNDELIVERED}`"
        ),
    ))
}

/// How many events wait, or are not taken yet, by interface and function.
fn waiting(system: &System, context: &ContextSpec) -> Result<BTreeMap<(String, String), u64>, Unread> {
    let mut waiting = BTreeMap::new();
    let Some(inbox) = system.database(context.settings.name.as_str()) else { return Ok(waiting) };
    for subscription in &context.settings.subscribes {
        let interface = interface_path(&subscription.interface);
        for (publisher, outbox) in system.registry.outboxes(&context.settings.name, interface) {
            let source = Source { publisher: publisher.to_string(), interface: interface.to_owned() };
            let mut kinds = Vec::new();
            // Deliveries go on: an event that is set aside between two looks would count twice.
            for _ in 0..LOOKS_MAX {
                let after = inbox.seen(&source)?;
                kinds = outbox.kinds(interface, after.unwrap_or(0))?;
                kinds.extend(inbox.waiting_kinds(&source)?);
                if inbox.seen(&source)? == after {
                    break;
                }
            }
            for Kind { interface, function, events } in kinds {
                *waiting.entry((interface, function)).or_default() += events;
            }
        }
    }
    Ok(waiting)
}

/// Whether events of this kind can be delivered to the component.
fn takes(component: &Component, interface: &str, function: &str) -> bool {
    let has = |export: &&seam_runtime::component::Interface| export.functions.iter().any(|(name, _)| name == function);
    let takes =
        |name: InterfaceName| name.choose(component.exports.iter().filter(has), |export| &export.name).is_some();
    InterfaceName::parse(interface).is_some_and(takes)
}
