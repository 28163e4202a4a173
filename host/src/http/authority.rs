//! The host that a request is for: one rule for every form in which HTTP writes it.
//!
//! HTTP/1 names it in `Host`, in an absolute address (`GET http://shop.example/`), or in both; HTTP/2 in `:authority`,
//! in `Host`, or in both. A name counts wherever it stands.
//! Invariant: two names are equal, letter case aside, or the request is refused. What passes is a host and perhaps a
//! port, without a user, a path or anything else that another reader could take for something else.

use http::header;
use http::request::Parts;

/// The host and the port as the request writes them; `None` for HTTP/1.0 without either.
///
/// # Errors
/// Why the request does not name one host, as a sentence about it.
pub fn of(parts: &Parts) -> Result<Option<&str>, &'static str> {
    let mut fields = parts.headers.get_all(header::HOST).iter();
    let (field, second) = (fields.next(), fields.next());
    if second.is_some() {
        return Err("there is more than one Host header");
    }
    let field = field.map(|host| host.to_str().unwrap_or_default());
    let address = parts.uri.authority().map(http::uri::Authority::as_str);
    if field.is_some_and(|host| !is_authority(host)) {
        return Err("the Host header is not a host");
    }
    if address.is_some_and(|address| !is_authority(address)) {
        return Err("the requested address does not name a host");
    }
    match (field, address) {
        (Some(field), Some(address)) if !field.eq_ignore_ascii_case(address) => {
            Err("the Host header differs from the requested address")
        }
        (field, address) => Ok(address.or(field)),
    }
}

/// The host alone: without port, brackets and the dot at the end of a full name.
pub fn host(authority: &str) -> &str {
    let (host, _) = split(authority);
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    address.unwrap_or_else(|| host.strip_suffix('.').unwrap_or(host))
}

/// The host and the port, which may be empty. A colon in brackets is part of an address.
fn split(authority: &str) -> (&str, &str) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, ""),
    }
}

fn is_authority(text: &str) -> bool {
    let (host, port) = split(text);
    let name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(name),
    };
    is_host && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::Request;

    use super::*;

    fn read(address: &str, hosts: &[&str]) -> Result<Option<String>, &'static str> {
        let mut request = Request::get(address);
        for host in hosts {
            request = request.header("host", *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        of(&parts).map(|authority| authority.map(str::to_owned))
    }

    #[test]
    fn a_request_is_for_the_host_that_it_names_in_any_form() {
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(read("/a", &["shop.example:8080"]), some("shop.example:8080"));
        assert_eq!(read("http://shop.example/a", &[]), some("shop.example"));
        assert_eq!(read("http://Shop.example/a", &["shop.EXAMPLE"]), some("Shop.example"));
        assert_eq!(read("/a", &["[2001:db8::1]:80"]), some("[2001:db8::1]:80"));
        assert_eq!(read("/a", &["xn--bcher-kva.example."]), some("xn--bcher-kva.example."));
        assert_eq!(read("/a", &[]), Ok(None));
    }

    #[test]
    fn names_that_contradict_each_other_or_are_no_host_are_refused() {
        for (address, hosts) in [
            ("http://evil.example/a", &["shop.example"][..]),
            ("http://shop.example:81/a", &["shop.example"]),
            ("/a", &["a", "b"]),
            ("/a", &["a", "a"]),
            ("http://user@shop.example/a", &[]),
            ("http://shop.example@evil.example/a", &["shop.example@evil.example"]),
        ] {
            assert!(read(address, hosts).is_err(), "{address} {hosts:?}");
        }
        for host in [
            "", ":80", "a/b", "a\\b", "a?b", "a#b", "u@a", "a, b", "a b", "a:b", "a:80:80", "a:123456", "::1", "[::1",
            "[::1]x", "[a]", "<b>", "a%2fb", "a;b", "ä", "a'b", "a\"b", "*.a",
        ] {
            assert!(read("/a", &[host]).is_err(), "{host:?}");
        }
    }

    #[test]
    fn a_host_has_neither_port_nor_brackets_nor_a_last_dot() {
        for (authority, expect) in [
            ("shop.example:8080", "shop.example"),
            ("shop.example.", "shop.example"),
            ("shop.example.:80", "shop.example"),
            ("[::1]:80", "::1"),
            ("[::1]", "::1"),
            ("192.0.2.1", "192.0.2.1"),
            ("a:", "a"),
        ] {
            assert_eq!(host(authority), expect, "{authority}");
        }
    }
}
