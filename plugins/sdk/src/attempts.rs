//! Counts of what costs much or guesses, which the host keeps. Needs the capability `attempts`.

use std::net::{IpAddr, SocketAddr};

#[cfg(not(all(feature = "native", not(target_family = "wasm"))))]
use crate::bindings::seam::host::attempts as host;

/// `most` attempts at once, and again one each `window / most` seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What is counted, such as `sign-up from 192.0.2.7`. Another `most` or `window` makes another count.
    pub key: String,
    /// At least 1.
    pub most: u32,
    /// 1 to 86,400 seconds.
    pub window: u32,
}

/// Seconds until the limits allow another attempt, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub u32);

/// The network under which the attempts of a client with this address are counted. A port does not count, and of IPv6
/// only the network, since its owner has 2^64 addresses. What is no address stays as it is.
pub fn network(address: &str) -> String {
    let parsed = address.parse().or_else(|_| address.parse().map(|with_port: SocketAddr| with_port.ip()));
    match parsed.map(|ip: IpAddr| ip.to_canonical()) {
        Ok(IpAddr::V6(ip)) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
        Ok(ip) => ip.to_string(),
        Err(_) => address.to_owned(),
    }
}

/// Counts one attempt under each of these limits, at most 8, or under none when one of them does not allow it. Natively
/// the counts are those of the thread, by the time of [`clock::now`](crate::clock::now).
pub fn take(under: &[Limit]) -> Result<(), Wait> {
    #[cfg(all(feature = "native", not(target_family = "wasm")))]
    return crate::native::take(&native(under)).map_err(Wait);
    #[cfg(not(all(feature = "native", not(target_family = "wasm"))))]
    host::take(&borrowed(under)).map_err(Wait)
}

/// Takes back one attempt under each of these limits, because it cost nothing or did not guess.
pub fn give_back(under: &[Limit]) {
    #[cfg(all(feature = "native", not(target_family = "wasm")))]
    crate::native::give_back(&native(under));
    #[cfg(not(all(feature = "native", not(target_family = "wasm"))))]
    host::give_back(&borrowed(under));
}

#[cfg(not(all(feature = "native", not(target_family = "wasm"))))]
fn borrowed(under: &[Limit]) -> Vec<host::Limit<'_>> {
    under.iter().map(|limit| host::Limit { key: &limit.key, most: limit.most, window_s: limit.window }).collect()
}

#[cfg(all(feature = "native", not(target_family = "wasm")))]
fn native(under: &[Limit]) -> Vec<crate::native::Limit<'_>> {
    under.iter().map(|limit| (limit.key.as_str(), limit.most, limit.window)).collect()
}

#[cfg(all(test, feature = "native"))]
mod tests {
    use super::*;
    use crate::native::{forget_attempts, set_clock};

    #[test]
    fn an_address_is_counted_without_its_port_and_ipv6_by_its_network() {
        for (address, expect) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:4321", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2"),
            ("2001:db8:1:2::9", "2001:db8:1:2"),
            ("[2001:db8:1:2::9]:443", "2001:db8:1:2"),
            ("a proxy's word", "a proxy's word"),
        ] {
            assert_eq!(network(address), expect, "{address}");
        }
    }

    #[test]
    fn the_native_counts_are_those_of_the_host() {
        set_clock(Some(1_000));
        let limit = |key: &str, most| [Limit { key: key.into(), most, window: 100 }];
        let take = || take(&limit("a", 5));
        for _ in 0..5 {
            assert_eq!(take(), Ok(()));
        }
        assert_eq!(take(), Err(Wait(20)));
        set_clock(Some(1_020));
        assert_eq!((take(), take()), (Ok(()), Err(Wait(20))));
        give_back(&limit("a", 5));
        assert_eq!(take(), Ok(()));
        assert_eq!(super::take(&[limit("b", 1), limit("a", 5)].concat()), Err(Wait(20)));
        assert_eq!(super::take(&limit("b", 1)), Ok(()), "the refused attempt did not count");
        forget_attempts();
        assert_eq!((take(), super::take(&limit("b", 1))), (Ok(()), Ok(())));
    }
}
