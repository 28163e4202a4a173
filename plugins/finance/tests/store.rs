//! Payments on a real SQLite file: every stage, repeated keys, refunds, and the card digits that are kept.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;
use common::*;

/// Brings a new order into the stage.
fn order_in(stage: &str, order: &str) {
    match stage {
        "nothing" => {}
        "unknown" => drop(authorise(&format!("{order}-a"), order, SILENT)),
        "declined" => drop(authorise(&format!("{order}-a"), order, REFUSED)),
        "marked" => void(&format!("{order}-v"), order).unwrap(),
        _ => {
            authorise(&format!("{order}-a"), order, APPROVED).unwrap();
            match stage {
                "voided" => void(&format!("{order}-v"), order).unwrap(),
                "captured" => drop(capture(&format!("{order}-c"), order).unwrap()),
                _ => {}
            }
        }
    }
    let expect = if ["nothing", "marked"].contains(&stage) { None } else { Some(stage) };
    assert_eq!(payment(order).map(|payment| word(Ok(payment))), expect);
}

#[test]
fn every_action_in_every_stage_has_its_answer_and_next_stage() {
    let _store = fresh();
    // The answer and, after the slash, the stage that others see then.
    let table = "
                   approve                declined          silent             void               capture              refund
        nothing    authorised/authorised  declined/declined unanswered/unknown ok/-               unknownorder/-       unknownorder/-
        unknown    refused/unknown        refused/unknown   refused/unknown    ok/voided          refused/unknown      refused/unknown
        authorised refused/authorised     refused/authorised refused/authorised ok/voided         captured/captured    refused/authorised
        captured   refused/captured       refused/captured  refused/captured   refused/captured   refused/captured     captured/captured
        voided     refused/voided         refused/voided    refused/voided     ok/voided          refused/voided       refused/voided
        declined   authorised/authorised  declined/declined unanswered/unknown ok/voided          refused/declined     refused/declined
        marked     refused/-              refused/-         refused/-          ok/-               unknownorder/-       unknownorder/-";
    for row in table.trim().lines().skip(1) {
        let mut cells = row.split_whitespace();
        let stage = cells.next().unwrap();
        for action in ["approve", "declined", "silent", "void", "capture", "refund"] {
            let order = format!("{stage}-{action}");
            order_in(stage, &order);
            let ask = || {
                let key = format!("{order}-key");
                match action {
                    "approve" => word(authorise(&key, &order, APPROVED)),
                    "declined" => word(authorise(&key, &order, REFUSED)),
                    "silent" => word(authorise(&key, &order, SILENT)),
                    "void" => word(void(&key, &order).map(|()| None)),
                    "capture" => word(capture(&key, &order)),
                    _ => word(refund(&key, &order, 100)),
                }
            };
            let seen = |answer: &str| {
                let after = payment(&order).map_or("-", |payment| word(Ok(payment)));
                format!("{answer}/{after}")
            };
            let expect = cells.next().unwrap();
            assert_eq!(seen(ask()), expect, "{stage} {action}");
            let entries = count("entries");
            assert_eq!(seen(ask()), expect, "{stage} {action} again");
            assert_eq!(count("entries"), entries, "{stage} {action} again");
        }
    }
    check_books();
}

#[test]
fn a_payment_is_held_captured_and_refunded() {
    let _store = fresh();
    let held = authorise("k1", "7", APPROVED).unwrap();
    assert_eq!(
        (held.stage, held.authorised.minor_units, held.authorised.currency.as_str()),
        (Stage::Authorised, 2_395, "GBP")
    );
    assert_eq!((held.order.as_str(), held.refunded, held.card.as_str()), ("7", 0, "4242"));
    assert_eq!(count("entries"), 0, "held money is not booked");
    assert_eq!(capture("k2", "7").unwrap().stage, Stage::Captured);
    assert_eq!((count("entries"), count("lines")), (2, 5));
    assert_eq!(refund("k3", "7", 1_000).unwrap().refunded, 1_000);
    let amounts: Vec<(String, i64)> =
        query("SELECT account, amount FROM lines ORDER BY entry, position", params![]).unwrap();
    let expect = [
        ("receivable", 2_395),
        ("sales", -2_000),
        ("shipping", -395),
        ("card-clearing", 2_395),
        ("receivable", -2_395),
        ("refunds", 1_000),
        ("receivable", -1_000),
        ("receivable", 1_000),
        ("card-clearing", -1_000),
    ];
    assert_eq!(amounts, expect.map(|(account, amount)| (account.to_owned(), amount)));
    check_books();
}

#[test]
fn no_more_is_refunded_than_was_captured() {
    let _store = fresh();
    sold("7");
    assert_eq!(refund("r1", "7", 2_000).unwrap().refunded, 2_000);
    match refund("r2", "7", 396) {
        Err(Error::Refused(why)) => assert_eq!(why, "order 7: that is more than is left to give back"),
        other => panic!("{other:?}"),
    }
    assert_eq!(refund("r3", "7", 395).unwrap().refunded, 2_395);
    assert_eq!(word(refund("r4", "7", 1)), "refused");
    assert_eq!(word(refund("r5", "7", 0)), "invalid");
    assert_eq!(word(refund("r6", "7", u64::MAX)), "invalid");
    assert_eq!(payment("7").unwrap().refunded, 2_395);
    check_books();
}

#[test]
fn a_repeated_key_gets_its_first_answer_after_any_later_event() {
    let _store = fresh();
    let first = authorise("k", "7", APPROVED).unwrap();
    capture("c", "7").unwrap();
    refund("r", "7", 500).unwrap();
    refund("r-2", "7", 500).unwrap();
    // In another year the card has expired.
    set_clock(Some(NOW + 400 * 86_400));
    let again = authorise("k", "7", "4242-4242-4242-4242").unwrap();
    assert_eq!((again.stage, again.refunded), (first.stage, 0));
    assert_eq!(refund("r", "7", 500).unwrap().refunded, 500);
    assert_eq!(capture("c", "7").unwrap().refunded, 0);
    assert_eq!((payment("7").unwrap().refunded, count("entries")), (1_000, 6));
    set_clock(Some(NOW));
    // A declined and an unanswered payment, each tried again with another key.
    let why = |answer| match answer {
        Err(Error::Declined(why)) => why,
        other => panic!("{other:?}"),
    };
    let declined = why(authorise("d", "8", REFUSED));
    assert_eq!(word(authorise("d-2", "8", APPROVED)), "authorised");
    assert_eq!(why(authorise("d", "8", REFUSED)), declined);
    assert_eq!(payment("8").unwrap().stage, Stage::Authorised);
}

#[test]
fn a_key_with_other_arguments_is_invalid_and_changes_nothing() {
    let _store = fresh();
    sold("7");
    refund("r", "7", 500).unwrap();
    let other_sale = Sale { shipping: 0, ..sale("7") };
    let other_card = Card { holder: "Bo".into(), ..card(APPROVED) };
    for answer in [
        word(refund("r", "7", 501)),
        word(Finance::refund("r".into(), "7".into(), 500, "Other".into())),
        word(refund("a7", "7", 500)),
        word(capture("r", "7")),
        word(void("c7", "7").map(|()| None)),
        word(authorise("a7", "8", APPROVED)),
        word(authorise("a7", "7", REFUSED)),
        word(authorise("a7", "7", "5555 5555 5555 4242")),
        word(Finance::authorise("a7".into(), other_sale, card(APPROVED))),
        word(Finance::authorise("a7".into(), sale("7"), other_card)),
    ] {
        assert_eq!(answer, "invalid");
    }
    assert!(payment("8").is_none());
    assert_eq!((payment("7").unwrap().refunded, count("entries"), count("keys")), (500, 4, 3));
}

#[test]
fn a_wrong_card_or_argument_leaves_no_trace_and_its_key_unused() {
    let _store = fresh();
    let bad =
        Card { number: "5555 5555 5555 4444".into(), holder: " ".into(), expiry: "10/23".into(), code: "1".into() };
    match Finance::authorise("k".into(), sale("7"), bad) {
        Err(Error::Card(problems)) => {
            let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
            assert_eq!(fields, ["number", "holder", "expiry", "code"]);
        }
        other => panic!("{other:?}"),
    }
    let keys = [String::new(), "k".repeat(65), "a\nb".into()];
    for key in &keys {
        assert_eq!(word(authorise(key, "7", APPROVED)), "invalid");
        assert_eq!(word(void(key, "7").map(|()| None)), "invalid");
        assert_eq!(word(capture(key, "7")), "invalid");
        assert_eq!(word(refund(key, "7", 1)), "invalid");
    }
    assert_eq!(word(authorise("k", "", APPROVED)), "invalid");
    assert_eq!(word(Finance::authorise("k".into(), Sale { lines: vec![], ..sale("7") }, card(APPROVED))), "invalid");
    assert_eq!((count("keys"), count("payments"), count("marks")), (0, 0, 0));
    assert_eq!(word(authorise("k", "7", APPROVED)), "authorised");
}

#[test]
fn nothing_of_a_card_is_in_the_file_but_four_digits() {
    let store = fresh();
    let number = "4242 4242 4242 4242";
    let card = Card { holder: "Unmistakable Holder".into(), code: "8765".into(), ..card(number) };
    Finance::authorise("k".into(), sale("7"), card).unwrap();
    capture("c", "7").unwrap();
    authorise("d", "8", REFUSED).unwrap_err();
    let kept = Card { holder: "Unmistakable Holder".into(), code: "8765".into(), ..self::card(REFUSED) };
    authorise_kept("t", "9", &Finance::keep_card(kept).unwrap()).unwrap_err();
    let bytes = store.connection(|connection| {
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        std::fs::read(connection.path().unwrap()).unwrap()
    });
    assert!(bytes.len() > 10_000);
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("Paid by card ending 4242"), "the file is the one that was written");
    for secret in [number, "4242424242424242", "42424242", "4000000000000002", "Unmistakable", "8765"] {
        assert!(!holds(secret), "{secret}");
    }
}

#[test]
fn a_kept_card_pays_for_one_order_and_is_answered_as_the_card_itself() {
    let _store = fresh();
    let keep = |number| Finance::keep_card(card(number)).unwrap();
    let token = keep(APPROVED);
    assert_eq!(count("keys") + count("tokens"), 0, "nothing is stored when a card is kept");
    let held = authorise_kept("k", "7", &token).unwrap();
    assert_eq!((held.stage, held.authorised.minor_units, held.card.as_str()), (Stage::Authorised, 2_395, "4242"));
    assert_eq!(word(authorise_kept("o", "8", &token)), "refused", "one token, one order");
    assert!(payment("8").is_none());
    assert_eq!(word(authorise_kept("k", "7", &keep(APPROVED))), "invalid", "the key was used with another token");
    assert_eq!(word(authorise_kept("n", "9", APPROVED)), "invalid");
    assert_eq!(word(authorise_kept("d", "9", &keep(REFUSED))), "declined");
    assert_eq!(word(authorise_kept("s", "10", &keep(SILENT))), "unanswered");
    assert_eq!(
        word(authorise_kept("e", "9", &keep(APPROVED))),
        "authorised",
        "another card after one that was declined"
    );
    assert_eq!(word(Finance::keep_card(card("1")).map(|_| None)), "card");

    // The first answer stays, also when the card is kept no longer.
    let late = keep(APPROVED);
    set_clock(Some(NOW + 86_401));
    assert_eq!(authorise_kept("k", "7", &token).unwrap(), held);
    match authorise_kept("l", "11", &late) {
        Err(Error::Declined(why)) => assert!(why.contains("24 hours") && why.contains("Nothing was charged"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(payment("11").is_none());
}

#[test]
fn payments_come_in_the_order_of_the_ids_without_unknown_and_marked_ones() {
    let _store = fresh();
    for order in ["1", "2", "3"] {
        authorise(&format!("k{order}"), order, APPROVED).unwrap();
    }
    void("v", "9").unwrap();
    let asked = ["3", "none", "9", "1", "\"]"].map(String::from).to_vec();
    let found: Vec<_> = Finance::payments(asked).unwrap().into_iter().map(|payment| payment.order).collect();
    assert_eq!(found, ["3", "1"]);
    assert!(Finance::payments(vec![]).unwrap().is_empty());
    assert!(matches!(Finance::payments(vec!["1".into(); 501]), Err(Error::Invalid(_))));
    assert!(
        matches!(Finance::payments(vec!["1".into(), "2".repeat(33)]), Err(Error::Invalid(why)) if why.starts_with("row 2, "))
    );
}

#[test]
fn a_store_that_is_not_there_is_unavailable() {
    let store = fresh();
    drop(store);
    assert_eq!(word(authorise("k", "7", APPROVED)), "unavailable");
    assert_eq!(word(void("k", "7").map(|()| None)), "unavailable");
    assert!(matches!(Finance::payments(vec!["7".into()]), Err(Error::Unavailable(_))));
}
