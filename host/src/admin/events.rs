//! Responds to what operators ask of events, and notes which user of this machine asked.

use serde_json::Value;

use super::protocol::{ErrorMessage, EventsRequest};
use crate::delivery::Operator;
use crate::refused::Refused;

/// Does what `who` asks. Waits for disks.
pub(super) fn respond(operator: &Operator, who: &str, request: EventsRequest) -> Result<Value, ErrorMessage> {
    let done = match request {
        EventsRequest::List { of, which, from, count } => value(&operator.list(&of, which, from, count)?),
        EventsRequest::Show { of, position } => value(&operator.show(&of, position)?),
        EventsRequest::Act { of, order, why } => value(&operator.act(who, &of, order, &why)?),
        EventsRequest::Replay(replay) => value(&operator.replay(who, &replay)?),
    };
    Ok(done?)
}

fn value(answer: &impl serde::Serialize) -> Result<Value, Refused> {
    serde_json::to_value(answer).map_err(|error| Refused::new(format!("cannot write the answer: {error}"), ""))
}
