//! What cannot be undone: the page that says what will happen, and that promises no more than there is.

use super::*;
use crate::seams::books::GivenBack;

fn shown(shop: &Shop, address: &str, status: u16) -> String {
    let response = send(shop, &get_as_ann(address));
    assert_eq!(response.status, status, "{address}: {}", text(&response));
    assert!(changes(shop).is_empty(), "{address}");
    text(&response).to_owned()
}

#[test]
fn a_deed_says_what_will_happen_before_its_form_does_it() {
    use ordering::State::*;
    for (state, action, parts) in [
        (
            Placed,
            "ship",
            &[
                "Ship order 1000123?",
                "3 copies leaves for Ann Lee in Leeds, United Kingdom",
                "£78.47 is taken from the card ending 4242",
            ][..],
        ),
        (Placed, "cancel", &["Cancel order 1000123?", "£78.47 on the card ending 4242 is let go", "name=\"reason\""]),
        (ReturnRequested, "receive", &["Take in the return of order 1000123?", "goes back to the card."]),
        (
            Shipped,
            "refund?amount=12.5",
            &["£12.50 goes back to the card ending 4242. £60.97 is left then.", "Give £12.50 back", "name=\"reason\""],
        ),
    ] {
        let page = shown(&office_with(state), &format!("/office/orders/1000123/{action}"), 200);
        for part in parts {
            assert!(page.contains(part), "{action}: {part}\n{page}");
        }
        let action = action.split('?').next().expect("an action");
        assert!(page.contains(&format!("method=\"post\" action=\"/office/orders/1000123/{action}\"")), "{page}");
        assert!(page.contains("href=\"/office/orders/1000123\">No, back"), "{page}");
        assert_eq!(page.matches("<h1").count(), 1);
    }
}

#[test]
fn a_deed_that_the_state_forbids_is_not_offered() {
    use ordering::State::*;
    for (state, action) in [(Shipped, "ship"), (Cancelled, "cancel"), (Shipped, "receive"), (Placed, "refund?amount=1")]
    {
        let page = shown(&office_with(state), &format!("/office/orders/1000123/{action}"), 409);
        assert!(page.contains("This order cannot be") && !page.contains("name=\"key\""), "{action}: {page}");
    }
    let shop = office();
    assert_eq!(send(&shop, &get_as_ann("/office/orders/9/ship")).status, 404);
}

#[test]
fn an_amount_that_cannot_be_given_back_is_said_beside_the_amount() {
    let shop = office_with(ordering::State::Shipped);
    for (query, problem) in [
        ("", "An amount such as 12.99."),
        ("?amount=", "An amount such as 12.99."),
        ("?amount=73.48", "At most £73.47: no more is left."),
        ("?amount=0", "More than nothing."),
        ("?amount=%3Cscript%3E", "An amount such as 12.99."),
    ] {
        let page = shown(&shop, &format!("/office/orders/1000123/refund{query}"), 422);
        assert!(page.contains("id=\"amount-problem\"") && page.contains(problem), "{query}: {page}");
        assert!(!page.contains("<script>"));
    }
    *shop.finance.borrow_mut() = Some(payments::Error::Unavailable("away".into()));
    shown(&shop, "/office/orders/1000123/refund?amount=1", 503);
}

#[test]
fn a_refund_shows_its_reason_who_gave_it_and_what_is_left() {
    let given =
        |amount, reason: &str, by: &str| GivenBack { at: NOW - 60, amount, reason: reason.into(), by: by.into() };
    let shop = Shop {
        refunds: vec![given(300, "Sleeve <bent>", "C-1"), given(200, "Came late", "")],
        ..office_with(ordering::State::Shipped)
    };
    let page = shown(&shop, "/office/orders/1000123", 200);
    for part in [
        "Given back: £5.00. £73.47 is left.",
        "<b>£3.00</b> <time datetime=\"2026-03-02T14:04:09Z\">2 March 2026, 14:04</time>, by Ann<br>Sleeve &#60;bent&#62;",
        "<b>£2.00</b>",
        "Came late",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert_eq!(shop.calls.borrow().iter().filter(|call| call.starts_with("names")).count(), 1);
}

#[test]
fn a_return_promises_no_more_than_is_left() {
    for (refunded, text) in [
        (0, "Their price, £24.99, goes back to the card."),
        (7847 - 2499, "Their price, £24.99, goes back to the card."),
        (7847 - 2498, "No money goes back by itself: their price is £24.99, and only £24.98 of the payment is left."),
        (7847, "No money goes back: all of it has been given back before."),
    ] {
        let mut shop = office_with(ordering::State::ReturnRequested);
        shop.known_orders[0].lines[0].returned = 1;
        shop.payment = Some(payments::Payment { stage: payments::Stage::Captured, refunded, ..payment() });
        for address in ["/office/orders/1000123", "/office/orders/1000123/receive"] {
            let page = shown(&shop, address, 200);
            assert!(page.contains(text), "{address} {refunded}: {page}");
        }
        assert!(shown(&shop, "/office/orders/1000123", 200).contains("MusicCorp Returns<br>1 Yard<br>"));
    }
    // What the order's last note says is what the next page says.
    for (note, done) in [("", "received"), ("All of the money had been given back before.", "received-unpaid")] {
        let mut shop = office_with(ordering::State::ReturnRequested);
        let event = ordering::Event { at: NOW, state: ordering::State::Returned, note: note.into() };
        shop.known_orders[0].history.push(event);
        let response = send(&shop, &post_as_ann("/office/orders/1000123/receive", &[("key", KEY)]));
        assert_eq!(header(&response, "location"), Some(&*format!("/office/orders/1000123?done={done}")));
    }
}

#[test]
fn the_invoice_is_linked_and_shown_as_its_customer_has_it() {
    let shop = office_with(ordering::State::Shipped);
    assert!(shown(&shop, "/office/orders/1000123", 200).contains("href=\"/office/orders/1000123/invoice\""));
    let page = shown(&shop, "/office/orders/1000123/invoice", 200);
    for part in
        ["Invoice I-77", "Ann Lee<br>1 High Street<br>LS1 1AA<br>Leeds", "£78.47", "href=\"/office/customers/C-1\""]
    {
        assert!(page.contains(part), "{part}\n{page}");
    }
    let shop = Shop { invoice: None, ..office() };
    shown(&shop, "/office/orders/1000123/invoice", 404);
}
