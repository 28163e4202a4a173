//! Passwords as argon2id, tokens as SHA-256: what is kept of a secret.
//!
//! Invariant: every hash in the store has the same parameters, so checking a password takes the same time whether or
//! not there is an account.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use sha2::{Digest, Sha256};

use crate::domain::passwords;

/// The parameters that OWASP's password storage cheat sheet gives for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const HASH_BYTES: usize = 32;
const SALT_BYTES: usize = 16;
/// How every hash with these parameters begins.
const BEGINNING: &str = "$argon2id$v=19$m=19456,t=2,p=1$";
/// A hash that no password has: what a password is checked against where there is no account.
const NO_ACCOUNT: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGlzIGhlcmUuLg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The password's hash as a PHC string, with a salt of its own. It takes long, so that guessing does: never in a
/// transaction.
pub fn hash(password: &str) -> String {
    #[expect(clippy::expect_used, reason = "salt and parameters have the lengths that the algorithm takes")]
    SaltString::encode_b64(&seam_sdk::random::bytes::<SALT_BYTES>())
        .and_then(|salt| Ok(argon2id().hash_password(password.as_bytes(), &salt)?.to_string()))
        .expect("argon2id takes any password")
}

/// Whether it is the password of `hash`. Without an account it is not, which takes as long to find out.
pub fn is_password(password: &str, hash: Option<&str>) -> bool {
    // No account has so long a password, so the account need not be looked at.
    if password.chars().count() > passwords::CHARS_MAX {
        return false;
    }
    let same = PasswordHash::new(hash.unwrap_or(NO_ACCOUNT))
        .and_then(|expected| argon2id().verify_password(password.as_bytes(), &expected));
    same.is_ok() && hash.is_some()
}

/// Why `hash` cannot be a password's hash here; it is not repeated.
pub fn why_not(hash: &str) -> Option<String> {
    let fits = |parsed: &PasswordHash<'_>| {
        let salt_fits = parsed.salt.is_some_and(|salt| salt.decode_b64(&mut [0; 64]).is_ok_and(|salt| salt.len() >= 8));
        salt_fits && parsed.hash.is_some_and(|hash| hash.len() == HASH_BYTES)
    };
    let good = hash.starts_with(BEGINNING) && PasswordHash::new(hash).is_ok_and(|parsed| fits(&parsed));
    (!good).then(|| format!("not an argon2id hash of {HASH_BYTES} bytes that begins with `{BEGINNING}`"))
}

/// What the store keeps of a token, or of the text under which attempts are counted.
pub fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

fn argon2id() -> Argon2<'static> {
    #[expect(clippy::expect_used, reason = "constants, and a test")]
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).expect("argon2id takes these parameters");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_its_password_only_and_salted() {
        let (one, other) = (hash("correct horse"), hash("correct horse"));
        assert_ne!(one, other);
        assert!(one.starts_with(BEGINNING), "{one}");
        assert_eq!((why_not(&one), why_not(&other)), (None, None));
        assert!(is_password("correct horse", Some(&one)) && is_password("correct horse", Some(&other)));
        assert!(!is_password("correct horsf", Some(&one)) && !is_password("", Some(&one)));
        assert!(!is_password(&"x".repeat(passwords::CHARS_MAX + 1), Some(&one)));
    }

    #[test]
    fn without_an_account_the_check_costs_the_same() {
        assert_eq!(why_not(NO_ACCOUNT), None);
        assert!(!is_password("", None) && !is_password("correct horse", None));
    }

    #[test]
    fn another_hash_is_refused_without_repeating_it() {
        let good = hash("correct horse");
        let (start, end) = good.rsplit_once('$').unwrap_or_default();
        for bad in [
            String::new(),
            "correct horse".into(),
            good.replace("argon2id", "argon2i"),
            good.replace("v=19", "v=16"),
            good.replace("m=19456", "m=4294967295"),
            good.replace("t=2", "t=4000000000"),
            good.replace("p=1", "p=9"),
            good.replace("p=1", "p=1,keyid=AAAA"),
            start.to_string(),
            format!("{start}$"),
            format!("{start}${}", &end[..22]),
            format!("{start}${}", "!".repeat(43)),
            format!("{BEGINNING}${end}"),
            format!("{BEGINNING}AAAA${end}"),
            format!("{good}\0"),
            format!("{good} "),
            "$argon2id$".repeat(100_000),
        ] {
            let why = why_not(&bad).unwrap_or_default();
            assert!(why.starts_with("not an argon2id hash") && why.len() < 120, "{}: {why}", &bad[..bad.len().min(99)]);
        }
    }

    #[test]
    fn a_digest_is_sha_256() {
        assert_eq!(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
