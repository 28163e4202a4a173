//! The office over requests: who may open it, what each page shows and calls, what each form does.

mod deeds;
mod doors;
mod files;
mod finding;
mod forms;
mod pages;

use crate::handle;
use crate::seams::{Pick, PickLine, Request, Response, Stage, ordering, payments};
use crate::testing::*;

/// The shop, with Ann as its operator.
fn office() -> Shop {
    let mut account = account();
    account.operator = true;
    let line = |sku: &str, copies| PickLine { sku: sku.into(), copies };
    let pick = |order: &str, lines| Pick { order: order.into(), stage: Stage::Cleared, at: NOW - 3600, lines };
    Shop {
        account: Some(account),
        picks: vec![pick("1000123", vec![line("A", 1), line("B", 2)]), pick("1000124", vec![line("B", 1)])],
        ..Shop::open()
    }
}

/// An office with one order in this state, which is paid if it has been shipped.
fn office_with(state: ordering::State) -> Shop {
    let captured = payments::Payment { stage: payments::Stage::Captured, refunded: 500, ..payment() };
    let sent = matches!(state, ordering::State::Shipped | ordering::State::ReturnRequested | ordering::State::Returned);
    Shop { known_orders: vec![ordering::Order { state, ..order() }], payment: sent.then_some(captured), ..office() }
}

/// An office in which this form is offered.
fn ready(address: &str) -> Shop {
    match address.rsplit_once('/') {
        Some((_, "refund")) => office_with(ordering::State::Shipped),
        Some((_, "receive")) => office_with(ordering::State::ReturnRequested),
        _ => office(),
    }
}

/// Every page, but those of what cannot be undone.
const PAGES: [&str; 19] = [
    "/office",
    "/office/",
    "/office?done=shipped",
    "/office/orders",
    "/office/orders?state=shipped&page=1",
    "/office/orders/1000123",
    "/office/pick",
    "/office/records",
    "/office/records?q=blue",
    "/office/records/A",
    "/office/records/new",
    "/office/records/A/edit",
    "/office/records?gone=1",
    "/office/orders?q=Ann+Lee&from=2026-01-01&to=2026-12-31",
    "/office/orders?q=C-1",
    "/office/orders/1000123/invoice",
    "/office/records?q=A",
    "/office/books",
    "/office/customers/C-1",
];

const KEY: &str = "00112233445566778899aabbccddeeff";

/// A form: address, fields, and the call that it causes.
type Sent = (&'static str, &'static [(&'static str, &'static str)], &'static str);

/// Every form with valid values.
const FORMS: [Sent; 11] = [
    ("/office/orders/1000123/ship", &[("key", KEY)], "ship 00112233445566778899aabbccddeeff-ship 1000123 by C-1"),
    (
        "/office/orders/1000123/receive",
        &[("key", KEY)],
        "receive-return 00112233445566778899aabbccddeeff-receive 1000123 by C-1",
    ),
    (
        "/office/orders/1000123/cancel",
        &[("key", KEY), ("reason", "  Damaged   copy ")],
        "desk-cancel 00112233445566778899aabbccddeeff-cancel 1000123 Damaged copy by C-1",
    ),
    (
        "/office/orders/1000123/refund",
        &[("key", KEY), ("was", "7347"), ("amount", "12.5"), ("reason", "Scratched")],
        "refund 00112233445566778899aabbccddeeff-refund 1000123 1250 Scratched by C-1",
    ),
    (
        "/office/records/A/restock",
        &[("key", KEY), ("copies", "12"), ("note", "")],
        "restock 00112233445566778899aabbccddeeff A 12  by C-1",
    ),
    ("/office/records/A/count", &[("was", "10"), ("counted", "0")], "stocktake A 0 by C-1"),
    ("/office/records/A/price", &[("was", "2499"), ("price", "19.99")], "change-price A 1999 GBP by C-1"),
    ("/office/records/A/discontinue", &[], "discontinue A by C-1"),
    ("/office/records/A/relist", &[], "relist A by C-1"),
    (
        "/office/records/A/edit",
        &[
            ("was", "8244280585600172720"),
            ("artist", "Someone"),
            ("title", "Something"),
            ("year", "1971"),
            ("genre", "jazz"),
            ("label", "Own"),
            ("notes", ""),
        ],
        "describe A Someone/Something/1971/Jazz/Own by C-1",
    ),
    (
        "/office/records",
        &[
            ("sku", "new-1"),
            ("artist", "Someone"),
            ("title", "Something"),
            ("year", "1971"),
            ("genre", "Jazz"),
            ("label", "Own"),
            ("price", "21"),
            ("currency", "GBP"),
            ("notes", "One.\r\nTwo."),
        ],
        "add-album NEW-1 by C-1",
    ),
];

/// The calls that change something.
fn changes(shop: &Shop) -> Vec<String> {
    const CHANGING: [&str; 11] = [
        "ship ",
        "receive-return ",
        "desk-cancel ",
        "refund ",
        "restock ",
        "stocktake ",
        "change-price ",
        "discontinue ",
        "relist ",
        "describe ",
        "add-album ",
    ];
    let calls = shop.calls.borrow();
    calls.iter().filter(|call| CHANGING.iter().any(|change| call.starts_with(change))).cloned().collect()
}

/// The page that the operator sees after the answer to a form that could not be done.
fn seen(shop: &Shop, response: &Response) -> String {
    let page = led_back(shop, response, &format!("session={TOKEN}"));
    text(page.as_ref().unwrap_or(response)).to_owned()
}

fn send(shop: &Shop, request: &Request) -> Response {
    shop.calls.borrow_mut().clear();
    handle(request, shop)
}
