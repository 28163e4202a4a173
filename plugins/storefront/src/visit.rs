//! Who sends a request, as far as its headers say: over which protocol, from which address, with which cookies.
//!
//! Nobody is asked here: whether a session is still one, only `customer` knows. A request without cookies costs one look at its headers.

use std::borrow::Cow;
use std::cell::OnceCell;

use crate::cart::Cart;
use crate::cookies::{Cookie, LONG_SECONDS};
use crate::csrf;
use crate::form::Form;
use crate::seams::{Request, Seams, accounts};

/// What the address of somebody is called whom the host does not name (RFC 7239, 6.2).
const UNKNOWN: &str = "unknown";

/// A header to add to an answer.
pub type Header = (&'static str, String);

/// One request's sender.
#[derive(Debug)]
pub struct Visit<'a> {
    /// The request came by TLS.
    pub secure: bool,
    /// The client's network address, for limits of attempts.
    pub from: Cow<'a, str>,
    /// The token of a session that may be over.
    pub session: Option<&'a str>,
    visitor: Option<&'a str>,
    cart: Option<&'a str>,
    /// A visitor's cookie made for this answer.
    fresh: OnceCell<String>,
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
            visitor: cookie(Cookie::Visitor).filter(|token| is_hex(token, 32)),
            cart: cookie(Cookie::Cart).filter(|text| !text.is_empty()),
            fresh: OnceCell::new(),
        }
    }

    /// The pages are not the same for everybody: somebody is signed in, or has a cart.
    pub fn personal(&self) -> bool {
        self.session.is_some() || self.cart.is_some()
    }

    pub fn cart(&self) -> Cart {
        self.cart.map(Cart::parse).unwrap_or_default()
    }

    /// What a form on this page carries. A visitor without a cookie to tie it to gets one with the answer (see [`Visit::headers`]).
    pub fn form_token(&self, seams: &impl Seams) -> String {
        let cookie = self.session.or(self.visitor);
        csrf::token(cookie.unwrap_or_else(|| self.fresh.get_or_init(|| hex(&seams.random()))))
    }

    /// The form is one that we gave out to this visitor.
    pub fn gave_out(&self, form: &Form<'_>) -> bool {
        self.session.or(self.visitor).is_some_and(|cookie| csrf::matches(cookie, form.raw(csrf::FIELD)))
    }

    /// What every answer to this visitor carries.
    pub fn headers(&self) -> Option<Header> {
        self.fresh.get().map(|fresh| Cookie::Visitor.keep(fresh, LONG_SECONDS, self.secure))
    }

    /// Makes the browser keep this cart.
    pub fn keep_cart(&self, cart: &Cart) -> Header {
        match cart.is_empty() {
            true => Cookie::Cart.forget(self.secure),
            false => Cookie::Cart.keep(&cart.to_string(), LONG_SECONDS, self.secure),
        }
    }

    /// Makes the browser keep this session, as long as it lasts.
    pub fn keep_session(&self, session: &accounts::Session, now: u64) -> Header {
        // The token comes from another context: nothing but what it says it is may become a header.
        match is_hex(&session.token, 64) {
            true => Cookie::Session.keep(&session.token, session.expires.saturating_sub(now), self.secure),
            false => self.forget_session(),
        }
    }

    pub fn forget_session(&self) -> Header {
        Cookie::Session.forget(self.secure)
    }
}

/// A key that no other form has: the same one again is the same wish.
pub fn new_key(seams: &impl Seams) -> String {
    hex(&seams.random())
}

/// Whether a form's key is one that we made.
pub fn is_key(text: &str) -> bool {
    is_hex(text, 32)
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
}

/// Protocol and address in `for=192.0.2.1;proto=https`, which the host writes itself; the port is left out.
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
    fn the_host_says_how_and_from_where() {
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
    fn what_cannot_be_a_session_is_none() {
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
        assert!(Visit::of(&sent).gave_out(&form));
        assert!(Visit::of(&sent).headers().is_none(), "one cookie is enough");
        assert!(!visit.gave_out(&form), "without the cookie it is nobody's form");
        let other = with(&[("cookie", "visitor=00000000000000000000000000000000")]);
        assert!(!Visit::of(&other).gave_out(&form));
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
