//! Which variants answer a request: the visitor's key, so that a visitor stays with one variant, and the variants that
//! a tester requests.

use http::HeaderMap;
use http::header::{self, HeaderName};
use seam_runtime::call::Affinity;
use seam_store::ids::Trace;

use crate::manifest::RoutingKey;

/// `context=variant, ...` for one request.
const VARIANT_HEADER: HeaderName = HeaderName::from_static("x-seam-variant");
/// The same for a browser. The value of a cookie cannot contain commas, so `&` and `+` separate pairs, too.
const VARIANT_COOKIE: &str = "seam-variant";
/// The prefix of a cookie's name that binds it to this host over TLS.
const HOST_PREFIX: &str = "__Host-";

/// The settings of the manifest.
#[derive(Debug, Clone, Default)]
pub struct AffinityConfig {
    /// What identifies a visitor; the first key that a request carries counts.
    pub keys: Vec<RoutingKey>,
    /// Whether a request may choose its variants.
    pub force: bool,
}

impl AffinityConfig {
    /// The visitor's key; without one, a key made of the trace.
    pub(in crate::http) fn key(&self, headers: &HeaderMap, trace: Trace) -> Affinity {
        let value = |key: &RoutingKey| match key {
            RoutingKey::Cookie(name) => cookie(headers, name).map(str::as_bytes),
            RoutingKey::Header(name) => headers.get(name).map(|value| value.as_bytes()),
        };
        let key = self.keys.iter().filter_map(value).find(|value| !value.is_empty());
        key.map_or_else(|| Affinity::by_trace(trace), Affinity::by)
    }

    /// The variants that the request asks for, as pairs of context and variant; none if it must not choose.
    pub(in crate::http) fn requested<'h>(
        &self,
        headers: &'h HeaderMap,
    ) -> impl Iterator<Item = (&'h str, &'h str)> + use<'h> {
        let asked = |force: bool| {
            let header = headers.get(VARIANT_HEADER).and_then(|value| value.to_str().ok());
            force.then(|| header.or_else(|| cookie(headers, VARIANT_COOKIE))).flatten()
        };
        let pairs = asked(self.force).into_iter().flat_map(|asked| asked.split([',', '&', '+']));
        pairs.filter_map(|pair| pair.trim().split_once('='))
    }
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

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn the_first_key_that_a_request_carries_identifies_the_visitor() {
        let keys = vec![RoutingKey::Cookie("visitor".into()), RoutingKey::Header("x-user".into())];
        let affinity = AffinityConfig { keys, force: false };
        let trace = Trace::start();
        let key = |fields: &[(&'static str, &'static str)]| affinity.key(&headers(fields), trace).key;
        let ada = Affinity::by(b"ada").key;
        assert_eq!(key(&[("cookie", "a=b; visitor=ada"), ("x-user", "bob")]), ada);
        assert_eq!(key(&[("cookie", "__Host-visitor=ada")]), ada);
        assert_eq!(key(&[("cookie", "visitor="), ("x-user", "ada")]), ada);
        assert_eq!(key(&[("cookie", "visitors=ada")]), Affinity::by_trace(trace).key);
    }

    #[test]
    fn variants_are_requested_by_header_or_else_by_cookie() {
        let requested = |force, fields: &[(&'static str, &'static str)]| {
            let headers = headers(fields);
            let pairs: Vec<String> = AffinityConfig { keys: Vec::new(), force }
                .requested(&headers)
                .map(|(a, b)| format!("{a} {b}"))
                .collect();
            pairs.join(", ")
        };
        let header = ("x-seam-variant", "engine=js, shop=new");
        assert_eq!(requested(true, &[header, ("cookie", "seam-variant=engine=c")]), "engine js, shop new");
        assert_eq!(requested(true, &[("cookie", "a=b; seam-variant=engine=c&shop=new")]), "engine c, shop new");
        assert_eq!(requested(false, &[header]), "");
        assert_eq!(requested(true, &[("x-seam-variant", "nonsense")]), "");
    }
}
