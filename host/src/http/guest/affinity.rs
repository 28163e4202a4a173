//! Which variants answer a request: the visitor's key, so that a visitor stays with one variant, and the variants that
//! a tester requests.
//!
//! A visitor whose request has no routing key yet gets a cookie of the host's own, and keeps its variant by it even
//! after a context has set the cookie that is the routing key.

use std::net::IpAddr;

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Response};
use seam_runtime::call::Affinity;

use crate::limits;
use crate::manifest::{RoutingKey, Testers};

/// `context=variant, ...` for one request.
const VARIANT_HEADER: HeaderName = HeaderName::from_static("x-seam-variant");
/// The same for a browser. The value of a cookie cannot contain commas, so `&` and `+` separate pairs, too.
const VARIANT_COOKIE: &str = "seam-variant";
/// The key of a visitor who had none.
const VISITOR_COOKIE: &str = "seam-visitor";
/// The prefix of a cookie's name that binds it to this host over TLS.
const HOST_PREFIX: &str = "__Host-";

/// The settings of the manifest.
#[derive(Debug, Clone, Default)]
pub struct AffinityConfig {
    /// What identifies a visitor; the first key that a request carries counts.
    pub keys: Vec<RoutingKey>,
    /// Whose requests may choose their variants.
    pub testers: Testers,
}

impl AffinityConfig {
    /// The visitor of a request. One without a key gets a new one if `splits` says that variants share the visitors;
    /// without any routing key in the manifest, each request stands for itself, by a number of the host's own: one that
    /// the client sends, such as its trace id, would let it choose.
    pub(in crate::http) fn visitor(&self, headers: &HeaderMap, splits: impl FnOnce() -> bool) -> Visitor {
        if self.keys.is_empty() {
            return Visitor { affinity: Affinity::random(), new_key: None };
        }
        let value = |key: &RoutingKey| match key {
            RoutingKey::Cookie(name) => cookie(headers, name).map(str::as_bytes),
            RoutingKey::Header(name) => headers.get(name).map(|value| value.as_bytes()),
        };
        // The host's own first: a visitor who has it got its variant by it.
        let own = cookie(headers, VISITOR_COOKIE).map(str::as_bytes);
        let known = own.into_iter().chain(self.keys.iter().filter_map(value)).find(|value| !value.is_empty());
        match known {
            Some(key) => Visitor { affinity: Affinity::by(key), new_key: None },
            None if splits() => {
                let key = format!("{:032x}", rand::random::<u128>());
                Visitor { affinity: Affinity::by(key.as_bytes()), new_key: Some(key) }
            }
            None => Visitor { affinity: Affinity::random(), new_key: None },
        }
    }

    /// The variants that the request of `client` asks for, as pairs of context and variant; none if it must not choose.
    pub(in crate::http) fn requested<'h>(
        &self,
        client: IpAddr,
        headers: &'h HeaderMap,
    ) -> impl Iterator<Item = (&'h str, &'h str)> + use<'h> {
        let may_choose = match &self.testers {
            Testers::None => false,
            Testers::Everyone => true,
            Testers::Of(networks) => networks.iter().any(|network| network.contains(client)),
        };
        let header = || headers.get(VARIANT_HEADER).and_then(|value| value.to_str().ok());
        let asked = may_choose.then(|| header().or_else(|| cookie(headers, VARIANT_COOKIE))).flatten();
        let pairs = asked.into_iter().flat_map(|asked| asked.split([',', '&', '+']));
        pairs.filter_map(|pair| pair.trim().split_once('='))
    }
}

/// Who sent a request, as far as variants are concerned.
pub(in crate::http) struct Visitor {
    pub affinity: Affinity,
    /// The key that the visitor has from now on: the response has to carry it.
    pub new_key: Option<String>,
}

/// Gives the visitor its key. The response is then meant for one visitor: no cache may give it to others.
pub(in crate::http) fn give_key<B>(response: &mut Response<B>, key: &str, secure: bool) {
    let (prefix, end) = if secure { (HOST_PREFIX, "; Secure") } else { ("", "") };
    let seconds = limits::HTTP_VISITOR_S;
    let cookie = format!("{prefix}{VISITOR_COOKIE}={key}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{end}");
    let Ok(cookie) = HeaderValue::try_from(cookie) else { return };
    let headers = response.headers_mut();
    headers.append(header::SET_COOKIE, cookie);
    make_private(headers);
}

/// Forbids caches that several visitors share to keep the response; what its context says to browsers stays.
fn make_private(headers: &mut HeaderMap) {
    // Some shared caches prefer these (RFC 9213).
    let for_shared = |name: &&HeaderName| {
        let name = name.as_str();
        name.ends_with("cdn-cache-control") || name == "surrogate-control"
    };
    let found: Vec<HeaderName> = headers.keys().filter(for_shared).cloned().collect();
    for name in found {
        headers.remove(name);
    }
    let fields = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives: Vec<&str> = fields.flat_map(|field| field.split(',')).map(str::trim).collect();
    let is = |directive: &str, name: &str| directive.eq_ignore_ascii_case(name);
    if directives.iter().any(|directive| is(directive, "no-store") || is(directive, "private")) {
        return;
    }
    let shared = |directive: &str| directive.to_ascii_lowercase().starts_with("s-maxage") || is(directive, "public");
    let kept = directives.into_iter().filter(|directive| !directive.is_empty() && !shared(directive));
    let text: Vec<&str> = std::iter::once("private").chain(kept).collect();
    let value = HeaderValue::try_from(text.join(", ")).unwrap_or_else(|_| HeaderValue::from_static("private"));
    headers.insert(header::CACHE_CONTROL, value);
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let named = |pair: &(&str, &str)| pair.0 == name || pair.0.strip_prefix(HOST_PREFIX) == Some(name);
    pairs.find(named).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::HeaderValue;

    use super::*;
    use crate::http::header_fields::of as headers;
    use crate::manifest::Network;

    #[test]
    fn the_first_key_that_a_request_carries_identifies_the_visitor() {
        let keys = vec![RoutingKey::Cookie("visitor".into()), RoutingKey::Header("x-user".into())];
        let affinity = AffinityConfig { keys, testers: Testers::None };
        let key = |fields: &[(&'static str, &'static str)]| affinity.visitor(&headers(fields), || false).affinity.key;
        let ada = Affinity::by(b"ada").key;
        assert_eq!(key(&[("cookie", "a=b; visitor=ada"), ("x-user", "bob")]), ada);
        assert_eq!(key(&[("cookie", "__Host-visitor=ada")]), ada);
        assert_eq!(key(&[("cookie", "visitor="), ("x-user", "ada")]), ada);
        assert_ne!(key(&[("cookie", "visitors=ada")]), ada);
    }

    #[test]
    fn a_visitor_without_a_key_gets_one_and_keeps_it() {
        let affinity = AffinityConfig { keys: vec![RoutingKey::Cookie("visitor".into())], testers: Testers::None };
        let visitor = |fields: &[(&'static str, &'static str)]| affinity.visitor(&headers(fields), || true);
        let (first, second) = (visitor(&[]), visitor(&[("cookie", "visitor=")]));
        let (one, other) = (first.new_key.unwrap(), second.new_key.unwrap());
        assert!(one != other && one.len() == 32);
        assert_eq!(first.affinity, Affinity::by(one.as_bytes()));
        // The variant stays when the context sets its own cookie later.
        let own = Affinity::by(b"k");
        for cookies in ["seam-visitor=k", "__Host-seam-visitor=k", "visitor=ada; seam-visitor=k"] {
            let known = visitor(&[("cookie", cookies)]);
            assert!(known.affinity == own && known.new_key.is_none(), "{cookies}");
        }
        let known = visitor(&[("cookie", "visitor=ada")]);
        assert!(known.affinity == Affinity::by(b"ada") && known.new_key.is_none());
        let without = AffinityConfig::default().visitor(&headers(&[("cookie", "seam-visitor=k")]), || true);
        assert!(without.affinity != own && without.new_key.is_none());
    }

    #[test]
    fn a_request_without_a_key_does_not_choose_its_variant() {
        let sent = headers(&[("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]);
        let keyed = AffinityConfig { keys: vec![RoutingKey::Cookie("visitor".into())], testers: Testers::None };
        for config in [AffinityConfig::default(), keyed] {
            let key = || config.visitor(&sent, || false).affinity.key;
            assert_ne!(key(), key(), "the same trace id, another number");
        }
    }

    #[test]
    fn a_response_with_a_visitors_key_is_kept_by_no_shared_cache() {
        for (sent, expect) in [
            (&[][..], "private"),
            (
                &[("cache-control", "public, max-age=60, s-maxage=600, no-transform")],
                "private, max-age=60, no-transform",
            ),
            (&[("cache-control", "Public"), ("cache-control", "max-age=60")], "private, max-age=60"),
            (&[("cache-control", "max-age=5"), ("cdn-cache-control", "max-age=9")], "private, max-age=5"),
            (
                &[("cache-control", "max-age=5"), ("x-cdn-cache-control", "a"), ("surrogate-control", "b")],
                "private, max-age=5",
            ),
            (&[("cache-control", "no-cache")], "private, no-cache"),
            (&[("cache-control", "no-store")], "no-store"),
            (&[("cache-control", "max-age=9, private")], "max-age=9, private"),
        ] {
            let mut response = Response::new(());
            *response.headers_mut() = headers(sent);
            response.headers_mut().append("set-cookie", HeaderValue::from_static("a=b"));
            give_key(&mut response, "k", true);
            let fields: Vec<_> = response.headers().iter().map(|(name, value)| (name.as_str(), value)).collect();
            assert!(fields.iter().all(|(name, _)| *name == "set-cookie" || *name == "cache-control"), "{fields:?}");
            assert_eq!(response.headers()["cache-control"], expect);
            let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
            let own = "__Host-seam-visitor=k; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax; Secure";
            assert_eq!(cookies, ["a=b", own]);
        }
    }

    #[test]
    fn variants_are_requested_by_header_or_else_by_cookie() {
        let requested_by = |client: &str, testers, fields: &[(&'static str, &'static str)]| {
            let headers = headers(fields);
            let pairs: Vec<String> = AffinityConfig { keys: Vec::new(), testers }
                .requested(client.parse().unwrap(), &headers)
                .map(|(a, b)| format!("{a} {b}"))
                .collect();
            pairs.join(", ")
        };
        let requested = |force, fields: &[(&'static str, &'static str)]| {
            requested_by("203.0.113.1", if force { Testers::Everyone } else { Testers::None }, fields)
        };
        let header = ("x-seam-variant", "engine=js, shop=new");
        assert_eq!(requested(true, &[header, ("cookie", "seam-variant=engine=c")]), "engine js, shop new");
        assert_eq!(requested(true, &[("cookie", "a=b; seam-variant=engine=c&shop=new")]), "engine c, shop new");
        assert_eq!(requested(false, &[header]), "");
        assert_eq!(requested(true, &[("x-seam-variant", "nonsense")]), "");
        let office = || Testers::Of(vec![Network::parse("10.8.0.0/16").unwrap()]);
        assert_eq!(requested_by("10.8.1.2", office(), &[header]), "engine js, shop new");
        assert_eq!(requested_by("10.9.1.2", office(), &[header]), "");
    }
}
