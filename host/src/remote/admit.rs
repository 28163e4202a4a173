//! What a host may ask for, by the names in its certificate and by the manifest.

use seam_runtime::remote::{Ask, Head};
use seam_runtime::two_phase::Request;

use super::config::Allow;
use super::names::Names;
use super::wire::{Rejection, Wanted};

/// # Errors
/// Why the host may not ask for it.
pub fn admit(names: &Names, is_known: bool, allow: &dyn Allow, wanted: &Wanted) -> Result<(), Rejection> {
    let host = &names.host;
    if !is_known {
        return Err(Rejection::Forbidden(format!("there is no host `{host}` in this system")));
    }
    let speaker = match wanted {
        Wanted::Greeting => None,
        Wanted::Call(head) => head.chain.last(),
        Wanted::Step(step) => Some(&step.context),
        Wanted::Events(ask) => Some(&ask.subscriber),
        Wanted::Transaction(asked) => Some(asked.asker()),
        Wanted::Total(ask) => Some(&ask.side),
    };
    if let Some(speaker) = speaker.filter(|speaker| !names.has(speaker)) {
        return Err(Rejection::Forbidden(format!("the certificate of host `{host}` does not name `{speaker}`")));
    }
    match wanted {
        // The coordinator's host counts the calls that others make in its transaction, and alone ends it.
        Wanted::Call(Head { part: Some(part), .. })
            if !names.has(&part.coordinator)
                && !speaker.is_some_and(|speaker| allow.takes_part(speaker, &part.coordinator)) =>
        {
            let coordinator = &part.coordinator;
            let message = format!(
                "the certificate of host `{host}` does not name `{coordinator}`, and its caller takes part in no \
                 transactions of that"
            );
            Err(Rejection::Forbidden(message))
        }
        Wanted::Transaction(Request { participant, coordinator, .. })
            if !allow.takes_part(participant, coordinator) =>
        {
            let message = format!("`{participant}` takes part in no transactions of `{coordinator}`");
            Err(Rejection::Forbidden(message))
        }
        Wanted::Call(head) if !allow.allows(speaker, &head.context, &head.interface) => {
            let caller = speaker.map_or_else(|| format!("host `{host}` itself"), |caller| format!("`{caller}`"));
            let (context, interface) = (&head.context, &head.interface);
            Err(Rejection::Forbidden(format!("{caller} may not call `{interface}` of `{context}`")))
        }
        Wanted::Events(Ask { subscriber, publisher, interface, .. })
            if !allow.delivers(subscriber, publisher, interface) =>
        {
            let message = format!("`{subscriber}` does not subscribe to `{interface}` of `{publisher}`");
            Err(Rejection::Forbidden(message))
        }
        Wanted::Total(ask) if !allow.compares(ask) => {
            let message = format!("`{}` neither declares nor mends the total `{}`", ask.side, ask.total);
            Err(Rejection::Forbidden(message))
        }
        _ => Ok(()),
    }
}
