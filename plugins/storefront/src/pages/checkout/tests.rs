//! Checking out: the form, what it orders, and everything that can go wrong.

use crate::handle;
use crate::seams::{Album, Response, accounts, ordering};
use crate::testing::{
    Shop, TOKEN, VISITOR, album, get, header, headers, order, post, post_with, quote, text, with_cookies,
};

const KEY: &str = "0123456789abcdef0123456789abcdef";
/// One `A` and two `B`, with shipping.
const TOTAL: &str = "7847";

fn cookies() -> String {
    format!("session={TOKEN}; cart={KEY}~A.1~B.2")
}

fn open(shop: &Shop) -> Response {
    handle(&with_cookies(get("/checkout"), &cookies()), shop)
}

/// A valid form.
fn filled() -> Vec<(&'static str, &'static str)> {
    vec![
        ("key", KEY),
        ("lines", "A.1~B.2"),
        ("total", TOTAL),
        ("name", "Bea Ray"),
        ("street", "2 Low Lane"),
        ("extra", ""),
        ("city", "York"),
        ("postcode", "YO1 1AA"),
        ("country", "GB"),
        ("number", "4242 4242 4242 4242"),
        ("holder", "BEA RAY"),
        ("expiry", "12/30"),
        ("code", "123"),
    ]
}

/// A valid form with other values; the value `-` removes the field.
fn but(changes: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let changed =
        |(name, value)| (name, changes.iter().find(|(other, _)| *other == name).map_or(value, |(_, new)| *new));
    let mut fields: Vec<_> = filled().into_iter().map(changed).filter(|(_, value)| *value != "-").collect();
    fields.extend(changes.iter().filter(|(name, _)| !filled().iter().any(|(known, _)| known == name)));
    fields
}

fn send(shop: &Shop, fields: &[(&str, &str)]) -> Response {
    shop.calls.borrow_mut().clear();
    handle(&post_with("/checkout", fields, &cookies(), TOKEN), shop)
}

fn placed(shop: &Shop) -> Vec<String> {
    shop.calls.borrow().iter().filter(|call| call.starts_with("place ")).cloned().collect()
}

/// The key in a page's form.
fn key(response: &Response) -> &str {
    let (_, rest) = text(response).split_once("name=\"key\" value=\"").expect("a key");
    rest.split('"').next().unwrap_or_default()
}

#[test]
fn checkout_asks_visitors_to_sign_in_and_then_returns() {
    let shop = Shop::open();
    let response = handle(&with_cookies(get("/checkout"), "cart=A.1"), &shop);
    assert_eq!((response.status, header(&response, "location")), (303, Some("/sign-in?next=%2Fcheckout")));
    let response = handle(&with_cookies(get("/checkout"), &format!("session={TOKEN}")), &shop);
    assert_eq!(header(&response, "location"), Some("/cart"), "nothing to check out");

    let over = format!("session={}; cart=A.1", "0".repeat(64));
    let response = handle(&with_cookies(get("/checkout"), &over), &shop);
    assert_eq!(header(&response, "location"), Some("/sign-in?next=%2Fcheckout"));
    assert!(
        headers(&response, "set-cookie")[0].starts_with("session=; "),
        "the cookie of a session that is over is deleted"
    );
    let response = handle(&post_with("/checkout", &filled(), &over, &"0".repeat(64)), &shop);
    assert_eq!(header(&response, "location"), Some("/sign-in?next=%2Fcheckout"));
    assert!(placed(&shop).is_empty());
}

#[test]
fn the_form_shows_the_order_and_the_saved_address() {
    let shop = Shop::open();
    let response = open(&shop);
    let page = text(&response);
    assert_eq!(*shop.calls.borrow(), ["who", "quote A.1 B.2"]);
    for part in [
        "name=\"lines\" value=\"A.1~B.2\"",
        "name=\"total\" value=\"7847\"",
        "1 × <b>Title A</b>",
        "<dd>£78.47</dd>",
        "value=\"1 High Street\"",
        "<option value=\"GB\" selected>United Kingdom</option>",
        "4242 4242 4242 4242",
        "autocomplete=\"cc-number\"",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert!(!page.contains("name=\"save\" value=\"yes\" checked"), "it is saved already");
    assert_eq!(header(&response, "cache-control"), Some("no-store"));
    assert_eq!(key(&response).len(), 32);
    assert_eq!((key(&response), key(&open(&shop))), (KEY, KEY), "the key is the version of the cart");
    assert!(headers(&response, "set-cookie").is_empty());
    let old = handle(&with_cookies(get("/checkout"), &format!("session={TOKEN}; cart=A.1")), &shop);
    let kept = format!("cart={}~A.1; ", key(&old));
    assert!(headers(&old, "set-cookie")[0].starts_with(&kept), "a cart that had no version gets one");

    let mut shop = Shop::open();
    shop.account.as_mut().expect("Ann").address = None;
    let page = text(&open(&shop)).to_owned();
    assert!(page.contains("value=\"Ann\"") && page.contains("name=\"save\" value=\"yes\" checked"));
}

#[test]
fn the_order_is_exactly_what_the_form_showed() {
    let shop = Shop::open();
    let response = send(&shop, &but(&[("save", "yes")]));
    assert_eq!((response.status, header(&response, "location")), (303, Some("/orders/1000123?note=placed")));
    assert_eq!(
        *shop.calls.borrow(),
        [
            "who".to_owned(),
            format!("place {KEY} C-1 A.1 B.2 {TOTAL} to Bea Ray GB card 4242 4242 4242 4242 BEA RAY 12/30 123"),
            "change-address Bea Ray, 2 Low Lane".to_owned(),
        ]
    );
    assert!(headers(&response, "set-cookie")[0].starts_with("cart=; "), "what was ordered is out of the cart");

    assert_eq!(
        headers(&response, "set-cookie")[1].split(';').next(),
        Some(&*format!("ordered={KEY}.1000123")),
        "a second form of this cart finds its order"
    );

    let response = send(&shop, &but(&[("lines", "A.1")]));
    let cart = headers(&response, "set-cookie")[0];
    assert!(cart.contains("~B.2; ") && !cart.contains(KEY), "the rest stays, under a new version: {cart}");
    assert!(placed(&shop)[0].contains(" A.1 7847 "), "the form's lines count, not the cart's");
    assert!(!shop.calls.borrow().iter().any(|call| call.starts_with("change-address")));
}

#[test]
fn the_order_stands_even_if_the_address_cannot_be_saved() {
    let shop = Shop::open();
    for error in [
        accounts::Error::Unavailable("x".into()),
        accounts::Error::Fields(vec![accounts::FieldProblem { field: "street".into(), problem: "2 Low Lane".into() }]),
    ] {
        *shop.change_address.borrow_mut() = Some(error);
        let response = send(&shop, &but(&[("save", "yes")]));
        assert_eq!(header(&response, "location"), Some("/orders/1000123?note=placed"));
        let calls = shop.calls.borrow();
        let warned = calls.iter().find(|line| line.starts_with("warn")).expect("an operator may want to know");
        assert!(!warned.contains("Low Lane"), "{warned}");
    }
}

#[test]
fn two_forms_of_one_cart_place_one_order() {
    let shop = Shop::open();
    send(&shop, &filled());
    let first = placed(&shop);
    send(&shop, &filled());
    assert_eq!(placed(&shop), first, "in the same instant, before the browser has the new cart: the same key");
    let after = |cart: &str, ordered: &str| {
        shop.calls.borrow_mut().clear();
        let cookies = format!("session={TOKEN}; cart={cart}; ordered={ordered}");
        handle(&post_with("/checkout", &filled(), &cookies, TOKEN), &shop)
    };
    let order = format!("{KEY}.1000123");
    let other = "f".repeat(32);
    for (cart, ordered, status, to) in [
        ("", &*order, 303, Some("/orders/1000123?note=ordered-before")),
        (&*format!("{other}~C.1"), &*order, 303, Some("/orders/1000123?note=ordered-before")),
        ("", "", 303, Some("/cart?note=moved-on")),
        ("", &*format!("{other}.1000123"), 303, Some("/cart?note=moved-on")),
        ("", &*format!("{KEY}.//evil.test"), 303, Some("/account")),
        (&*format!("{other}~A.3"), "", 409, None),
        ("A.1~B.2", "", 409, None),
    ] {
        let response = after(cart, ordered);
        assert_eq!((response.status, header(&response, "location")), (status, to), "{cart} {ordered}");
        assert!(placed(&shop).is_empty(), "{cart} {ordered}");
    }
    let page = after(&format!("{other}~A.3"), "");
    assert!(text(&page).contains("Your cart has changed") && text(&page).contains("name=\"lines\" value=\"A.3\""));
    assert_eq!(key(&page), other, "the form is for the cart as it is now");
}

#[test]
fn an_order_in_process_is_shown() {
    let shop = Shop::open();
    *shop.changing.borrow_mut() = Some(ordering::Error::InProcess("1000200".into()));
    let response = send(&shop, &filled());
    assert_eq!(header(&response, "location"), Some("/orders/1000200?note=in-process"));
    *shop.changing.borrow_mut() = Some(ordering::Error::InProcess("//evil.test".into()));
    assert_eq!(header(&send(&shop, &filled()), "location"), Some("/account"));
}

#[test]
fn after_every_error_the_form_keeps_the_typed_values_except_the_card() {
    let field = |field: &str, problem: &str| ordering::FieldProblem { field: field.into(), problem: problem.into() };
    let short = |sku: &str, wanted, on_hand| ordering::Shortage { sku: sku.into(), wanted, on_hand };
    let shop = Shop::open();
    let mut dearer = quote(&shop.albums, crate::cart::Cart::parse("A.1~B.2").lines());
    dearer.total += 1000;
    for (error, status, said) in [
        (
            ordering::Error::Fields(vec![field("postcode", "No such postcode.")]),
            422,
            "<a href=\"#postcode\">No such postcode.</a>",
        ),
        (
            ordering::Error::Fields(vec![field("number", "Not a test card.")]),
            422,
            "id=\"number-problem\">Not a test card.",
        ),
        (ordering::Error::Fields(vec![field("else", "Odd.")]), 422, "<li>Odd.</li>"),
        (ordering::Error::Changed(dearer), 409, "The total is £88.47 now"),
        (
            ordering::Error::Short(vec![short("A", 1, 0), short("B", 2, 1)]),
            409,
            "<a href=\"/cart\">Title B by Artist B: 1 left of the 2 that you would like</a>",
        ),
        (ordering::Error::Declined("The bank refuses.".into()), 422, "The bank refuses. Your records are still here"),
        (ordering::Error::Wait(361), 429, "we look at the next card in 7 minutes. Nothing was charged"),
        (ordering::Error::Refused("Too late.".into()), 409, "Too late."),
        (ordering::Error::Invalid("row 3".into()), 422, "Nothing was charged. Please check"),
        (ordering::Error::UnknownOrder, 422, "Nothing was charged. Please check"),
        (ordering::Error::Unavailable("x".into()), 503, "it will not be ordered twice"),
    ] {
        *shop.changing.borrow_mut() = Some(error.clone());
        let response = send(&shop, &filled());
        let page = text(&response);
        assert_eq!(response.status, status, "{error:?}");
        assert!(page.contains(said), "{error:?}: {page}");
        for kept in [
            "value=\"Bea Ray\"",
            "value=\"2 Low Lane\"",
            "value=\"BEA RAY\"",
            "value=\"12/30\"",
            "value=\"GB\" selected",
        ] {
            assert!(page.contains(kept), "{error:?}: {kept}");
        }
        assert!(
            !page.contains("value=\"4242") && !page.contains("value=\"123\""),
            "{error:?}: the card is not shown again"
        );
        assert!(page.contains("role=\"alert\""), "{error:?}");
        let unknown = matches!(error, ordering::Error::Unavailable(_) | ordering::Error::Wait(_));
        let kept = headers(&response, "set-cookie");
        let expected = format!("cart={}~A.1~B.2; ", key(&response));
        assert_eq!(kept.first().is_some_and(|cart| cart.starts_with(&expected)), !unknown, "{error:?}: {kept:?}");
        assert_eq!(key(&response) == KEY, unknown, "{error:?}: the form has a new key, unless it may be sent again");
        assert_eq!(header(&response, "retry-after").is_some(), unknown);
        let logged =
            shop.calls.borrow().iter().filter(|line| line.starts_with("warn")).any(|line| line.contains("4242"));
        assert!(!logged, "{error:?}: no card in the log");
    }
    *shop.changing.borrow_mut() = Some(ordering::Error::Changed(quote(&shop.albums, &[])));
    assert_eq!(header(&send(&shop, &filled()), "location"), Some("/cart"), "nothing of it is sold any more");
}

#[test]
fn after_a_change_the_form_carries_the_new_total() {
    let shop = Shop::open();
    let mut now = quote(&shop.albums, &[ordering::Line { sku: "A".into(), copies: 1 }]);
    now.gone = vec!["B".into()];
    *shop.changing.borrow_mut() = Some(ordering::Error::Changed(now));
    let page = text(&send(&shop, &filled())).to_owned();
    assert!(page.contains("name=\"total\" value=\"2849\"") && page.contains("name=\"lines\" value=\"A.1\""), "{page}");
    assert!(page.contains("One record in your cart is"));
}

#[test]
fn hostile_forms_order_nothing() {
    let shop = Shop::open();
    let long = Box::leak("x".repeat(101).into_boxed_str());
    let huge = Box::leak("9".repeat(9000).into_boxed_str());
    for (changes, status) in [
        (&[("name", "-")][..], 422),
        (&[("name", "   ")], 422),
        (&[("name", &*long)], 422),
        (&[("street", "")], 422),
        (&[("extra", &*long)], 422),
        (&[("city", "")], 422),
        (&[("postcode", &*long)], 422),
        (&[("country", "")], 422),
        (&[("country", "GBR")], 422),
        (&[("number", "")], 422),
        (&[("number", &*huge)], 422),
        (&[("holder", "")], 422),
        (&[("expiry", "")], 422),
        (&[("expiry", &*huge)], 422),
        (&[("number", "4242 4242 4242 4243")], 422),
        (&[("expiry", "01/20")], 422),
        (&[("code", "-")], 422),
        (&[("code", "123456789")], 422),
        (&[("name", "<script>alert(1)</script>"), ("city", "\"><b>"), ("code", "")], 422),
        (&[("key", "")], 403),
        (&[("key", "x")], 403),
        (&[("key", &*huge)], 403),
        (&[("lines", "")], 303),
        (&[("lines", "<b>")], 303),
        (&[("lines", "A.0~B.21~a.1")], 303),
    ] {
        let response = send(&shop, &but(changes));
        assert_eq!(response.status, status, "{changes:?}");
        assert!(placed(&shop).is_empty(), "{changes:?}");
        assert!(!text(&response).contains("<script>alert") && !text(&response).contains("\"><b>"), "{changes:?}");
        if status == 303 {
            assert_eq!(header(&response, "location"), Some("/cart"), "{changes:?}");
        }
    }
    for total in ["", "-", "-1", "1.5", "x", "99999999999999999999999"] {
        send(&shop, &but(&[("total", total)]));
        assert!(placed(&shop)[0].contains(" A.1 B.2 0 to "), "{total}: an invalid total is sent as 0");
    }
}

#[test]
fn a_form_from_another_visitor_or_site_orders_nothing() {
    let shop = Shop::open();
    for request in [
        with_cookies(post("/checkout", &filled()), &cookies()),
        post_with("/checkout", &filled(), &cookies(), VISITOR),
        post_with("/checkout", &filled(), &format!("{}; visitor={VISITOR}", cookies()), VISITOR),
    ] {
        assert_eq!(handle(&request, &shop).status, 403, "the token is the session's or none");
    }
    let mut elsewhere = post_with("/checkout", &filled(), &cookies(), TOKEN);
    elsewhere.headers.retain(|(name, _)| name != "sec-fetch-site");
    elsewhere.headers.push(("host".into(), "shop.test".into()));
    elsewhere.headers.push(("origin".into(), "https://evil.test".into()));
    assert_eq!(handle(&elsewhere, &shop).status, 403);
    assert!(shop.calls.borrow().is_empty());
}

#[test]
fn while_a_context_is_away_cart_and_session_are_kept() {
    let shop = Shop::open();
    *shop.customer.borrow_mut() = Some(accounts::Error::Unavailable("x".into()));
    let response = open(&shop);
    assert!(response.status == 503 && text(&response).contains("Your cart is kept"));
    assert!(headers(&response, "set-cookie").is_empty(), "the session may still be valid, so it is kept");
    assert_eq!(send(&shop, &filled()).status, 503);
    assert!(placed(&shop).is_empty());
    let album = handle(&with_cookies(get("/albums/A"), &cookies()), &shop);
    assert_eq!((album.status, header(&album, "cache-control")), (200, Some("private, no-cache")));
    assert!(text(&album).contains("href=\"/account\""));

    let shop = Shop::open();
    *shop.orders.borrow_mut() = Some(ordering::Error::Unavailable("x".into()));
    let response = open(&shop);
    assert!(response.status == 503 && header(&response, "retry-after").is_some());
    *shop.changing.borrow_mut() = Some(ordering::Error::Declined("No.".into()));
    assert_eq!(send(&shop, &filled()).status, 503, "without a quote there is no form");
    *shop.orders.borrow_mut() = Some(ordering::Error::Invalid("x".into()));
    assert_eq!(header(&open(&shop), "location"), Some("/cart"));
}

#[test]
fn no_text_of_a_title_or_an_address_becomes_markup() {
    let evil = "\"><script>alert(1)</script>&'";
    let nasty = Album { artist: evil.into(), title: evil.into(), ..album("A") };
    let mut shop = Shop { albums: vec![nasty], ..Shop::open() };
    if let Some(address) = shop.account.as_mut().and_then(|account| account.address.as_mut()) {
        address.street = evil.into();
        address.country = evil.into();
    }
    shop.settings = vec![("reference.countries", "GB <script>"), ("reference.currencies", "GBP <b> 2")];
    assert!(!text(&open(&shop)).contains("<script>"));
    for error in [ordering::Error::Declined(evil.into()), ordering::Error::Refused(evil.into())] {
        *shop.changing.borrow_mut() = Some(error);
        let page = text(&send(&shop, &but(&[("name", evil), ("holder", evil)]))).to_owned();
        assert!(!page.contains("<script>") && !page.contains("<b> "));
    }
    let mut odd = order();
    odd.number = evil.into();
    let shop = Shop { known_orders: vec![odd], ..Shop::open() };
    assert_eq!(send(&shop, &filled()).status, 303);
}
