//! Responds to what operators ask of sagas.

use serde_json::Value;

use super::protocol::{ErrorMessage, SagasRequest};
use crate::refused::Refused;
use crate::sagas::SagaOperator;

/// Does what `who` asks. Waits for disks.
pub(super) fn respond(operator: &SagaOperator, who: &str, request: SagasRequest) -> Result<Value, ErrorMessage> {
    let done = match request {
        SagasRequest::List { of, count } => value(&operator.list(&of, count)?),
        SagasRequest::Groups { of } => value(&operator.groups(&of)?),
        SagasRequest::Show(name) => value(&operator.show(&name)?),
        SagasRequest::Act(request) => value(&operator.act(who, &request)?),
    };
    Ok(done?)
}

fn value(answer: &impl serde::Serialize) -> Result<Value, Refused> {
    serde_json::to_value(answer).map_err(|error| Refused::new(format!("cannot write the answer: {error}"), ""))
}
