//! The schema keeps the books correct by itself: it refuses broken entries, edits and shortcuts from any code.
//! Thousands of random requests end in books that add up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;

mod common;
use common::*;
use seam_sdk::store::{Error as StoreError, execute};

/// The message of the constraint that refuses the statement, or "" when the schema accepts it.
fn refusal(sql: &str) -> String {
    match execute(sql, params![]) {
        Ok(_) => String::new(),
        Err(StoreError::Constraint(why)) => why,
        Err(other) => panic!("{sql}: {other}"),
    }
}

fn book(lines: &str) -> String {
    refusal(&format!("INSERT INTO entries (at, number, text, currency, lines) VALUES (1, '7', 'x', 'GBP', '{lines}')"))
}

#[test]
fn only_balanced_entries_are_accepted() {
    let _store = fresh();
    assert_eq!(book(r#"[["card-clearing",null,5],["receivable","C-1",-5]]"#), "");
    let sum = "sums to zero";
    for (lines, expect) in [
        (r#"[["card-clearing",null,5],["receivable","C-1",-4]]"#, sum),
        (r#"[["card-clearing",null,5]]"#, sum),
        ("[]", sum),
        (r#"[["card-clearing",null,0]]"#, sum),
        (r#"[["card-clearing",null,null],["sales",null,null]]"#, sum),
        (r#"[["card-clearing",null,0],["sales",null,0]]"#, "amount <> 0"),
        (r#"[["card-clearing",null,0.5],["sales",null,-0.5]]"#, "REAL value"),
        (r#"[["cash",null,5],["sales",null,-5]]"#, "account IN"),
        (r#"[["receivable",null,5],["sales",null,-5]]"#, "customer IS NOT NULL"),
        (r#"[["card-clearing",null,5],["sales","C-1",-5]]"#, "customer IS NOT NULL"),
    ] {
        let why = book(lines);
        assert!(why.contains(expect), "{lines}: {why:?}");
    }
    assert_eq!((count("entries"), count("lines")), (1, 2));
    let gap = "INSERT INTO entries (id, at, number, text, currency, lines)
               VALUES (9, 1, '7', 'x', 'GBP', '[[\"card-clearing\",null,5],[\"sales\",null,-5]]')";
    assert!(refusal(gap).contains("without a gap"), "{}", refusal(gap));
}

#[test]
fn no_line_of_the_journal_is_changed_deleted_or_added() {
    let _store = fresh();
    sold("7");
    let line = "INSERT INTO lines (entry, position, account, customer, amount, currency, at) VALUES";
    let replace = "REPLACE INTO lines (entry, position, account, customer, amount, currency, at) VALUES";
    let entry = "REPLACE INTO entries (id, at, number, text, currency, lines) VALUES";
    for (sql, expect) in [
        ("UPDATE entries SET text = 'y'".to_owned(), "never changed"),
        ("UPDATE entries SET lines = '[]' WHERE id = 1".into(), "never changed"),
        ("DELETE FROM entries WHERE id = 2".into(), "never deleted"),
        ("UPDATE lines SET amount = amount * 2".into(), "never changed"),
        ("DELETE FROM lines".into(), "never deleted"),
        (format!("{line} (1, 3, 'sales', NULL, -5, 'GBP', {NOW})"), "by its entry alone"),
        (format!("{line} (1, 1, 'sales', NULL, -2000, 'GBP', {NOW})"), "by its entry alone"),
        (format!("{replace} (1, 1, 'sales', NULL, -2000, 'GBP', {NOW})"), "by its entry alone"),
        (format!("{line} (99, 0, 'sales', NULL, -5, 'GBP', {NOW})"), "by its entry alone"),
        (format!("{entry} (1, 1, '7', 'x', 'GBP', '[[\"sales\",null,5],[\"sales\",null,-5]]')"), "never replaced"),
        (format!("{entry} (2, 1, '7', 'x', 'GBP', '[]')"), "never replaced"),
    ] {
        let why = refusal(&sql);
        assert!(why.contains(expect), "{sql}: {why:?}");
    }
    assert_eq!((count("entries"), count("lines")), (2, 5));
    check_books();
}

#[test]
fn a_payment_goes_forward_only_and_an_invoice_stays() {
    let _store = fresh();
    sold("7");
    refund("r", "7", 500).unwrap();
    authorise("a", "8", APPROVED).unwrap();
    void("v", "8").unwrap();
    authorise("d", "9", REFUSED).unwrap_err();
    for (sql, expect) in [
        ("DELETE FROM payments", "never deleted"),
        ("REPLACE INTO payments SELECT * FROM payments WHERE number = '7'", "has a payment"),
        (
            "UPDATE payments SET stage = 'authorised', captured = NULL, invoice = NULL, refunded = 0 WHERE number = '7'",
            "never changed",
        ),
        ("UPDATE payments SET stage = 'authorised', voided = NULL WHERE number = '8'", "this stage"),
        ("UPDATE payments SET stage = 'captured', captured = 1, invoice = 5 WHERE number = '9'", "this stage"),
        ("UPDATE payments SET refunded = 499 WHERE number = '7'", "stays given back"),
        ("UPDATE payments SET invoice = 1000002 WHERE number = '7'", "never changed"),
        ("UPDATE payments SET amount = 9999 WHERE number = '7'", "never changed"),
        ("UPDATE payments SET refunded = 2396 WHERE number = '7'", "refunded <= amount"),
        ("UPDATE payments SET refunded = 1 WHERE number = '8'", "stage = 'captured'"),
    ] {
        let why = refusal(sql);
        assert!(why.contains(expect), "{sql}: {why:?}");
    }
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// The expected state of an order.
#[derive(Default, Clone)]
struct Belief {
    stage: Option<Stage>,
    marked: bool,
    total: u64,
    refunded: u64,
    currency: String,
}

#[test]
fn books_add_up_after_thousands_of_random_requests() {
    for seed in [1, 2, 3] {
        random_requests(seed, 1_500);
    }
}

/// Makes random requests, many of them twice, and checks each answer against a model.
fn random_requests(seed: u64, requests: u64) {
    let _store = fresh();
    let dice = &mut Dice(seed);
    let mut beliefs = BTreeMap::<String, Belief>::new();
    let mut asked: Vec<(Request, &str)> = Vec::new();
    for i in 0..requests {
        set_clock(Some(NOW + i / 7));
        if !asked.is_empty() && dice.below(6) == 0 {
            let (request, first) = &asked[dice.below(asked.len() as u64) as usize];
            assert_eq!(request.ask(), *first, "seed {seed}, request {i}: {request:?} again");
            continue;
        }
        let request = Request::random(dice, format!("key {i}"));
        let answer = request.ask();
        let belief = beliefs.entry(request.order.clone()).or_default();
        assert_eq!(answer, request.believe(belief), "seed {seed}, request {i}: {request:?}");
        asked.push((request, answer));
    }
    check_books();
    let mut clearing = BTreeMap::<&str, (i64, i64)>::new();
    for (order, belief) in &beliefs {
        let found = payment(order);
        assert_eq!(found.as_ref().map(|payment| payment.stage), belief.stage, "seed {seed}, order {order}");
        assert_eq!(found.map_or(0, |payment| payment.refunded), belief.refunded, "seed {seed}, order {order}");
        if belief.stage == Some(Stage::Captured) {
            let (debit, credit) = clearing.entry(&belief.currency).or_default();
            *debit += belief.total as i64;
            *credit += belief.refunded as i64;
        }
    }
    assert!(clearing.len() == 2 && clearing.values().all(|(debit, credit)| *debit > 0 && *credit > 0), "{clearing:?}");
    for (currency, expect) in clearing {
        let sql = "SELECT debit, credit FROM totals WHERE account = 'card-clearing' AND currency = ?1";
        assert_eq!(one::<(i64, i64)>(sql, params![currency]).unwrap(), expect, "seed {seed}, {currency}");
    }
}

#[derive(Debug)]
struct Request {
    key: String,
    order: String,
    action: Action,
}

#[derive(Debug)]
enum Action {
    Authorise(Box<Sale>, &'static str),
    Void,
    Capture,
    Refund(u64),
}

impl Request {
    fn random(dice: &mut Dice, key: String) -> Self {
        let order = format!("{}", dice.below(250));
        let action = match dice.below(10) {
            0..4 => {
                let mut sale = sale(&order);
                sale.customer = format!("C-{}", dice.below(20));
                sale.currency = ["GBP", "JPY"][dice.below(2) as usize].into();
                sale.shipping = dice.below(3) as u32 * 200;
                sale.lines[0].price = 1 + dice.below(5_000) as u32;
                let number = [APPROVED, APPROVED, APPROVED, REFUSED, SILENT][dice.below(5) as usize];
                Action::Authorise(Box::new(sale), number)
            }
            4 if dice.below(3) == 0 => Action::Void,
            4..7 => Action::Capture,
            _ => Action::Refund(1 + dice.below(4_000)),
        };
        Self { key, order, action }
    }

    fn ask(&self) -> &'static str {
        match &self.action {
            Action::Authorise(sale, number) => {
                word(Finance::authorise(self.key.clone(), (**sale).clone(), card(number)))
            }
            Action::Void => word(void(&self.key, &self.order).map(|()| None)),
            Action::Capture => word(capture(&self.key, &self.order)),
            Action::Refund(amount) => word(refund(&self.key, &self.order, *amount)),
        }
    }

    /// Returns the expected answer and updates the expected state.
    fn believe(&self, belief: &mut Belief) -> &'static str {
        match &self.action {
            Action::Authorise(sale, number) => {
                if belief.marked || belief.stage.is_some_and(|stage| stage != Stage::Declined) {
                    return "refused";
                }
                let (answer, stage) = match *number {
                    APPROVED => ("authorised", Stage::Authorised),
                    REFUSED => ("declined", Stage::Declined),
                    _ => ("unanswered", Stage::Unknown),
                };
                let goods: u64 = sale.lines.iter().map(|line| u64::from(line.quantity * line.price)).sum();
                let total = goods + u64::from(sale.shipping);
                *belief = Belief { stage: Some(stage), total, currency: sale.currency.clone(), ..Belief::default() };
                answer
            }
            Action::Void => match belief.stage {
                Some(Stage::Captured) => "refused",
                Some(_) => {
                    belief.stage = Some(Stage::Voided);
                    "ok"
                }
                None => {
                    belief.marked = true;
                    "ok"
                }
            },
            Action::Capture | Action::Refund(_) if belief.stage.is_none() => "unknownorder",
            Action::Capture if belief.stage == Some(Stage::Authorised) => {
                belief.stage = Some(Stage::Captured);
                "captured"
            }
            Action::Refund(amount)
                if belief.stage == Some(Stage::Captured) && belief.refunded + amount <= belief.total =>
            {
                belief.refunded += amount;
                "captured"
            }
            Action::Capture | Action::Refund(_) => "refused",
        }
    }
}
