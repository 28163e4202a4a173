//! How often one may try a password within 15 minutes, and make accounts within an hour.
//!
//! A stranger has 5 tries at an account and 20 at all of them from one network address; all strangers together have 50
//! at one account. A browser in which the account was signed in has 5 of its own, and so has a session.
//! Invariant: what strangers do shuts no known browser and no session out. Without it the owner pays for the guesses of
//! others, who need only know an e-mail address.

use seam_sdk::Invalid;
use seam_sdk::attempts::{Limit, network};

/// How long a wrong password counts.
pub const WINDOW_SECONDS: u64 = 15 * 60;
/// Wrong passwords for one account from one network address, one known browser or one signed-in customer within the
/// window.
pub const PER_ACCOUNT: u32 = 5;
/// Wrong passwords for one account from all network addresses together within the window: under 5,000 a day, which
/// finds no password of ten characters that is not well known.
pub const FROM_ANYWHERE: u32 = 50;
/// Wrong passwords from one network address within the window.
pub const PER_ADDRESS: u32 = 20;
/// Attempts that the store keeps; beyond, it drops the oldest. Three rows stand for one of a stranger. That is enough
/// to shut out 800 addresses at once, and each attempt costs its author the time of a password's hash.
pub const KEPT_MAX: u32 = 50_000;
/// Accounts made from one network address at once, and again within an hour. Each costs a hash, and an address from
/// which many are made may look for those that are taken.
pub const SIGN_UPS: u32 = 20;
pub const SIGN_UPS_SECONDS: u32 = 60 * 60;
const FROM_CHARS_MAX: usize = 100;

/// The account or the network address under which attempts are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whom {
    pub text: String,
    /// How many attempts are answered within the window.
    pub limit: u32,
}

/// A stranger's attempts at the account of this e-mail address (as its key), whether or not there is one.
pub fn stranger(email_key: &str, address: Whom) -> [Whom; 3] {
    let here = Whom { text: format!("account {email_key} from {}", address.text), limit: PER_ACCOUNT };
    let anywhere = Whom { text: format!("account {email_key}"), limit: FROM_ANYWHERE };
    [here, anywhere, address]
}

/// Attempts at this account from a browser that it knows by this key.
pub fn browser(email_key: &str, key: &str) -> [Whom; 1] {
    [Whom { text: format!("account {email_key} in {key}"), limit: PER_ACCOUNT }]
}

/// Attempts of a customer who is signed in, at the own account.
pub fn signed_in(email_key: &str) -> [Whom; 1] {
    [Whom { text: format!("account {email_key} signed in"), limit: PER_ACCOUNT }]
}

/// Accounts made from this network address.
pub fn sign_up(Whom { text, .. }: &Whom) -> [Limit; 1] {
    [Limit { key: format!("sign-up from {text}"), most: SIGN_UPS, window: SIGN_UPS_SECONDS }]
}

/// Attempts from this network address, as [`network`] has it.
pub fn address(from: &str) -> Result<Whom, Invalid> {
    if from.is_empty() || from.chars().count() > FROM_CHARS_MAX {
        return Err(Invalid(format!("from: 1 to {FROM_CHARS_MAX} characters are allowed")));
    }
    Ok(Whom { text: format!("address {}", network(from)), limit: PER_ADDRESS })
}

/// When an attempt made at `at` no longer counts, in seconds from `now`; never less than 1.
pub fn wait(at: u64, now: u64) -> u32 {
    // A clock that was put back shuts no visitor out for longer than a window.
    let seconds = (at + WINDOW_SECONDS).saturating_sub(now).clamp(1, WINDOW_SECONDS);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_counted_without_its_port_and_ipv6_by_its_network() {
        let check = |from: &str, expect: &str| {
            assert_eq!(address(from), Ok(Whom { text: format!("address {expect}"), limit: 20 }), "{from}");
        };
        check("192.0.2.7", "192.0.2.7");
        check("192.0.2.7:4321", "192.0.2.7");
        check("::ffff:192.0.2.7", "192.0.2.7");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2");
        check("2001:db8:1:2::9", "2001:db8:1:2");
        check("[2001:db8:1:2::9]:443", "2001:db8:1:2");
        check("a proxy's word", "a proxy's word");
    }

    #[test]
    fn an_absent_or_endless_address_is_refused() {
        for from in ["", &"1".repeat(101)] {
            assert_eq!(address(from), Err(Invalid("from: 1 to 100 characters are allowed".into())));
        }
    }

    #[test]
    fn the_wait_ends_with_the_window() {
        for (at, now, expect) in [(1000, 1000, 900), (1000, 1899, 1), (1000, 1900, 1), (5000, 1000, 900)] {
            assert_eq!(wait(at, now), expect, "{at} {now}");
        }
    }
}
