//! The running system: its files at one moment, and the totals and events that it has in common with other hosts.

use std::time::{Duration, Instant};

use seam_runtime::serve::Registry;
use seam_store::Terms;
use seam_store::ids::ContextName;
use time::format_description::well_known::Rfc3339;

use super::across::Elsewhere;
use super::apart::Total;
use super::error::Error;
use super::events_apart::ApartPair;
use super::report::Report;
use super::run::run;
use super::seen::{Seen, see};
use super::{Progress, VerifyRequest, apart, events_apart};
use crate::limits;

/// Verifies the contexts of this host that serve. Commits wait for the moment, not for the checks. A total that one of
/// them has in common with a context of another host is compared with that one, as `across` says, and what one of them
/// has taken of the events of another host with what that one has published.
///
/// # Errors
/// When the files cannot be seen at one moment, or the request names an unknown context.
pub fn verify_live(
    registry: &Registry,
    elsewhere: &Elsewhere,
    request: &VerifyRequest,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Report, Error> {
    let Seen { mut subjects, now, held_ms } = see(registry, &|_| true, &|_| true)?;
    let deadline = Instant::now() + Duration::from_millis(limits::VERIFY_LIVE_MS);
    let terms = Terms { now_s: now.unix_timestamp(), deadline };
    let totals = apart::take(registry, &mut subjects, &request.contexts);
    let pairs = events_apart::pairs(registry, &subjects, &request.contexts);
    until_reached(registry, pairs.iter().map(ApartPair::asked).chain(totals.iter().flat_map(Total::asked)));
    let mut compared = Vec::new();
    for (done, pair) in pairs.iter().enumerate() {
        progress(&Progress { done, of: pairs.len() + totals.len(), now: format!("events {}", pair.interface) });
        compared.push(pair.check(registry, &subjects, &terms));
    }
    let (more, mut before) = (totals.len(), 0);
    let mut checks = run(subjects, &request.contexts, &terms, &mut |at| {
        before = at.of;
        progress(&Progress { of: at.of + more, ..at.clone() });
    })?;
    checks.append(&mut compared);
    for (done, total) in totals.iter().enumerate() {
        progress(&Progress { done: before + done, of: before + more, now: format!("total {}", total.name) });
        checks.push(total.check(registry, elsewhere, deadline));
    }
    Ok(Report::new(now.format(&Rfc3339).unwrap_or_default(), held_ms, checks))
}

/// Waits until the hosts of these contexts can be asked. One that could not be reached is tried again after a pause:
/// it may have started meanwhile. One that is not there then is away.
fn until_reached<'a>(registry: &Registry, asked: impl Iterator<Item = &'a ContextName>) {
    let until = Instant::now() + Duration::from_millis(limits::VERIFY_REACH_MS);
    for context in asked {
        while registry.is_down(context) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(limits::VERIFY_REACH_LOOK_MS));
        }
    }
}
