//! Reading the books: statements with running balances, invoices whose albums are gone, a trial balance that reads few
//! rows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::cell::RefCell;

use finance::books;
use finance::neighbours::{Album, Neighbours, albums};
use finance::wit::Money;
use finance::wit_books::{Guest as _, InvoiceLine, StatementLine, Title};

mod common;
use common::*;

/// A catalog that knows only `MC-1`, or does not answer.
struct Known {
    answers: bool,
    asked: RefCell<Vec<Vec<String>>>,
}

impl Known {
    fn that(answers: bool) -> Self {
        Self { answers, asked: RefCell::default() }
    }
}

impl Neighbours for Known {
    fn albums(&self, skus: &[String]) -> Result<Vec<Album>, albums::Error> {
        self.asked.borrow_mut().push(skus.to_vec());
        let [sku, artist, title, genre, label] = ["MC-1", "Björk", "Homogenic", "Electronic", "One"].map(String::from);
        let price = albums::Money { minor_units: 1_000, currency: "GBP".into() };
        let notes = String::new();
        let album = Album { sku, artist, title, year: 1997, genre, label, price, notes, discontinued: false };
        if self.answers { Ok(vec![album]) } else { Err(albums::Error::Unavailable("away".into())) }
    }
}

fn statement(customer: &str) -> (Vec<StatementLine>, bool) {
    let statement = Finance::get_statement(customer.into()).unwrap();
    (statement.lines, statement.more)
}

fn buy(order: &str, change: impl FnOnce(&mut Sale)) {
    let mut sale = sale(order);
    change(&mut sale);
    Finance::authorise(format!("a{order}"), sale, card(APPROVED)).unwrap();
    capture(&format!("c{order}"), order).unwrap();
}

#[test]
fn a_statement_is_newest_first_with_the_balance_after_each_line() {
    let _store = fresh();
    buy("7", |_| {});
    set_clock(Some(NOW + 60));
    refund("r", "7", 500).unwrap();
    buy("8", |sale| sale.currency = "JPY".into());
    buy("9", |sale| sale.customer = "C-2".into());
    let (lines, more) = statement("C-1");
    let shown: Vec<_> = lines
        .iter()
        .map(|l| format!("{} {} {} {} {} {}", l.at - NOW, l.order, l.text, l.amount, l.balance, l.currency))
        .collect();
    assert_eq!(
        shown,
        [
            "60 8 Paid by card ending 4242 -2395 0 JPY",
            "60 8 Invoice 1000002 2395 2395 JPY",
            "60 7 Paid back to card ending 4242 500 0 GBP",
            "60 7 Refund: Scratched -500 -500 GBP",
            "0 7 Paid by card ending 4242 -2395 0 GBP",
            "0 7 Invoice 1000001 2395 2395 GBP",
        ]
    );
    assert!(!more);
    assert_eq!(statement("C-2").0.len(), 2);
    assert_eq!(statement("unknown").0.len(), 0);
    assert!(matches!(Finance::get_statement(String::new()), Err(Error::Invalid(_))));
}

#[test]
fn a_long_statement_is_cut_and_its_balances_are_still_right() {
    let _store = fresh();
    for i in 0..101_u64 {
        set_clock(Some(NOW + i));
        buy(&format!("{i}"), |sale| sale.shipping = i as u32);
    }
    let (lines, more) = statement("C-1");
    assert_eq!((lines.len(), more), (200, true));
    assert_eq!((lines[0].text.as_str(), lines[0].amount, lines[0].balance), ("Paid by card ending 4242", -2_100, 0));
    assert_eq!((lines[199].text.as_str(), lines[199].balance), ("Invoice 1000002", 2_001));
}

#[test]
fn an_invoice_names_its_albums_with_one_call_and_marks_those_that_are_gone() {
    let _store = fresh();
    buy("7", |sale| {
        let line = |sku: &str, quantity, price| Line { sku: sku.into(), quantity, price };
        sale.lines = vec![line("MC-2", 1, 500), line("MC-1", 2, 1_000), line("MC-2", 1, 400)];
    });
    refund("r", "7", 400).unwrap();
    let catalog = Known::that(true);
    let invoice = books::invoice("7", &catalog).unwrap().unwrap();
    assert_eq!(*catalog.asked.borrow(), [["MC-1", "MC-2"]]);
    assert_eq!((invoice.number.as_str(), invoice.at), ("1000001", NOW));
    assert_eq!((invoice.order.as_str(), invoice.customer.as_str(), invoice.shipping), ("7", "C-1", 395));
    assert_eq!(invoice.total, Money { minor_units: 3_295, currency: "GBP".into() });
    assert_eq!((invoice.refunded, invoice.card.as_str()), (400, "4242"));
    let line = |sku: &str, quantity, price, title| InvoiceLine { sku: sku.into(), title, quantity, price };
    let known = Title::Known("Björk – Homogenic".into());
    let lines = [line("MC-2", 1, 500, Title::Gone), line("MC-1", 2, 1_000, known), line("MC-2", 1, 400, Title::Gone)];
    assert_eq!(invoice.lines, lines);
}

#[test]
fn an_invoice_needs_no_catalog() {
    let _store = fresh();
    buy("7", |_| {});
    let invoice = books::invoice("7", &Known::that(false)).unwrap().unwrap();
    assert_eq!(invoice.lines[0].title, Title::Unavailable);
    assert_eq!(invoice.total.minor_units, 2_395);
}

#[test]
fn an_order_that_is_not_captured_has_no_invoice_and_calls_no_context() {
    let _store = fresh();
    authorise("a", "7", APPROVED).unwrap();
    void("v", "8").unwrap();
    authorise("d", "9", REFUSED).unwrap_err();
    let catalog = Known::that(true);
    for order in ["7", "8", "9", "10"] {
        assert_eq!(books::invoice(order, &catalog).unwrap(), None, "{order}");
    }
    assert!(catalog.asked.borrow().is_empty());
}

#[test]
fn a_trial_balance_sums_to_zero() {
    let _store = fresh();
    assert_eq!(books::check(), Ok(()));
    let empty = Finance::get_trial_balance().unwrap();
    assert_eq!((empty.lines.len(), empty.sum, empty.entries), (0, 0, 0));
    buy("7", |_| {});
    buy("8", |sale| (sale.currency, sale.customer) = ("JPY".into(), "C-2".into()));
    refund("r", "7", 500).unwrap();
    let balance = Finance::get_trial_balance().unwrap();
    let shown: Vec<_> =
        balance.lines.iter().map(|l| format!("{} {} {} {}", l.account, l.currency, l.debit, l.credit)).collect();
    assert_eq!(
        shown,
        [
            "card-clearing GBP 2395 500",
            "card-clearing JPY 2395 0",
            "receivable GBP 2895 2895",
            "receivable JPY 2395 2395",
            "refunds GBP 500 0",
            "sales GBP 0 2000",
            "sales JPY 0 2000",
            "shipping GBP 0 395",
            "shipping JPY 0 395",
        ]
    );
    assert_eq!((balance.sum, balance.entries), (0, 6));
}

#[test]
fn each_refund_is_kept_with_its_reason_and_who_gave_it() {
    let _store = fresh();
    sold("7");
    sold("8");
    refund("k1", "7", 500).unwrap();
    let by = |key: &str, by: &str| Finance::refund_by(key.into(), "7".into(), 300, "Came late".into(), by.into());
    set_clock(Some(NOW + 60));
    assert_eq!(by("k2", "C-9").unwrap().refunded, 800);
    assert_eq!(by("k2", "C-9").unwrap().refunded, 800, "once");
    assert!(matches!(by("k2", "C-8"), Err(Error::Invalid(_))), "a key of another request");
    assert!(matches!(by("k3", ""), Err(Error::Invalid(_))));
    let refunds = Finance::get_refunds("7".into()).unwrap();
    let shown: Vec<_> = refunds.iter().map(|r| (r.at - NOW, r.amount, r.reason.as_str(), r.by.as_str())).collect();
    assert_eq!(shown, [(0, 500, "Scratched", ""), (60, 300, "Came late", "C-9")]);
    assert!(Finance::get_refunds("8".into()).unwrap().is_empty());
    let store_refuses = |sql: &str| assert!(seam_sdk::store::execute(sql, params![]).is_err(), "{sql}");
    store_refuses("UPDATE givers SET by = 'C-1'");
    store_refuses("DELETE FROM givers");
}

#[test]
fn every_query_uses_an_index() {
    let store = fresh();
    let plan = |sql: &str| {
        store.connection(|c| {
            let mut statement = c.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let details = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
            details.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
        })
    };
    let statement = plan(
        "SELECT e.text, b.balance FROM lines AS l CROSS JOIN entries AS e ON e.id = l.entry
           CROSS JOIN balances AS b ON b.customer = l.customer AND b.currency = l.currency
         WHERE l.customer = 'C-1' ORDER BY l.at DESC, l.entry DESC, l.position DESC LIMIT 201",
    );
    assert!(statement.contains("USING INDEX lines_by_customer (customer=?)"), "{statement}");
    assert!(!statement.contains("TEMP B-TREE") && !statement.contains("SCAN"), "{statement}");
    let refunds = plan(
        "SELECT e.at FROM entries AS e LEFT JOIN givers AS g ON g.entry = e.id
         WHERE e.number = '7' AND e.lines ->> '$[0][0]' = 'refunds' ORDER BY e.id",
    );
    assert!(refunds.contains("entries_by_order (number=?)") && !refunds.contains("TEMP B-TREE"), "{refunds}");
    let invoice = plan("SELECT coalesce(max(invoice) + 1, 1000001) FROM payments");
    assert!(invoice.contains("COVERING INDEX"), "{invoice}");
    let trial = plan("SELECT account, (SELECT max(id) FROM entries) FROM totals ORDER BY account, currency");
    assert!(!trial.contains("TEMP B-TREE"), "{trial}");
}
