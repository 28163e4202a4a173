//! The cart's page and forms.

use crate::cart::{Cart, LINES_MAX};
use crate::handle;
use crate::key::is_key;
use crate::seams::{Album, CallError, Response, ordering};
use crate::testing::{
    Shop, TOKEN, VISITOR, album, get, header, headers, post, post_as_ann, post_as_visitor, post_with, text,
    with_cookies,
};

fn open(shop: &Shop, cart: &str) -> Response {
    handle(&with_cookies(get("/cart"), &format!("cart={cart}")), shop)
}

/// The cart that a response makes the browser keep.
fn kept(response: &Response) -> Option<&str> {
    let cookie = headers(response, "set-cookie").into_iter().find_map(|cookie| cookie.strip_prefix("cart="))?;
    let text = cookie.split(';').next()?;
    // Every cart but an empty one has a version.
    if text.is_empty() {
        Some(text)
    } else {
        text.split_once('~').filter(|(version, _)| is_key(version)).map(|(_, lines)| lines)
    }
}

/// A form of a visitor who has this cart.
fn send(shop: &Shop, cart: &str, address: &str, fields: &[(&str, &str)]) -> Response {
    handle(&post_with(address, fields, &format!("visitor={VISITOR}; cart={cart}"), VISITOR), shop)
}

#[test]
fn an_album_goes_into_the_cart_without_any_cookie_or_token() {
    let shop = Shop::open();
    let page = handle(&get("/albums/A"), &shop);
    assert!(text(&page).contains("action=\"/cart/add\"") && text(&page).contains("Add to cart"));
    assert_eq!(headers(&page, "set-cookie"), [""; 0], "the page is the same for all visitors");

    shop.calls.borrow_mut().clear();
    let response = handle(&post("/cart/add", &[("sku", "A")]), &shop);
    assert_eq!((response.status, header(&response, "location")), (303, Some("/cart?note=added")));
    assert_eq!(kept(&response), Some("A.1"));
    let cookie = headers(&response, "set-cookie")[0];
    assert!(cookie.ends_with("~A.1; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"), "{cookie}");
    assert!(shop.calls.borrow().is_empty(), "adding calls no context");
}

#[test]
fn what_is_not_for_sale_has_no_button() {
    let mut shop = Shop::open();
    assert!(!text(&handle(&get("/albums/C"), &shop)).contains("Add to cart"), "sold out");
    shop.albums[0].discontinued = true;
    assert!(!text(&handle(&get("/albums/A"), &shop)).contains("Add to cart"), "no longer sold");
    shop.warehouse.set(Some(CallError::Unavailable));
    assert!(text(&handle(&get("/albums/B"), &shop)).contains("Add to cart"), "stock unknown: one may try");
}

#[test]
fn copies_add_up_to_twenty() {
    let shop = Shop::open();
    let add = |cart: &str, fields: &[(&str, &str)]| {
        let response = handle(&with_cookies(post("/cart/add", fields), &format!("cart={cart}")), &shop);
        let note = header(&response, "location").unwrap_or_default().rsplit('=').next().unwrap_or_default().to_owned();
        (response.status, note, kept(&response).unwrap_or_default().to_owned())
    };
    let fine = |note: &str, cart: &str| (303, note.to_owned(), cart.to_owned());
    assert_eq!(add("A.1", &[("sku", "A"), ("copies", "2")]), fine("added", "A.3"));
    for copies in ["21", "4294967295", "99999999999999"] {
        assert_eq!(add("A.1", &[("sku", "B"), ("copies", copies)]), fine("most", "A.1~B.20"), "{copies}");
    }
    assert_eq!(add("A.19", &[("sku", "A"), ("copies", "5")]), fine("most", "A.20"));
    for copies in ["0", "-1", "1.5", "x", " ", "99999999999999999999999"] {
        assert_eq!(add("A.1", &[("sku", "A"), ("copies", copies)]).0, 400, "{copies}");
    }
    for sku in ["", "a", "<b>", "A B", "../x", &"X".repeat(33)] {
        assert_eq!(add("", &[("sku", sku)]).0, 404, "{sku}");
    }
    let full: Vec<String> = (0..LINES_MAX).map(|number| format!("S-{number}.1")).collect();
    assert_eq!(add(&full.join("~"), &[("sku", "A")]), fine("full", &full.join("~")));
}

#[test]
fn a_double_click_without_scripts_adds_one_copy() {
    let shop = Shop::open();
    let add = |cookies: &str, sku: &str| handle(&with_cookies(post("/cart/add", &[("sku", sku)]), cookies), &shop);
    let pair = |response: &Response, at: usize| {
        headers(response, "set-cookie")[at].split(';').next().unwrap_or_default().to_owned()
    };
    let first = add("cart=B.1", "A");
    assert_eq!(kept(&first), Some("B.1~A.1"));
    assert!(headers(&first, "set-cookie")[1].contains("; Max-Age=2; "), "a moment later it is another copy");
    let cookies = format!("{}; {}", pair(&first, 0), pair(&first, 1));
    let second = add(&cookies, "A");
    assert_eq!((second.status, header(&second, "location")), (303, Some("/cart?note=added")));
    assert_eq!(headers(&second, "set-cookie"), [""; 0], "the cart stays as it is");
    assert_eq!(kept(&add(&cookies, "D")), Some("B.1~A.1~D.1"), "another album is another click");
    assert_eq!(kept(&add(&pair(&first, 0), "A")), Some("B.1~A.2"), "and so is one after the moment");
    let stale = format!("cart={}~A.1; {}", "f".repeat(32), pair(&first, 1));
    assert_eq!(kept(&add(&stale, "A")), Some("A.2"), "the cart has changed between the clicks");
}

#[test]
fn the_cart_shows_what_it_costs_now() {
    let shop = Shop::open();
    let response = open(&shop, "A.1~B.2");
    let page = text(&response);
    assert_eq!(response.status, 200);
    assert_eq!(*shop.calls.borrow(), ["quote A.1 B.2", "levels A B", "shipping"]);
    for part in [
        "Title A",
        "Artist B",
        "£24.99 each",
        "£49.98",
        "<dd>£74.97</dd>",
        "<dd>£3.50</dd>",
        "<dd>£78.47</dd>",
        "£25.03 more, and shipping is free.",
        "form=\"cart\" name=\"next\" value=\"/checkout\">Check out",
        "<b class=\"copies\">3</b>",
        "for=\"copies-A\"",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert_eq!(header(&response, "cache-control"), Some("no-store"));
    let cookies = headers(&response, "set-cookie");
    assert!(cookies.len() == 1 && cookies[0].starts_with("visitor="), "its forms need a token: {cookies:?}");

    let page = text(&open(&shop, "A.5")).to_owned();
    assert!(page.contains("<dt>Shipping</dt><dd>Free</dd>") && !page.contains("shipping is free"), "{page}");
}

#[test]
fn more_copies_than_there_are_are_marked_and_cannot_be_ordered() {
    let shop = Shop::open();
    let page = text(&open(&shop, "A.1~B.3~C.1")).to_owned();
    for part in [
        "id=\"warning-B\">Only 2 left. Take 2 or fewer to check out.",
        "aria-invalid=\"true\" aria-describedby=\"warning-B\"",
        "name=\"copies-B\" value=\"2\" formnovalidate>Take 2",
        "id=\"warning-C\">Sold out. Remove it to check out.",
        "Not ready to check out.",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert!(!page.contains("/checkout"), "no button");
    assert!(!page.contains("name=\"copies-C\" value=\"0\""), "of what is sold out there is nothing to take");

    let sent = send(&shop, "A.1~B.3", "/cart/change", &[("copies-A", "1"), ("copies-B", "3"), ("copies-B", "2")]);
    assert_eq!(kept(&sent), Some("A.1~B.2"), "the button that takes what is left");
    shop.warehouse.set(Some(CallError::Unavailable));
    assert!(text(&open(&shop, "B.3")).contains("/checkout"), "stock unknown: one may try");
}

#[test]
fn two_currencies_have_no_total_and_cannot_be_ordered() {
    let mut shop = Shop::open();
    shop.albums[3].price.currency = "EUR".into();
    let page = text(&open(&shop, "A.1~D.2")).to_owned();
    for part in [
        "Two currencies in one cart",
        "id=\"warning-D\">Priced in EUR. Order it on its own, without the records in GBP.",
        "€24.99 each",
        "€49.98",
        "Not ready to check out.",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert!(!page.contains("<dt>Total</dt>") && !page.contains("/checkout") && !page.contains("warning-A"), "{page}");

    *shop.orders.borrow_mut() = Some(ordering::Error::Refused("Too much for one card.".into()));
    let page = text(&open(&shop, "A.20")).to_owned();
    assert!(page.contains("Too much for one card.") && !page.contains("/checkout"), "{page}");
}

#[test]
fn every_button_takes_along_what_was_typed() {
    let shop = Shop::open();
    let change = |fields: &[(&str, &str)]| {
        let response = send(&shop, "A.1~B.2", "/cart/change", fields);
        assert_eq!(response.status, 303);
        (
            kept(&response).unwrap_or("as it was").to_owned(),
            header(&response, "location").unwrap_or_default().to_owned(),
        )
    };
    let to = |cart: &str, address: &str| (cart.to_owned(), address.to_owned());
    let typed = ("copies-A", "3");
    assert_eq!(change(&[typed, ("next", "/checkout")]), to("A.3~B.2", "/checkout"));
    assert_eq!(change(&[typed, ("next", "/browse?genre=Jazz")]), to("A.3~B.2", "/browse?genre=Jazz"));
    assert_eq!(change(&[typed, ("remove", "B")]), to("A.3", "/cart?note=removed"));
    assert_eq!(change(&[("copies-A", "21"), ("next", "/checkout")]), to("A.20~B.2", "/cart?note=most"), "that is said");
    assert_eq!(change(&[("copies-A", "1"), ("next", "/checkout")]), to("as it was", "/checkout"), "the same version");
    for next in ["//evil.test", "http://evil.test", "/\\evil.test", "checkout"] {
        assert_eq!(change(&[typed, ("next", next)]), to("A.3~B.2", "/cart?note=changed"), "{next}");
    }
    let page = text(&open(&shop, "A.1~B.2")).to_owned();
    let form = page.split_once("id=\"cart\"").and_then(|(_, rest)| rest.split_once("</form>")).expect("the form").0;
    let first = form.split_once("<button").and_then(|(_, rest)| rest.split_once("</button>")).expect("a button").0;
    assert!(first.ends_with("Update the cart") && !first.contains("name="), "the return key removes nothing: {first}");
    assert_eq!(page.matches("<form").count(), 2, "the search, and one form for all that changes the cart");
}

#[test]
fn an_order_whose_answer_was_lost_leaves_the_cart() {
    let key = "0123456789abcdef".repeat(2);
    let ask = |shop: &Shop, address: &str| {
        let cookies = format!("session={TOKEN}; cart={key}~A.1~B.3; ordered={key}.1000123");
        handle(&with_cookies(get(address), &cookies), shop)
    };
    let mut shop = Shop::open();
    for address in ["/cart", "/orders/1000123"] {
        let response = ask(&shop, address);
        assert_eq!(kept(&response), Some("B.1"), "{address}: one A and two B are ordered");
        assert!(text(&response).contains("<b class=\"copies\">1</b>"), "{address}");
    }
    let response = ask(&shop, "/checkout");
    assert_eq!((response.status, kept(&response)), (200, Some("B.1")));
    assert!(text(&response).contains("name=\"lines\" value=\"B.1\""));
    assert_eq!(headers(&response, "set-cookie").iter().filter(|cookie| cookie.starts_with("cart=")).count(), 1);

    shop.known_orders[0].state = ordering::State::Placing;
    for address in ["/cart", "/orders/1000123"] {
        assert_eq!(kept(&ask(&shop, address)), None, "{address}: it may still be refused");
    }
    shop.known_orders[0].state = ordering::State::Rejected;
    let response = ask(&shop, "/cart");
    assert_eq!(kept(&response), Some("A.1~B.3"), "nothing was ordered, and the next try is another one");
    assert!(!headers(&response, "set-cookie")[0].contains(&key));
    *shop.orders.borrow_mut() = Some(ordering::Error::Unavailable("x".into()));
    let response = ask(&shop, "/cart");
    assert_eq!((response.status, kept(&response)), (200, None));
}

#[test]
fn an_empty_cart_calls_no_context() {
    let shop = Shop::open();
    for cart in ["", "nonsense", "%00", "a.1~b.2"] {
        let response = open(&shop, cart);
        assert_eq!(response.status, 200);
        assert!(text(&response).contains("Nothing in it yet") && !text(&response).contains("<form method"));
    }
    assert!(shop.calls.borrow().is_empty());
}

#[test]
fn an_album_that_is_no_longer_sold_is_named_and_left_out() {
    let mut shop = Shop::open();
    shop.albums[0].discontinued = true;
    let response = open(&shop, "A.2~B.1~NO-SUCH.1");
    let page = text(&response);
    assert!(page.contains("Title A") && page.contains("<b>NO-SUCH</b>"), "{page}");
    assert_eq!(page.matches("No longer sold; it will not be part of the order.").count(), 2);
    assert!(page.contains("<dd>£28.49</dd>") && page.contains("value=\"/checkout\""));
    let page = text(&open(&shop, "A.2~NO-SUCH.1")).to_owned();
    assert!(!page.contains("/checkout") && page.contains("can be ordered any more"));
}

#[test]
fn the_cart_works_while_other_contexts_are_away() {
    let shop = Shop::open();
    *shop.orders.borrow_mut() = Some(ordering::Error::Unavailable("gone".into()));
    let response = open(&shop, "A.2");
    let page = text(&response);
    assert_eq!(response.status, 200);
    assert!(page.contains("The total cannot be worked out just now") && page.contains("Title A"));
    assert!(page.contains("£24.99 each") && page.contains("value=\"/checkout\""));

    shop.catalog.set(Some(CallError::Unavailable));
    shop.warehouse.set(Some(CallError::Unavailable));
    let response = open(&shop, "A.2");
    assert!(response.status == 200 && text(&response).contains("<b>A</b>"), "the SKU at least");
    assert_eq!(send(&shop, "A.2~B.1", "/cart/change", &[("remove", "A")]).status, 303);

    *shop.orders.borrow_mut() = Some(ordering::Error::Invalid("something".into()));
    assert!(text(&open(&shop, "A.2")).contains("cannot be ordered together"));
}

#[test]
fn lines_are_changed_and_removed() {
    let shop = Shop::open();
    let change = |fields: &[(&str, &str)]| {
        let response = send(&shop, "A.1~B.2", "/cart/change", fields);
        assert_eq!(response.status, 303);
        let note = header(&response, "location").unwrap_or_default().rsplit('=').next().unwrap_or_default().to_owned();
        (kept(&response).unwrap_or("as it was").to_owned(), note)
    };
    for (fields, cart, note) in [
        (&[("copies-A", "3"), ("copies-B", "1")][..], "A.3~B.1", "changed"),
        (&[("copies-A", "0")], "B.2", "changed"),
        (&[("copies-A", "")], "B.2", "changed"),
        (&[("copies-A", "0"), ("copies-B", "0")], "", "changed"),
        (&[("copies-A", "21")], "A.20~B.2", "most"),
        (&[("copies-A", "99999999999999999999999")], "A.20~B.2", "most"),
        (&[("copies-A", "-1"), ("copies-B", "x")], "as it was", "changed"),
        (&[("copies-A", "\u{0663}")], "as it was", "changed"),
        (&[("copies-Z", "5"), ("copies-", "5"), ("copies-<b>", "5")], "as it was", "changed"),
        (&[], "as it was", "changed"),
    ] {
        assert_eq!(change(fields), (cart.to_owned(), note.to_owned()), "{fields:?}");
    }
    let emptied = send(&shop, "A.1", "/cart/change", &[("remove", "A")]);
    assert!(headers(&emptied, "set-cookie")[0].starts_with("cart=; Path=/; Max-Age=0"));
    for sku in ["", "Z", "<b>", "A.1"] {
        assert_eq!(kept(&send(&shop, "A.1", "/cart/change", &[("remove", sku)])), None, "{sku}");
    }
    assert!(shop.calls.borrow().is_empty(), "changing calls no context");
}

#[test]
fn only_a_form_of_ours_changes_a_cart() {
    let shop = Shop::open();
    let address = "/cart/change";
    let strangers = with_cookies(post(address, &[("remove", "A")]), &format!("visitor={VISITOR}; cart=A.1"));
    let response = handle(&strangers, &shop);
    assert_eq!(response.status, 403);
    assert!(headers(&response, "set-cookie").is_empty() && text(&response).contains("grown old"));
    let foreign = post_with(address, &[("csrf", "x"), ("remove", "A")], &format!("visitor={VISITOR}; cart=A.1"), "x");
    assert_eq!(handle(&foreign, &shop).status, 403);
    assert_eq!(handle(&get(address), &shop).status, 405);
    let mut elsewhere = post("/cart/add", &[("sku", "A")]);
    elsewhere.headers.retain(|(name, _)| name != "sec-fetch-site");
    elsewhere.headers.push(("sec-fetch-site".into(), "cross-site".into()));
    let response = handle(&elsewhere, &shop);
    assert_eq!((response.status, kept(&response)), (403, None), "not even adding");
    assert_eq!(handle(&post_as_visitor("/cart/change", &[("remove", "A")]), &shop).status, 303);
    assert_eq!(handle(&post_as_ann("/cart/change", &[("remove", "A")]), &shop).status, 303);
}

#[test]
fn over_tls_the_cart_cookie_is_protected_too() {
    let shop = Shop::open();
    let mut request = post("/cart/add", &[("sku", "A")]);
    request.headers.push(("forwarded".into(), "for=192.0.2.1;proto=https".into()));
    request.headers.push(("cookie".into(), "cart=B.1; __Host-cart=D.1".into()));
    let response = handle(&request, &shop);
    let cookie = headers(&response, "set-cookie")[0];
    assert!(cookie.starts_with("__Host-cart="), "{cookie}");
    assert!(cookie.ends_with("~D.1~A.1; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
}

#[test]
fn no_text_of_a_title_or_a_note_becomes_markup() {
    let evil = "\"><script>alert(1)</script>&'";
    let nasty = Album { artist: evil.into(), title: evil.into(), ..album("A") };
    let shop = Shop { albums: vec![nasty], ..Shop::open() };
    for cart in ["A.1", "<script>.1", "A.<script>"] {
        let response = open(&shop, cart);
        assert!(!text(&response).contains("<script>"), "{cart}");
    }
    let page = handle(&with_cookies(get("/cart?note=%3Cscript%3E"), "cart=A.1"), &shop);
    assert!(!text(&page).contains("<script>") && !text(&page).contains("role=\"status\""));
}

#[test]
fn the_largest_cart_fits_a_form_and_a_cookie() {
    let shop = Shop::open();
    let skus: Vec<String> = (0..LINES_MAX).map(|number| format!("{number:032}")).collect();
    let cart = skus.iter().map(|sku| format!("{sku}.20")).collect::<Vec<_>>().join("~");
    assert!(cart.len() < 4000, "browsers keep 4096 bytes");
    let names: Vec<String> = skus.iter().map(|sku| format!("copies-{sku}")).collect();
    let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "19")).collect();
    let response = send(&shop, &cart, "/cart/change", &fields);
    assert_eq!(kept(&response).map(|kept| Cart::parse(kept).copies()), Some(19 * LINES_MAX as u32));
}
