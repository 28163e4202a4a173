//! Proxies whose word counts: what they say about a request's client, in `X-Forwarded-For` and `X-Forwarded-Proto` or
//! in `Forwarded` (RFC 7239).
//!
//! Invariant: a client cannot choose its own address. Each proxy adds the address that it got the request from at the
//! right end, so the list is read from there, and the first address that is no trusted proxy is the client: what stands
//! further left, the client itself may have written. What other peers than trusted proxies say counts for nothing.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};

use super::client::Client;
use crate::manifest::{Network, ProxyHeader};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The settings of the manifest.
#[derive(Debug, Clone, Default)]
pub struct ProxyConfig {
    pub trusted: Vec<Network>,
    /// The header that counts; `None`: the one that is there, and of two only what both say.
    pub header: Option<ProxyHeader>,
}

/// The trusted proxies of a server.
#[derive(Debug, Default)]
pub struct Proxies {
    config: ProxyConfig,
    noted_stranger: AtomicBool,
    noted_contradiction: AtomicBool,
}

/// What a proxy says about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    /// `None` if the proxy names no client.
    address: Option<IpAddr>,
    /// Whether the client speaks TLS; `None` if the proxy does not say.
    secure: Option<bool>,
}

impl Proxies {
    pub fn new(config: ProxyConfig) -> Self {
        Self { config, ..Self::default() }
    }

    pub fn is_trusted(&self, address: IpAddr) -> bool {
        self.config.trusted.iter().any(|network| network.contains(address))
    }

    /// The client of a request that came from `peer`.
    pub fn client<'c>(&self, peer: &'c Client, peer_is_trusted: bool, headers: &HeaderMap) -> Cow<'c, Client> {
        if !peer_is_trusted {
            self.note_stranger(peer, headers);
            return Cow::Borrowed(peer);
        }
        match self.said(peer.address, headers) {
            Some(said) => {
                let address = said.address.unwrap_or(peer.address);
                Cow::Owned(Client::named(address, said.secure.unwrap_or(peer.secure)))
            }
            None => Cow::Borrowed(peer),
        }
    }

    fn said(&self, peer: IpAddr, headers: &HeaderMap) -> Option<Said> {
        let trusted = |address| self.is_trusted(address);
        let x_forwarded = || by_x_forwarded(headers, peer, trusted);
        let forwarded = || by_forwarded(headers, peer, trusted);
        match self.config.header {
            Some(ProxyHeader::XForwardedFor) => x_forwarded(),
            Some(ProxyHeader::Forwarded) => forwarded(),
            None => match (x_forwarded(), forwarded()) {
                (Some(one), Some(other)) => {
                    let agreed = agreed(one, other);
                    if agreed.is_none() {
                        self.note_contradiction(peer);
                    }
                    agreed
                }
                (one, other) => one.or(other),
            },
        }
    }

    /// Logs, once, that a proxy may stand where none is trusted.
    fn note_stranger(&self, peer: &Client, headers: &HeaderMap) {
        if self.noted_stranger.load(Relaxed) {
            return;
        }
        let names = [X_FORWARDED_FOR, X_FORWARDED_PROTO, header::FORWARDED];
        let Some(name) = names.into_iter().find(|name| headers.contains_key(name)) else { return };
        if !self.noted_stranger.swap(true, Relaxed) {
            tracing::warn!(
                target: "http", peer = %peer.address, header = %name,
                hint = "if a proxy of yours sent it, name its address in `trusted_proxies` of `[http]`",
                "a request says who its client is, which counts for nothing: its peer is not a trusted proxy; \
                 further such requests are not logged"
            );
        }
    }

    /// Logs, once, that one of the two headers is not the proxy's.
    fn note_contradiction(&self, peer: IpAddr) {
        if !self.noted_contradiction.swap(true, Relaxed) {
            tracing::warn!(
                target: "http", %peer,
                hint = "name the one that your proxy writes in `proxy_header` of `[http]`",
                "`Forwarded` and `X-Forwarded-...` of a request contradict each other, so neither counts; \
                 further such requests are not logged"
            );
        }
    }
}

/// What both say; `None` if they contradict each other.
fn agreed(one: Said, other: Said) -> Option<Said> {
    let contradict = one.secure.zip(other.secure).is_some_and(|(one, other)| one != other)
        || one.address.zip(other.address).is_some_and(|(one, other)| one != other);
    let both = Said { address: one.address.or(other.address), secure: one.secure.or(other.secure) };
    (!contradict).then_some(both)
}

/// Follows `hops` from the one that `peer` added to the client. A hop without an address ends the way: the client is
/// then the proxy that added it.
fn follow(
    peer: IpAddr,
    hops: impl Iterator<Item = (Option<IpAddr>, Option<bool>)>,
    trusted: impl Fn(IpAddr) -> bool,
) -> Option<Said> {
    let mut said = None;
    for (address, secure) in hops {
        let before = said.and_then(|said: Said| said.address).unwrap_or(peer);
        said = Some(Said { address: Some(address.unwrap_or(before)), secure });
        if !address.is_some_and(&trusted) {
            break;
        }
    }
    said
}

/// By `X-Forwarded-For` and `X-Forwarded-Proto`. Where a proxy adds no protocol of its own, the one to the left counts.
fn by_x_forwarded(headers: &HeaderMap, peer: IpAddr, trusted: impl Fn(IpAddr) -> bool) -> Option<Said> {
    let protocols: Vec<Option<bool>> = from_right(headers, &X_FORWARDED_PROTO).map(is_https).collect();
    let first = protocols.last().copied().flatten();
    let protocols = protocols.into_iter().chain(std::iter::repeat(first));
    let mut addresses = from_right(headers, &X_FORWARDED_FOR).map(node).peekable();
    if addresses.peek().is_none() {
        let secure = protocols.into_iter().next().flatten()?;
        return Some(Said { address: None, secure: Some(secure) });
    }
    follow(peer, addresses.zip(protocols), trusted)
}

/// By `Forwarded`.
fn by_forwarded(headers: &HeaderMap, peer: IpAddr, trusted: impl Fn(IpAddr) -> bool) -> Option<Said> {
    follow(peer, from_right(headers, &header::FORWARDED).map(element), trusted)
}

/// The elements of a header that is a list, the last one first.
///
/// Quotes are counted from the right as well: one that a client left open does not reach what a proxy wrote after it.
fn from_right<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> + use<'h> {
    let lines: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
    let texts = lines.into_iter().rev().map(|line| line.to_str().unwrap_or("unreadable"));
    texts.flat_map(|text| text.rsplit(outside_quotes(','))).map(str::trim).filter(|element| !element.is_empty())
}

/// Matches `separator` outside of quoted strings, in a text that is walked from one end to the other.
fn outside_quotes(separator: char) -> impl FnMut(char) -> bool {
    let mut quoted = false;
    move |c| {
        quoted ^= c == '"';
        c == separator && !quoted
    }
}

/// The address and the protocol in one element of `Forwarded`. A parameter that stands there twice is not read.
fn element(text: &str) -> (Option<IpAddr>, Option<bool>) {
    let value = |wanted: &str| {
        let pairs = text.rsplit(outside_quotes(';')).filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted)).map(|(_, value)| {
            let value = value.trim();
            value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
        });
        let value = values.next();
        value.filter(|_| values.next().is_none())
    };
    (value("for").and_then(node), value("proto").and_then(is_https))
}

/// `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`, with or without a port.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()));
    address.map(|address| address.to_canonical())
}

fn is_https(protocol: &str) -> Option<bool> {
    match protocol {
        _ if protocol.eq_ignore_ascii_case("https") => Some(true),
        _ if protocol.eq_ignore_ascii_case("http") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::http::header_fields::of as headers;

    /// The client of a request with `fields` through the proxy 10.0.0.1, as a guest reads it.
    fn client(header: Option<ProxyHeader>, fields: &[(&'static str, &'static str)]) -> String {
        let trusted = vec![Network::parse("10.0.0.0/8").unwrap(), Network::parse("2001:db8:1::/48").unwrap()];
        let proxies = Proxies::new(ProxyConfig { trusted, header });
        let peer = Client::peer("10.0.0.1:4711".parse().unwrap(), false);
        let trusted = proxies.is_trusted(peer.address);
        proxies.client(&peer, trusted, &headers(fields)).forwarded.to_str().unwrap().to_owned()
    }

    #[test]
    fn the_rightmost_address_that_is_no_trusted_proxy_is_the_client() {
        let check = |sent: &'static str, expect: &str| {
            assert_eq!(client(None, &[("x-forwarded-for", sent)]), format!("for={expect};proto=http"), "{sent}");
        };
        check("203.0.113.1", "203.0.113.1");
        check("203.0.113.1:51234", "203.0.113.1");
        check("2001:db8::7", "\"[2001:db8::7]\"");
        check("[2001:db8::7]:80", "\"[2001:db8::7]\"");
        check("::ffff:203.0.113.1", "203.0.113.1");
        check("203.0.113.1, 10.0.0.2, 10.9.0.1", "203.0.113.1");
        check("203.0.113.1, 2001:db8:1::5", "203.0.113.1");
        // What the client itself wrote stands to the left of what its proxy added.
        check("198.51.100.9, 203.0.113.1", "203.0.113.1");
        check("10.0.0.3, 203.0.113.1, 10.0.0.2", "203.0.113.1");
        check("198.51.100.9,,203.0.113.1,", "203.0.113.1");
        // All of them are proxies: a request of the machine room itself.
        check("10.0.0.3, 10.0.0.2", "10.0.0.3");
        // A proxy that hides its client, or a list that cannot be read: the last one that is known.
        check("198.51.100.9, unknown", "10.0.0.1");
        check("198.51.100.9, hidden, 10.0.0.2", "10.0.0.2");
        check("", "10.0.0.1");
        let lines = [("x-forwarded-for", "198.51.100.9"), ("x-forwarded-for", "203.0.113.1, 10.0.0.2")];
        assert_eq!(client(None, &lines), "for=203.0.113.1;proto=http");
    }

    #[test]
    fn the_protocol_is_that_of_the_clients_own_connection() {
        let check = |addresses: &'static str, protocols: &'static str, expect: &str| {
            let said = client(None, &[("x-forwarded-for", addresses), ("x-forwarded-proto", protocols)]);
            assert_eq!(said, format!("for=203.0.113.1;proto={expect}"), "{addresses} {protocols}");
        };
        check("203.0.113.1", "https", "https");
        check("203.0.113.1", "HTTPS", "https");
        check("203.0.113.1", "http", "http");
        check("203.0.113.1", "gopher", "http");
        check("203.0.113.1, 10.0.0.2", "https", "https");
        check("203.0.113.1, 10.0.0.2", "https, http", "https");
        check("198.51.100.9, 203.0.113.1", "https, http", "http");
        assert_eq!(client(None, &[("x-forwarded-proto", "https")]), "for=10.0.0.1;proto=https");
    }

    #[test]
    fn forwarded_is_read_as_its_rfc_defines_it() {
        let check =
            |sent: &'static str, expect: &str| assert_eq!(client(None, &[("forwarded", sent)]), expect, "{sent}");
        check("for=203.0.113.1;proto=https", "for=203.0.113.1;proto=https");
        check("For=203.0.113.1 ; Proto=HTTPS;by=_a;host=\"a,b;for=c\"", "for=203.0.113.1;proto=https");
        check("for=\"[2001:db8::7]:4711\";proto=https", "for=\"[2001:db8::7]\";proto=https");
        check("for=198.51.100.9;proto=https, for=203.0.113.1;proto=http, for=10.0.0.2", "for=203.0.113.1;proto=http");
        check("for=203.0.113.1;proto=https, for=10.0.0.2;proto=http", "for=203.0.113.1;proto=https");
        check("for=_hidden;proto=https", "for=10.0.0.1;proto=https");
        check("proto=https", "for=10.0.0.1;proto=https");
        // What a client writes to unsettle the reader.
        check("for=\"evil, for=203.0.113.1", "for=203.0.113.1;proto=http");
        check("for=evil\\, for=203.0.113.1", "for=203.0.113.1;proto=http");
        check("for=198.51.100.9;for=203.0.113.1", "for=10.0.0.1;proto=http");
    }

    #[test]
    fn of_two_headers_that_contradict_each_other_neither_counts_unless_one_is_chosen() {
        let both: &[_] = &[("x-forwarded-for", "203.0.113.1"), ("forwarded", "for=198.51.100.9;proto=https")];
        assert_eq!(client(None, both), "for=10.0.0.1;proto=http");
        assert_eq!(client(Some(ProxyHeader::XForwardedFor), both), "for=203.0.113.1;proto=http");
        assert_eq!(client(Some(ProxyHeader::Forwarded), both), "for=198.51.100.9;proto=https");
        let same: &[_] = &[("x-forwarded-for", "203.0.113.1"), ("forwarded", "for=203.0.113.1;proto=https")];
        assert_eq!(client(None, same), "for=203.0.113.1;proto=https");
        let parts: &[_] = &[("x-forwarded-proto", "https"), ("forwarded", "for=203.0.113.1")];
        assert_eq!(client(None, parts), "for=203.0.113.1;proto=https");
        let schemes: &[_] = &[("x-forwarded-proto", "https"), ("forwarded", "for=203.0.113.1;proto=http")];
        assert_eq!(client(None, schemes), "for=10.0.0.1;proto=http");
        let only_other: &[_] = &[("forwarded", "for=198.51.100.9")];
        assert_eq!(client(Some(ProxyHeader::XForwardedFor), only_other), "for=10.0.0.1;proto=http");
    }

    #[test]
    fn what_others_than_trusted_proxies_say_counts_for_nothing_and_is_noted_once() {
        let proxies = Proxies::new(ProxyConfig { trusted: vec![Network::parse("10.0.0.1").unwrap()], header: None });
        let peer = Client::peer("10.0.0.2:4711".parse().unwrap(), false);
        assert!(!proxies.is_trusted(peer.address));
        for fields in [
            &[("x-forwarded-for", "203.0.113.1"), ("x-forwarded-proto", "https")][..],
            &[("forwarded", "for=203.0.113.1;proto=https")],
        ] {
            let client = proxies.client(&peer, false, &headers(fields));
            assert_eq!((client.to_string().as_str(), client.secure), ("10.0.0.2:4711", false));
            assert!(proxies.noted_stranger.load(Relaxed));
        }
    }
}
