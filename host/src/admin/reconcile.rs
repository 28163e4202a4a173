//! Responds to what operators ask of disagreements between contexts.

use serde_json::Value;

use super::protocol::{ErrorMessage, ReconcileRequest};
use crate::reconcile::{Reconciler, RunningContexts};
use crate::refused::Refused;

/// Does what `who` asks. Waits for disks, and for contexts.
pub(super) fn respond(
    reconciler: &Reconciler<RunningContexts>,
    who: &str,
    request: ReconcileRequest,
) -> Result<Value, ErrorMessage> {
    let done = match request {
        ReconcileRequest::List(of) => value(&reconciler.list(&of)?),
        ReconcileRequest::Show { total, key } => value(&reconciler.show(&total, &key)?),
        ReconcileRequest::Run { total } => value(&reconciler.run(total.as_deref())?),
        ReconcileRequest::Act(request) => value(&reconciler.act(who, &request)?),
    };
    Ok(done?)
}

fn value(answer: &impl serde::Serialize) -> Result<Value, Refused> {
    serde_json::to_value(answer).map_err(|error| Refused::new(format!("cannot write the answer: {error}"), ""))
}
