//! The page of an order, cancelling it, and sending records back.

use crate::handle;
use crate::seams::ordering::State;
use crate::seams::{Album, CallError, Response, accounts, ordering};
use crate::testing::{
    Shop, TOKEN, album, get, get_as_ann, header, led_back, order, post, post_as_ann, text, with_cookies,
};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const ORDER: &str = "/orders/1000123";

fn shop_with(state: State) -> Shop {
    let mut placed = order();
    placed.state = state;
    Shop { known_orders: vec![placed], ..Shop::open() }
}

fn send(shop: &Shop, action: &str, fields: &[(&str, &str)]) -> Response {
    shop.calls.borrow_mut().clear();
    let mut all = vec![("key", KEY)];
    all.extend(fields);
    handle(&post_as_ann(&format!("{ORDER}/{action}"), &all), shop)
}

/// The page that the customer sees after the answer.
fn seen(shop: &Shop, response: &Response) -> String {
    let page = led_back(shop, response, &format!("session={TOKEN}"));
    text(page.as_ref().unwrap_or(response)).to_owned()
}

#[test]
fn the_page_shows_the_order_and_its_history() {
    let shop = Shop::open();
    let response = handle(&get_as_ann("/orders/1000123?note=placed"), &shop);
    let page = text(&response);
    assert_eq!((response.status, header(&response, "cache-control")), (200, Some("no-store")));
    assert_eq!(*shop.calls.borrow(), ["who", "order C-1 1000123", "albums A B", "progress C-1 1000123"]);
    for part in [
        "Thank you. Your order is placed.",
        "Order 1000123",
        "Title B",
        "£49.98",
        "£78.47",
        "Paid by card ending 4242.",
        "2 March 2026, 13:05",
        "datetime=\"2026-03-02T13:05:09Z\"",
        "1 High Street",
        "United Kingdom",
        "Cancel the order",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert!(!page.contains("Send something back") && !page.contains("Invoice"));
}

#[test]
fn what_can_be_done_depends_on_the_state() {
    for (state, shown, cancel, send_back, invoice) in [
        (State::Placing, "Look again", false, false, false),
        (State::Placed, "Placed", true, false, false),
        (State::Shipped, "On its way", false, true, true),
        (State::ReturnRequested, "Return under way", false, false, true),
        (State::Returned, "Returned", false, false, true),
        (State::Cancelled, "Cancelled", false, false, false),
        (State::Rejected, "Not placed", false, false, false),
    ] {
        let shop = shop_with(state);
        let response = handle(&get_as_ann(ORDER), &shop);
        let page = text(&response);
        assert!(page.contains(shown), "{state:?}");
        assert_eq!(page.contains("/cancel\""), cancel, "{state:?}");
        assert_eq!(page.contains("/return\""), send_back, "{state:?}");
        assert_eq!(page.contains("/invoice\""), invoice, "{state:?}");
    }
    // What is being done with it is said, and nothing else is offered meanwhile.
    let text_of = |progress: Vec<ordering::Progress>| {
        let shop = Shop { progress, ..shop_with(State::Placed) };
        text(&handle(&get_as_ann(ORDER), &shop)).to_owned()
    };
    let sent = ordering::Progress { number: "1000123".into(), since: 5, text: "Your parcel is being sent.".into() };
    let page = text_of(vec![sent]);
    assert!(page.contains("Your parcel is being sent. <a href=\"/orders/1000123\">Look again</a>"), "{page}");
    assert!(!page.contains("/cancel\""), "{page}");
    assert!(text_of(Vec::new()).contains("/cancel\""));
    let mut shop = shop_with(State::Shipped);
    for line in &mut shop.known_orders[0].lines {
        line.returned = line.copies;
    }
    assert!(!text(&handle(&get_as_ann(ORDER), &shop)).contains("/return\""), "all of it came back");
}

#[test]
fn an_order_is_shown_only_to_its_customer() {
    let mut shop = Shop::open();
    let response = handle(&get(ORDER), &shop);
    assert_eq!(header(&response, "location"), Some("/sign-in?next=%2Forders%2F1000123"));
    shop.known_orders[0].customer = "C-2".into();
    for address in [ORDER, "/orders/7", "/orders/-"] {
        let response = handle(&get_as_ann(address), &shop);
        assert_eq!(response.status, 404, "{address}");
        assert!(!text(&response).contains("High Street"));
    }
    for address in ["/orders/%00", "/orders/<b>", &format!("/orders/{}", "1".repeat(33))] {
        shop.calls.borrow_mut().clear();
        assert_eq!(handle(&get_as_ann(address), &shop).status, 404, "{address}");
        assert!(shop.calls.borrow().is_empty(), "no context is called");
    }
}

#[test]
fn an_order_is_cancelled_once() {
    let shop = Shop::open();
    let response = send(&shop, "cancel", &[]);
    assert_eq!((response.status, header(&response, "location")), (303, Some("/orders/1000123?note=cancelled")));
    assert_eq!(*shop.calls.borrow(), ["who".to_owned(), format!("cancel {KEY} C-1 1000123")]);
    let page = text(&handle(&get_as_ann(ORDER), &shop)).to_owned();
    let (_, rest) = page.split_once("name=\"key\" value=\"").expect("a key");
    assert!(rest.split('"').next().is_some_and(|key| key.len() == 32 && key != KEY));
}

#[test]
fn a_return_has_the_chosen_copies() {
    let shop = shop_with(State::Shipped);
    let response = send(&shop, "return", &[("copies-A", "0"), ("copies-B", "2")]);
    assert_eq!(header(&response, "location"), Some("/orders/1000123?note=return-requested"));
    assert_eq!(shop.calls.borrow()[1], format!("return {KEY} C-1 1000123 B.2"));
    for (fields, said) in [
        (&[][..], "Nothing was chosen"),
        (&[("copies-A", "")], "Nothing was chosen"),
        (&[("copies-A", "0"), ("copies-B", "000")], "Nothing was chosen"),
        (&[("copies-A", "-1")], "That is no number of copies"),
        (&[("copies-A", "+1")], "That is no number of copies"),
        (&[("copies-A", "1.5")], "That is no number of copies"),
        (&[("copies-A", "21")], "That is no number of copies"),
        (&[("copies-A", "99999999999999999999")], "That is no number of copies"),
        (&[("copies-A", "1"), ("copies-A", "1")], "That is no number of copies"),
        (&[("copies-<b>", "1")], "That is no number of copies"),
        (&[("copies-", "1")], "That is no number of copies"),
    ] {
        let response = send(&shop, "return", fields);
        assert!(response.status == 303 && seen(&shop, &response).contains(said), "{fields:?}");
        assert!(!shop.calls.borrow().iter().any(|call| call.starts_with("return")), "{fields:?}");
    }
}

#[test]
fn the_page_explains_why_a_change_was_refused() {
    let shop = shop_with(State::Shipped);
    let many = vec![ordering::FieldProblem { field: "x".into(), problem: "y".into() }];
    for (error, status, said) in [
        (ordering::Error::Refused("It left <yesterday>.".into()), 303, "It left &#60;yesterday&#62;."),
        (ordering::Error::Unavailable("x".into()), 503, "doing it twice does no harm"),
        (ordering::Error::Invalid("x".into()), 303, "That is not possible"),
        (ordering::Error::Fields(many), 303, "That is not possible"),
        (ordering::Error::Declined("x".into()), 303, "That is not possible"),
        (ordering::Error::UnknownOrder, 404, "No such order"),
        (ordering::Error::InProcess("1000123".into()), 303, ""),
    ] {
        *shop.changing.borrow_mut() = Some(error.clone());
        for (action, fields) in [("cancel", &[][..]), ("return", &[("copies-A", "1")])] {
            let response = send(&shop, action, fields);
            assert_eq!(response.status, status, "{action} {error:?}");
            assert!(seen(&shop, &response).contains(said), "{action} {error:?}");
        }
    }
}

#[test]
fn a_form_from_another_visitor_or_without_a_key_does_nothing() {
    let shop = shop_with(State::Shipped);
    for action in ["cancel", "return"] {
        let address = format!("{ORDER}/{action}");
        let fields = [("key", KEY), ("copies-A", "1")];
        let session = format!("session={TOKEN}");
        assert_eq!(handle(&with_cookies(post(&address, &fields), &session), &shop).status, 403);
        for key in ["", "x", "0123456789ABCDEF0123456789abcdeg"] {
            assert_eq!(handle(&post_as_ann(&address, &[("key", key), ("copies-A", "1")]), &shop).status, 403, "{key}");
        }
        assert_eq!(handle(&get_as_ann(&address), &shop).status, 405);
    }
    assert!(shop.calls.borrow().iter().all(|call| call == "who"));
}

#[test]
fn the_page_needs_the_order_but_not_its_titles() {
    let shop = Shop::open();
    shop.catalog.set(Some(CallError::Unavailable));
    let response = handle(&get_as_ann(ORDER), &shop);
    assert!(response.status == 200 && text(&response).contains("<b>A</b>"));
    *shop.orders.borrow_mut() = Some(ordering::Error::Unavailable("x".into()));
    let response = handle(&get_as_ann(ORDER), &shop);
    assert!(response.status == 503 && text(&response).contains("order desk"));
    *shop.customer.borrow_mut() = Some(accounts::Error::Unavailable("x".into()));
    assert_eq!(handle(&get_as_ann(ORDER), &shop).status, 503);
    let odd = Shop::open();
    *odd.orders.borrow_mut() = Some(ordering::Error::Invalid("x".into()));
    assert_eq!(handle(&get_as_ann(ORDER), &odd).status, 404);
}

#[test]
fn no_text_of_an_order_becomes_markup() {
    let evil = "\"><script>alert(1)</script>&'";
    let mut shop =
        Shop { albums: vec![Album { title: evil.into(), artist: evil.into(), ..album("A") }], ..Shop::open() };
    let order = &mut shop.known_orders[0];
    order.history[1].note = evil.into();
    order.address.name = evil.into();
    order.address.extra = evil.into();
    order.address.country = evil.into();
    order.currency = evil.into();
    order.lines[1].sku = evil.into();
    order.state = State::Shipped;
    let response = handle(&get_as_ann(ORDER), &shop);
    assert!(response.status == 200 && !text(&response).contains("<script>"));
}
