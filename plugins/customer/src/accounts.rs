//! What customers and the operator do with accounts: the order in which rules, hashes and the store are asked.
//!
//! Invariants: a password is hashed or looked at outside of transactions. The answer to one is decided in the
//! transaction that counts it: of a hundred guesses at once, as many are answered as the
//! limit allows. Nothing personal and no secret is
//! logged.

use seam_sdk::attempts::{self, Wait};
use seam_sdk::store::Transaction;
use seam_sdk::{clock, config, log, random};

use crate::administration::KnownAccount;
use crate::domain::form::{self, Email};
use crate::domain::known::{self, Checked};
use crate::domain::limits::{self, Whom};
use crate::domain::{Countries, NAMES_MAX, is_id, is_token};
use crate::secrets;
use crate::store::{self, Credentials};
use crate::wit::{Account, Address, Error, Session};

/// Makes an account, or signs in to the one that there is: with its password, as a stranger. Both ways take one hash
/// and one commit, and are counted before them.
pub fn sign_up(email: &str, password: &str, name: &str, from: &str) -> Result<Session, Error> {
    let from = limits::address(from)?;
    let (email, name) = form::sign_up(email, password, name)?;
    attempts::take(&limits::sign_up(&from)).map_err(|Wait(seconds)| Error::Wait(seconds))?;
    let now = clock::now();
    let whom = limits::stranger(&email.key, from);
    may_try(&whom, now)?;
    if let Some(known) = store::by_email(&email.key)? {
        return enter(&whom, now, Some(known), password);
    }
    let account = KnownAccount {
        id: format!("C-{}", random::token::<8>()),
        email: email.shown,
        name,
        address: None,
        operator: false,
        since: now,
        password_hash: secrets::hash(password),
    };
    let account = Checked { account, email_key: email.key };
    let made = seam_sdk::store::transaction(|tx| {
        if let Some(known) = store::by_email(&account.email_key)? {
            return Ok::<_, Error>(Err(known));
        }
        store::add(tx, &account)?;
        let Checked { account: KnownAccount { id, password_hash, .. }, email_key } = account;
        start_session(tx, &Credentials { id, email_key, password_hash }, now)?.ok_or(Error::SignedOut).map(Ok)
    })?;
    // The address was free a moment ago: most likely the form was sent twice.
    made.or_else(|known| enter(&whom, now, Some(known), password))
}

/// Signs in from a browser that may hold the key of [`remember_browser`]. A key that the account does not know is as
/// good as none.
pub fn sign_in(email: &str, password: &str, from: &str, browser: Option<&str>) -> Result<Session, Error> {
    let from = limits::address(from)?;
    let email = form::sign_in(email, password)?;
    let now = clock::now();
    let known = match browser.filter(|key| is_token(key)) {
        Some(key) => store::browsers::is_known(&email.key, key, now)?.then_some(key),
        None => None,
    };
    let whom = match known {
        Some(key) => limits::browser(&email.key, key).to_vec(),
        None => limits::stranger(&email.key, from).to_vec(),
    };
    may_try(&whom, now)?;
    enter(&whom, now, store::by_email(&email.key)?, password)
}

/// Starts a session of `account` if this is its password.
fn enter(whom: &[Whom], now: u64, account: Option<Credentials>, password: &str) -> Result<Session, Error> {
    let right = secrets::is_password(password, account.as_ref().map(|account| account.password_hash.as_str()));
    answer(whom, now, account.filter(|_| right), |tx, account| start_session(tx, account, now))
}

/// Remembers that the session's account is signed in here. Returns the key to keep: `browser`, or a new one.
pub fn remember_browser(token: &str, browser: Option<&str>) -> Result<String, Error> {
    let now = clock::now();
    let account = owner(token, now)?;
    let key = browser.filter(|key| is_token(key)).map_or_else(random::token::<32>, String::from);
    seam_sdk::store::transaction(|tx| store::browsers::remember(tx, &account, &key, now))?;
    Ok(key)
}

/// Forgets all attempts, so that all customers may try again at once.
pub fn forget_attempts() -> Result<u32, Error> {
    let forgotten = store::forget_attempts()?;
    log::info(format_args!("{forgotten} counted attempts were forgotten"));
    Ok(forgotten)
}

pub fn sign_out(token: &str) -> Result<(), Error> {
    if is_token(token) {
        store::end_session(token)?;
    }
    Ok(())
}

pub fn who(token: &str) -> Result<Option<Account>, Error> {
    if !is_token(token) {
        return Ok(None);
    }
    let now = clock::now();
    let account = store::by_session(token, now)?;
    if account.as_ref().is_some_and(|account| account.operator)
        && let Err(error) = store::use_session(token, now)
    {
        // The session then ends early. An office that only reads works on while nothing can be written.
        log::warn(format_args!("the use of an operator's session was not noted: {}", error.unavailable()));
    }
    Ok(account)
}

pub fn prove(token: &str, password: &str) -> Result<(), Error> {
    let now = clock::now();
    let account = owner(token, now)?;
    let whom = limits::signed_in(&account.email_key);
    may_try(&whom, now)?;
    let right = secrets::is_password(password, Some(&account.password_hash));
    answer(&whom, now, right.then_some(()), |tx, ()| Ok(store::prove(tx, token, &account, now)?.then_some(())))
}

pub fn is_proved(token: &str) -> Result<bool, Error> {
    let now = clock::now();
    owner(token, now)?;
    Ok(store::is_proved(token, now)?)
}

pub fn check_address(address: &Address) -> Result<(), Error> {
    form::address(address, &countries()?)?;
    Ok(())
}

pub fn change_address(token: &str, address: &Address) -> Result<Account, Error> {
    // Before the form is checked: a visitor who is not signed in has to sign in first.
    who(token)?.ok_or(Error::SignedOut)?;
    let address = form::address(address, &countries()?)?;
    store::change_address(token, clock::now(), &address)?.ok_or(Error::SignedOut)
}

pub fn change_password(token: &str, old: &str, new: &str) -> Result<(), Error> {
    let now = clock::now();
    let account = owner(token, now)?;
    form::new_password(new, &account.email_key)?;
    let whom = limits::signed_in(&account.email_key);
    may_try(&whom, now)?;
    if secrets::is_password(old, Some(&account.password_hash)) {
        let hash = secrets::hash(new);
        let changed = seam_sdk::store::transaction(|tx| {
            may_try(&whom, now)?;
            let changed = store::change_password(tx, &account, &hash, token, now)?;
            Ok::<_, Error>(changed)
        })?;
        if changed {
            return Ok(());
        }
    }
    let repeated = is_repeated(token, new, now)?;
    answer(&whom, now, repeated.then_some(()), |_, ()| Ok(Some(())))
}

/// Whether the form that changes the password was sent twice: then the first one has made `new` the password.
fn is_repeated(token: &str, new: &str, now: u64) -> Result<bool, Error> {
    if !store::may_be_repeated(token, now)? {
        return Ok(false);
    }
    let account = owner(token, now)?;
    Ok(secrets::is_password(new, Some(&account.password_hash)))
}

pub fn delete_account(token: &str, password: &str) -> Result<(), Error> {
    let now = clock::now();
    let account = match owner(token, now) {
        // The form was sent twice.
        Err(Error::SignedOut) if is_token(token) && store::was_erased(token, now)? => return Ok(()),
        owner => owner?,
    };
    let whom = limits::signed_in(&account.email_key);
    may_try(&whom, now)?;
    let right = secrets::is_password(password, Some(&account.password_hash));
    answer(&whom, now, right.then_some(()), |tx, ()| {
        let erased = store::erase(tx, &account, token, now)? || store::was_erased(token, now)?;
        Ok(erased.then_some(()))
    })?;
    log::info(format_args!("account {} was deleted by its owner", account.id));
    Ok(())
}

pub fn names(ids: &[String]) -> Result<Vec<Option<String>>, Error> {
    if ids.len() > NAMES_MAX {
        return Err(Error::Invalid(format!("{} ids in one call; {NAMES_MAX} are allowed", ids.len())));
    }
    // A text that cannot be an id belongs to no customer, and the store need not look for it.
    let ids: Vec<&str> = ids.iter().map(|id| if is_id(id) { id.as_str() } else { "" }).collect();
    Ok(store::names(&ids)?)
}

/// The id of the account with this e-mail address; none, too, for a text that cannot be an address.
pub fn find(email: &str) -> Result<Option<String>, Error> {
    let Ok(Email { key, .. }) = form::email(email) else { return Ok(None) };
    Ok(store::by_email(&key)?.map(|account| account.id))
}

pub fn put_accounts(accounts: Vec<KnownAccount>) -> Result<u32, Error> {
    let accounts = known::check(accounts, &countries()?, secrets::why_not)?;
    seam_sdk::store::transaction(|tx| {
        store::put(tx, &accounts)?.map_err(|i| known::wrong(i, "email", "belongs to another account"))
    })
}

pub fn set_operator(email: &str, operator: bool) -> Result<(), Error> {
    let Ok(Email { key, .. }) = form::email(email) else {
        return Err(Error::Invalid("email: not an e-mail address".into()));
    };
    if store::set_operator(&key, operator)? { Ok(()) } else { Err(Error::Invalid("email: no account has it".into())) }
}

fn countries() -> Result<Countries, Error> {
    Ok(Countries::new(config::get("reference.countries")?))
}

fn owner(token: &str, now: u64) -> Result<Credentials, Error> {
    let found = if is_token(token) { store::owner(token, now)? } else { None };
    found.ok_or(Error::SignedOut)
}

fn start_session(tx: &Transaction, account: &Credentials, now: u64) -> Result<Option<Session>, Error> {
    let token = random::token::<32>();
    let started = store::start_session(tx, &token, account, now)?;
    Ok(started.map(|(expires, account)| Session { token, expires, account }))
}

/// Asked before a password is checked, which takes long.
fn may_try(whom: &[Whom], now: u64) -> Result<(), Error> {
    store::wait(whom, now)?.map_or(Ok(()), |seconds| Err(Error::Wait(seconds)))
}

/// The answer to a password that has been checked: does `work` with what a right one gives, else counts a wrong one.
/// `work` returns `None`, having written nothing, when the password was changed during the check.
fn answer<P, T>(
    whom: &[Whom],
    now: u64,
    right: Option<P>,
    work: impl FnOnce(&Transaction, &P) -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    let done = seam_sdk::store::transaction(|tx| {
        // Other attempts may have been counted meanwhile; then not even a right password is confirmed.
        may_try(whom, now)?;
        let done = match &right {
            Some(proof) => work(tx, proof)?,
            None => None,
        };
        if done.is_none() {
            store::count(tx, whom, now)?;
        }
        Ok::<_, Error>(done)
    })?;
    done.ok_or(Error::WrongPassword)
}
