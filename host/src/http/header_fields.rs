//! Header fields that the host itself reads or writes.

use std::net::IpAddr;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};
use seam_store::ids::Trace;

pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Whether `name` concerns one connection only and must not pass through the host (RFC 9110 7.6.1).
pub fn hop_by_hop(name: &HeaderName) -> bool {
    // The names without a constant in `http` are rare, and comparing them starts with their length.
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

/// The client and the protocol, for guests (RFC 7239). It replaces what the client sent under this name.
pub fn forwarded(client: IpAddr, secure: bool) -> HeaderValue {
    let proto = if secure { "https" } else { "http" };
    let text = match client.to_canonical() {
        IpAddr::V4(address) => format!("for={address};proto={proto}"),
        IpAddr::V6(address) => format!("for=\"[{address}]\";proto={proto}"),
    };
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("for=unknown"))
}

/// Whether a header of this name says who the client is, or how it reached a proxy. Guests get `Forwarded` from the
/// host and no other: what they read there cannot come from the client.
pub fn names_client(name: &HeaderName) -> bool {
    let name = name.as_str();
    // Most headers of a request begin with another letter.
    match name.as_bytes().first() {
        Some(b'f') => matches!(name, "forwarded" | "fastly-client-ip"),
        Some(b'x') => {
            name.starts_with("x-forwarded")
                || name.starts_with("x-original-forwarded")
                || matches!(
                    name,
                    "x-real-ip"
                        | "x-client-ip"
                        | "x-cluster-client-ip"
                        | "x-appengine-user-ip"
                        | "x-azure-clientip"
                        | "x-envoy-external-address"
                )
        }
        Some(b'c') => {
            matches!(name, "cf-connecting-ip" | "cf-connecting-ipv6" | "cf-pseudo-ipv4" | "client-ip")
        }
        Some(b't') => name == "true-client-ip",
        _ => false,
    }
}

/// Whether a proxy has written into these headers, as far as can be seen: it names itself, its client, or the way.
pub fn passed_a_proxy(headers: &HeaderMap) -> bool {
    let of_proxies = |name: &HeaderName| {
        let name = name.as_str();
        matches!(name, "via" | "cdn-loop" | "x-request-id" | "x-varnish" | "x-arr-ssl")
            || ["cf-", "x-amzn-", "x-amz-cf-", "x-envoy-", "x-original-"].iter().any(|start| name.starts_with(start))
    };
    headers.keys().any(|name| names_client(name) || of_proxies(name))
}

/// Removes every header for which `names_client` holds.
pub fn strip_client_names(headers: &mut HeaderMap) {
    let found: Vec<HeaderName> = headers.keys().filter(|name| names_client(name)).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// Whether a `Connection` header lists the header `name` as one of its connection. There may be several, and one with
/// bytes that are no text lists its other names all the same.
pub fn named_by_connection(headers: &HeaderMap, name: &HeaderName) -> bool {
    let lists = headers.get_all(header::CONNECTION).iter();
    let mut tokens = lists.flat_map(|list| list.as_bytes().split(|byte| *byte == b','));
    tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
}

/// Removes every hop-by-hop header.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let of_connection = |name: &&HeaderName| hop_by_hop(name) || named_by_connection(headers, name);
    let found: Vec<HeaderName> = headers.keys().filter(of_connection).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// The trace of a request: a child of the one that a trusted proxy sends, else a new one. The second value is the one
/// that another client sends, for the log alone: a client that chose the id could hide among the lines of others, and
/// guests get no trace from it.
pub fn take_trace(headers: &mut HeaderMap, from_trusted_proxy: bool) -> (Trace, Option<Trace>) {
    let sent = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(Trace::parse);
    if from_trusted_proxy {
        return (sent.map_or_else(Trace::start, Trace::child), None);
    }
    if headers.remove(TRACEPARENT).is_some() {
        headers.remove(TRACESTATE);
    }
    (Trace::start(), sent)
}

/// The `traceparent` of `trace`: what its `Display` writes, without the cost of formatting.
pub fn traceparent(trace: &Trace) -> Option<HeaderValue> {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    hex::encode_to_slice(trace.trace_id.to_be_bytes(), text.get_mut(3..35)?).ok()?;
    hex::encode_to_slice(trace.span_id.to_be_bytes(), text.get_mut(36..52)?).ok()?;
    if trace.sampled {
        text[54] = b'1';
    }
    HeaderValue::from_bytes(&text).ok()
}

/// Adds `name` to `Vary` unless `Vary` covers it already.
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

/// These fields, for tests.
#[cfg(test)]
pub fn of(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let field =
        |(name, value): &(&'static str, &'static str)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    fields.iter().map(field).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn traceparent_equals_what_display_writes() {
        for sampled in [false, true] {
            let trace = Trace { sampled, ..Trace::start() };
            assert_eq!(traceparent(&trace).unwrap(), trace.to_string());
        }
    }

    #[test]
    fn guests_get_the_client_in_the_standard_form() {
        for (client, secure, expect) in [
            ("192.0.2.7", false, "for=192.0.2.7;proto=http"),
            ("2001:db8::1", true, "for=\"[2001:db8::1]\";proto=https"),
            ("::ffff:192.0.2.7", true, "for=192.0.2.7;proto=https"),
        ] {
            assert_eq!(forwarded(client.parse().unwrap(), secure), expect);
        }
    }

    #[test]
    fn hop_by_hop_headers_are_removed() {
        let mut headers = HeaderMap::new();
        headers.insert("connection", HeaderValue::from_static("close, X-Own"));
        headers.append("connection", HeaderValue::from_static("x-second"));
        headers.append("connection", HeaderValue::from_bytes(b"\xe9, x-third").unwrap());
        for name in ["x-own", "x-second", "x-third"] {
            headers.insert(name, HeaderValue::from_static("1"));
        }
        headers.insert("keep-alive", HeaderValue::from_static("1"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn headers_that_name_the_client_are_removed() {
        let mut headers = HeaderMap::new();
        let naming = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded", "x-real-ip", "x-client-ip"];
        let of_networks = ["cf-connecting-ip", "true-client-ip", "fastly-client-ip", "client-ip"];
        for name in naming.into_iter().chain(of_networks).chain(["x-forwards", "accept"]) {
            headers.append(name, HeaderValue::from_static("1"));
        }
        headers.append("x-forwarded-for", HeaderValue::from_static("2"));
        strip_client_names(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "x-forwards"]);
    }

    #[test]
    fn the_trace_is_the_hosts_own_unless_a_trusted_proxy_sends_it() {
        let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let id = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
        let fields = || of(&[("traceparent", sent), ("tracestate", "a=b"), ("accept", "*/*")]);
        let mut headers = fields();
        let (trace, linked) = take_trace(&mut headers, false);
        assert!(trace.trace_id != id && !trace.sampled && linked.is_some_and(|sent| sent.trace_id == id));
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"], "guests get nothing of it");
        let mut headers = fields();
        let (trace, linked) = take_trace(&mut headers, true);
        assert!(trace.trace_id == id && trace.sampled && linked.is_none() && headers.len() == 3);
        for (rubbish, trusted) in [("rubbish", true), ("rubbish", false)] {
            let (trace, linked) = take_trace(&mut of(&[("traceparent", rubbish)]), trusted);
            assert!(trace.trace_id != 0 && linked.is_none());
        }
    }

    #[test]
    fn vary_names_a_header_once() {
        let mut headers = HeaderMap::new();
        vary(&mut headers, "accept-encoding");
        vary(&mut headers, "accept-encoding");
        assert_eq!(headers.get_all(header::VARY).iter().count(), 1);
    }
}
