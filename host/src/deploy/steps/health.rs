//! Step `health`: the new version is asked how it is, on a copy of the file at its own schema.

use std::time::Duration;

use crate::deploy::report::{GateRefusal, Step};
use crate::limits;
use seam_runtime::alone::Trial;

/// # Errors
/// When it says that it is not able to work, or says nothing in time.
pub(crate) fn check(trial: &Trial) -> Result<Vec<String>, GateRefusal> {
    let limit = Duration::from_millis(limits::DEPLOY_HEALTH_MS);
    let refused = |message: String, remedy: &str| Err(GateRefusal::at(Step::Health, message, remedy));
    match trial.health(limit) {
        None => Ok(vec!["it has no `seam:host/health`".to_owned()]),
        Some(Ok(Ok(()))) => Ok(Vec::new()),
        Some(Ok(Err(said))) => {
            let said: String = said.chars().take(limits::LOG_LINE_BYTES_MAX).collect();
            refused(format!("it says that it cannot work: {said}"), "mend what it names, and deploy again")
        }
        Some(Err(seam_runtime::call::Failure::TimedOut { .. })) => refused(
            format!("asked how it is, it does not answer within {} ms", limits::DEPLOY_HEALTH_MS),
            "let `check` look at less",
        ),
        Some(Err(failure)) => refused(format!("asked how it is, it fails: {failure}"), "see the log; then rebuild it"),
    }
}
