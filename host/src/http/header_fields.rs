//! Header fields that the edge itself reads or writes.

use std::net::IpAddr;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};

use crate::ids::Trace;

pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Whether `name` belongs to one connection and must not pass through the host (RFC 9110 7.6.1).
pub fn hop_by_hop(name: &HeaderName) -> bool {
    // The names that are no constants of `http` are rare: their length is looked at first.
    match *name {
        header::CONNECTION
        | header::TRANSFER_ENCODING
        | header::UPGRADE
        | header::TE
        | header::TRAILER
        | header::PROXY_AUTHENTICATE
        | header::PROXY_AUTHORIZATION => true,
        _ => matches!(name.as_str(), "keep-alive" | "proxy-connection"),
    }
}

/// Who asks and how, for guests (RFC 7239). Whatever a client sends under this name, they get this.
pub fn forwarded(client: IpAddr, secure: bool) -> HeaderValue {
    let proto = if secure { "https" } else { "http" };
    let text = match client.to_canonical() {
        IpAddr::V4(address) => format!("for={address};proto={proto}"),
        IpAddr::V6(address) => format!("for=\"[{address}]\";proto={proto}"),
    };
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("for=unknown"))
}

/// Whether `Connection` names this header as one of its own.
pub fn named_by_connection(connection: Option<&HeaderValue>, name: &HeaderName) -> bool {
    let Some(connection) = connection.and_then(|value| value.to_str().ok()) else { return false };
    connection.split(',').any(|token| token.trim().eq_ignore_ascii_case(name.as_str()))
}

/// Takes every hop-by-hop header out.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let own: Vec<HeaderName> = {
        let connection = headers.get(header::CONNECTION);
        headers.keys().filter(|name| hop_by_hop(name) || named_by_connection(connection, name)).cloned().collect()
    };
    for name in own {
        headers.remove(name);
    }
}

/// The trace that a request came with, if it came with a readable one.
pub fn trace(headers: &HeaderMap) -> Trace {
    let sent = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(Trace::parse);
    sent.map_or_else(Trace::start, Trace::child)
}

/// The `traceparent` of `trace`: what its `Display` says, without the machinery of formatting.
pub fn traceparent(trace: &Trace) -> Option<HeaderValue> {
    let mut text = Vec::with_capacity(55);
    text.extend_from_slice(b"00-");
    hex(&mut text, &trace.trace_id.to_be_bytes());
    text.push(b'-');
    hex(&mut text, &trace.span_id.to_be_bytes());
    text.extend_from_slice(if trace.sampled { b"-01" } else { b"-00" });
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok()
}

fn hex(text: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
        }
    }
}

/// Adds `name` to `Vary` unless it is covered already.
pub fn vary(headers: &mut HeaderMap, name: &'static str) {
    let covered = headers
        .get_all(header::VARY)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').map(str::trim).any(|field| field == "*" || field.eq_ignore_ascii_case(name)));
    if !covered {
        headers.append(header::VARY, HeaderValue::from_static(name));
    }
}

/// Whether `If-None-Match` names `etag`, compared weakly as RFC 9110 13.1.2 says.
pub fn none_match(headers: &HeaderMap, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let etag = opaque(etag);
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.trim() == "*" || tags(value).any(|tag| opaque(tag) == etag))
}

/// The tags of a list; a comma may be part of a tag.
fn tags(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let start = rest.find('"')?;
        let end = start + 1 + rest.get(start + 1..)?.find('"')?;
        let weak = rest.get(..start).is_some_and(|before| before.ends_with("W/"));
        let tag = rest.get(if weak { start - 2 } else { start }..=end)?;
        rest = rest.get(end + 1..)?;
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn traceparent_says_what_display_says() {
        for sampled in [false, true] {
            let trace = Trace { sampled, ..Trace::start() };
            assert_eq!(traceparent(&trace).unwrap(), trace.to_string());
        }
    }

    #[test]
    fn etags_are_compared_weakly_and_may_hold_commas() {
        let check = |sent: &'static str, etag: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(sent));
            none_match(&headers, etag)
        };
        assert!(check("\"a\"", "\"a\""));
        assert!(check("W/\"a\"", "\"a\""));
        assert!(check("\"x\", W/\"a,b\"", "W/\"a,b\""));
        assert!(check("*", "\"a\""));
        assert!(!check("\"a\"", "\"b\""));
        assert!(!check("a", "\"a\""));
        assert!(!check("\"a", "\"a\""));
    }

    #[test]
    fn guests_are_told_who_asks_in_the_standard_form() {
        for (client, secure, expect) in [
            ("192.0.2.7", false, "for=192.0.2.7;proto=http"),
            ("2001:db8::1", true, "for=\"[2001:db8::1]\";proto=https"),
            ("::ffff:192.0.2.7", true, "for=192.0.2.7;proto=https"),
        ] {
            assert_eq!(forwarded(client.parse().unwrap(), secure), expect);
        }
    }

    #[test]
    fn headers_of_one_connection_are_taken_out() {
        let mut headers = HeaderMap::new();
        headers.insert("connection", HeaderValue::from_static("close, X-Own"));
        headers.insert("x-own", HeaderValue::from_static("1"));
        headers.insert("keep-alive", HeaderValue::from_static("1"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn vary_is_said_once() {
        let mut headers = HeaderMap::new();
        vary(&mut headers, "accept-encoding");
        vary(&mut headers, "accept-encoding");
        assert_eq!(headers.get_all(header::VARY).iter().count(), 1);
    }
}
