//! Signatures under what goes through a broker, with the keys of the hosts' certificates.
//!
//! Invariant: what `opened` accepts was signed for this purpose by a host of this system, not long ago, and was not
//! opened here before.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use rustls::SignatureScheme;
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::sync::watch;

use crate::limits;
use crate::remote::credentials::{Credentials, Material};
use crate::remote::names::Names;
use crate::remote::trust::{Distrust, Side};

/// Signs for this host, and verifies what others have signed.
pub struct Seals {
    material: watch::Receiver<Arc<Material>>,
    known: Mutex<HashMap<(String, bool), Known>>,
    _credentials: Credentials,
}

/// A chain of certificates that was verified.
#[derive(Clone)]
struct Known {
    names: Names,
    own: CertificateDer<'static>,
    since: Instant,
    by: Arc<Material>,
}

/// What a message carries of its sender, as fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// The certificates in hexadecimal digits, the host's own first, with commas.
    pub certificates: String,
    /// The number of the scheme in TLS, a colon, and the signature, in hexadecimal digits.
    pub proof: String,
}

impl Seals {
    pub fn new(credentials: &Credentials) -> Self {
        Self { material: credentials.changes(), known: Mutex::default(), _credentials: credentials.clone() }
    }

    /// What the files have now.
    fn material(&self) -> Arc<Material> {
        self.material.borrow().clone()
    }

    /// What one message is signed with: its key fits its certificates, also while both are renewed.
    pub fn signer(&self) -> Signer {
        Signer(self.material())
    }

    /// Who has signed `text`.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn verified(&self, seal: &Seal, text: &[u8], side: Side) -> Result<Names, Distrust> {
        let unreadable = || Distrust::Other("the signature is not as docs/remote-calls.md describes it".to_owned());
        let (scheme, signature) = seal.proof.split_once(':').ok_or_else(unreadable)?;
        let scheme = u16::from_str_radix(scheme, 16).map(SignatureScheme::from).map_err(|_| unreadable())?;
        let signature = hex::decode(signature).map_err(|_| unreadable())?;
        let known = self.known(&seal.certificates, side)?;
        known.by.trust.signed(&known.own, scheme, text, &signature)?;
        Ok(known.names)
    }

    /// The names in certificates, which are verified again after a while, and when this host's files change.
    fn known(&self, certificates: &str, side: Side) -> Result<Known, Distrust> {
        let by = self.material();
        let key = (certificates.to_owned(), side == Side::Server);
        let fresh = |known: &&Known| {
            Arc::ptr_eq(&known.by, &by) && known.since.elapsed() < Duration::from_secs(limits::REMOTE_VERIFY_S)
        };
        if let Some(known) = self.known.lock().get(&key).filter(fresh) {
            return Ok(known.clone());
        }
        let one = |text: &str| hex::decode(text).ok().map(CertificateDer::from);
        let chain: Option<Vec<_>> = certificates.split(',').take(limits::REMOTE_AUTHORITIES_MAX).map(one).collect();
        let chain = chain.ok_or_else(|| Distrust::Other("it is not in hexadecimal digits".to_owned()))?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let names = by.trust.verify(&chain, side, UnixTime::since_unix_epoch(now))?;
        let own = chain.into_iter().next().ok_or(Distrust::Nameless)?;
        let known = Known { names, own, since: Instant::now(), by };
        let mut all = self.known.lock();
        if all.len() >= limits::BROKER_CERTIFICATES_MAX {
            all.clear();
        }
        all.insert(key, known.clone());
        Ok(known)
    }
}

/// Certificates of this host, and the key of the first one.
pub struct Signer(Arc<Material>);

impl Signer {
    /// The certificates, in the form of `Seal`.
    pub fn certificates(&self) -> String {
        self.0.shown().iter().map(hex::encode).collect::<Vec<_>>().join(",")
    }

    /// # Errors
    /// When the key cannot sign.
    pub fn proof(&self, text: &[u8]) -> Result<String, String> {
        let (scheme, signature) = self.0.sign(text).map_err(|error| error.to_string())?;
        Ok(format!("{:04x}:{}", u16::from(scheme), hex::encode(signature)))
    }
}

/// The numbers of the calls that this host has been given lately: none is performed twice.
pub struct Seen(Mutex<Two>);

/// Each number stays in one of the sets for at least as long as its message may be believed.
struct Two {
    newer: HashSet<u128>,
    older: HashSet<u128>,
    since: Instant,
}

/// Why a message is not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unseen {
    Again,
    Full,
    /// By so many milliseconds: sent before now, or after it.
    TooOld(u64),
    TooNew(u64),
}

impl Default for Seen {
    fn default() -> Self {
        Self(Mutex::new(Two { newer: HashSet::new(), older: HashSet::new(), since: Instant::now() }))
    }
}

impl Seen {
    /// Notes the call `number`, which was sent at `sent_ms` by the clock of its host, at `now_ms` by that of this one.
    ///
    /// # Errors
    /// When it was noted before, or is so old that it might have been.
    pub fn note(&self, number: u128, sent_ms: u64, now_ms: u64, now: Instant) -> Result<(), Unseen> {
        if now_ms.saturating_sub(sent_ms) > limits::BROKER_SKEW_MS {
            return Err(Unseen::TooOld(now_ms - sent_ms));
        }
        if sent_ms.saturating_sub(now_ms) > limits::BROKER_SKEW_MS {
            return Err(Unseen::TooNew(sent_ms - now_ms));
        }
        let mut two = self.0.lock();
        // A message of a clock that is ahead is believed for twice the difference that clocks may have.
        if now.saturating_duration_since(two.since) > Duration::from_millis(2 * limits::BROKER_SKEW_MS) {
            two.older = std::mem::take(&mut two.newer);
            two.since = now;
        }
        if two.older.contains(&number) || two.newer.contains(&number) {
            return Err(Unseen::Again);
        }
        if two.newer.len() >= limits::BROKER_SEEN_MAX {
            return Err(Unseen::Full);
        }
        two.newer.insert(number);
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_performed_once_however_late_it_comes_again() {
        let (seen, start, skew) = (Seen::default(), Instant::now(), limits::BROKER_SKEW_MS);
        let at = |ms: u64| start + Duration::from_millis(ms);
        let base = 10 * skew;
        assert_eq!(seen.note(1, base, base, at(0)), Ok(()));
        assert_eq!(seen.note(1, base, base, at(0)), Err(Unseen::Again));
        // The clock of its host is ahead: it is believed for longest.
        assert_eq!(seen.note(2, base + skew, base, at(1)), Ok(()));
        for later in [1, skew, 2 * skew - 1, 2 * skew] {
            let found = seen.note(2, base + skew, base + later, at(1 + later));
            assert_eq!(found, Err(Unseen::Again), "after {later} ms");
            // Others come meanwhile.
            seen.note(u128::from(later) << 64, base + later, base + later, at(1 + later)).unwrap();
        }
        assert_eq!(seen.note(2, base + skew, base + 2 * skew + 1, at(2 * skew + 2)), Err(Unseen::TooOld(skew + 1)));
        assert_eq!(seen.note(3, base + skew + 1, base, at(2)), Err(Unseen::TooNew(skew + 1)));
    }

    #[test]
    fn the_numbers_are_bounded_and_forgotten() {
        let (seen, start, skew) = (Seen::default(), Instant::now(), limits::BROKER_SKEW_MS);
        for number in 0..limits::BROKER_SEEN_MAX {
            seen.note(number as u128, skew, skew, start).unwrap();
        }
        assert_eq!(seen.note(u128::MAX, skew, skew, start), Err(Unseen::Full));
        let later = |periods: u64| start + Duration::from_millis(periods * (2 * skew + 1));
        seen.note(u128::MAX, 9 * skew, 9 * skew, later(1)).unwrap();
        seen.note(u128::MAX - 1, 9 * skew, 9 * skew, later(2)).unwrap();
        let two = seen.0.lock();
        assert_eq!((two.newer.len(), two.older.len()), (1, 1));
    }
}
