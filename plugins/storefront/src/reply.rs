//! From a page to an HTTP response: kind, caching, ETag, security headers, HEAD and conditional requests.

use xxhash_rust::xxh64::xxh64;

use crate::seams::{Request, Response};
use crate::visit::Visit;

/// What the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Html,
    Svg,
    Text,
}

/// How long the answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The address names this very content.
    Forever,
    /// Changes seldom, and nobody is hurt by an old one.
    Day,
    /// Lists: prices and stock may lag by half a minute.
    Moment,
    /// Price and stock of one album: asked again each time, answered with 304 when nothing changed.
    Always,
    /// As `Always`, but it shows something of one visitor: their cart, that they are signed in. No shared cache keeps it.
    Private,
    /// Errors, pages that lack something which may be back in a second, forms, and whatever belongs to a person.
    Never,
}

impl Freshness {
    fn header(self) -> &'static str {
        match self {
            Freshness::Forever => "public, max-age=31536000, immutable",
            Freshness::Day => "public, max-age=86400",
            Freshness::Moment => "public, max-age=30",
            Freshness::Always => "public, no-cache",
            Freshness::Private => "private, no-cache",
            Freshness::Never => "no-store",
        }
    }
}

/// Pages load the style sheet, the script, the covers and nothing else; nothing in a page itself runs, whatever a title contains.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; \
                           base-uri 'none'; frame-ancestors 'none'";
/// A cover opened on its own loads nothing at all.
const IMAGE_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// A page before it is a response.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub kind: Kind,
    pub freshness: Freshness,
    /// Beyond those that every reply has.
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Reply {
    pub fn html(freshness: Freshness, body: String) -> Reply {
        Reply { status: 200, kind: Kind::Html, freshness, headers: Vec::new(), body }
    }

    /// A page that shows a form again, or says what did not work.
    pub fn with_status(mut self, status: u16) -> Reply {
        self.status = status;
        self
    }

    /// The answer to a form: the page that shows what came of it, so that loading it again does nothing again.
    pub fn see_other(to: impl Into<String>) -> Reply {
        Reply {
            status: 303,
            kind: Kind::Text,
            freshness: Freshness::Never,
            headers: vec![("location", to.into())],
            body: String::from("Done.\n"),
        }
    }

    /// The answer to this visitor: pages are the same for all who have neither a cart nor a session, and caches are told so.
    pub fn to(mut self, visit: &Visit<'_>) -> Reply {
        if self.kind == Kind::Html && self.freshness != Freshness::Never {
            if visit.personal() {
                self.freshness = Freshness::Private;
            }
            self.headers.push(("vary", "cookie".into()));
        }
        self.headers.extend(visit.headers());
        self
    }

    /// To another address of ours, for good.
    pub fn moved(to: String) -> Reply {
        let body = String::from("This page has moved.\n");
        Reply { status: 308, kind: Kind::Text, freshness: Freshness::Day, headers: vec![("location", to)], body }
    }

    /// The response to this request: 304 when the visitor has the same bytes already, no body for HEAD.
    pub fn respond(self, request: &Request) -> Response {
        let mut headers = Vec::with_capacity(8 + self.headers.len());
        let mut add = |name: &str, value: String| headers.push((String::from(name), value));
        let mut status = self.status;
        let mut body = self.body.into_bytes();

        add("cache-control", self.freshness.header().into());
        if self.status == 200 && self.freshness != Freshness::Never {
            let tag = entity_tag(&body);
            if request.headers.iter().any(|(name, value)| name == "if-none-match" && matches_tag(value, &tag)) {
                status = 304;
                body = Vec::new();
            }
            add("etag", tag);
        }
        if status != 304 {
            let (media_type, policy) = match self.kind {
                Kind::Html => ("text/html; charset=utf-8", PAGE_POLICY),
                Kind::Svg => ("image/svg+xml", IMAGE_POLICY),
                Kind::Text => ("text/plain; charset=utf-8", IMAGE_POLICY),
            };
            add("content-type", media_type.into());
            add("content-security-policy", policy.into());
            add("x-content-type-options", "nosniff".into());
            add("referrer-policy", "same-origin".into());
        }
        for (name, value) in self.headers {
            add(name, value);
        }
        if request.method == "HEAD" {
            body = Vec::new();
        }
        Response { status, headers, body }
    }
}

/// A strong tag: the same bytes, the same tag.
fn entity_tag(body: &[u8]) -> String {
    let hash = xxh64(body, 0);
    let mut tag = String::with_capacity(18);
    tag.push('"');
    for digit in (0..16).rev() {
        tag.push(char::from(b"0123456789abcdef"[(hash >> (digit * 4)) as usize & 15]));
    }
    tag.push('"');
    tag
}

/// Weak comparison (RFC 9110, 13.1.2): a proxy that compressed the page has made the tag weak.
fn matches_tag(header: &str, tag: &str) -> bool {
    header.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{get, header};

    fn page() -> Reply {
        Reply::html(Freshness::Always, "<p>hello</p>".into())
    }

    #[test]
    fn a_page_carries_the_headers_that_keep_it_safe() {
        let response = page().respond(&get("/"));
        assert_eq!(header(&response, "content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(header(&response, "x-content-type-options"), Some("nosniff"));
        assert_eq!(header(&response, "referrer-policy"), Some("same-origin"));
        let policy = header(&response, "content-security-policy").unwrap_or_default();
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn the_same_bytes_are_not_sent_twice() {
        let first = page().respond(&get("/"));
        let tag = header(&first, "etag").unwrap_or_default().to_owned();
        for (sent, status) in [
            (tag.clone(), 304),
            (format!("W/{tag}"), 304),
            (format!("\"other\", {tag}"), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
            (String::new(), 200),
            (tag.trim_matches('"').to_owned(), 200),
        ] {
            let mut request = get("/");
            request.headers.push(("if-none-match".into(), sent.clone()));
            let response = page().respond(&request);
            assert_eq!(response.status, status, "{sent}");
            assert_eq!(response.body.is_empty(), status == 304);
            assert_eq!(header(&response, "etag"), Some(tag.as_str()));
        }
    }

    #[test]
    fn a_page_for_one_visitor_is_in_no_shared_cache() {
        for (cookie, control) in [
            ("", "public, no-cache"),
            ("visitor=00112233445566778899aabbccddeeff; other=1", "public, no-cache"),
            ("cart=A.1", "private, no-cache"),
            (&*format!("session={}", "0".repeat(64)), "private, no-cache"),
        ] {
            let mut request = get("/");
            request.headers.push(("cookie".into(), cookie.into()));
            let response = page().to(&Visit::of(&request)).respond(&request);
            assert_eq!(header(&response, "cache-control"), Some(control), "{cookie}");
            assert_eq!(header(&response, "vary"), Some("cookie"));
        }
        let request = get("/");
        let cover = Reply { kind: Kind::Svg, ..page() }.to(&Visit::of(&request)).respond(&request);
        assert_eq!(header(&cover, "vary"), None);
    }

    #[test]
    fn a_form_is_answered_with_another_page() {
        let response = Reply::see_other("/cart").respond(&get("/"));
        assert_eq!((response.status, header(&response, "location")), (303, Some("/cart")));
        assert_eq!(header(&response, "cache-control"), Some("no-store"));
    }

    #[test]
    fn an_error_is_neither_kept_nor_tagged() {
        let response = Reply { status: 503, ..Reply::html(Freshness::Never, "x".into()) }.respond(&get("/"));
        assert_eq!(header(&response, "cache-control"), Some("no-store"));
        assert_eq!(header(&response, "etag"), None);
    }

    #[test]
    fn head_has_the_headers_of_get_and_no_body() {
        let mut request = get("/");
        request.method = "HEAD".into();
        let response = page().respond(&request);
        assert!(response.body.is_empty());
        assert_eq!(response.headers, page().respond(&get("/")).headers);
    }
}
