//! One step of moving a context, asked for by another host.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use seam_runtime::call::Failure;
use seam_runtime::remote::Carried;
use tokio::time::timeout;

use super::receive::{Running, receive};
use super::shared::{Connected, Shared};
use crate::limits;
use crate::remote::http2::Body;
use crate::remote::wire::{Rejection, Step};

/// # Errors
/// When the body does not arrive in full.
pub async fn take(
    shared: &Arc<Shared>,
    connected: &Arc<Connected>,
    step: Step,
    body: Body,
) -> Result<Carried, Rejection> {
    let context = step.context.to_string();
    connected.calls.fetch_add(1, Relaxed);
    let (body, _room) = match timeout(Duration::from_millis(limits::MOVE_STEP_MS_MAX), receive(shared, body)).await {
        Ok(received) => received?,
        Err(_) => return Ok(Err(Failure::TimedOut { context })),
    };
    let running = Running::new(connected.clone());
    let (moves, from) = (shared.moves.clone(), connected.names.host.clone());
    // A task of its own: a step goes on to its end when the other host goes away.
    let taken = tokio::spawn(async move {
        let taken = moves.take(from, step.context, step.name, body).await;
        drop(running);
        taken
    });
    Ok(match taken.await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(reason)) => Err(Failure::Absent { context, reason }),
        Err(error) => {
            tracing::error!(target: "remote", context, %error, "a step of a move failed in the host");
            Err(Failure::Absent { context, reason: "its host failed".to_owned() })
        }
    })
}
