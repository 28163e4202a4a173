//! What every request with a body has in common: its bytes, once there is room for them, and that it runs.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::shared::{Connected, Shared};
use crate::limits;
use crate::remote::http2::{Body, Unread};
use crate::remote::wire::Rejection;

/// Counts the call as one that runs, until it is dropped.
pub struct Running(Arc<Connected>);

impl Running {
    pub fn new(connected: Arc<Connected>) -> Self {
        connected.running.fetch_add(1, Relaxed);
        Self(connected)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
    }
}

/// The arguments, once there is room for them.
pub async fn receive(shared: &Shared, body: Body) -> Result<(Bytes, OwnedSemaphorePermit), Rejection> {
    let Some(length) = body.length else {
        return Err(Rejection::Unreadable("the field `content-length` is missing".to_owned()));
    };
    let max = limits::SEAM_MESSAGE_BYTES_MAX;
    let too_large = |unread: &Unread| Rejection::TooLarge(format!("the arguments are too large: {unread}"));
    if length > max as u64 {
        return Err(too_large(&Unread::TooLarge { max }));
    }
    let kib = u32::try_from(length >> 10).unwrap_or(u32::MAX) + 1;
    let room = shared.arguments.clone().acquire_many_owned(kib).await;
    let room = room.map_err(|_| Rejection::Unreadable("the host stops".to_owned()))?;
    match body.collect(max).await {
        Ok(arguments) => Ok((arguments, room)),
        Err(unread @ Unread::TooLarge { .. }) => Err(too_large(&unread)),
        Err(unread @ Unread::Cut(_)) => Err(Rejection::Unreadable(format!("of the arguments: {unread}"))),
    }
}
