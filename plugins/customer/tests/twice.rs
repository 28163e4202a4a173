//! Forms that change the password or delete the account, sent twice as by a double click: the second one comes after
//! the first has taken effect. The test sets the time.
#![allow(clippy::unwrap_used, reason = "tests")]

use customer::exports::musiccorp::customer::accounts::{Address, Error, Guest};
use customer::{Customer, MIGRATIONS};
use seam_sdk::native::{Store, set_clock, settings};
use seam_sdk::store::{one, params};

const NOW: u64 = 1_700_000_000;
const HOME: &str = "192.0.2.1";
const EMAIL: &str = "anna@example.org";
const OLD: &str = "correct horse battery";
const NEW: &str = "another horse";

fn sign_in(password: &str) -> String {
    Customer::sign_in(EMAIL.into(), password.into(), HOME.into()).unwrap().token
}

fn change(token: &str, old: &str, new: &str) -> Result<(), Error> {
    Customer::change_password(token.into(), old.into(), new.into())
}

fn delete(token: &str, password: &str) -> Result<(), Error> {
    Customer::delete_account(token.into(), password.into())
}

/// An account that was made an hour before `NOW`, and the token of its first session.
fn account() -> (Store, String) {
    settings(&[("reference.countries", "GB United Kingdom\n")]);
    set_clock(Some(NOW - 3600));
    let store = Store::fresh(MIGRATIONS).unwrap();
    let made = Customer::sign_up(EMAIL.into(), OLD.into(), "Anna Lind".into(), HOME.into()).unwrap();
    set_clock(Some(NOW));
    (store, made.token)
}

#[test]
fn a_password_that_is_changed_twice_is_changed_once() {
    let (_store, here) = account();
    for _ in 0..2 {
        change(&here, OLD, NEW).unwrap();
    }
    assert_eq!(one("SELECT count(*) FROM attempts", params![]), Ok(0u32), "none of them was a guess");
    sign_in(NEW);
    // Another new password is no repetition.
    assert!(matches!(change(&here, OLD, "a third horse"), Err(Error::WrongPassword)));
    set_clock(Some(NOW + 60));
    assert!(matches!(change(&here, OLD, NEW), Err(Error::WrongPassword)), "a minute later");
}

#[test]
fn an_account_that_is_deleted_twice_is_deleted_once() {
    let (_store, here) = account();
    let there = sign_in(OLD);
    for _ in 0..2 {
        delete(&here, OLD).unwrap();
    }
    assert!(matches!(delete(&there, OLD), Err(Error::SignedOut)), "it was not deleted there");
    for token in [&here, &there] {
        assert!(Customer::who(token.clone()).unwrap().is_none());
    }
    let address = Address {
        name: "Anna Lind".into(),
        street: "2 Low Lane".into(),
        extra: String::new(),
        city: "York".into(),
        postcode: "YO1 1AA".into(),
        country: "GB".into(),
    };
    for outcome in [
        change(&here, OLD, NEW),
        Customer::change_address(here.clone(), address).map(drop),
        Customer::prove(here.clone(), OLD.into()),
        Customer::remember_browser(here.clone(), None).map(drop),
    ] {
        assert!(matches!(outcome, Err(Error::SignedOut)), "{outcome:?}");
    }
    set_clock(Some(NOW + 60));
    assert!(matches!(delete(&here, OLD), Err(Error::SignedOut)), "a minute later");
}
