//! The range of a file that a request asks for (RFC 9110 14.2).
//!
//! Written by hand: `headers::Range` does not tell a range outside the file (416) from one to be ignored, and drops a
//! suffix that is longer than the file.

use headers::HeaderMapExt;
use http::{HeaderMap, header};

use super::file::Encoding;
use crate::http::request_error::RequestError;

/// The first and the last byte of the one range that was asked for; `None` sends the whole file, as for anything
/// unusual.
pub(super) fn requested(headers: &HeaderMap, file: &Encoding) -> Result<Option<(usize, usize)>, RequestError> {
    let Some(range) = headers.get(header::RANGE).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    if headers.contains_key(header::IF_NONE_MATCH) {
        return Ok(None);
    }
    if headers.contains_key(header::IF_RANGE)
        && headers.typed_get::<headers::IfRange>().is_none_or(|known| known.is_modified(Some(&file.etag), None))
    {
        return Ok(None);
    }
    let length = file.bytes.len();
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
        return Ok(None);
    };
    let (first, last) = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.min(length.saturating_sub(1))),
        (Ok(first), Err(_)) if last.is_empty() => (first, length.saturating_sub(1)),
        (Err(_), Ok(suffix)) if first.is_empty() && suffix > 0 => {
            (length.saturating_sub(suffix), length.saturating_sub(1))
        }
        _ => return Ok(None),
    };
    if first >= length {
        return Err(RequestError::RangeNotSatisfiable(length as u64));
    }
    Ok(Some((first, last)))
}
