//! What both ends of a connection between hosts have in common: its settings, bodies, and that it does not fall silent.
//!
//! Both use `h2` itself, so that a head and its body leave in one packet (decision 24).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::{Ping, PingPong, RecvStream, SendStream};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue};
use tokio::time::{sleep, timeout};

use crate::limits;

/// Why a body was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    #[error("it has more than {max} bytes")]
    TooLarge { max: usize },
    #[error("it was cut off")]
    Cut(#[source] h2::Error),
}

/// A body that may still arrive.
pub struct Body {
    stream: RecvStream,
    /// Bytes, if the other side says how many.
    pub length: Option<u64>,
}

impl Body {
    /// `fields`: those of its request or response.
    pub fn new(stream: RecvStream, fields: &HeaderMap) -> Self {
        let stated = || fields.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
        let length = if stream.is_end_stream() { Some(0) } else { stated() };
        Self { stream, length }
    }

    /// Its next bytes; `None` at its end.
    pub async fn next(&mut self) -> Option<Result<Bytes, h2::Error>> {
        let data = self.stream.data().await?;
        // The other side may send as much again.
        Some(data.and_then(|data| self.stream.flow_control().release_capacity(data.len()).map(|()| data)))
    }

    /// Its bytes, at most `max`.
    ///
    /// # Errors
    /// When it is larger, or ends before its end.
    pub async fn collect(mut self, max: usize) -> Result<Bytes, Unread> {
        let too_large = Unread::TooLarge { max };
        let length = self.length.unwrap_or_default();
        if length > max as u64 {
            return Err(too_large);
        }
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(data) = self.next().await {
            let data = data.map_err(Unread::Cut)?;
            if first.len().max(all.len()) + data.len() > max {
                return Err(too_large);
            }
            // Most bodies come in one piece, which is not copied.
            if first.is_empty() && all.is_empty() {
                first = data;
                continue;
            }
            if all.is_empty() {
                all.reserve(usize::try_from(length).unwrap_or_default().min(max));
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }
}

/// Notes the length of a body in the fields of its request or response.
pub fn state_length(fields: &mut HeaderMap, body: &Bytes) {
    if !body.is_empty() {
        let mut length = HeaderValue::from(body.len());
        // It seldom repeats: the connection does not remember it.
        length.set_sensitive(true);
        fields.insert(CONTENT_LENGTH, length);
    }
}

/// Sends a body, if there is any: with none, the head was the end.
///
/// # Errors
/// When the connection has ended, or the other side has reset the stream.
pub fn send_body(mut stream: SendStream<Bytes>, body: Bytes) -> Result<SendStream<Bytes>, h2::Error> {
    if !body.is_empty() {
        stream.send_data(body, true)?;
    }
    Ok(stream)
}

/// Returns when the other side does not answer a PING in time, or the connection has ended.
pub async fn until_silent(pings: Option<PingPong>) {
    let Some(mut pings) = pings else { return std::future::pending().await };
    let answered = Duration::from_millis(limits::REMOTE_PONG_MS);
    loop {
        sleep(Duration::from_millis(limits::REMOTE_PING_MS)).await;
        if !matches!(timeout(answered, pings.ping(Ping::opaque())).await, Ok(Ok(_))) {
            return;
        }
    }
}
