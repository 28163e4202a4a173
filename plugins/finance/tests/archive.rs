//! Past sales are booked with their own times: each once, all of a call or none, a thousand in a call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::{Duration, Instant};

use finance::exports::musiccorp::finance::archive::{Guest as _, PastRefund, PastSale};
use finance::exports::musiccorp::finance::books::Guest as _;

mod common;
use common::*;

const DAY: u64 = 86_400;

/// Ordered on day `day`, taken the day after.
fn past(order: &str, day: u64) -> PastSale {
    let at = NOW - 1_000 * DAY + day * DAY;
    PastSale { sale: sale(order), at, captured: Some(at + DAY), voided: None, card: "4242".into(), refunds: vec![] }
}

fn put(sales: Vec<PastSale>) -> Result<u32, Error> {
    Finance::put_sales(sales)
}

#[test]
fn past_sales_are_booked_with_their_own_times_and_numbered_as_they_were_captured() {
    let _store = fresh();
    let refund = PastRefund { at: NOW - DAY, amount: 1_000, reason: "records sent back, order 2".into() };
    let held = PastSale { captured: None, ..past("3", 3) };
    let voided = PastSale { captured: None, voided: Some(NOW - DAY), ..past("4", 4) };
    let sales = vec![past("1", 9), PastSale { refunds: vec![refund], ..past("2", 2) }, held, voided];
    assert_eq!(put(sales).unwrap(), 4);
    let stages = ["1", "2", "3", "4"].map(|order| payment(order).unwrap().stage);
    assert_eq!(stages, [Stage::Captured, Stage::Captured, Stage::Authorised, Stage::Voided]);
    assert_eq!(payment("2").unwrap().refunded, 1_000);
    let statement = Finance::get_statement("C-1".into()).unwrap();
    let shown: Vec<_> =
        statement.lines.iter().map(|l| format!("{} {} {}", (NOW - l.at) / DAY, l.text, l.balance)).collect();
    assert_eq!(
        shown,
        [
            "1 Paid back to card ending 4242 0",
            "1 Refund: records sent back, order 2 -1000",
            "990 Paid by card ending 4242 0",
            "990 Invoice 1000002 2395",
            "997 Paid by card ending 4242 0",
            "997 Invoice 1000001 2395",
        ]
    );
    check_books();
    // Their payments continue like those made here.
    assert_eq!(word(capture("c", "3")), "captured");
    assert_eq!(word(capture("c-4", "4")), "refused");
    assert_eq!(word(refund_all("2", 1_395)), "captured");
    assert_eq!(word(refund_all("1", 2_396)), "refused");
    check_books();
}

fn refund_all(order: &str, amount: u64) -> Result<Payment, Error> {
    refund(&format!("r{order}"), order, amount)
}

#[test]
fn known_orders_are_skipped() {
    let _store = fresh();
    authorise("a", "1", APPROVED).unwrap();
    void("v", "2").unwrap();
    let sales = || vec![past("1", 1), past("2", 2), past("3", 3)];
    assert_eq!(put(sales()).unwrap(), 1);
    assert_eq!(put(sales()).unwrap(), 0);
    assert_eq!(put(vec![]).unwrap(), 0);
    assert_eq!(payment("1").unwrap().stage, Stage::Authorised);
    assert!(payment("2").is_none());
    assert_eq!((count("payments"), count("entries")), (2, 2));
    check_books();
}

#[test]
fn one_bad_row_books_nothing() {
    let _store = fresh();
    let sales = vec![past("1", 1), PastSale { card: "4242424242424242".into(), ..past("2", 2) }];
    match put(sales) {
        Err(Error::Invalid(why)) => assert_eq!(why, "row 2, card: not the last four digits"),
        other => panic!("{other:?}"),
    }
    assert_eq!((count("payments"), count("entries")), (0, 0));
}

#[test]
fn a_thousand_at_a_time_are_fast_and_leave_no_gap() {
    let _store = fresh();
    let batch = |first: u64| -> Vec<PastSale> {
        let one = |i: u64| {
            let mut past = past(&format!("{}", first + i), (i * 7) % 900);
            past.sale.customer = format!("C-{}", i % 100);
            past.sale.lines = vec![past.sale.lines[0].clone(); 3];
            if i.is_multiple_of(10) {
                past.refunds = vec![PastRefund { at: past.at + 9 * DAY, amount: 1_000, reason: "sent back".into() }];
            }
            past
        };
        (0..1_000).map(one).collect()
    };
    sold("0");
    let begin = Instant::now();
    assert_eq!(put(batch(1)).unwrap(), 1_000);
    let taken = begin.elapsed();
    // A call has five seconds, and this is compiled without optimisation.
    assert!(taken < Duration::from_secs(3), "{taken:?}");
    assert_eq!(put(batch(501)).unwrap(), 500);
    let last: u32 = one("SELECT max(invoice) FROM payments", params![]).unwrap();
    assert_eq!(last, 1_000_001 + 1_500);
    check_books();
    let balance = Finance::get_trial_balance().unwrap();
    assert_eq!((balance.sum, balance.entries), (0, u64::from(count("entries"))));
}
