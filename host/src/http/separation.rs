//! What a context may leave in browsers, and which cookies it gets.
//!
//! A browser separates origins and no paths below one. So where contexts share an origin, each gets and sets only the
//! cookies that its mount lists, its cookies stay below its path, and it sends no header that concerns the whole
//! origin. Where they have hosts of their own, no cookie reaches from one host to another.
//! Invariant: what speaks for the host, or commands a proxy in front of it, no context sends.
//! Not here: scripts of one origin reach each other's pages and storage, and cookies that are not `HttpOnly`, whatever
//! a host does (docs/manifest.md, `[[mount]]`).

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use seam_store::ids::ContextName;

use crate::manifest::{Company, ORIGIN_HEADERS};

/// What a browser sends when it asks for the script of a service worker, which then answers for a part of the origin.
const SERVICE_WORKER: HeaderName = HeaderName::from_static("service-worker");
/// What lets a service worker answer for more than the folder of its script.
const SERVICE_WORKER_ALLOWED: &str = "service-worker-allowed";
/// What has a browser ask a person for a password, and send it to the whole origin from then on.
const ASKS_FOR_PASSWORD: &str = "www-authenticate";
/// Prefixes of names that a browser accepts only over TLS, the first one only for the whole host.
const PREFIXES: [&str; 2] = ["__Host-", "__Secure-"];

/// What one mount may set and see.
#[derive(Debug)]
pub struct Separation {
    context: ContextName,
    company: Company,
    /// `/` or `/shop`.
    path: String,
    /// The names of its cookies; `None`: all that reach it.
    cookies: Option<Vec<String>>,
    /// Those of `ORIGIN_HEADERS` that it may send all the same.
    headers: Vec<String>,
    noted: AtomicBool,
}

impl Separation {
    /// Of a mount of `context` at `path`. Without a list of `cookies`, it gets all of an origin that it has to itself,
    /// and none of one that it shares.
    pub fn new(
        context: ContextName,
        path: &str,
        company: Company,
        cookies: Option<Vec<String>>,
        headers: Vec<String>,
    ) -> Self {
        let cookies = cookies.or_else(|| (company == Company::SameOrigin).then(Vec::new));
        Self { context, company, path: path.to_owned(), cookies, headers, noted: AtomicBool::new(false) }
    }

    /// Whether the request is for the script of a service worker that would answer for other contexts' pages.
    pub fn refuses(&self, method: &Method, request: &HeaderMap) -> bool {
        self.company == Company::SameOrigin
            && *method == Method::GET
            && request.contains_key(SERVICE_WORKER)
            && !self.may_send(SERVICE_WORKER_ALLOWED)
    }

    /// What the context sees of a header of a request; `None` if nothing.
    pub fn visible<'v>(&self, name: &HeaderName, value: &'v [u8]) -> Option<Cow<'v, [u8]>> {
        match *name {
            header::COOKIE if self.cookies.is_some() => {
                let pairs = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
                let own: Vec<&[u8]> = pairs.filter(|pair| self.is_own(self::name(pair))).collect();
                (!own.is_empty()).then(|| Cow::Owned(own.join(&b"; "[..])))
            }
            // The password that a person gave to another context.
            header::AUTHORIZATION if !self.may_send(ASKS_FOR_PASSWORD) && is_sent_by_browsers(value) => None,
            _ => Some(Cow::Borrowed(value)),
        }
    }

    /// Leaves only what the context may see in the headers of a request.
    pub fn keep_visible(&self, request: &mut HeaderMap) {
        if self.cookies.is_none() && self.company != Company::SameOrigin {
            return;
        }
        for name in [header::COOKIE, header::AUTHORIZATION] {
            let sent: Vec<HeaderValue> = request.get_all(&name).iter().cloned().collect();
            request.remove(&name);
            for value in sent {
                let visible = self.visible(&name, value.as_bytes());
                if let Some(Ok(visible)) = visible.map(|visible| HeaderValue::from_bytes(&visible)) {
                    request.append(&name, visible);
                }
            }
        }
    }

    /// Leaves only what the context may send in the headers of its answer. Logs, once, what it may not.
    pub fn keep_allowed(&self, answer: &mut HeaderMap) {
        let refused: Vec<HeaderName> = answer.keys().filter(|name| !self.may_send(name.as_str())).cloned().collect();
        for name in refused {
            answer.remove(&name);
            self.note(name.as_str());
        }
        if (self.cookies.is_none() && self.company == Company::Alone) || !answer.contains_key(header::SET_COOKIE) {
            return;
        }
        let sent: Vec<HeaderValue> = answer.get_all(header::SET_COOKIE).iter().cloned().collect();
        answer.remove(header::SET_COOKIE);
        for cookie in sent {
            match self.confined(cookie.as_bytes()) {
                Some(cookie) => {
                    answer.append(header::SET_COOKIE, cookie);
                }
                None => self.note(&format!("set-cookie: {}", name(first(cookie.as_bytes())).escape_ascii())),
            }
        }
    }

    fn may_send(&self, header: &str) -> bool {
        if is_of_the_host(header) {
            return false;
        }
        self.company != Company::SameOrigin
            || !ORIGIN_HEADERS.contains(&header)
            || self.headers.iter().any(|allowed| allowed == header)
    }

    fn is_own(&self, cookie: &[u8]) -> bool {
        let Some(own) = &self.cookies else { return true };
        let bare = PREFIXES.iter().find_map(|prefix| cookie.strip_prefix(prefix.as_bytes())).unwrap_or(cookie);
        own.iter().any(|own| own.as_bytes() == bare)
    }

    /// A `Set-Cookie` as the browser may have it: for this host alone, and for the mount's path where the origin is
    /// shared. `None` if the cookie is not the context's. It reads the header as browsers do (RFC 6265 5.2).
    fn confined(&self, cookie: &[u8]) -> Option<HeaderValue> {
        let pair = first(cookie);
        if !self.is_own(name(pair)) {
            return None;
        }
        if self.company == Company::Alone {
            return HeaderValue::from_bytes(cookie).ok();
        }
        let shared = self.company == Company::SameOrigin;
        let mut kept = pair.to_vec();
        let mut path: Option<&[u8]> = None;
        for attribute in cookie.split(|byte| *byte == b';').skip(1) {
            let is = |wanted: &str| name(attribute).eq_ignore_ascii_case(wanted.as_bytes());
            if is("domain") {
                continue;
            }
            if shared && is("path") {
                // The last one counts.
                path = Some(value(attribute));
                continue;
            }
            kept.push(b';');
            kept.extend_from_slice(attribute);
        }
        if shared {
            let whole_host = name(pair).get(..PREFIXES[0].len());
            let whole_host = whole_host.is_some_and(|start| start.eq_ignore_ascii_case(PREFIXES[0].as_bytes()));
            kept.extend_from_slice(b"; Path=");
            match path {
                Some(path) if whole_host || self.contains(path) => kept.extend_from_slice(path),
                _ => kept.extend_from_slice(self.path.as_bytes()),
            }
        }
        HeaderValue::from_bytes(&kept).ok()
    }

    /// Whether `path` is the mount's or below it.
    fn contains(&self, path: &[u8]) -> bool {
        let below = path.strip_prefix(self.path.trim_end_matches('/').as_bytes());
        below.is_some_and(|below| below.starts_with(b"/") || (below.is_empty() && !path.is_empty()))
    }

    fn note(&self, what: &str) {
        if !self.noted.swap(true, Relaxed) {
            tracing::warn!(
                target: "http", context = %self.context, mount = %self.path, what,
                hint = "give the context a `host` of its own, or name the cookie in `cookies`, or the header in \
                        `headers`, of its `[[mount]]`: docs/manifest.md",
                "a context's answer sets what its mount may not set; it was left out, and further ones are not logged"
            );
        }
    }
}

/// Leaves only what may stand after a body. A client ignores there what its head may have, and a proxy that does not is
/// not led past the checks of the head.
pub fn keep_trailers(trailers: &mut HeaderMap) {
    let of_a_head = |name: &&HeaderName| {
        **name == header::SET_COOKIE || is_of_the_host(name.as_str()) || ORIGIN_HEADERS.contains(&name.as_str())
    };
    let refused: Vec<HeaderName> = trailers.keys().filter(of_a_head).cloned().collect();
    for name in refused {
        trailers.remove(name);
    }
}

/// Whether the header speaks for the host, or commands a proxy in front of it: where connections go, files and pages
/// that the proxy sends instead of the answer.
fn is_of_the_host(header: &str) -> bool {
    match header.as_bytes().first() {
        Some(b'x') => {
            (header.starts_with("x-accel-") && header != "x-accel-buffering")
                || header.starts_with("x-lighttpd-")
                || matches!(header, "x-sendfile" | "x-reproxy-url" | "x-litespeed-location")
        }
        Some(b'a') => header == "alt-svc",
        Some(b'e') => header == "edge-control",
        Some(b's') => matches!(header, "strict-transport-security" | "surrogate-control"),
        _ => false,
    }
}

/// Whether a browser sends this `Authorization` by itself, once a context of the origin has asked for it; other schemes
/// are sent by programs that know whom they ask.
fn is_sent_by_browsers(authorization: &[u8]) -> bool {
    let scheme = authorization.split(|byte| *byte == b' ').next().unwrap_or_default();
    ["basic", "digest", "negotiate", "ntlm"].iter().any(|sent| scheme.eq_ignore_ascii_case(sent.as_bytes()))
}

fn first(cookie: &[u8]) -> &[u8] {
    cookie.split(|byte| *byte == b';').next().unwrap_or_default()
}

/// The name in a pair; empty where there is no `=`: browsers take the text for the value of a cookie without a name.
fn name(pair: &[u8]) -> &[u8] {
    let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(0);
    pair.get(..end).unwrap_or_default().trim_ascii()
}

fn value(attribute: &[u8]) -> &[u8] {
    let start = attribute.iter().position(|byte| *byte == b'=').map_or(attribute.len(), |at| at + 1);
    attribute.get(start..).unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::http::header_fields::of as headers;

    fn mount(path: &str, company: Company, cookies: Option<&[&str]>) -> Separation {
        let cookies = cookies.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        Separation::new(ContextName::new("raw").unwrap(), path, company, cookies, Vec::new())
    }

    #[test]
    fn a_context_on_a_shared_origin_sees_its_own_cookies_alone() {
        let sent = b"session=1; __Host-session=2;visitor = 3; __Secure-visitor=4; sessions=5; session; =session=6; a=\"x; session=7\"";
        let check = |mount: &Separation, expect: &str| {
            let mut request = HeaderMap::new();
            request.append("cookie", HeaderValue::from_bytes(sent).unwrap());
            mount.keep_visible(&mut request);
            assert_eq!(
                request.get("cookie").map(HeaderValue::as_bytes),
                (!expect.is_empty()).then_some(expect.as_bytes())
            );
        };
        let all = std::str::from_utf8(sent).unwrap();
        check(&mount("/raw", Company::SameOrigin, None), "");
        check(&mount("/raw", Company::SameOrigin, Some(&[])), "");
        check(&mount("/", Company::SameOrigin, Some(&["visitor"])), "visitor = 3; __Secure-visitor=4");
        check(&mount("/", Company::SameOrigin, Some(&["session"])), "session=1; __Host-session=2; session=7\"");
        check(&mount("/", Company::Alone, None), all);
        check(&mount("/", Company::OtherOrigins, None), all);
        check(&mount("/", Company::Alone, Some(&["visitor"])), "visitor = 3; __Secure-visitor=4");
    }

    #[test]
    fn a_password_goes_only_to_a_context_that_may_ask_for_one() {
        let seen = |mount: &Separation, sent: &'static str| {
            let mut request = headers(&[("authorization", sent)]);
            mount.keep_visible(&mut request);
            !request.is_empty()
        };
        let shared = mount("/raw", Company::SameOrigin, None);
        for sent in ["Basic YTpi", "basic YTpi", "Digest a", "Negotiate a", "NTLM a"] {
            assert!(!seen(&shared, sent) && seen(&mount("/", Company::OtherOrigins, None), sent), "{sent}");
        }
        assert!(seen(&shared, "Bearer a"));
        let asking = Separation { headers: vec![ASKS_FOR_PASSWORD.into()], ..shared };
        assert!(seen(&asking, "Basic YTpi"));
    }

    #[test]
    fn a_context_on_a_shared_origin_sets_its_own_cookies_below_its_path_alone() {
        let raw = mount("/raw", Company::SameOrigin, Some(&["raw"]));
        for (sent, expect) in [
            ("raw=1; HttpOnly", Some("raw=1; HttpOnly; Path=/raw")),
            ("raw=1; Path=/; HttpOnly", Some("raw=1; HttpOnly; Path=/raw")),
            ("raw=1; path=/raw/deep", Some("raw=1; Path=/raw/deep")),
            ("raw=1; Path=/raw; PATH = /", Some("raw=1; Path=/raw")),
            ("raw=1; Path=/rawer", Some("raw=1; Path=/raw")),
            ("raw=1; Path=", Some("raw=1; Path=/raw")),
            ("raw=1; Path", Some("raw=1; Path; Path=/raw")),
            ("raw=1; Domain=shop.example; Secure", Some("raw=1; Secure; Path=/raw")),
            ("raw=1;dOMAIN\t=.shop.example", Some("raw=1; Path=/raw")),
            ("__Host-raw=1; Secure; Path=/", Some("__Host-raw=1; Secure; Path=/")),
            ("__host-raw=1; Secure; Path=/", None),
            ("session=1", None),
            (" session =1; Path=/raw", None),
            ("__Host-session=1; Secure; Path=/", None),
            // A cookie without a name, which comes back as `session=1`.
            ("=session=1", None),
            ("session", None),
            ("", None),
        ] {
            let confined = raw.confined(sent.as_bytes());
            assert_eq!(confined.as_ref().map(|value| value.to_str().unwrap()), expect, "{sent:?}");
        }
        let shop = mount("/", Company::SameOrigin, Some(&["session"]));
        assert_eq!(shop.confined(b"session=1; Path=/account").unwrap(), "session=1; Path=/account");
        assert_eq!(shop.confined(b"session=1").unwrap(), "session=1; Path=/");
        let own = mount("/", Company::OtherOrigins, None);
        assert_eq!(own.confined(b"any=1; Domain=example; Path=/x; Secure").unwrap(), "any=1; Path=/x; Secure");
    }

    /// The names that are left of an answer with all of these.
    fn left(separation: &Separation) -> Vec<String> {
        let mut answer = headers(&[
            ("content-type", "text/html"),
            ("access-control-allow-origin", "*"),
            ("refresh", "1"),
            ("server-timing", "a"),
            ("x-accel-buffering", "no"),
            ("set-cookie", "session=evil; Domain=example"),
            ("clear-site-data", "\"*\""),
            ("service-worker-allowed", "/"),
            ("nel", "{}"),
            ("report-to", "{}"),
            ("accept-ch", "a"),
            ("www-authenticate", "Basic"),
            ("strict-transport-security", "max-age=1"),
            ("alt-svc", "h2=\":1\""),
            ("x-accel-redirect", "/internal"),
            ("x-sendfile", "/etc/passwd"),
            ("x-lighttpd-send-file", "/etc/passwd"),
            ("surrogate-control", "content=\"ESI/1.0\""),
        ]);
        separation.keep_allowed(&mut answer);
        let mut names: Vec<String> = answer.keys().map(ToString::to_string).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn no_context_speaks_for_the_host_and_one_that_shares_its_origin_not_for_the_origin() {
        let of_a_page =
            ["access-control-allow-origin", "content-type", "refresh", "server-timing", "x-accel-buffering"];
        let shared = mount("/raw", Company::SameOrigin, None);
        assert_eq!(left(&shared), of_a_page);
        assert!(shared.noted.load(Relaxed));
        let of_an_origin = ["accept-ch", "clear-site-data", "nel", "report-to", "service-worker-allowed", "set-cookie"];
        let mut expect: Vec<&str> = of_a_page.into_iter().chain(of_an_origin).chain(["www-authenticate"]).collect();
        expect.sort_unstable();
        for company in [Company::Alone, Company::OtherOrigins] {
            assert_eq!(left(&mount("/", company, None)), expect, "{company:?}");
        }
        let allowed = Separation { headers: vec!["clear-site-data".into()], ..mount("/", Company::SameOrigin, None) };
        assert!(left(&allowed).contains(&"clear-site-data".to_owned()));
    }

    #[test]
    fn no_service_worker_answers_for_a_shared_origin_without_leave() {
        let (script, page) = (headers(&[("service-worker", "script")]), headers(&[("accept", "text/html")]));
        let shared = mount("/raw", Company::SameOrigin, None);
        assert!(shared.refuses(&Method::GET, &script) && !shared.refuses(&Method::GET, &page));
        assert!(!mount("/", Company::OtherOrigins, None).refuses(&Method::GET, &script));
        let allowed = Separation { headers: vec![SERVICE_WORKER_ALLOWED.into()], ..shared };
        assert!(!allowed.refuses(&Method::GET, &script));
    }
}
