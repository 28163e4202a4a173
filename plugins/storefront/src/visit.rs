//! What the headers say about the sender of a request: protocol, network address, cookies.
//!
//! This module asks no other context: only `customer` knows whether a session is still valid.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

use crate::cart::Cart;
use crate::cookies::{Cookie, DOUBLE_CLICK_SECONDS, DRAFT_SECONDS, KNOWN_SECONDS, LONG_SECONDS};
use crate::csrf;
use crate::draft::Draft;
use crate::form::Form;
use crate::key::is_hex;
use crate::seams::{Request, Seams, accounts};

/// The address of a client that the host does not name (RFC 7239, 6.2).
const UNKNOWN: &str = "unknown";

/// A header to add to an answer.
pub type Header = (&'static str, String);

/// One request's sender.
#[derive(Debug)]
pub struct Visit<'a> {
    /// The request came over TLS.
    pub secure: bool,
    /// The client's network address, for limits on attempts.
    pub from: Cow<'a, str>,
    /// The token of a session, which may be over.
    pub session: Option<&'a str>,
    /// The key by which `customer` may know this browser.
    pub browser: Option<&'a str>,
    /// The browser runs no scripts.
    pub scriptless: bool,
    visitor: Option<&'a str>,
    cart: Option<&'a str>,
    ordered: Option<&'a str>,
    draft: Option<&'a str>,
    added: Option<&'a str>,
    /// The visitor's cookie, if this answer sets one.
    new_visitor: OnceCell<String>,
    /// This answer shows the draft.
    draft_shown: Cell<bool>,
}

impl<'a> Visit<'a> {
    pub fn of(request: &'a Request) -> Visit<'a> {
        let mut forwarded = None;
        let mut cookies = None;
        for (name, value) in &request.headers {
            match name.as_str() {
                "forwarded" => forwarded = Some(value.as_str()),
                "cookie" => cookies = Some(value.as_str()),
                _ => {}
            }
        }
        let (secure, from) = forwarded.map_or((false, UNKNOWN.into()), read_forwarded);
        let cookie = |cookie: Cookie| cookies.and_then(|header| cookie.read(header, secure));
        Visit {
            secure,
            from,
            session: cookie(Cookie::Session).filter(|token| is_hex(token, 64)),
            browser: cookie(Cookie::Browser).filter(|key| is_hex(key, 64)),
            scriptless: cookie(Cookie::Scriptless).is_some(),
            visitor: cookie(Cookie::Visitor).filter(|token| is_hex(token, 32)),
            cart: cookie(Cookie::Cart).filter(|text| !text.is_empty()),
            ordered: cookie(Cookie::Ordered),
            draft: cookie(Cookie::Draft),
            added: cookie(Cookie::Added),
            new_visitor: OnceCell::new(),
            draft_shown: Cell::new(false),
        }
    }

    /// Whether the pages show something of this visitor: a session or a cart.
    pub fn personal(&self) -> bool {
        self.session.is_some() || self.cart.is_some()
    }

    pub fn cart(&self) -> Cart {
        self.cart.map(Cart::parse).unwrap_or_default()
    }

    /// The token of the forms on this page. A visitor without a cookie gets one with the answer (see
    /// [`Visit::headers`]).
    pub fn form_token(&self, seams: &impl Seams) -> String {
        let cookie = self.session.or(self.visitor);
        csrf::token(cookie.unwrap_or_else(|| self.new_visitor.get_or_init(|| hex::encode(seams.random()))))
    }

    /// Whether we gave this form to this visitor.
    pub fn issued(&self, form: &Form<'_>) -> bool {
        self.session.or(self.visitor).is_some_and(|cookie| csrf::matches(cookie, form.raw(csrf::FIELD)))
    }

    /// Whether we gave this form to this browser before the visitor signed in.
    pub fn issued_before(&self, form: &Form<'_>) -> bool {
        self.visitor.is_some_and(|cookie| csrf::matches(cookie, form.raw(csrf::FIELD)))
    }

    /// The header that every answer to this visitor carries, if any.
    pub fn headers(&self) -> Option<Header> {
        self.new_visitor.get().map(|token| Cookie::Visitor.keep(token, LONG_SECONDS, self.secure))
    }

    /// Makes the browser keep that it runs no scripts.
    pub fn keep_scriptless(&self) -> Header {
        Cookie::Scriptless.keep("1", LONG_SECONDS, self.secure)
    }

    /// Makes the browser keep this cart under a new version: see [`Cart`].
    pub fn keep_cart(&self, cart: &Cart, version: &str) -> Header {
        match cart.is_empty() {
            true => Cookie::Cart.forget(self.secure),
            false => Cookie::Cart.keep(&format!("{version}~{cart}"), LONG_SECONDS, self.secure),
        }
    }

    /// The number of the order that was made from this version of the cart, if it is the last one that was ordered.
    pub fn ordered(&self, version: &str) -> Option<&'a str> {
        let (ordered, number) = self.ordered?.split_once('.')?;
        (ordered == version).then_some(number)
    }

    /// Makes the browser keep that this version of the cart became this order.
    pub fn keep_ordered(&self, version: &str, number: &str) -> Header {
        Cookie::Ordered.keep(&format!("{version}.{number}"), LONG_SECONDS, self.secure)
    }

    /// Whether this cart became what it is by adding this album, a moment ago.
    pub fn added(&self, sku: &str, cart: &Cart) -> bool {
        let version = self.added.and_then(|added| added.split_once('.')).filter(|(added, _)| *added == sku);
        version.is_some_and(|(_, version)| cart.version() == Some(version))
    }

    /// Makes the browser keep for a moment that this version of the cart was made by adding this album.
    pub fn keep_added(&self, sku: &str, version: &str) -> Header {
        Cookie::Added.keep(&format!("{sku}.{version}"), DOUBLE_CLICK_SECONDS, self.secure)
    }

    /// What this visitor typed into a form that could not be done, if the page at this path shows it. A draft of
    /// another session is none. The page that shows it makes the browser forget it (`Reply::for_visit`).
    pub fn draft(&self, path: &str) -> Option<Draft<'a>> {
        let draft = self.lasting_draft(path)?;
        self.draft_shown.set(true);
        Some(draft)
    }

    /// As [`Visit::draft`], for a page that shows the draft until the browser forgets it.
    pub fn lasting_draft(&self, path: &str) -> Option<Draft<'a>> {
        Draft::read(self.draft?).filter(|draft| draft.is_for(path) && self.issued(draft.form()))
    }

    /// Makes the browser keep a draft for the next page; `None` if no cookie can hold it.
    pub fn keep_draft(&self, draft: Draft<'static>, seams: &impl Seams) -> Option<Header> {
        let text = draft.encode(&self.form_token(seams))?;
        Some(Cookie::Draft.keep(&text, DRAFT_SECONDS, self.secure))
    }

    /// Makes the browser forget the draft that this answer shows.
    pub fn forget_shown_draft(&self) -> Option<Header> {
        self.forget_draft().filter(|_| self.draft_shown.get())
    }

    /// Makes the browser forget the draft, if it has one.
    pub fn forget_draft(&self) -> Option<Header> {
        self.draft.map(|_| Cookie::Draft.forget(self.secure))
    }

    /// Makes the browser keep this session until it expires.
    pub fn keep_session(&self, session: &accounts::Session, now: u64) -> Header {
        // The token comes from another context: only hexadecimal digits may become a header.
        match is_hex(&session.token, 64) {
            true => Cookie::Session.keep(&session.token, session.expires.saturating_sub(now), self.secure),
            false => self.forget_session(),
        }
    }

    /// Makes the browser keep the key by which `customer` knows it; none if it is no key.
    pub fn keep_browser(&self, key: &str) -> Option<Header> {
        is_hex(key, 64).then(|| Cookie::Browser.keep(key, KNOWN_SECONDS, self.secure))
    }

    pub fn forget_session(&self) -> Header {
        Cookie::Session.forget(self.secure)
    }
}

/// Protocol and address in `for=192.0.2.1;proto=https`, which the host itself writes, without the port.
fn read_forwarded(value: &str) -> (bool, Cow<'_, str>) {
    let mut secure = false;
    let mut from = UNKNOWN;
    for pair in value.split([';', ',']) {
        let Some((name, value)) = pair.trim().split_once('=') else { continue };
        let value = value.trim_matches('"');
        match name {
            "proto" => secure = value == "https",
            "for" => from = value,
            _ => {}
        }
    }
    let address = match from.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(UNKNOWN),
        None => from.split(':').next().unwrap_or(UNKNOWN),
    };
    (secure, address.into())
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;
    use crate::testing::{Shop, get};

    fn with(headers: &[(&str, &str)]) -> Request {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Request { headers, ..get("/") }
    }

    #[test]
    fn the_host_names_protocol_and_address() {
        for (value, secure, from) in [
            ("for=127.0.0.1;proto=https", true, "127.0.0.1"),
            ("for=127.0.0.1:5000;proto=http", false, "127.0.0.1"),
            ("for=\"[2001:db8::1]:4711\";proto=https", true, "2001:db8::1"),
            ("for=\"[::1]\"", false, "::1"),
            ("proto=https", true, "unknown"),
            ("", false, "unknown"),
            ("for", false, "unknown"),
        ] {
            let request = with(&[("forwarded", value)]);
            let visit = Visit::of(&request);
            assert_eq!((visit.secure, &*visit.from), (secure, from), "{value}");
        }
        assert!(!Visit::of(&get("/")).secure);
    }

    #[test]
    fn only_64_hexadecimal_digits_are_a_session() {
        let good = "0123456789abcdef".repeat(4);
        for (token, taken) in [
            (&*good, true),
            (&good[1..], false),
            (&good.to_uppercase(), true),
            (&good.replace("0", "g"), false),
            ("", false),
        ] {
            let request = with(&[("cookie", &format!("session={token}"))]);
            assert_eq!(Visit::of(&request).session.is_some(), taken, "{token}");
        }
    }

    #[test]
    fn a_form_is_tied_to_the_cookie_that_its_page_set() {
        let shop = Shop::open();
        let request = get("/sign-in");
        let visit = Visit::of(&request);
        assert!(visit.headers().is_none() && !visit.personal());
        let token = visit.form_token(&shop);
        let (_, cookie) = visit.headers().expect("a cookie for the form");
        let body = format!("csrf={token}");

        let mut sent = with(&[("cookie", cookie.split(';').next().expect("a pair"))]);
        sent.body = body.into_bytes();
        sent.headers.push(("content-type".into(), "application/x-www-form-urlencoded".into()));
        let form = Form::of(&sent).expect("a form");
        assert!(Visit::of(&sent).issued(&form));
        assert!(Visit::of(&sent).headers().is_none(), "one cookie is enough");
        assert!(!visit.issued(&form), "without the cookie the form is not this visitor's");
        let other = with(&[("cookie", "visitor=00000000000000000000000000000000")]);
        assert!(!Visit::of(&other).issued(&form));
    }

    #[test]
    fn only_a_token_becomes_a_cookie() {
        let request = get("/");
        let visit = Visit::of(&request);
        let mut session = crate::testing::session();
        let (_, cookie) = visit.keep_session(&session, session.expires - 60);
        assert!(cookie.starts_with(&format!("session={};", session.token)) && cookie.contains("Max-Age=60;"));
        session.token = "x\r\nset-cookie: evil=1".into();
        assert!(visit.keep_session(&session, 0).1.starts_with("session=; "));
    }
}
