//! Step `health`: calls the new version's health check, on a copy of the file at its own schema.

use std::time::Duration;

use seam_runtime::alone::Trial;

use crate::deploy::report::{GateRefusal, Step};
use crate::limits;

/// # Errors
/// When the health check returns an error, fails, or does not answer in time.
pub(crate) fn check(trial: &Trial) -> Result<Vec<String>, GateRefusal> {
    let limit = Duration::from_millis(limits::DEPLOY_HEALTH_MS);
    // The guest's own words are for the operator, not for the history.
    let refused = |kind: &str, words: &str, remedy: &str| {
        Err(GateRefusal::at(Step::Health, format!("{kind}: {words}"), remedy).recorded(kind))
    };
    match trial.health(limit) {
        None => Ok(vec!["it exports no `seam:host/health`".to_owned()]),
        Some(Ok(Ok(()))) => Ok(Vec::new()),
        Some(Ok(Err(reason))) => {
            let reason: String = reason.chars().take(limits::LOG_LINE_BYTES_MAX).collect();
            refused("its health check says that it cannot work", &reason, "fix the reason and deploy again")
        }
        Some(Err(seam_runtime::call::Failure::TimedOut { .. })) => Err(GateRefusal::at(
            Step::Health,
            format!("its health check does not answer within {} ms", limits::DEPLOY_HEALTH_MS),
            "make the health check do less",
        )),
        Some(Err(failure)) => {
            refused("its health check fails", &failure.to_string(), "see the log, fix it and deploy again")
        }
    }
}
