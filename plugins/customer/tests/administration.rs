//! Accounts that were made elsewhere, and the operators of the back office, on a real SQLite file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use customer::exports::musiccorp::customer::accounts::{Address, Error, Guest as _};
use customer::exports::musiccorp::customer::administration::{Guest, KnownAccount};
use customer::{Customer, MIGRATIONS, secrets};
use seam_sdk::native::{Store, set_clock, settings};
use seam_sdk::store::{one, params};

const HOME: &str = "192.0.2.1";
const PASSWORD: &str = "correct horse battery";

fn shop() -> Store {
    settings(&[("reference.countries", "SE Sweden")]);
    set_clock(Some(NOW));
    Store::fresh(MIGRATIONS).unwrap()
}

fn account(number: usize, hash: &str) -> KnownAccount {
    KnownAccount {
        id: format!("C-{number}"),
        email: format!("Anna{number}@example.org"),
        name: format!("Anna {number}"),
        address: Some(Address {
            name: "Anna".into(),
            street: "Storgatan 4".into(),
            extra: String::new(),
            city: "Malmö".into(),
            postcode: "211 34".into(),
            country: "SE".into(),
        }),
        operator: false,
        since: 1_600_000_000,
        password_hash: hash.into(),
    }
}

fn names(ids: &[&str]) -> Vec<Option<String>> {
    Customer::names(ids.iter().map(|id| id.to_string()).collect()).unwrap()
}

#[track_caller]
fn refused(accounts: Vec<KnownAccount>, expect: &str) {
    match Customer::put_accounts(accounts) {
        Err(Error::Invalid(why)) => {
            assert!(why.starts_with(expect) && why.len() < 200, "{why}");
            assert!(!why.contains("@example") || why.contains("anna@example.org"), "an address was repeated: {why}");
        }
        other => panic!("{expect}: {other:?}"),
    }
}

#[test]
fn accounts_are_put_replaced_and_put_again_without_effect() {
    let _store = shop();
    let hash = secrets::hash(PASSWORD);
    for _ in 0..2 {
        let accounts = vec![account(1, &hash), KnownAccount { address: None, operator: true, ..account(2, &hash) }];
        assert_eq!(Customer::put_accounts(accounts).unwrap(), 2);
    }
    assert_eq!(names(&["C-2", "C-1"]), [Some("Anna 2".to_string()), Some("Anna 1".to_string())]);
    let session = Customer::sign_in("anna2@example.org".into(), PASSWORD.into(), HOME.into()).unwrap();
    assert!(session.account.operator && session.account.address.is_none() && session.account.since == 1_600_000_000);
    let other = Customer::sign_in("anna1@example.org".into(), PASSWORD.into(), HOME.into()).unwrap();
    assert!(other.account.address.is_some_and(|address| address.city == "Malmö"));
    // Putting the same account again ends no session; another password does.
    Customer::put_accounts(vec![account(1, &hash), account(2, &secrets::hash("another horse"))]).unwrap();
    assert!(Customer::who(session.token).unwrap().is_none());
    assert!(Customer::who(other.token).unwrap().is_some());
    assert_eq!(Customer::put_accounts(vec![]).unwrap(), 0);
}

#[test]
fn a_customer_is_found_by_email_until_the_account_is_deleted() {
    let _store = shop();
    let hash = secrets::hash(PASSWORD);
    Customer::put_accounts(vec![account(1, &hash), account(2, &hash)]).unwrap();
    let find = |email: &str| Customer::find(email.into()).unwrap();
    assert_eq!(find(" ANNA2@example.org "), Some("C-2".into()));
    let session = Customer::sign_in("anna2@example.org".into(), PASSWORD.into(), HOME.into()).unwrap();
    Customer::delete_account(session.token, PASSWORD.into()).unwrap();
    for unknown in ["anna2@example.org", "anna3@example.org", "", "C-1", "%", "' OR 1=1 --", &"x".repeat(1_000_000)] {
        assert_eq!(find(unknown), None, "{unknown:.40}");
    }
}

#[test]
fn a_deleted_account_is_not_brought_back() {
    let _store = shop();
    let hash = secrets::hash(PASSWORD);
    Customer::put_accounts(vec![account(1, &hash), account(2, &hash)]).unwrap();
    let session = Customer::sign_in("anna1@example.org".into(), PASSWORD.into(), HOME.into()).unwrap();
    Customer::delete_account(session.token, PASSWORD.into()).unwrap();
    // A new account has the address; the other accounts are put all the same.
    Customer::sign_up("anna1@example.org".into(), PASSWORD.into(), "Anna".into(), HOME.into()).unwrap();
    assert_eq!(Customer::put_accounts(vec![account(1, &hash), account(2, &hash)]).unwrap(), 1);
    assert_eq!(names(&["C-1"]), [Some("deleted account".to_string())]);
    let back = "UPDATE accounts SET name = 'Anna' WHERE id = 'C-1'";
    let back = seam_sdk::store::execute(back, params![]);
    assert!(format!("{back:?}").contains("was deleted"), "{back:?}");
}

#[test]
fn two_accounts_may_swap_addresses_but_not_take_that_of_a_third() {
    let _store = shop();
    let hash = secrets::hash(PASSWORD);
    Customer::put_accounts(vec![account(1, &hash), account(2, &hash), account(3, &hash)]).unwrap();
    let with = |number: usize, email: &str| KnownAccount { email: email.into(), ..account(number, &hash) };
    Customer::put_accounts(vec![with(1, "anna2@example.org"), with(2, "anna1@example.org")]).unwrap();
    let session = Customer::sign_in("anna2@example.org".into(), PASSWORD.into(), HOME.into()).unwrap();
    assert_eq!(session.account.id, "C-1");
    refused(vec![with(1, "new@example.org"), with(4, "ANNA3@example.org")], "row 2, email: belongs to another account");
    refused(vec![with(1, "anna3@example.org"), account(5, &hash)], "row 1, email: belongs to another account");
    assert_eq!(names(&["C-4", "C-5"]), [None, None]);
    assert_eq!(
        one::<String>("SELECT email_key FROM accounts WHERE id = 'C-1'", params![]).unwrap(),
        "anna2@example.org"
    );
}

#[test]
fn a_bad_account_leaves_everything_as_it_was() {
    let _store = shop();
    let hash = secrets::hash(PASSWORD);
    let good = account(1, &hash);
    refused(vec![good.clone(), KnownAccount { id: "7".into(), ..account(2, &hash) }], "row 2, id: ");
    refused(vec![good.clone(), KnownAccount { email: "x".repeat(1_000_000), ..account(2, &hash) }], "row 2, email: ");
    refused(vec![good.clone(), KnownAccount { name: "\0".into(), ..account(2, &hash) }], "row 2, name: ");
    refused(vec![good.clone(), KnownAccount { since: u64::MAX, ..account(2, &hash) }], "row 2, since: ");
    refused(vec![good.clone(), account(2, PASSWORD)], "row 2, password-hash: not an argon2id hash");
    let dear = hash.replace("m=19456", "m=4194304");
    refused(vec![good.clone(), account(2, &dear)], "row 2, password-hash: not an argon2id hash");
    let abroad = account(2, &hash).address.map(|address| Address { country: "XX".into(), ..address });
    refused(vec![good.clone(), KnownAccount { address: abroad, ..account(2, &hash) }], "row 2, address.country: ");
    refused(vec![good.clone(), good.clone()], "row 2, id: stands in row 1 already");
    refused((0..1_001).map(|i| account(i, &hash)).collect(), "1001 accounts in one call");
    assert_eq!(one::<u32>("SELECT count(*) FROM accounts", params![]), Ok(0));
    assert_eq!(Customer::put_accounts((0..1_000).map(|i| account(i, &hash)).collect()).unwrap(), 1_000);
}

#[test]
fn the_email_address_grants_and_revokes_the_operator_role() {
    let _store = shop();
    let signed_up = Customer::sign_up("anna@example.org".into(), PASSWORD.into(), "Anna".into(), HOME.into()).unwrap();
    for operator in [true, true, false, false] {
        Customer::set_operator(" ANNA@example.org".into(), operator).unwrap();
        assert_eq!(Customer::who(signed_up.token.clone()).unwrap().unwrap().operator, operator);
    }
    for unknown in ["ben@example.org", "", "' OR 1=1 --", &"x".repeat(1_000_000)] {
        let outcome = Customer::set_operator(unknown.into(), true);
        assert!(matches!(&outcome, Err(Error::Invalid(why)) if why.starts_with("email: ")), "{outcome:?}");
    }
}

const NOW: u64 = 1_700_000_000;

/// Anna, who is an operator and has just signed in, and the token of her session.
fn operator() -> (Store, String) {
    let store = shop();
    let session = Customer::sign_up("anna@example.org".into(), PASSWORD.into(), "Anna".into(), HOME.into()).unwrap();
    Customer::set_operator("anna@example.org".into(), true).unwrap();
    (store, session.token)
}

fn is_open(token: &str) -> bool {
    Customer::who(token.into()).unwrap().is_some()
}

#[test]
fn an_operators_session_ends_after_eight_hours_of_rest_and_after_a_day() {
    const HOUR: u64 = 60 * 60;
    let (store, token) = operator();
    let at = |seconds: u64| set_clock(Some(NOW + seconds));
    at(8 * HOUR - 1);
    assert!(is_open(&token), "used a moment before");
    at(16 * HOUR - 2);
    assert!(is_open(&token), "each use counts");
    at(24 * HOUR - 1);
    assert!(!is_open(&token), "eight hours after the last use");
    assert!(matches!(Customer::is_proved(token.clone()), Err(Error::SignedOut)), "for every function");
    Customer::set_operator("anna@example.org".into(), false).unwrap();
    assert!(is_open(&token), "a customer's session goes on");

    drop(store);
    let (_store, token) = operator();
    for hour in 0..24 {
        at(hour * HOUR);
        assert!(is_open(&token), "{hour}");
    }
    at(24 * HOUR - 1);
    assert!(is_open(&token));
    at(24 * HOUR);
    assert!(!is_open(&token), "a day after its start, used or not");
    let again = Customer::sign_in("anna@example.org".into(), PASSWORD.into(), HOME.into()).unwrap();
    assert_eq!(again.expires, NOW + 48 * HOUR, "the browser forgets it then");
}

#[test]
fn a_proof_lasts_fifteen_minutes_and_wrong_passwords_for_it_count() {
    let (_store, token) = operator();
    let proved = || Customer::is_proved(token.clone()).unwrap();
    let prove = |password: &str| Customer::prove(token.clone(), password.into());
    set_clock(Some(NOW + 15 * 60 - 1));
    assert!(proved(), "signing in is a proof");
    set_clock(Some(NOW + 15 * 60));
    assert!(!proved());
    assert!(matches!(prove("wrong horse battery"), Err(Error::WrongPassword)) && !proved());
    assert_eq!(prove(PASSWORD), Ok(()));
    assert!(proved());
    for _ in 0..4 {
        assert!(matches!(prove("wrong horse battery"), Err(Error::WrongPassword)));
    }
    assert!(matches!(prove(PASSWORD), Err(Error::Wait(900))), "five wrong ones");
}

#[test]
fn the_bounds_in_the_sql_are_those_of_the_domain() {
    use customer::domain::{OPERATOR_SECONDS, REST_SECONDS, SESSION_SECONDS};
    assert_eq!((REST_SECONDS, SESSION_SECONDS - OPERATOR_SECONDS), (28_800, 2_505_600));
}
