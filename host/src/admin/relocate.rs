//! Moving contexts, as the admin socket responds.

use std::sync::Arc;

use seam_store::ids::ContextName;
use tokio::sync::mpsc;

use super::protocol::{ErrorMessage, RelocateEvent, RelocateRequest};
use crate::relocate::{Progress, Refused, Relocator};

/// Does what `who` asks for, and sends how far it is. It goes on when the client hangs up.
pub async fn run(
    relocator: Option<Arc<Relocator>>,
    who: String,
    request: RelocateRequest,
    send: mpsc::Sender<RelocateEvent>,
) {
    let last = match relocator {
        Some(relocator) => respond(&relocator, &who, &request, &send).await,
        None => Err(Refused {
            message: "this manifest names no hosts, so there is nowhere to move to".to_owned(),
            remedy: "docs/placement.md says how to name hosts".to_owned(),
        }),
    };
    let last = last.unwrap_or_else(|Refused { message, remedy }| {
        RelocateEvent::Failed(ErrorMessage { message, excerpt: None, remedy })
    });
    send.send(last).await.ok();
}

async fn respond(
    relocator: &Relocator,
    who: &str,
    request: &RelocateRequest,
    send: &mpsc::Sender<RelocateEvent>,
) -> Result<RelocateEvent, Refused> {
    use RelocateRequest::{Absorb, Extract, PredictAbsorb, PredictExtract, Take};
    // A display that is slow misses a step, and holds up nothing.
    let mut show = |at: Progress| drop(send.try_send(RelocateEvent::Progress(at)));
    let (Extract { context, .. }
    | Absorb { context }
    | Take { context, .. }
    | PredictExtract { context, .. }
    | PredictAbsorb { context }) = request;
    let name = ContextName::new(context).ok_or_else(|| Refused {
        message: format!("`{}` is no name of a context", context.escape_debug()),
        remedy: "`seam contexts` shows the names".to_owned(),
    })?;
    Ok(match request {
        Extract { to, .. } => RelocateEvent::Done(Box::new(relocator.extract(who, &name, to, &mut show).await?)),
        Absorb { .. } => RelocateEvent::Done(Box::new(relocator.absorb(who, &name).await?)),
        Take { token, why, .. } => RelocateEvent::Taken(Box::new(relocator.take(who, &name, *token, why).await?)),
        PredictExtract { to, .. } => RelocateEvent::Predicted(Box::new(relocator.predict(&name, to).await)),
        PredictAbsorb { .. } => RelocateEvent::Predicted(Box::new(relocator.predict_absorb(&name).await?)),
    })
}
