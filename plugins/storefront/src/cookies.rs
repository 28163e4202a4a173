//! The shop's cookies: read from a request's header, and written so that neither scripts nor other sites can read them.
//!
//! Over TLS their names start with `__Host-`. Browsers accept such a cookie only with `Secure` and only from this host,
//! so neither a neighbouring domain nor an unencrypted connection can set one.

/// A cookie of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cookie {
    /// The token of the customer's session.
    Session,
    /// The key by which `customer` knows a browser in which one has signed in.
    Browser,
    /// Random: ties forms to a visitor who has not signed in.
    Visitor,
    /// The content of the cart.
    Cart,
    /// The version of the cart that was ordered last, and the order's number.
    Ordered,
    /// What was typed into a checkout that could not be done.
    Draft,
    /// The album that made the cart what it is.
    Added,
    /// This browser runs no scripts.
    Scriptless,
}

/// Thirty days: how long a forgotten cart and an open form stay valid.
pub const LONG_SECONDS: u64 = 30 * 24 * 60 * 60;

/// 180 days: how long `customer` knows a browser.
pub const KNOWN_SECONDS: u64 = 180 * 24 * 60 * 60;

/// Ten minutes: from a form to the page that shows it again, with a look at the cart between them.
pub const DRAFT_SECONDS: u64 = 10 * 60;

/// How long a second click counts as one of a double click.
pub const DOUBLE_CLICK_SECONDS: u64 = 2;

const SAFE_PREFIX: &str = "__Host-";

impl Cookie {
    fn name(self) -> &'static str {
        match self {
            Cookie::Session => "session",
            Cookie::Browser => "browser",
            Cookie::Visitor => "visitor",
            Cookie::Cart => "cart",
            Cookie::Ordered => "ordered",
            Cookie::Draft => "draft",
            Cookie::Added => "added",
            Cookie::Scriptless => "scriptless",
        }
    }

    /// Its value in a `cookie` header. The first one counts.
    pub fn read(self, header: &str, secure: bool) -> Option<&str> {
        header.split(';').find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            let name = if secure { name.strip_prefix(SAFE_PREFIX)? } else { name };
            (name == self.name()).then_some(value)
        })
    }

    /// The header that makes the browser keep it for `seconds`. 0 deletes it.
    pub fn keep(self, value: &str, seconds: u64, secure: bool) -> (&'static str, String) {
        let (prefix, protected) = if secure { (SAFE_PREFIX, "; Secure") } else { ("", "") };
        let name = self.name();
        let cookie = format!("{prefix}{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{protected}");
        ("set-cookie", cookie)
    }

    pub fn forget(self, secure: bool) -> (&'static str, String) {
        self.keep("", 0, secure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_kept_from_scripts_and_other_sites() {
        let (name, plain) = Cookie::Session.keep("abc", 60, false);
        assert_eq!((name, &*plain), ("set-cookie", "session=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"));
        let (_, secure) = Cookie::Cart.keep("A.1", 60, true);
        assert_eq!(secure, "__Host-cart=A.1; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(Cookie::Visitor.forget(false).1, "visitor=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn over_tls_only_the_protected_name_counts() {
        let header = "a=b; session=plain;__Host-session=safe; session=second; cart=A.1";
        assert_eq!(Cookie::Session.read(header, false), Some("plain"));
        assert_eq!(Cookie::Session.read(header, true), Some("safe"));
        assert_eq!(Cookie::Cart.read(header, true), None);
        for odd in ["", ";", "=", "session", "xsession=1", "session =1", ";;;=;="] {
            assert_eq!(Cookie::Session.read(odd, false), None, "{odd}");
        }
        assert_eq!(Cookie::Session.read("session=", false), Some(""));
    }
}
