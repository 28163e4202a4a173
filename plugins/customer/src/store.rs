//! The customer context's SQL. Every query here has its index, named in the migrations.
//!
//! What takes a `Transaction` writes, and belongs to what its caller decides in that transaction.

pub mod browsers;

use seam_sdk::store::{Error, Transaction, Value, execute, list, one, optional, params, query};
use serde::Deserialize;

use crate::domain::known::Checked;
use crate::domain::limits::{self, Whom};
use crate::domain::{
    DELETED_NAME, OPERATOR_SECONDS, PROOF_SECONDS, REPEAT_SECONDS, SESSION_SECONDS, SESSIONS_MAX, USED_SECONDS,
};
use crate::secrets::digest;
use crate::wit::{Account, Address};

/// What to compare a password with, and where its attempts are counted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Credentials {
    pub id: String,
    pub email_key: String,
    pub password_hash: String,
}

/// Expired rows that one call deletes; each call adds fewer.
const SWEPT_MAX: u32 = 100;

/// In the order of the fields of `Row`.
macro_rules! columns {
    () => {
        "id, email, name, operator, since, recipient, street, extra, city, postcode, country"
    };
}

/// The session of the digest `?1` is not over at `?2`, and its account was not deleted. An operator's rests for at most
/// `REST_SECONDS`, and lasts for `OPERATOR_SECONDS` of the `SESSION_SECONDS` after which it expires.
macro_rules! is_open {
    () => {
        "s.digest = ?1 AND s.expires > ?2 AND a.email IS NOT NULL
         AND (a.operator = 0 OR s.used > ?2 - 28800 AND s.expires > ?2 + 2505600)"
    };
}

/// An account that was not deleted. All columns of its address are null when it has none.
#[derive(Deserialize)]
struct Row {
    id: String,
    email: String,
    name: String,
    operator: bool,
    since: u64,
    address: [Option<String>; 6],
}

impl Row {
    fn account(self) -> Account {
        let Self { id, email, name, operator, since, address } = self;
        let address = match address {
            [Some(name), Some(street), Some(extra), Some(city), Some(postcode), Some(country)] => {
                Some(Address { name, street, extra, city, postcode, country })
            }
            _ => None,
        };
        Account { id, email, name, address, operator, since }
    }
}

// Accounts

pub fn by_email(email_key: &str) -> Result<Option<Credentials>, Error> {
    optional("SELECT id, email_key, password_hash FROM accounts WHERE email_key = ?1", params![email_key])
}

/// The names of `ids` in their order; none of those never known.
pub fn names(ids: &[&str]) -> Result<Vec<Option<String>>, Error> {
    query(
        "SELECT iif(a.id IS NULL, NULL, coalesce(a.name, ?2))
         FROM json_each(?1) AS asked LEFT JOIN accounts AS a ON a.id = asked.value
         ORDER BY asked.key",
        params![&list(ids), DELETED_NAME],
    )
}

/// Adds an account; its e-mail address must be free.
pub fn add(tx: &Transaction, account: &Checked) -> Result<(), Error> {
    put_rows(tx, std::slice::from_ref(&account))
}

/// The address of the session's account; none when the session is over.
pub fn change_address(token: &str, now: u64, address: &Address) -> Result<Option<Account>, Error> {
    let Address { name, street, extra, city, postcode, country } = address;
    let changed: Option<Row> = optional(
        concat!(
            "UPDATE accounts SET recipient = ?3, street = ?4, extra = ?5, city = ?6, postcode = ?7, country = ?8
             WHERE id = (SELECT account FROM sessions WHERE digest = ?1 AND expires > ?2) AND email IS NOT NULL
             RETURNING ",
            columns!()
        ),
        params![&digest(token), signed(now), name, street, extra, city, postcode, country],
    )?;
    Ok(changed.map(Row::account))
}

/// Another password, unless the old one has been changed meanwhile. Ends the account's sessions but this one, whose
/// owner has typed the old password.
pub fn change_password(tx: &Transaction, old: &Credentials, hash: &str, token: &str, now: u64) -> Result<bool, Error> {
    let sql = "UPDATE accounts SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2";
    if tx.execute(sql, params![&old.id, &old.password_hash, hash])? == 0 {
        return Ok(false);
    }
    tx.execute("DELETE FROM sessions WHERE account = ?1 AND digest <> ?2", params![&old.id, &digest(token)])?;
    tx.execute("UPDATE sessions SET proved = ?2 WHERE digest = ?1", params![&digest(token), signed(now)])?;
    Ok(true)
}

/// Erases all but the id, unless the password has been changed meanwhile. Ends all sessions; for a short while it stays
/// known that the account was deleted in this one.
pub fn erase(tx: &Transaction, account: &Credentials, token: &str, now: u64) -> Result<bool, Error> {
    let erased = tx.execute(
        "UPDATE accounts SET since = 0, operator = 0, email = NULL, email_key = NULL, name = NULL, password_hash = NULL,
           recipient = NULL, street = NULL, extra = NULL, city = NULL, postcode = NULL, country = NULL
         WHERE id = ?1 AND password_hash = ?2",
        params![&account.id, &account.password_hash],
    )?;
    if erased == 0 {
        return Ok(false);
    }
    tx.execute("DELETE FROM sessions WHERE account = ?1 AND digest <> ?2", params![&account.id, &digest(token)])?;
    let until = signed(now + REPEAT_SECONDS);
    tx.execute("UPDATE sessions SET expires = ?2 WHERE digest = ?1", params![&digest(token), until])?;
    tx.execute("DELETE FROM browsers WHERE account = ?1", params![&account.id])?;
    for whom in limits::signed_in(&account.email_key) {
        tx.execute("DELETE FROM attempts WHERE whom = ?1", params![&digest(&whom.text)])?;
    }
    Ok(true)
}

/// Whether an account was deleted in this session a short while ago.
pub fn was_erased(token: &str, now: u64) -> Result<bool, Error> {
    one(
        "SELECT EXISTS (SELECT 1 FROM sessions AS s CROSS JOIN accounts AS a ON a.id = s.account
                        WHERE s.digest = ?1 AND s.expires > ?2 AND a.email IS NULL)",
        params![&digest(token), signed(now)],
    )
}

/// Whether there is such an account; it is an operator's from now on, or no longer.
pub fn set_operator(email_key: &str, operator: bool) -> Result<bool, Error> {
    Ok(execute("UPDATE accounts SET operator = ?2 WHERE email_key = ?1", params![email_key, operator])? > 0)
}

/// Adds these accounts, or replaces those whose id is known, but no deleted one. Ends the sessions of accounts that get
/// another password. Returns how many now are as given, or the first row whose e-mail address belongs to an account
/// that is not among them.
pub fn put(tx: &Transaction, accounts: &[Checked]) -> Result<Result<u32, usize>, Error> {
    let ids: Vec<_> = accounts.iter().map(|checked| &checked.account.id).collect();
    let left: Vec<u32> = tx.query(
        "SELECT asked.key FROM json_each(?1) AS asked CROSS JOIN accounts AS a ON a.id = asked.value WHERE a.email IS NULL",
        params![&list(&ids)],
    )?;
    let staying = |(i, account)| (!left.contains(&(i as u32))).then_some(account);
    let put: Vec<&Checked> = accounts.iter().enumerate().filter_map(staying).collect();

    let ids: Vec<_> = put.iter().map(|checked| &checked.account.id).collect();
    let keys: Vec<_> = put.iter().map(|checked| &checked.email_key).collect();
    let foreign: Option<String> = tx.optional(
        "SELECT a.email_key FROM json_each(?1) AS asked CROSS JOIN accounts AS a ON a.email_key = asked.value
         WHERE a.id NOT IN (SELECT value FROM json_each(?2)) ORDER BY asked.key LIMIT 1",
        params![&list(&keys), &list(&ids)],
    )?;
    if let Some(foreign) = foreign {
        return Ok(Err(accounts.iter().position(|checked| checked.email_key == foreign).unwrap_or_default()));
    }
    // Two of them may swap their addresses: those that change are free before the first is taken. No address looks like
    // an id.
    tx.execute_many(
        "UPDATE accounts SET email_key = id WHERE id = ?1 AND email_key <> ?2",
        put.iter().map(|checked| (&checked.account.id, &checked.email_key)),
    )?;
    tx.execute_many(
        "DELETE FROM sessions WHERE account = ?1 AND EXISTS (SELECT 1 FROM accounts WHERE id = ?1 AND password_hash <> ?2)",
        put.iter().map(|checked| (&checked.account.id, &checked.account.password_hash)),
    )?;
    put_rows(tx, &put)?;
    Ok(Ok(put.len() as u32))
}

/// What is unchanged is not written.
fn put_rows(tx: &Transaction, accounts: &[&Checked]) -> Result<(), Error> {
    tx.execute_many(
        "INSERT INTO accounts (id, since, operator, email, email_key, name, password_hash,
                               recipient, street, extra, city, postcode, country)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         ON CONFLICT (id) DO UPDATE SET
           since = excluded.since, operator = excluded.operator, email = excluded.email, email_key = excluded.email_key,
           name = excluded.name, password_hash = excluded.password_hash, recipient = excluded.recipient,
           street = excluded.street, extra = excluded.extra, city = excluded.city, postcode = excluded.postcode,
           country = excluded.country
         WHERE (since, operator, email, email_key, name, password_hash, recipient, street, extra, city, postcode, country)
           IS NOT (excluded.since, excluded.operator, excluded.email, excluded.email_key, excluded.name,
                   excluded.password_hash, excluded.recipient, excluded.street, excluded.extra, excluded.city,
                   excluded.postcode, excluded.country)",
        accounts.iter().map(|account| row(account)),
    )?;
    Ok(())
}

fn row(Checked { account, email_key }: &Checked) -> [Value<'_>; 13] {
    let address = account.address.as_ref();
    [
        Value::from(&account.id),
        Value::from(signed(account.since)),
        Value::from(account.operator),
        Value::from(&account.email),
        Value::from(email_key),
        Value::from(&account.name),
        Value::from(&account.password_hash),
        Value::from(address.map(|a| &a.name)),
        Value::from(address.map(|a| &a.street)),
        Value::from(address.map(|a| &a.extra)),
        Value::from(address.map(|a| &a.city)),
        Value::from(address.map(|a| &a.postcode)),
        Value::from(address.map(|a| &a.country)),
    ]
}

// Sessions

/// Whose session it is; none when it is over.
pub fn by_session(token: &str, now: u64) -> Result<Option<Account>, Error> {
    let found: Option<Row> = optional(
        concat!(
            "SELECT ",
            columns!(),
            " FROM sessions AS s CROSS JOIN accounts AS a ON a.id = s.account WHERE ",
            is_open!()
        ),
        params![&digest(token), signed(now)],
    )?;
    Ok(found.map(Row::account))
}

/// As `by_session`: what to compare the owner's password with.
pub fn owner(token: &str, now: u64) -> Result<Option<Credentials>, Error> {
    optional(
        concat!(
            "SELECT a.id, a.email_key, a.password_hash FROM sessions AS s CROSS JOIN accounts AS a ON a.id = s.account
             WHERE ",
            is_open!()
        ),
        params![&digest(token), signed(now)],
    )
}

/// Notes that an operator uses the session, unless that was noted a short while ago.
pub fn use_session(token: &str, now: u64) -> Result<(), Error> {
    let digest = digest(token);
    let noted: Option<u64> = optional("SELECT used FROM sessions WHERE digest = ?1", params![&digest])?;
    if noted.is_some_and(|used| used.saturating_add(USED_SECONDS) <= now) {
        execute("UPDATE sessions SET used = ?2 WHERE digest = ?1", params![&digest, signed(now)])?;
    }
    Ok(())
}

/// Notes that the owner of the session has typed the password, unless the account has got another one meanwhile.
pub fn prove(tx: &Transaction, token: &str, account: &Credentials, now: u64) -> Result<bool, Error> {
    let noted = tx.execute(
        "UPDATE sessions SET proved = ?2 WHERE digest = ?1
           AND account = (SELECT id FROM accounts WHERE id = ?3 AND password_hash = ?4)",
        params![&digest(token), signed(now), &account.id, &account.password_hash],
    )?;
    Ok(noted > 0)
}

/// Whether the owner of the session has typed the password a short while ago.
pub fn is_proved(token: &str, now: u64) -> Result<bool, Error> {
    has_typed(token, now.saturating_sub(PROOF_SECONDS))
}

/// Whether the password may have been changed in this session so short a while ago that the form was sent twice.
pub fn may_be_repeated(token: &str, now: u64) -> Result<bool, Error> {
    has_typed(token, now.saturating_sub(REPEAT_SECONDS))
}

/// Whether the owner of the session has typed the password since then.
fn has_typed(token: &str, since: u64) -> Result<bool, Error> {
    let since = signed(since);
    let proved = "SELECT EXISTS (SELECT 1 FROM sessions WHERE digest = ?1 AND proved > ?2)";
    one(proved, params![&digest(token), since])
}

/// Keeps the session of `token`, and returns when it ends and whose it is; none when the account has got another
/// password meanwhile.
pub fn start_session(
    tx: &Transaction,
    token: &str,
    account: &Credentials,
    now: u64,
) -> Result<Option<(u64, Account)>, Error> {
    let sql = concat!("SELECT ", columns!(), " FROM accounts WHERE id = ?1 AND password_hash = ?2");
    let Some(found) = tx.optional::<Row>(sql, params![&account.id, &account.password_hash])? else { return Ok(None) };
    sweep(tx, now)?;
    tx.execute(
        "DELETE FROM sessions WHERE digest IN (
           SELECT digest FROM sessions WHERE account = ?1 ORDER BY expires DESC LIMIT ?2 OFFSET ?3)",
        params![&account.id, SWEPT_MAX, SESSIONS_MAX - 1],
    )?;
    let sql = "INSERT INTO sessions (digest, account, expires, proved, used) VALUES (?1, ?2, ?3, ?4, ?4)";
    tx.execute(sql, params![&digest(token), &account.id, signed(now + SESSION_SECONDS), signed(now)])?;
    let lasts = if found.operator { OPERATOR_SECONDS } else { SESSION_SECONDS };
    Ok(Some((now + lasts, found.account())))
}

pub fn end_session(token: &str) -> Result<(), Error> {
    execute("DELETE FROM sessions WHERE digest = ?1", params![&digest(token)])?;
    Ok(())
}

// Attempts

/// Seconds until the next attempt under each of these is answered; none when that is now.
pub fn wait(whom: &[Whom], now: u64) -> Result<Option<u32>, Error> {
    let mut longest = None;
    for Whom { text, limit } in whom {
        let reached: Option<u64> = optional(
            "SELECT at FROM attempts WHERE whom = ?1 AND at > ?2 ORDER BY at DESC LIMIT 1 OFFSET ?3",
            params![&digest(text), signed(window(now)), limit.saturating_sub(1)],
        )?;
        longest = longest.max(reached.map(|at| limits::wait(at, now)));
    }
    Ok(longest)
}

/// Counts an attempt under each of these.
pub fn count(tx: &Transaction, whom: &[Whom], now: u64) -> Result<(), Error> {
    sweep(tx, now)?;
    let rows = whom.iter().map(|whom| (digest(&whom.text), now));
    tx.execute_many("INSERT INTO attempts (whom, at) VALUES (?1, ?2)", rows)?;
    tx.execute("DELETE FROM attempts WHERE id <= (SELECT max(id) FROM attempts) - ?1", params![limits::KEPT_MAX])?;
    Ok(())
}

/// Deletes all attempts; returns how many rows there were.
pub fn forget_attempts() -> Result<u32, Error> {
    Ok(u32::try_from(execute("DELETE FROM attempts", params![])?).unwrap_or(u32::MAX))
}

/// Deletes sessions and attempts that have expired.
fn sweep(tx: &Transaction, now: u64) -> Result<(), Error> {
    tx.execute(
        "DELETE FROM sessions WHERE digest IN (SELECT digest FROM sessions WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
        params![signed(now), SWEPT_MAX],
    )?;
    tx.execute(
        "DELETE FROM attempts WHERE id IN (SELECT id FROM attempts WHERE at <= ?1 ORDER BY at LIMIT ?2)",
        params![signed(window(now)), SWEPT_MAX],
    )?;
    Ok(())
}

/// An attempt at this time or before does not count any more.
fn window(now: u64) -> u64 {
    now.saturating_sub(limits::WINDOW_SECONDS)
}

/// Times as SQLite has them; every one here is far below the bound.
fn signed(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
