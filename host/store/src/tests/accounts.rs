//! What two files must say of the events between them, with each kind of damage planted.

use super::*;

const NEWS: &str = "acme:orders/events";

/// A publisher with six events and a subscriber that has taken four of them: the second is tried again, the fourth
/// waits behind it, and the third is a dead letter.
struct Both {
    outbox: Fixture,
    inbox: Fixture,
    positions: Vec<u64>,
}

fn both() -> Both {
    let (outbox, inbox) = (shop(), shop());
    for (number, subject) in ["a", "b", "c", "b", "a", "c"].into_iter().enumerate() {
        let data = number.to_string();
        let event = NewEvent {
            interface: "acme:orders/events@0.1.0",
            function: "placed",
            subject: Some(subject),
            time_ms: 1_000,
            trace: "",
            data: &data,
        };
        outbox.publish(&event, soon()).unwrap();
        outbox.publish(&NewEvent { interface: "acme:orders/others@0.1.0", ..event }, soon()).unwrap();
    }
    let events = outbox.published(Some(NEWS), 0, 100).unwrap();
    let aside = |at: usize, state, tries| Waiting {
        source: orders(),
        event: events[at].clone(),
        state,
        tries,
        due_ms: 0,
        reason: String::new(),
    };
    let mut tx = inbox.begin(soon()).unwrap();
    for waiting in [aside(1, WaitState::Retry, 1), aside(2, WaitState::Dead, 9), aside(3, WaitState::Behind, 0)] {
        tx.set_aside(&waiting).unwrap();
    }
    tx.seen(&orders(), events[3].position).unwrap();
    tx.commit().unwrap();
    Both { outbox, inbox, positions: events.iter().map(|event| event.position).collect() }
}

impl Both {
    fn account(&self) -> Account {
        let mut files = moment(&[self.outbox.database.clone(), self.inbox.database.clone()]).unwrap();
        let (inbox, outbox) = (files.remove(1), files.remove(0));
        account(&outbox, &inbox, &orders(), &Terms { now_s: 0, deadline: soon() }).unwrap()
    }

    /// What is found after `sql` has changed the tables of the host in one of the files.
    fn after(&self, file: &Fixture, sql: &str) -> Vec<String> {
        file.write_as_host(|sqlite| sqlite.execute_batch(sql)).unwrap();
        let account = self.account();
        assert_eq!(account.faults, account.examples.len() as u64);
        account.examples
    }
}

#[test]
fn events_that_are_taken_set_aside_or_to_come_are_accounted_for() {
    let whole = both();
    assert_eq!(whole.account(), Account { rows: 6, ..Account::default() });
    // Old ones are forgotten, those that are set aside among them.
    whole.outbox.forget_published(whole.positions[3], 10_000_000_000_000).unwrap();
    assert_eq!(whole.account(), Account { rows: 2, ..Account::default() });
    let nothing = Both { outbox: shop(), inbox: shop(), positions: Vec::new() };
    assert_eq!(nothing.account(), Account::default());
    // One that is new starts with what is kept.
    let new = Both { inbox: shop(), ..whole };
    assert_eq!(new.account(), Account { rows: 2, ..Account::default() });
    new.outbox.write_as_host(|sqlite| sqlite.execute_batch(crate::outbox::START)).unwrap();
    assert_eq!(new.account().faults, 0);
}

#[test]
fn each_kind_of_damage_is_found_and_named() {
    let at = both().positions;
    let gap = |n: usize| at[n] - at[0];
    for (in_outbox, sql, words) in [
        (false, "UPDATE seam_inbox SET at = at + 1000000".to_owned(), "has given positions up to"),
        (false, "UPDATE seam_inbox SET at = at - 1".into(), "and is still to come, too"),
        (true, "DELETE FROM seam_outbox WHERE data = '2'".into(), "the publisher does not have it"),
        (true, "UPDATE seam_outbox SET data = '7' WHERE data = '1'".into(), "as another than was published"),
        (false, "DELETE FROM seam_waiting WHERE state = 'retry'".into(), "waits behind no other event"),
        (false, "UPDATE seam_waiting SET state = 'dead' WHERE state = 'retry'".into(), "waits behind no other event"),
        (true, format!("DELETE FROM seam_outbox WHERE position <= {}", gap(5) + 1), ""),
    ] {
        let both = both();
        let found = both.after(if in_outbox { &both.outbox } else { &both.inbox }, &sql);
        assert_eq!(found.len(), usize::from(!words.is_empty()), "{sql}: {found:?}");
        assert!(found.iter().all(|fault| fault.contains(words)), "{sql}: {found:?}");
    }
}

#[test]
fn events_that_are_forgotten_too_early_or_lost_with_an_older_file_are_found() {
    let both = both();
    let early = format!("DELETE FROM seam_outbox WHERE position <= {}", both.positions[4]);
    let found = both.after(&both.outbox, &early);
    assert!(matches!(&found[..], [one] if one.contains("does not keep those up to")), "{found:?}");

    let both = self::both();
    // An older state of the file, in which positions go on above all that were given.
    let older = format!("DELETE FROM seam_outbox WHERE position > {}; {}", both.positions[2], crate::outbox::START);
    let found = both.after(&both.outbox, &older);
    assert!(found.iter().any(|fault| fault.contains("which was put back")), "{found:?}");
    assert!(found.iter().any(|fault| fault.contains("the publisher does not have it")), "{found:?}");
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn sagas_that_would_never_go_on_are_found() {
    let step = SagaStep { name: "one".into(), call: None, undo: SagaUndo::Own, tries: 3, patience_s: 60 };
    let definition = SagaDefinition { kind: "order".into(), steps: vec![step] };
    let shop = shop();
    let looked = |shop: &Fixture| {
        let file = moment(std::slice::from_ref(&shop.database)).unwrap().remove(0);
        file.verify_sagas(&Terms { now_s: 0, deadline: soon() }).unwrap()
    };
    assert_eq!(looked(&shop), None, "it never had one");
    let mut tx = shop.begin(soon()).unwrap();
    ["1", "2", "3"].iter().for_each(|id| assert!(tx.saga_start(&definition, id, "", 1_000).unwrap()));
    tx.commit().unwrap();
    assert_eq!(looked(&shop), Some(Account { rows: 3, ..Account::default() }));
    for (sql, words) in [
        ("UPDATE seam_sagas SET due_ms = NULL WHERE id = '1'", "`order` 1 is running at `one`, and would never go on"),
        ("UPDATE seam_sagas SET due_ms = NULL, state = 'waiting' WHERE id = '1'", ""),
        ("UPDATE seam_sagas SET state = 'stuck' WHERE id = '1'", "`order` 1 is stuck at `one`, and nothing says why"),
        ("UPDATE seam_sagas SET reason = 'away' WHERE id = '1'", ""),
        ("UPDATE seam_sagas SET state = 'done' WHERE id = '2'", "`order` 2 is done at `one`, and is still due"),
        ("UPDATE seam_sagas SET due_ms = NULL WHERE id = '2'", ""),
        (
            "INSERT INTO seam_saga_attempts VALUES (77, 1, 1, 1, 'one', 0, 'done', NULL)",
            "the timeline of saga number 77 is there without the saga",
        ),
    ] {
        shop.write_as_host(|sqlite| sqlite.execute_batch(sql)).unwrap();
        let found = looked(&shop).unwrap();
        assert_eq!(found.examples, Vec::from_iter((!words.is_empty()).then(|| words.to_owned())), "{sql}");
    }
}

#[test]
fn what_is_accepted_is_in_the_file_until_it_is_over() {
    let shop = shop();
    assert_eq!(shop.accepted("copies").unwrap(), []);
    let accepted = |key: &str| Acceptance {
        key: key.into(),
        amounts: "[1]".into(),
        by: "ada".into(),
        why: "the fair".into(),
        at_ms: 7,
    };
    shop.accept("copies", &[accepted("b"), accepted("a")], &[]).unwrap();
    shop.accept("money", &[accepted("a")], &[]).unwrap();
    assert_eq!(shop.accepted("copies").unwrap(), [accepted("a"), accepted("b")]);
    let changed = Acceptance { amounts: "[2]".into(), ..accepted("a") };
    shop.accept("copies", std::slice::from_ref(&changed), &["b".into(), "z".into()]).unwrap();
    assert_eq!(shop.accepted("copies").unwrap(), [changed]);
    assert_eq!(shop.accepted("money").unwrap(), [accepted("a")]);
}
