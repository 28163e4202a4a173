//! From a page to an HTTP response: media type, caching, ETag, security headers, HEAD and conditional requests.

use xxhash_rust::xxh64::xxh64;

use crate::draft::Draft;
use crate::seams::{Request, Response, Seams};
use crate::visit::Visit;

/// The kind of body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Html,
    Svg,
    Text,
    Csv,
}

/// How long caches may keep the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CachePolicy {
    /// The address names this very content.
    Immutable,
    /// Changes seldom, and an old one does no harm.
    OneDay,
    /// Lists: prices and stock may be half a minute old.
    HalfMinute,
    /// Price and stock of one album: caches ask each time, and get 304 if nothing changed.
    Revalidate,
    /// As `Revalidate`, for a page that shows one visitor's cart or session: no shared cache keeps it.
    Private,
    /// Errors, incomplete pages, forms, and everything that belongs to a person.
    NoStore,
}

impl CachePolicy {
    fn header(self) -> &'static str {
        match self {
            CachePolicy::Immutable => "public, max-age=31536000, immutable",
            CachePolicy::OneDay => "public, max-age=86400",
            CachePolicy::HalfMinute => "public, max-age=30",
            CachePolicy::Revalidate => "public, no-cache",
            CachePolicy::Private => "private, no-cache",
            CachePolicy::NoStore => "no-store",
        }
    }
}

/// Pages load the style sheets, the script and the covers, nothing else. Inline scripts never run, whatever a title
/// contains.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                           form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// A cover that is opened on its own loads nothing.
const IMAGE_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// A page, before it becomes a response.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub kind: Kind,
    pub cache: CachePolicy,
    /// In addition to those that every reply has.
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    /// For a form that could not be done: what the page that shows it again needs.
    pub draft: Option<Draft<'static>>,
}

impl Reply {
    pub fn html(cache: CachePolicy, body: String) -> Reply {
        Reply { status: 200, kind: Kind::Html, cache, headers: Vec::new(), body, draft: None }
    }

    /// The same page with another status.
    pub fn with_status(mut self, status: u16) -> Reply {
        self.status = status;
        self
    }

    /// The answer to a form: a redirect to the page that shows the result. Reloading that page does not send the form
    /// again.
    pub fn see_other(to: impl Into<String>) -> Reply {
        Reply {
            status: 303,
            kind: Kind::Text,
            cache: CachePolicy::NoStore,
            headers: vec![("location", to.into())],
            body: String::from("Done.\n"),
            draft: None,
        }
    }

    /// The page of a form that could not be done, which the page at the draft's address shows again.
    pub fn again(mut self, draft: Draft<'static>) -> Reply {
        self.draft = Some(draft);
        self
    }

    /// The answer to a form that could not be done: a redirect to the page that shows it again. The page itself is the
    /// answer if no cookie can hold the draft, and when the form is worth sending again as it is: after too many
    /// attempts, or while a context is away.
    pub fn elsewhere(mut self, visit: &Visit<'_>, seams: &impl Seams) -> Reply {
        let Some(draft) = self.draft.take().filter(|_| !matches!(self.status, 429 | 503)) else { return self };
        let address = draft.address().to_owned();
        let Some(kept) = visit.keep_draft(draft, seams) else { return self };
        let mut reply = Reply::see_other(address);
        reply.headers.push(kept);
        reply
    }

    /// Adds the visitor's headers. Pages are the same for all visitors without a cart and a session; `vary` says so to
    /// caches. A browser without scripts keeps no page: going back, it would show the old number of records in the
    /// cart, which the script corrects in others.
    pub fn for_visit(mut self, visit: &Visit<'_>) -> Reply {
        if self.kind == Kind::Html && self.cache != CachePolicy::NoStore {
            if visit.scriptless {
                self.cache = CachePolicy::NoStore;
            } else if visit.personal() {
                self.cache = CachePolicy::Private;
            }
            self.headers.push(("vary", "cookie".into()));
        }
        self.headers.extend(visit.headers());
        if self.kind == Kind::Html {
            self.headers.extend(visit.forget_shown_draft());
        }
        self
    }

    /// A permanent redirect to another address of ours.
    pub fn moved(to: String) -> Reply {
        let body = String::from("This page has moved.\n");
        let headers = vec![("location", to)];
        Reply { status: 308, kind: Kind::Text, cache: CachePolicy::OneDay, headers, body, draft: None }
    }

    /// The response to a request: 304 if the visitor has the same bytes already, no body for HEAD.
    pub fn respond(self, request: &Request) -> Response {
        let mut headers = Vec::with_capacity(8 + self.headers.len());
        let mut add = |name: &str, value: String| headers.push((String::from(name), value));
        let mut status = self.status;
        let mut body = self.body.into_bytes();

        add("cache-control", self.cache.header().into());
        if self.status == 200 && self.cache != CachePolicy::NoStore {
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
                Kind::Csv => ("text/csv; charset=utf-8; header=present", IMAGE_POLICY),
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

/// A strong tag: the same bytes have the same tag.
fn entity_tag(body: &[u8]) -> String {
    format!("\"{}\"", hex::encode(xxh64(body, 0).to_be_bytes()))
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
        Reply::html(CachePolicy::Revalidate, "<p>hello</p>".into())
    }

    #[test]
    fn a_page_carries_its_security_headers() {
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
            ("scriptless=1", "no-store"),
            ("scriptless=1; cart=A.1", "no-store"),
            (&*format!("session={}", "0".repeat(64)), "private, no-cache"),
        ] {
            let mut request = get("/");
            request.headers.push(("cookie".into(), cookie.into()));
            let response = page().for_visit(&Visit::of(&request)).respond(&request);
            assert_eq!(header(&response, "cache-control"), Some(control), "{cookie}");
            assert_eq!(header(&response, "vary"), Some("cookie"));
        }
        let request = get("/");
        let cover = Reply { kind: Kind::Svg, ..page() }.for_visit(&Visit::of(&request)).respond(&request);
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
        let response = Reply { status: 503, ..Reply::html(CachePolicy::NoStore, "x".into()) }.respond(&get("/"));
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
