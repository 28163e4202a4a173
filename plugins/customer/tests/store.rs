//! The context's interface on a real SQLite file: accounts, sessions, attempts. The test sets the time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use customer::administration::Guest as _;
use customer::exports::musiccorp::customer::accounts::{Account, Address, Error, Guest, Session};
use customer::{Customer, MIGRATIONS, domain};
use seam_sdk::native::{Store, set_clock, settings};
use seam_sdk::store::{one, params};

const NOW: u64 = 1_700_000_000;
const DAY: u64 = 24 * 60 * 60;
const HOME: &str = "192.0.2.1";
const PASSWORD: &str = "correct horse battery";

fn shop() -> Store {
    settings(&[("reference.countries", "GB United Kingdom\nSE Sweden\n")]);
    set_clock(Some(NOW));
    Store::fresh(MIGRATIONS).unwrap()
}

fn sign_up(email: &str) -> Session {
    Customer::sign_up(email.into(), PASSWORD.into(), "Anna Lind".into(), HOME.into()).unwrap()
}

fn sign_in(email: &str, password: &str, from: &str) -> Result<Session, Error> {
    Customer::sign_in(email.into(), password.into(), from.into())
}

fn sign_in_known(email: &str, password: &str, from: &str, browser: &str) -> Result<Session, Error> {
    Customer::sign_in_known(email.into(), password.into(), from.into(), browser.into())
}

fn who(token: &str) -> Option<Account> {
    Customer::who(token.into()).unwrap()
}

fn address() -> Address {
    Address {
        name: "Anna Lind".into(),
        street: "Storgatan 4".into(),
        extra: String::new(),
        city: "Malmö".into(),
        postcode: "211 34".into(),
        country: "SE".into(),
    }
}

fn rows(table: &str) -> u32 {
    one(&format!("SELECT count(*) FROM {table}"), params![]).unwrap()
}

/// All rows of all tables, as text.
fn everything() -> String {
    let accounts = "SELECT coalesce(group_concat(concat_ws('|', id, since, email, email_key, name, password_hash, recipient, street,
                      extra, city, postcode, country), '#'), '') FROM accounts";
    let sessions = "SELECT coalesce(group_concat(concat_ws('|', digest, account, expires), '#'), '') FROM sessions";
    let attempts = "SELECT coalesce(group_concat(concat_ws('|', id, whom, at), '#'), '') FROM attempts";
    let browsers = "SELECT coalesce(group_concat(concat_ws('|', account, digest, at), '#'), '') FROM browsers";
    [accounts, sessions, attempts, browsers].map(|sql| one::<String>(sql, params![]).unwrap()).join("\n")
}

#[test]
fn a_new_customer_is_signed_in_and_can_sign_in_again() {
    let _store = shop();
    let session = sign_up(" Anna@Example.org ");
    assert_eq!(session.expires, NOW + 30 * DAY);
    assert_eq!(session.token.len(), 64);
    let account = who(&session.token).unwrap();
    assert!(account.id.starts_with("C-") && account.id.len() == 18, "{}", account.id);
    assert_eq!((account.email.as_str(), account.name.as_str()), ("Anna@Example.org", "Anna Lind"));
    assert_eq!((account.address.is_none(), account.operator, account.since), (true, false, NOW));
    let other = sign_in("ANNA@example.ORG", PASSWORD, HOME).unwrap();
    assert_ne!(other.token, session.token);
    assert_eq!((other.account.id.as_str(), other.account.email.as_str()), (account.id.as_str(), "Anna@Example.org"));
    for _ in 0..2 {
        Customer::sign_out(session.token.clone()).unwrap();
    }
    assert!(who(&session.token).is_none() && who(&other.token).is_some());
}

#[test]
fn neither_password_nor_token_is_in_the_file() {
    let _store = shop();
    let session = sign_up("anna@example.org");
    let _ = sign_in("stranger@example.net", PASSWORD, "192.0.2.99");
    let key = Customer::remember_browser(session.token.clone(), None).unwrap();
    let kept = everything();
    for secret in [PASSWORD, &session.token, &key, "stranger", "192.0.2.99"] {
        assert!(!kept.contains(secret), "{secret} in {kept}");
    }
    assert!(kept.contains("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
}

fn sign_up_as(email: &str, password: &str, from: &str) -> Result<Session, Error> {
    Customer::sign_up(email.into(), password.into(), "Eve".into(), from.into())
}

#[test]
fn an_email_address_has_one_account_and_signing_up_again_is_signing_in() {
    let _store = shop();
    let first = sign_up("anna@example.org");
    let again = sign_up_as("ANNA@example.org", PASSWORD, HOME).unwrap();
    assert_eq!((&again.account, rows("accounts"), rows("sessions")), (&first.account, 1, 2));
    assert_eq!(again.account.name, "Anna Lind", "the account stays as it was");
}

#[test]
fn signing_up_answers_for_a_taken_address_as_signing_in_does_and_counts_the_same() {
    let _store = shop();
    sign_up("anna@example.org");
    let wrong = "another long secret";
    for _ in 0..5 {
        assert!(matches!(sign_up_as("anna@example.org", wrong, "203.0.113.9:1234"), Err(Error::WrongPassword)));
    }
    assert!(matches!(sign_up_as("anna@example.org", PASSWORD, "203.0.113.9:4321"), Err(Error::Wait(900))));
    assert!(matches!(sign_in("anna@example.org", PASSWORD, "203.0.113.9"), Err(Error::Wait(900))));
    sign_in("anna@example.org", PASSWORD, HOME).unwrap();
}

#[test]
fn an_address_makes_twenty_accounts_at_once_and_then_one_each_three_minutes() {
    let _store = shop();
    let make = |number: u32, from: &str| sign_up_as(&format!("eve{number}@example.org"), PASSWORD, from).map(drop);
    for number in 0..20 {
        assert_eq!(make(number, "2001:db8:1:2::1"), Ok(()));
    }
    let before = rows("accounts");
    assert_eq!(make(20, "2001:db8:1:2:ffff::9"), Err(Error::Wait(180)), "the same network");
    assert_eq!(rows("accounts"), before);
    assert_eq!(make(20, "2001:db8:1:3::1"), Ok(()), "another network");
    set_clock(Some(NOW + 180));
    assert_eq!((make(21, "2001:db8:1:2::1"), make(22, "2001:db8:1:2::1")), (Ok(()), Err(Error::Wait(180))));
    // A form with a mistake costs no hash and does not count.
    let mistake = sign_up_as("no address", PASSWORD, "2001:db8:1:2::1");
    assert!(matches!(mistake, Err(Error::Fields(_))), "{mistake:?}");
}

#[test]
fn a_session_ends_after_30_days_and_is_deleted_when_others_begin() {
    let _store = shop();
    let old = sign_up("anna@example.org");
    set_clock(Some(NOW + 30 * DAY - 1));
    assert!(who(&old.token).is_some());
    set_clock(Some(NOW + 30 * DAY));
    assert!(who(&old.token).is_none());
    let home = Customer::change_address(old.token.clone(), address());
    assert!(matches!(home, Err(Error::SignedOut)), "{home:?}");
    let changed = Customer::change_password(old.token.clone(), PASSWORD.into(), "another horse".into());
    assert!(matches!(changed, Err(Error::SignedOut)), "{changed:?}");
    assert!(matches!(Customer::delete_account(old.token, PASSWORD.into()), Err(Error::SignedOut)));
    assert_eq!(rows("sessions"), 1);
    sign_in("anna@example.org", PASSWORD, HOME).unwrap();
    assert_eq!(rows("sessions"), 1);
}

#[test]
fn an_account_has_a_limit_of_sessions_and_then_its_oldest_ends() {
    let _store = shop();
    let first = sign_up("anna@example.org");
    let others = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 199)
                  INSERT INTO sessions (digest, account, expires) SELECT 'd' || i, ?1, ?2 + i FROM n";
    seam_sdk::store::execute(others, params![&first.account.id, first.expires as i64]).unwrap();
    assert_eq!(rows("sessions"), domain::SESSIONS_MAX);
    set_clock(Some(NOW + 500));
    let last = sign_in("anna@example.org", PASSWORD, HOME).unwrap();
    assert_eq!(rows("sessions"), domain::SESSIONS_MAX);
    assert!(who(&first.token).is_none() && who(&last.token).is_some());
}

#[test]
fn a_text_that_is_no_token_opens_no_session() {
    let _store = shop();
    let session = sign_up("anna@example.org");
    let digest: String = one("SELECT digest FROM sessions", params![]).unwrap();
    let upper = session.token.to_uppercase();
    for token in ["", "x", "' OR 1=1 --", &digest, &upper, &"0".repeat(64), &"f".repeat(1_000_000)] {
        assert!(who(token).is_none());
        Customer::sign_out(token.into()).unwrap();
        assert!(matches!(Customer::change_address(token.into(), address()), Err(Error::SignedOut)));
        assert!(matches!(Customer::delete_account(token.into(), PASSWORD.into()), Err(Error::SignedOut)));
    }
    assert!(who(&session.token).is_some());
}

#[test]
fn after_five_wrong_passwords_even_the_right_one_is_refused_from_there() {
    let _store = shop();
    sign_up("anna@example.org");
    for i in 0..5 {
        set_clock(Some(NOW + 100 * i));
        let outcome = sign_in("Anna@example.org", "wrong horse battery", HOME);
        assert!(matches!(outcome, Err(Error::WrongPassword)), "{outcome:?}");
    }
    let outcome = sign_in("anna@example.org", PASSWORD, HOME);
    assert!(matches!(outcome, Err(Error::Wait(500))), "{outcome:?}");
    set_clock(Some(NOW + 899));
    assert!(matches!(sign_in("anna@example.org", PASSWORD, HOME), Err(Error::Wait(1))));
    // The first of them has become too old; the other four still count.
    set_clock(Some(NOW + 900));
    assert!(matches!(sign_in("anna@example.org", "wrong horse battery", HOME), Err(Error::WrongPassword)));
    assert!(matches!(sign_in("anna@example.org", PASSWORD, HOME), Err(Error::Wait(100))));
    set_clock(Some(NOW + 1000));
    sign_in("anna@example.org", PASSWORD, HOME).unwrap();
}

#[test]
fn guessing_shuts_the_owner_out_neither_elsewhere_nor_in_a_known_browser() {
    let _store = shop();
    let session = sign_up("anna@example.org");
    let key = Customer::remember_browser(session.token.clone(), None).unwrap();
    Customer::sign_out(session.token).unwrap();
    for _ in 0..5 {
        assert!(matches!(sign_in("anna@example.org", "wrong", HOME), Err(Error::WrongPassword)));
    }
    assert!(matches!(sign_in("anna@example.org", PASSWORD, HOME), Err(Error::Wait(900))));
    sign_in("anna@example.org", PASSWORD, "198.51.100.1").unwrap();
    let known = sign_in_known("anna@example.org", PASSWORD, HOME, &key).unwrap();
    // The key stays that of the browser, also for a second account.
    assert_eq!(Customer::remember_browser(known.token, Some(key.clone())), Ok(key.clone()));
    let ben = Customer::sign_up("ben@example.org".into(), PASSWORD.into(), "Ben".into(), "203.0.113.7".into()).unwrap();
    assert!(sign_in_known("ben@example.org", PASSWORD, "198.51.100.2", &key).is_ok());
    assert_eq!(Customer::remember_browser(ben.token, Some(key.clone())), Ok(key.clone()));
    assert_eq!(rows("browsers"), 2);
    // Neither does a network from which many accounts are guessed at, nor guessing from many networks.
    for i in 0..50 {
        let outcome = sign_in("anna@example.org", "wrong", &format!("192.0.2.{}", 10 + i));
        assert!(matches!(outcome, Err(Error::WrongPassword) | Err(Error::Wait(_))), "{i}: {outcome:?}");
        let _ = sign_in(&format!("guess{i}@example.org"), "wrong", HOME);
    }
    assert!(matches!(sign_in("anna@example.org", PASSWORD, "198.51.100.3"), Err(Error::Wait(900))));
    assert!(matches!(sign_in("new@example.org", PASSWORD, HOME), Err(Error::Wait(900))));
    sign_in_known("anna@example.org", PASSWORD, HOME, &key).unwrap();
}

#[test]
fn guessing_is_bounded_from_many_networks_and_in_a_known_browser() {
    let _store = shop();
    let session = sign_up("anna@example.org");
    let key = Customer::remember_browser(session.token, None).unwrap();
    let answered = |guess: &dyn Fn(u32) -> Result<Session, Error>| {
        (0..200).filter(|i| matches!(guess(*i), Err(Error::WrongPassword))).count()
    };
    let wrong = "wrong horse battery";
    assert_eq!(answered(&|_| sign_in_known("anna@example.org", wrong, HOME, &key)), 5);
    assert!(matches!(sign_in_known("anna@example.org", PASSWORD, HOME, &key), Err(Error::Wait(900))));
    assert_eq!(answered(&|i| sign_in("anna@example.org", wrong, &format!("198.51.100.{i}"))), 50);
    // A made-up key, that of another account and a text that is no key are none.
    set_clock(Some(NOW + 900));
    let other = sign_up("ben@example.org");
    let foreign = Customer::remember_browser(other.token, None).unwrap();
    let keys = [foreign.as_str(), &"0".repeat(64), "", "' OR 1=1 --", &key.to_uppercase()];
    let outcome = answered(&|i| sign_in_known("anna@example.org", wrong, HOME, keys[i as usize % keys.len()]));
    assert_eq!(outcome, 5);
    // The operator lets all customers in.
    assert!(matches!(sign_in("anna@example.org", PASSWORD, HOME), Err(Error::Wait(900))));
    assert!(Customer::forget_attempts().unwrap() >= 15);
    sign_in("anna@example.org", PASSWORD, HOME).unwrap();
}

#[test]
fn a_browser_is_known_for_180_days_and_an_account_knows_twenty() {
    let _store = shop();
    let session = sign_up("anna@example.org");
    let remember = |at: u64| {
        set_clock(Some(NOW + at));
        Customer::remember_browser(session.token.clone(), None).unwrap()
    };
    let first = remember(0);
    let keys: Vec<_> = (1..=domain::BROWSERS_MAX).map(|i| remember(i.into())).collect();
    assert_eq!(rows("browsers"), domain::BROWSERS_MAX);
    for _ in 0..5 {
        assert!(matches!(sign_in("anna@example.org", "wrong", HOME), Err(Error::WrongPassword)));
    }
    assert!(matches!(sign_in_known("anna@example.org", PASSWORD, HOME, &first), Err(Error::Wait(_))));
    sign_in_known("anna@example.org", PASSWORD, HOME, &keys[0]).unwrap();
    let end = NOW + 180 * DAY;
    set_clock(Some(end));
    for _ in 0..5 {
        assert!(matches!(sign_in("anna@example.org", "wrong", HOME), Err(Error::WrongPassword)));
    }
    let known = sign_in_known("anna@example.org", PASSWORD, HOME, &keys[0]).unwrap();
    set_clock(Some(end + 1));
    assert!(matches!(sign_in_known("anna@example.org", PASSWORD, HOME, &keys[0]), Err(Error::Wait(_))));
    Customer::remember_browser(known.token, None).unwrap();
    assert_eq!(rows("browsers"), domain::BROWSERS_MAX, "the first is over, and a new one came");
    let over = Customer::remember_browser(session.token, None);
    assert!(matches!(over, Err(Error::SignedOut)), "{over:?}");
}

#[test]
fn after_twenty_wrong_passwords_only_that_network_has_to_wait() {
    let _store = shop();
    sign_up("anna@example.org");
    for i in 0..20 {
        let outcome = sign_in(&format!("guess{i}@example.org"), PASSWORD, "2001:db8:1:2::1");
        assert!(matches!(outcome, Err(Error::WrongPassword)), "{outcome:?}");
    }
    // Another address of the same network is the same client.
    assert!(matches!(sign_in("anna@example.org", PASSWORD, "2001:db8:1:2:ffff::9"), Err(Error::Wait(900))));
    sign_in("anna@example.org", PASSWORD, "2001:db8:1:3::1").unwrap();
    set_clock(Some(NOW + 900));
    sign_in("anna@example.org", PASSWORD, "2001:db8:1:2::1").unwrap();
    assert_eq!(rows("attempts"), 0, "expired attempts are deleted");
}

#[test]
fn an_unknown_address_is_treated_as_a_known_one() {
    let _store = shop();
    for _ in 0..5 {
        assert!(matches!(sign_in("stranger@example.org", PASSWORD, HOME), Err(Error::WrongPassword)));
    }
    assert!(matches!(sign_in("stranger@example.org", PASSWORD, HOME), Err(Error::Wait(900))));
}

#[test]
fn the_number_of_stored_attempts_is_bounded() {
    let _store = shop();
    let kept = domain::limits::KEPT_MAX;
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
               INSERT INTO attempts (whom, at) SELECT 'x' || i, ?2 FROM n";
    seam_sdk::store::execute(sql, params![kept, NOW as i64]).unwrap();
    assert!(matches!(sign_in("anna@example.org", PASSWORD, HOME), Err(Error::WrongPassword)));
    assert_eq!(rows("attempts"), kept);
    assert_eq!(one::<u32>("SELECT count(*) FROM attempts WHERE whom IN ('x1', 'x2')", params![]), Ok(0));
}

#[test]
fn a_changed_password_ends_the_other_sessions() {
    let _store = shop();
    let here = sign_up("anna@example.org");
    let there = sign_in("anna@example.org", PASSWORD, HOME).unwrap();
    let stranger = sign_up("ben@example.org");
    let change = |old: &str, new: &str| Customer::change_password(here.token.clone(), old.into(), new.into());
    assert!(matches!(change("wrong horse", "another horse"), Err(Error::WrongPassword)));
    for bad in ["short", "password123", "anna@example.org", &"x".repeat(201)] {
        match change(PASSWORD, bad) {
            Err(Error::Fields(problems)) => assert_eq!(problems[0].field, "new"),
            other => panic!("{bad}: {other:?}"),
        }
    }
    assert!(who(&there.token).is_some());
    change(PASSWORD, "another horse").unwrap();
    assert!(who(&here.token).is_some() && who(&there.token).is_none() && who(&stranger.token).is_some());
    assert!(matches!(sign_in("anna@example.org", PASSWORD, HOME), Err(Error::WrongPassword)));
    sign_in("anna@example.org", "another horse", HOME).unwrap();
}

#[test]
fn wrong_old_passwords_count_as_attempts() {
    let _store = shop();
    let session = sign_up("anna@example.org");
    for i in 0..5 {
        let outcome = match i {
            0..3 => Customer::change_password(session.token.clone(), "wrong".into(), "another horse".into()),
            _ => Customer::delete_account(session.token.clone(), "wrong".into()),
        };
        assert!(matches!(outcome, Err(Error::WrongPassword)), "{outcome:?}");
    }
    let changed = Customer::change_password(session.token.clone(), PASSWORD.into(), "another horse".into());
    assert!(matches!(changed, Err(Error::Wait(900))), "{changed:?}");
    assert!(matches!(Customer::delete_account(session.token.clone(), PASSWORD.into()), Err(Error::Wait(900))));
    assert!(who(&session.token).is_some(), "a customer who is signed in stays signed in");
    // They are counted apart from those of strangers, in both directions.
    for i in 0..60 {
        let _ = sign_in("anna@example.org", "wrong", &format!("192.0.2.{i}"));
    }
    set_clock(Some(NOW + 900));
    for i in 0..60 {
        let _ = sign_in("anna@example.org", "wrong", &format!("192.0.2.{i}"));
    }
    Customer::change_password(session.token.clone(), PASSWORD.into(), "another horse".into()).unwrap();
}

#[test]
fn an_address_is_kept_whole_or_refused_with_its_fields() {
    let _store = shop();
    let session = sign_up("anna@example.org");
    let change = |address: Address| Customer::change_address(session.token.clone(), address);
    let shown = |account: Account| format!("{:?}", account.address.unwrap());
    assert_eq!(shown(change(Address { city: " Malmö ".into(), ..address() }).unwrap()), format!("{:?}", address()));
    match change(Address { street: "\0".into(), country: "XX".into(), ..address() }) {
        Err(Error::Fields(problems)) => {
            assert_eq!(problems.iter().map(|p| p.field.as_str()).collect::<Vec<_>>(), ["street", "country"]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(shown(who(&session.token).unwrap()), format!("{:?}", address()));
    let moved = Address { extra: "'; DROP TABLE accounts; --".into(), country: "GB".into(), ..address() };
    assert_eq!(shown(change(moved.clone()).unwrap()), format!("{moved:?}"));
    settings(&[]);
    change(Address { country: "FR".into(), ..address() }).unwrap();
}

#[test]
fn a_deleted_account_keeps_its_id_and_nothing_else() {
    let _store = shop();
    let session = sign_up("anna@example.org");
    let other = sign_in("anna@example.org", PASSWORD, HOME).unwrap();
    let id = session.account.id.clone();
    Customer::change_address(session.token.clone(), address()).unwrap();
    assert!(matches!(Customer::delete_account(session.token.clone(), "wrong".into()), Err(Error::WrongPassword)));
    Customer::remember_browser(session.token.clone(), None).unwrap();
    Customer::delete_account(session.token.clone(), PASSWORD.into()).unwrap();
    assert!(who(&session.token).is_none() && who(&other.token).is_none());
    // The digest of the session stays for a minute, so that the form may be sent twice.
    let kept = everything();
    assert!(kept.starts_with(&format!("{id}|0\n")) && kept.ends_with("\n\n") && rows("sessions") == 1, "{kept}");
    set_clock(Some(NOW + 60));
    sign_up("ben@example.org");
    assert_eq!(one(&format!("SELECT count(*) FROM sessions WHERE account = '{id}'"), params![]), Ok(0u32));
    assert_eq!(Customer::names(vec![id.clone()]).unwrap(), [Some("deleted account".to_string())]);
    assert!(matches!(sign_in("anna@example.org", PASSWORD, HOME), Err(Error::WrongPassword)));
    // The address is free again, for an account of another id.
    assert_ne!(sign_up("anna@example.org").account.id, id);
    let gone = seam_sdk::store::execute("DELETE FROM accounts WHERE id = ?1", params![&id]);
    assert!(format!("{gone:?}").contains("never deleted"), "{gone:?}");
}

#[test]
fn names_come_in_the_order_of_the_ids_and_none_for_unknown_ones() {
    let _store = shop();
    let anna = sign_up("anna@example.org").account.id;
    let hostile = ["", "C-", "' OR 1=1", "C-0\0", "\"]", &"C-".repeat(100_000)].map(String::from);
    let mut ids = vec!["C-never".to_string(), anna.clone(), anna.clone()];
    ids.extend(hostile);
    let names = Customer::names(ids).unwrap();
    let name = Some("Anna Lind".to_string());
    assert_eq!(names[..3], [None, name.clone(), name]);
    assert!(names.len() == 9 && names[3..].iter().all(Option::is_none), "{names:?}");
    assert_eq!(Customer::names(vec![]).unwrap(), []);
    assert!(Customer::names(vec![anna.clone(); 500]).is_ok());
    assert!(matches!(Customer::names(vec![anna; 501]), Err(Error::Invalid(why)) if why.contains("500 are allowed")));
}

#[test]
fn hostile_forms_are_answered_and_change_nothing() {
    let _store = shop();
    let huge = "x".repeat(1_000_000);
    for (email, password, name) in [
        ("", "", ""),
        (huge.as_str(), huge.as_str(), huge.as_str()),
        ("a@b@c.org", "\0", "\0"),
        ("'; DROP TABLE accounts;--", "x", "Anna\r\nSet-Cookie: a=b"),
    ] {
        let up = Customer::sign_up(email.into(), password.into(), name.into(), HOME.into());
        assert!(matches!(&up, Err(Error::Fields(problems)) if problems.len() == 3), "{up:?}");
        assert!(matches!(sign_in(email, password, HOME), Err(Error::Fields(_))));
    }
    for from in ["", huge.as_str()] {
        assert!(matches!(sign_in("anna@example.org", PASSWORD, from), Err(Error::Invalid(_))));
    }
    assert!(matches!(sign_in("anna@example.org", &huge, HOME), Err(Error::WrongPassword)));
    assert_eq!((rows("accounts"), rows("sessions"), rows("attempts")), (0, 0, 3));
}

/// Every query of a request uses an index.
#[test]
fn queries_use_their_indexes() {
    let store = shop();
    for (sql, index) in [
        ("SELECT id FROM accounts WHERE email_key = 'x'", "email_key=?"),
        (
            "SELECT a.id FROM sessions AS s CROSS JOIN accounts AS a ON a.id = s.account WHERE s.digest = 'x'",
            "digest=?",
        ),
        ("SELECT at FROM attempts WHERE whom = 'x' AND at > 1 ORDER BY at DESC LIMIT 1 OFFSET 4", "attempts_by_whom"),
        ("SELECT id FROM attempts WHERE at <= 1 ORDER BY at LIMIT 100", "attempts_by_age"),
        ("SELECT digest FROM sessions WHERE expires <= 1 ORDER BY expires LIMIT 100", "sessions_by_expiry"),
        ("SELECT digest FROM sessions WHERE account = 'x' ORDER BY expires DESC LIMIT 1", "sessions_by_account"),
        (
            "SELECT a.name FROM json_each('[]') AS asked LEFT JOIN accounts AS a ON a.id = asked.value",
            "SEARCH a USING PRIMARY",
        ),
    ] {
        let plan: Vec<String> = store.connection(|c| {
            let mut statement = c.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            statement.query_map([], |row| row.get(3)).unwrap().collect::<Result<_, _>>().unwrap()
        });
        assert!(plan.iter().any(|step| step.contains(index)), "{sql}: {plan:?}");
        let scans = plan.iter().any(|step| {
            step.contains("TEMP B-TREE") || ["SCAN a ", "SCAN s "].iter().any(|scan| step.starts_with(scan))
        });
        assert!(!scans, "{sql}: {plan:?}");
    }
}
