//! Whether a request comes from this machine: from a person or a program on it, and not from a customer through a proxy
//! on it, nor from the page of another site in a browser on it.
//!
//! Not here: a proxy on this machine that leaves no trace in a request, and asks for `localhost`, cannot be told apart
//! (docs/manifest.md, `ops`).

use http::header::{self, HeaderName};
use http::request::Parts;
use http::{HeaderMap, Version};

use crate::http::authority;
use crate::http::client::Client;
use crate::http::connection_activity::ConnectionActivity;
use crate::http::header_fields;

/// Where the page that asks comes from, by the word of its browser.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a client on this machine asks this machine. `host` is the authority that the request is for. Of a proxy that
/// is not trusted, this looks at what it may have left in the request: a header of its own, the name that the customer
/// asked for, and HTTP/1.0, which nginx speaks with what is behind it. A page of another site that finds this machine
/// by a name of its own (DNS rebinding) asks for that name.
pub fn asks(connection: &ConnectionActivity, client: &Client, parts: &Parts, host: Option<&str>) -> bool {
    connection.peer.address.is_loopback()
        && client.address.is_loopback()
        && (connection.peer_is_trusted || !header_fields::passed_a_proxy(&parts.headers))
        && parts.version > Version::HTTP_10
        && host.is_some_and(|host| is_this_machine(host) && !is_from_another_site(&parts.headers, host))
}

/// Whether it is a name or an address of this machine alone.
fn is_this_machine(authority: &str) -> bool {
    let host = authority::host(authority);
    let is_loopback = host.parse().is_ok_and(|address: std::net::IpAddr| address.to_canonical().is_loopback());
    is_loopback || host.eq_ignore_ascii_case("localhost")
}

/// Whether a page of another origin has its browser send the request. Browsers that do not say so send `Origin` where
/// the page could read the answer or has sent a body.
fn is_from_another_site(headers: &HeaderMap, authority: &str) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site != "same-origin" && site != "none";
    }
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    origin.is_some_and(|origin| {
        let asking = origin.split_once("://").map_or(origin, |(_, asking)| asking);
        !asking.eq_ignore_ascii_case(authority)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::header_fields::of as headers;

    #[test]
    fn a_page_of_another_origin_is_recognised_by_what_its_browser_says() {
        for (fields, expect) in [
            (&[][..], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "cross-site")], true),
            // Another port of this machine.
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:8080")], false),
            (&[("origin", "http://localhost:8080")], false),
            (&[("origin", "http://localhost:3000")], true),
            (&[("origin", "https://evil.example")], true),
            (&[("origin", "null")], true),
        ] {
            assert_eq!(is_from_another_site(&headers(fields), "localhost:8080"), expect, "{fields:?}");
        }
    }
}
