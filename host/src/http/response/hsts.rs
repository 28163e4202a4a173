//! Strict-Transport-Security (RFC 6797): browsers that have reached this host over TLS once reach it in no other way.
//!
//! It is for the one host that the request is for, not for those below it: the host does not know what else has a name
//! there. Contexts cannot send it (`separation`).

use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};

use crate::http::authority;

/// What a server asks of browsers.
#[derive(Debug)]
pub struct Hsts(Option<HeaderValue>);

impl Hsts {
    /// For this many days; 0 asks nothing.
    pub fn new(days: u32) -> Self {
        let value = HeaderValue::try_from(format!("max-age={}", u64::from(days) * 86_400));
        Self(value.ok().filter(|_| days > 0))
    }

    /// Adds the header to an answer to a client that speaks TLS. Browsers keep it for names alone: no address, and not
    /// `localhost`, where developers try several hosts.
    pub fn add(&self, host: Option<&str>, status: StatusCode, answer: &mut HeaderMap) {
        let Some(value) = &self.0 else { return };
        // A host that is not served here is not this one's to bind.
        if status != StatusCode::MISDIRECTED_REQUEST && host.is_some_and(|host| is_name(authority::host(host))) {
            answer.insert(header::STRICT_TRANSPORT_SECURITY, value.clone());
        }
    }
}

fn is_name(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host);
    host.parse::<std::net::IpAddr>().is_err() && !last.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_asked_for_names_alone() {
        let asked = |days, host: Option<&str>| {
            let mut answer = HeaderMap::new();
            Hsts::new(days).add(host, StatusCode::OK, &mut answer);
            answer.remove(header::STRICT_TRANSPORT_SECURITY).map(|value| value.to_str().unwrap_or_default().to_owned())
        };
        assert_eq!(asked(30, Some("shop.example:443")).as_deref(), Some("max-age=2592000"));
        assert_eq!(asked(1, Some("shop")).as_deref(), Some("max-age=86400"));
        let others = ["192.0.2.1", "[2001:db8::1]:443", "localhost:8443", "LOCALHOST", "shop.localhost."];
        for host in others.into_iter().map(Some).chain([None]) {
            assert_eq!(asked(30, host), None, "{host:?}");
        }
        assert_eq!(asked(0, Some("shop.example")), None);
    }
}
