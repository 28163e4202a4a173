//! `seam contexts`: the running contexts.

use super::error::CommandError;
use super::global::Format;
use super::out;
use crate::admin::client::Client;
use crate::admin::{CalleeStatus, ContextStatus};
use crate::backup::continuous::{BackupStatus, LeaseStatus};
use crate::limits;
use crate::manifest::{Manifest, differing};
use crate::times::rfc3339;

/// Of the hosts with these manifests.
pub fn run(manifests: &[Manifest], format: Format) -> Result<(), CommandError> {
    let mut contexts = Vec::new();
    for manifest in manifests {
        let mut all = Client::connect(&manifest.host.data)?.contexts()?;
        // Each host knows of all contexts; of several, each says what it has itself.
        all.retain(|context| manifests.len() == 1 || context.at.is_none());
        contexts.append(&mut all);
    }
    match format {
        Format::Json => out::json(&contexts),
        Format::Human => {
            let got = contexts.iter().flat_map(|context| {
                let one =
                    |(name, version): (&String, &String)| (context.context.clone(), name.clone(), version.clone());
                context.shared.iter().map(one).collect::<Vec<_>>()
            });
            for warning in differing(got) {
                out::warning(&warning);
            }
            for why in contexts.iter().flat_map(|context| context.out_of_service.iter().chain(&context.store_trouble)) {
                out::warning(why);
            }
            contexts.iter().flat_map(crowded).for_each(|crowded| out::warning(&crowded));
            for pretended in contexts.iter().flat_map(|context| &context.pretended) {
                out::warning(&format!(
                    "calls are pretended to cross hosts: {pretended}\nhint: end it: `seam pretend off`"
                ));
            }
            for context in &contexts {
                if let Some(notice) = &context.notice {
                    out::warning(&format!("`{}`: {notice}", context.context));
                }
                if let Some(behind) = context.backup.as_ref().and_then(behind) {
                    out::warning(&format!("`{}`: {behind}", context.context));
                }
                if let Some(lease) = context.lease.as_ref().and_then(uncertain) {
                    out::warning(&format!("`{}`: {lease}", context.context));
                }
            }
            out::text(&shown(&contexts))
        }
    }
}

/// Why a backup is a warning.
fn behind(backup: &BackupStatus) -> Option<String> {
    let BackupStatus { stored_ms, behind_ms, waiting_bytes, why, .. } = backup;
    if why.is_none() && *behind_ms < limits::BACKUP_BEHIND_MS {
        return None;
    }
    let stored = stored_ms.map_or_else(|| "none since the host started".to_owned(), rfc3339);
    let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    Some(format!(
        "its backup is {} s behind, {} wait; the last state that is stored: {stored}{why}",
        behind_ms / 1_000,
        out::size(*waiting_bytes)
    ))
}

/// Why a lease is a warning.
fn uncertain(lease: &LeaseStatus) -> Option<String> {
    let why = lease.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    match (lease.left_ms, lease.ready_ms) {
        (Some(0), _) => Some(format!("nothing is committed, its lease is not renewed{why}")),
        (None, None) if lease.holder.is_some() => Some(format!("its standby `{}` is not ready{why}", lease.standby)),
        _ => lease.why.as_ref().map(|why| format!("its lease: {why}")),
    }
}

fn shown(contexts: &[ContextStatus]) -> String {
    const HEADER: [&str; 11] =
        ["CONTEXT", "GEN", "HASH", "STORE", "MEMORY", "CALLS", "ERRORS", "P50", "P99", "EXPORTS", "IMPORTS"];
    let row = |context: &ContextStatus| {
        let timed = |us: f64| if context.calls == 0 { "-".to_owned() } else { out::time(us) };
        if let Some(host) = &context.at {
            let nothing = ["-"; 6].map(str::to_owned);
            let mut row = vec![context.context.clone(), format!("at {host}"), context.hash.clone()];
            row.extend(nothing);
            row.extend([seams(&context.exports, context.http.as_deref()), seams(&context.imports, None)]);
            return row;
        }
        vec![
            context.context.clone(),
            generation(context),
            context.hash.clone(),
            context.store_bytes.map_or("-".into(), out::size),
            out::size(context.memory_bytes),
            context.calls.to_string(),
            context.errors.to_string(),
            timed(context.p50_us),
            timed(context.p99_us),
            seams(&context.exports, context.http.as_deref()),
            seams(&context.imports, None),
        ]
    };
    let rows: Vec<_> = contexts.iter().map(row).collect();
    out::table(&HEADER, &rows, &["GEN", "STORE", "MEMORY", "CALLS", "ERRORS", "P50", "P99"])
}

/// The callees of which the context wants more than their share of its places.
fn crowded(context: &ContextStatus) -> impl Iterator<Item = String> {
    let crowded = |callee: &&CalleeStatus| callee.waiting > 0 || callee.refused > 0;
    context.callees.iter().filter(crowded).map(|CalleeStatus { callee, inside, waiting, refused }| {
        format!(
            "`{}` calls `{callee}` more than `limits.per_callee` allows (half of it for one function): {inside} calls \
             are in it, {waiting} wait, {refused} were refused",
            context.context
        )
    })
}

/// The serving generation, whether it is on probation, and the draining ones.
fn generation(context: &ContextStatus) -> String {
    let watched = if context.on_probation { " watched" } else { "" };
    let draining: Vec<_> = context.draining.iter().map(|number| format!(" (-{number})")).collect();
    format!("{}{watched}{}", context.generation, draining.concat())
}

/// The seams between contexts, without their namespace. The host's own interfaces are only in `--format json`.
fn seams(interfaces: &[String], http: Option<&str>) -> String {
    let between = interfaces.iter().filter(|name| !name.starts_with("wasi:") && !name.starts_with("seam:host/"));
    let short = between.map(|name| name.split_once(':').map_or(name.as_str(), |(_, rest)| rest));
    let all: Vec<&str> = http.into_iter().chain(short).collect();
    if all.is_empty() { "-".into() } else { all.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn front() -> ContextStatus {
        ContextStatus {
            context: "front".into(),
            at: None,
            generation: 2,
            on_probation: false,
            out_of_service: None,
            store_trouble: None,
            draining: Vec::new(),
            hash: "0123456789ab".into(),
            http: Some("http-handler".into()),
            imports: names(&["acme:orders/desk@0.1.0", "wasi:logging/logging@0.1.0-draft"]),
            exports: names(&["seam:host/http-handler@0.1.0"]),
            shared: std::collections::BTreeMap::new(),
            store_bytes: None,
            store_held_us: None,
            memory_bytes: 2_228_224,
            running: 0,
            waiting: 0,
            idle: 1,
            callees: Vec::new(),
            calls: 1_200,
            errors: 3,
            p50_us: 310.4,
            p99_us: 2_400.0,
            pretended: Vec::new(),
            notice: None,
            backup: None,
            lease: None,
        }
    }

    #[test]
    fn the_table_shortens_seams_and_times() {
        let base = front();
        let orders = ContextStatus {
            context: "orders".into(),
            generation: 1,
            http: None,
            imports: names(&["seam:host/store@0.1.0"]),
            exports: names(&["acme:orders/desk@0.1.0", "seam:host/migrations@0.1.0"]),
            store_bytes: Some(40_960),
            calls: 0,
            errors: 0,
            ..base.clone()
        };
        let expect = "\
CONTEXT  GEN  HASH          STORE  MEMORY  CALLS  ERRORS     P50     P99  EXPORTS            IMPORTS
front      2  0123456789ab      -  2.2 MB   1200       3  310 us  2.4 ms  http-handler       orders/desk@0.1.0
orders     1  0123456789ab  41 KB  2.2 MB      0       0       -       -  orders/desk@0.1.0  -
";
        assert_eq!(shown(&[base, orders]), expect);
    }

    #[test]
    fn a_context_that_lives_elsewhere_is_shown_with_its_host_and_without_figures() {
        let finance = ContextStatus {
            context: "finance".into(),
            at: Some("books".into()),
            imports: Vec::new(),
            exports: names(&["acme:finance/books@0.1.0"]),
            http: None,
            ..front()
        };
        let expect = "\
CONTEXT       GEN  HASH          STORE  MEMORY  CALLS  ERRORS  P50  P99  EXPORTS              IMPORTS
finance  at books  0123456789ab      -       -      -       -    -    -  finance/books@0.1.0  -
";
        assert_eq!(shown(&[finance]), expect);
    }

    #[test]
    fn a_callee_is_named_only_while_calls_wait_for_it_or_when_some_were_refused() {
        let load = |callee: &str, waiting, refused| CalleeStatus { callee: callee.into(), inside: 2, waiting, refused };
        let callees = vec![load("stock", 0, 0), load("bank", 1, 3)];
        let front = ContextStatus { callees, ..front() };
        assert_eq!(
            crowded(&front).collect::<Vec<_>>(),
            [
                "`front` calls `bank` more than `limits.per_callee` allows (half of it for one function): 2 calls are in it, \
              1 wait, 3 were refused"
            ]
        );
    }
}
