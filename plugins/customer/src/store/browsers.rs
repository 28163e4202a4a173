//! The SQL of known browsers: those in which an account was signed in.

use seam_sdk::store::{Error, Transaction, one, params};

use super::{Credentials, SWEPT_MAX, signed};
use crate::domain::{BROWSER_SECONDS, BROWSERS_MAX};
use crate::secrets::digest;

/// Whether the account of this e-mail address was signed in where this key lies.
pub fn is_known(email_key: &str, key: &str, now: u64) -> Result<bool, Error> {
    one(
        "SELECT EXISTS (SELECT 1 FROM accounts AS a CROSS JOIN browsers AS b ON b.account = a.id AND b.digest = ?2 AND b.at > ?3
                        WHERE a.email_key = ?1)",
        params![email_key, &digest(key), signed(now.saturating_sub(BROWSER_SECONDS))],
    )
}

/// Remembers that the account is signed in where this key lies. Forgets the account's longest unused beyond
/// [`BROWSERS_MAX`].
pub fn remember(tx: &Transaction, account: &Credentials, key: &str, now: u64) -> Result<(), Error> {
    tx.execute(
        "DELETE FROM browsers WHERE (account, digest) IN
           (SELECT account, digest FROM browsers WHERE at <= ?1 ORDER BY at LIMIT ?2)",
        params![signed(now.saturating_sub(BROWSER_SECONDS)), SWEPT_MAX],
    )?;
    tx.execute(
        "INSERT INTO browsers (account, digest, at) VALUES (?1, ?2, ?3)
         ON CONFLICT (account, digest) DO UPDATE SET at = excluded.at",
        params![&account.id, &digest(key), signed(now)],
    )?;
    tx.execute(
        "DELETE FROM browsers WHERE account = ?1 AND digest IN (
           SELECT digest FROM browsers WHERE account = ?1 ORDER BY at DESC LIMIT ?2 OFFSET ?3)",
        params![&account.id, SWEPT_MAX, BROWSERS_MAX],
    )?;
    Ok(())
}
