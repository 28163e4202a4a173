//! What the pages show and call, what they lack while a context is away, and their accessibility.

use super::*;
use crate::seams::{Album, CallError, StockError, desk};

fn page(shop: &Shop, address: &str) -> String {
    let response = send(shop, &get_as_ann(address));
    assert_eq!(response.status, 200, "{address}: {}", text(&response));
    assert_eq!(header(&response, "cache-control"), Some("no-store"), "{address}");
    text(&response).to_owned()
}

#[test]
fn every_page_makes_no_call_twice_and_changes_nothing() {
    let shop = office();
    for address in PAGES {
        page(&shop, address);
        let mut calls = shop.calls.borrow().clone();
        let count = calls.len();
        calls.sort();
        calls.dedup();
        assert_eq!(calls.len(), count, "{address}: {calls:?}");
        assert!(changes(&shop).is_empty(), "{address}");
        assert!(!calls.iter().any(|call| call.starts_with("warn")), "{calls:?}");
    }
}

#[test]
fn the_overview_says_what_waits_and_whether_it_adds_up() {
    let shop = office_with(ordering::State::ReturnRequested);
    let shown = page(&shop, "/office");
    for part in [
        "<p class=\"figure\">2</p>",
        "The oldest waits since <time datetime=\"2026-03-02T13:05:09Z\">2 March 2026, 13:05</time>",
        "<a href=\"/office/orders/1000123\">1000123</a>",
        "Nothing is half done.",
        "All there",
        "The books sum to zero",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let shop = Shop { held_up: vec![held_up(&order(), desk::Change::Shipment)], ..office() };
    let shown = page(&shop, "/office");
    for part in [
        "<a href=\"/office/orders/1000123\">1000123</a> since <time",
        "while it was being shipped: finance does not answer.",
        "It is tried again by itself",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let stuck = desk::HeldUp { stuck: true, ..held_up(&order(), desk::Change::Shipment) };
    let shown = page(&Shop { held_up: vec![stuck], ..office() }, "/office");
    assert!(shown.contains("an operator has to look at it") && !shown.contains("by itself"), "{shown}");
}

#[test]
fn an_order_offers_what_its_state_allows() {
    use ordering::State::*;
    for (state, actions) in [
        (Placed, &["cancel", "ship"][..]),
        (Shipped, &["invoice", "refund"]),
        (ReturnRequested, &["invoice", "receive", "refund"]),
        (Returned, &["invoice", "refund"]),
        (Cancelled, &[]),
        (Rejected, &[]),
        (Placing, &[]),
    ] {
        let shown = page(&office_with(state), "/office/orders/1000123");
        let mut offered: Vec<&str> =
            shown.split("=\"/office/orders/1000123/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        offered.sort_unstable();
        assert_eq!(offered, actions, "{state:?}");
    }
    let shown = page(&office_with(Shipped), "/office/orders/1000123");
    for part in [
        "Title A",
        "Artist B",
        "United Kingdom",
        "£78.47",
        "Up to £73.47",
        "value=\"73.47\"",
        "card ending 4242",
        "<a href=\"/office/customers/C-1\">Ann</a>",
    ] {
        assert!(shown.contains(part), "{part}");
    }
}

#[test]
fn the_pick_list_sums_the_shelves_and_fills_the_parcels() {
    let shop = office();
    let shown = page(&shop, "/office/pick");
    assert!(shown.contains("4 copies for 2 parcels"), "{shown}");
    assert!(shown.contains("<tr><td class=\"amount\"><b>3</b></td><td>Artist B</td>"), "{shown}");
    assert!(shown.contains("<b>2 ×</b> Title B"), "{shown}");
    assert!(
        shown.contains("<address>Ann Lee<br>1 High Street<br>LS1 1AA<br>Leeds<br>United Kingdom<br></address>"),
        "{shown}"
    );
    assert_eq!(*shop.calls.borrow(), ["who", "pick-list 51", "albums A B", "recipients 1000123 1000124"]);
    let many = (0..51).map(|_| shop.picks[1].clone()).collect();
    let shown = page(&Shop { picks: many, ..office() }, "/office/pick");
    assert!(shown.contains("50 copies for 50 parcels; more wait after these"));
}

#[test]
fn orders_are_found_by_their_state_and_page() {
    let many = vec![order(); 40];
    let shop = Shop { more_orders: true, known_orders: many, ..office() };
    let shown = page(&shop, "/office/orders?state=placed&page=2");
    let call = "find-orders None Some(State::Placed) None None None None from 20 count 20";
    assert!(shop.calls.borrow().contains(&call.to_owned()), "{:?}", shop.calls.borrow());
    assert!(shown.contains("<a rel=\"next\" href=\"/office/orders?state=placed&#38;page=3\">"), "{shown}");
    assert!(shown.contains("<a href=\"/office/customers/C-1\">Ann</a>"), "{shown}");
    for (address, status) in [
        ("/office/orders?page=501", 404),
        ("/office/orders?page=9999999999999999", 404),
        ("/office/orders?page=0", 400),
        ("/office/orders?page=x", 400),
        ("/office/orders?state=%00", 400),
        ("/office/orders?state=shipped&page=2", 404),
        ("/office/orders/9", 404),
        ("/office/orders/%2e%2e", 404),
        ("/office/orders/a/b/c", 404),
        ("/office/records/MISSING", 404),
        ("/office/records?q=%ff", 400),
        ("/office/records?page=99999", 404),
        ("/office/customers?id=../x", 404),
        ("/office/customers/C-9", 404),
        ("/office//orders", 404),
        ("/office/nothing", 404),
    ] {
        assert_eq!(send(&shop, &get_as_ann(address)).status, status, "{address}");
    }
    let response = send(&shop, &get_as_ann("/office/customers?id=C-1"));
    assert_eq!((response.status, header(&response, "location")), (303, Some("/office/customers/C-1")));
    let by_address = |address: &str| send(&shop, &get_as_ann(&format!("/office/customers?id={address}")));
    assert_eq!(header(&by_address("ann%40example.test"), "location"), Some("/office/customers/C-1"));
    assert_eq!(by_address("unknown%40example.test").status, 404);
}

#[test]
fn a_record_is_found_by_its_sku_even_when_it_is_no_longer_sold() {
    let shop = Shop { total: Some(0), ..office() };
    let shown = page(&shop, "/office/records?q=a");
    assert!(shown.contains("Title A") && shown.contains("1 record"), "{shown}");
    let gone = Shop { albums: vec![Album { discontinued: true, ..album("A") }], ..office() };
    let shown = page(&gone, "/office/records/A");
    assert!(shown.contains("no longer sold") && !shown.contains("/discontinue"), "{shown}");
    assert!(shown.contains("action=\"/office/records/A/relist\""), "{shown}");
}

#[test]
fn a_record_shows_its_copies_and_their_movements() {
    let shown = page(&office(), "/office/records/A");
    for part in [
        "<p class=\"figure\">10</p>",
        "They add up.",
        "<a href=\"/office/orders/1000123\">1000123</a>",
        "<td class=\"amount\">\u{2212}1</td>",
        "<td class=\"amount\">+10</td>",
        "It costs £24.99.",
        "value=\"24.99\"",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
}

#[test]
fn the_books_say_whether_they_balance() {
    let shown = page(&office(), "/office/books");
    assert!(shown.contains("The books balance: 1 entry sums to zero."), "{shown}");
    assert!(
        shown.contains("<th scope=\"row\">card-clearing</th><td>GBP</td><td class=\"amount\">£78.47</td>"),
        "{shown}"
    );
    let shown = page(&office(), "/office/customers/C-1");
    assert!(shown.contains("Invoice I-77") && shown.contains("\u{2212}£78.47") && shown.contains("1000123"), "{shown}");
}

#[test]
fn a_page_lacks_only_what_an_absent_context_provides() {
    let away = || ordering::Error::Unavailable("away".into());
    for (address, without) in [
        ("/office", [200, 200, 200, 200]),
        ("/office/orders", [200, 200, 503, 200]),
        ("/office/orders/1000123", [200, 200, 503, 200]),
        ("/office/pick", [200, 503, 200, 200]),
        ("/office/records", [503, 200, 200, 200]),
        ("/office/records/A", [503, 200, 200, 200]),
        ("/office/records/new", [200, 200, 200, 200]),
        ("/office/books", [200, 200, 200, 503]),
        ("/office/customers/C-1", [200, 200, 200, 503]),
    ] {
        for (at, status) in without.into_iter().enumerate() {
            let shop = office();
            match at {
                0 => shop.catalog.set(Some(CallError::Unavailable)),
                1 => {
                    shop.warehouse.set(Some(CallError::Unavailable));
                    *shop.stock.borrow_mut() = Some(StockError::Unavailable("away".into()));
                }
                2 => *shop.orders.borrow_mut() = Some(away()),
                _ => *shop.finance.borrow_mut() = Some(payments::Error::Unavailable("away".into())),
            }
            assert_eq!(send(&shop, &get_as_ann(address)).status, status, "{address} without {at}");
        }
    }
}

const EVIL: &str = "\"'><script>alert(1)</script>&amp;";

#[test]
fn no_text_of_another_context_becomes_markup() {
    let mut shop = office_with(ordering::State::ReturnRequested);
    for album in &mut shop.albums {
        album.artist = EVIL.into();
        album.title = EVIL.into();
        album.label = EVIL.into();
        album.genre = EVIL.into();
        album.price.currency = EVIL.into();
    }
    for order in &mut shop.known_orders {
        order.customer = EVIL.into();
        order.address.street = EVIL.into();
        order.address.country = EVIL.into();
        order.currency = EVIL.into();
        order.history.push(ordering::Event { at: u64::MAX, state: ordering::State::Shipped, note: EVIL.into() });
    }
    for line in &mut shop.statement {
        line.text = EVIL.into();
        line.order = EVIL.into();
        line.amount = i64::MIN;
    }
    if let Some(account) = &mut shop.account {
        account.name = EVIL.into();
    }
    shop.picks[0].order = EVIL.into();
    for address in PAGES {
        let shown = page(&shop, address);
        assert!(!shown.contains("<script>") && !shown.contains("\"'>"), "{address}: {shown}");
    }
}

/// Values of an attribute.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!(" {attribute}=\"");
    page.split(&start).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn the_pages_are_accessible() {
    for state in [ordering::State::Placed, ordering::State::Shipped, ordering::State::ReturnRequested] {
        let shop = office_with(state);
        for address in PAGES {
            let shown = page(&shop, address);
            let ids = values(&shown, "id");
            let mut distinct = ids.clone();
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len(), ids.len(), "{address}: an id stands twice in {ids:?}");
            assert!(values(&shown, "for").iter().all(|id| ids.contains(id)), "{address}");
            for tag in shown
                .split('<')
                .filter(|tag| ["input ", "select ", "textarea "].iter().any(|start| tag.starts_with(start)))
            {
                let tag = format!("<{}", tag.split('>').next().unwrap_or_default());
                let labelled = values(&tag, "id").first().is_some_and(|id| values(&shown, "for").contains(id));
                assert!(labelled || tag.contains("type=\"hidden\""), "{address}: {tag}");
            }
            assert_eq!(shown.matches("<table").count(), shown.matches("<caption").count(), "{address}");
            assert_eq!(shown.matches("<th>").count() + shown.matches("<th class").count(), 0, "{address}");
            assert_eq!(shown.matches("<h1").count(), 1, "{address}");
            assert_eq!(shown.matches("<form").count(), shown.matches("</form>").count(), "{address}");
            assert!(!shown.contains("minor units"), "{address}");
            let posts = shown.matches("method=\"post\"").count();
            assert_eq!(shown.matches("name=\"csrf\"").count(), posts, "{address}");
            assert!(!shown.contains(" style=") && !shown.contains(" onclick="), "{address}");
        }
    }
}

#[test]
fn what_is_held_up_stands_above_the_list_with_its_cause_and_what_becomes_of_it() {
    use desk::Change::{Cancellation, Placing, ReturnIntake, Shipment};
    use ordering::State;
    for (state, change, doing, end) in [
        (State::Placing, Placing, "it was being placed", "nothing is charged"),
        (State::Placed, Shipment, "it was being shipped", "the money is taken"),
        (State::Placed, Cancellation, "it was being cancelled", "the money is let go"),
        (State::ReturnRequested, ReturnIntake, "its return was being taken in", "goes back to the card"),
    ] {
        let shop = office_with(state);
        let shop = Shop { held_up: vec![held_up(&shop.known_orders[0], change)], ..shop };
        let list = page(&shop, "/office/orders");
        let (above, below) = list.split_once("<table").expect("a list");
        for part in [
            "<a href=\"/office/orders/1000123\">1000123</a> has been held up since <time",
            &format!("2 March 2026, 13:05</time>, while {doing}: finance does not answer."),
            end,
            "It is tried again by itself",
        ] {
            assert!(above.contains(part), "{part}\n{above}");
        }
        assert!(below.contains(", <b class=\"out\">held up</b></td>"), "{below}");
        let shown = page(&shop, "/office/orders/1000123");
        assert!(shown.contains(&format!("while {doing}:")) && shown.contains(end), "{shown}");
        let mut offered: Vec<&str> =
            shown.split("href=\"/office/orders/1000123/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        offered.retain(|action| *action != "invoice");
        assert_eq!(offered, Vec::<&str>::new(), "{state:?}: nothing else can be done now");
    }
    let shop = office();
    for address in ["/office/orders", "/office/orders/1000123"] {
        assert!(!page(&shop, address).contains("eld up"), "{address}");
    }
}

#[test]
fn an_orders_history_says_which_operators_are_behind_it() {
    let author = |by: &str, ended_by: &str| desk::Author { by: by.into(), ended_by: ended_by.into() };
    for (authors, who) in [
        (vec![], ""),
        (vec![author("", ""), author("", "")], ""),
        (vec![author("", ""), author("C-1", "")], ", by Ann"),
        (vec![author("", ""), author("C-7", "C-1")], ", by C-7, brought to its end by Ann"),
        (vec![author("", ""), author("", "C-1")], ", brought to its end by Ann"),
    ] {
        let shop = Shop { authors, ..office() };
        let shown = page(&shop, "/office/orders/1000123");
        let event =
            format!("<b>To be shipped</b> <time datetime=\"2026-03-02T13:05:10Z\">2 March 2026, 13:05</time>{who}<br>");
        assert!(shown.contains(&event), "{event}\n{shown}");
        assert_eq!(shop.calls.borrow().iter().filter(|call| call.starts_with("names")).count(), 1);
        // The customer does not see who works in the shop.
        let own = text(&send(&shop, &get_as_ann("/orders/1000123"))).to_owned();
        assert!(own.contains("Paid by card ending 4242.") && !own.contains(", by "), "{own}");
    }
}

#[test]
fn a_record_shows_what_was_changed_and_by_whom() {
    let shop = office();
    let shown = page(&shop, "/office/records/A");
    for part in [
        "<td>Price</td><td>£19.99</td><td>£24.99</td><td>Ann</td>",
        "<td>Title</td><td>Titel A</td><td>Title A</td><td>C-7</td>",
        "<td>Put into the catalogue</td><td></td><td></td><td></td>",
        "<td>Counted</td><td class=\"amount\">+10</td><td class=\"amount\">10</td><td></td><td>Ann</td>",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert_eq!(shop.calls.borrow().iter().filter(|call| call.starts_with("names")).count(), 1);
}
