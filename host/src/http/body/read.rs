//! Reading the body of a request into memory, within its limits.

use std::time::Duration;

use http::request::Parts;
use http::{Version, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};

use crate::http::request_error::RequestError;
use crate::limits;

/// The first allocation: only as much as arrived is worth memory, whatever length was announced.
const FIRST_BYTES_MAX: usize = 64 * 1024;

/// The whole body, if it is at most `bytes_max` long and arrives within `time`.
pub async fn read(mut body: Incoming, bytes_max: usize, time: Duration) -> Result<Vec<u8>, RequestError> {
    if body.is_end_stream() {
        return Ok(Vec::new());
    }
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bytes_max {
        return Err(RequestError::BodyTooLarge);
    }
    let all = async {
        let mut whole = Vec::with_capacity(announced.min(FIRST_BYTES_MAX));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| cut_or_bad(&error))?;
            let data = frame.into_data().unwrap_or_default();
            if data.len() > bytes_max - whole.len() {
                return Err(RequestError::BodyTooLarge);
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole)
    };
    tokio::time::timeout(time, all).await.unwrap_or(Err(RequestError::BodyTooSlow))
}

/// Reads what a client still sends with a request that is refused, if it is as short as a form. A connection that is
/// closed on a client that writes is lost to it, and the answer with it.
pub async fn skip(body: Incoming, parts: &Parts) {
    let asks_first = parts.headers.contains_key(header::EXPECT);
    if parts.version < Version::HTTP_2 && !asks_first {
        let time = Duration::from_millis(limits::REFUSED_BODY_MS);
        read(body, limits::REFUSED_BODY_BYTES_MAX, time).await.ok();
    }
}

fn cut_or_bad(error: &hyper::Error) -> RequestError {
    match error.is_parse() {
        true => RequestError::BadRequest("the body could not be read"),
        false => RequestError::BodyCut,
    }
}
