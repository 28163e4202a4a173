//! Whether the sender of a form got it from us.
//!
//! Two independent checks: the browser says that the request comes from our own pages, and the form carries a hash that
//! only pages shown to the holder of the cookie contain. Not here: which forms need which check (`route`).

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::seams::Request;

/// The name of the hidden field.
pub const FIELD: &str = "csrf";

/// The token of forms that are shown to the holder of this cookie. It does not reveal the cookie.
pub fn token(cookie: &str) -> String {
    hex::encode(Sha256::new().chain_update(b"musiccorp form 1\0").chain_update(cookie).finalize())
}

/// Whether `sent` is the token of this cookie. The time that this takes does not reveal where they differ.
pub fn matches(cookie: &str, sent: &str) -> bool {
    token(cookie).as_bytes().ct_eq(sent.as_bytes()).into()
}

/// Whether the browser says that the request comes from our own pages. Every current browser sends at least one of
/// these headers with a form; a request without them is refused.
pub fn same_origin(request: &Request) -> bool {
    let header = |wanted: &str| request.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| &**value);
    if let Some(site) = header("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(host) = header("host") else { return false };
    match header("origin").or_else(|| header("referer")) {
        Some(address) => authority(address).is_some_and(|authority| authority.eq_ignore_ascii_case(host)),
        None => false,
    }
}

/// `host:port` of an address.
fn authority(address: &str) -> Option<&str> {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"))?;
    rest.split(['/', '?', '#']).next().filter(|authority| !authority.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::get;

    #[test]
    fn a_token_belongs_to_one_cookie() {
        let one = token("one");
        assert_eq!(one.len(), 64);
        assert!(matches("one", &one) && !one.contains("one"));
        let mut changed = one.clone();
        changed.replace_range(63.., if one.ends_with('0') { "1" } else { "0" });
        for wrong in [&*changed, "", "0", &one[..63], &format!("{one}0"), &token("other")] {
            assert!(!matches("one", wrong), "{wrong}");
        }
    }

    #[test]
    fn a_form_comes_from_our_own_pages() {
        for (headers, ours) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site"), ("origin", "http://shop.test")], false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "http://shop.test")], false),
            (&[("sec-fetch-site", ""), ("origin", "http://shop.test")], false),
            (&[("origin", "http://shop.test")], true),
            (&[("origin", "https://SHOP.test")], true),
            (&[("origin", "http://shop.test.evil.test")], false),
            (&[("origin", "http://shop.test:81")], false),
            (&[("origin", "http://evil.test"), ("referer", "http://shop.test/")], false),
            (&[("origin", "null")], false),
            (&[("origin", "http://")], false),
            (&[("referer", "http://shop.test/cart?x")], true),
            (&[("referer", "http://shop.test@evil.test/")], false),
            (&[("referer", "http://evil.test/http://shop.test")], false),
            (&[], false),
        ] {
            let mut request = get("/cart");
            request.headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            request.headers.push(("host".into(), "shop.test".into()));
            assert_eq!(same_origin(&request), ours, "{headers:?}");
        }
        let mut request = get("/cart");
        request.headers.push(("origin".into(), "http://shop.test".into()));
        assert!(!same_origin(&request), "without a host there is nothing to compare");
    }
}
