//! Moving contexts, as the admin socket responds.

use std::sync::Arc;

use seam_store::ids::ContextName;
use tokio::sync::mpsc;

use super::protocol::{ErrorMessage, RelocateEvent, RelocateRequest};
use crate::relocate::{Progress, Refused, Relocator};

/// Moves the context, and sends how far it is. It goes on when the client hangs up.
pub async fn run(relocator: Option<Arc<Relocator>>, request: RelocateRequest, send: mpsc::Sender<RelocateEvent>) {
    let moved = match relocator {
        None => Err(Refused {
            message: "this manifest names no hosts, so there is nowhere to move to".to_owned(),
            remedy: "docs/placement.md says how to name hosts".to_owned(),
        }),
        Some(relocator) => {
            // A display that is slow misses a step, and holds up nothing.
            let mut show = |at: Progress| drop(send.try_send(RelocateEvent::Progress(at)));
            let (RelocateRequest::Extract { context, .. } | RelocateRequest::Absorb { context }) = &request;
            match (ContextName::new(context), &request) {
                (None, _) => Err(Refused {
                    message: format!("`{}` is no name of a context", context.escape_debug()),
                    remedy: "`seam contexts` shows the names".to_owned(),
                }),
                (Some(name), RelocateRequest::Extract { to, .. }) => relocator.extract(&name, to, &mut show).await,
                (Some(name), RelocateRequest::Absorb { .. }) => relocator.absorb(&name).await,
            }
        }
    };
    let last = match moved {
        Ok(moved) => RelocateEvent::Done(Box::new(moved)),
        Err(Refused { message, remedy }) => RelocateEvent::Failed(ErrorMessage { message, excerpt: None, remedy }),
    };
    send.send(last).await.ok();
}
