//! Checking out: the form, what it orders, and everything that can go wrong.

use crate::handle;
use crate::seams::{Album, Response, accounts, ordering, payments};
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

/// The page that the answer leads to, with the cookies that it sets.
fn follow(shop: &Shop, response: &Response) -> Response {
    let address = header(response, "location").expect("a redirect");
    let pair = |cookie: &&str| cookie.split(';').next().unwrap_or_default().to_owned();
    let mut set: Vec<String> = headers(response, "set-cookie").iter().map(pair).collect();
    if !set.iter().any(|cookie| cookie.starts_with("cart=")) {
        set.push(format!("cart={KEY}~A.1~B.2"));
    }
    handle(&with_cookies(get(address), &format!("session={TOKEN}; {}", set.join("; "))), shop)
}

/// Sends a form that cannot be done, and opens the checkout that the answer leads to.
fn sent_back(shop: &Shop, fields: &[(&str, &str)]) -> Response {
    let response = send(shop, fields);
    assert_eq!((response.status, header(&response, "location")), (303, Some("/checkout")), "{}", text(&response));
    let draft = headers(&response, "set-cookie")[0];
    assert!(draft.starts_with("draft=") && draft.contains("; Max-Age=600; HttpOnly"), "{draft}");
    let page = follow(shop, &response);
    assert_eq!(page.status, 200);
    assert!(headers(&page, "set-cookie").iter().any(|cookie| cookie.starts_with("draft=; ")), "it is shown once");
    page
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
    assert_eq!(*shop.calls.borrow(), ["who", "quote A.1 B.2", "levels A B"]);
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
            "check-address Bea Ray".to_owned(),
            "check-card 12/30".to_owned(),
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
    for (cart, ordered, to) in [
        ("", &*order, "/orders/1000123?note=ordered-before"),
        (&*format!("{other}~D.1"), &*order, "/orders/1000123?note=ordered-before"),
        ("", "", "/cart?note=moved-on"),
        ("", &*format!("{other}.1000123"), "/cart?note=moved-on"),
        ("", &*format!("{KEY}.//evil.test"), "/account"),
        (&*format!("{other}~A.3"), "", "/checkout"),
        ("A.1~B.2", "", "/checkout"),
    ] {
        let response = after(cart, ordered);
        assert_eq!((response.status, header(&response, "location")), (303, Some(to)), "{cart} {ordered}");
        assert!(placed(&shop).is_empty(), "{cart} {ordered}");
    }
    let sent = after(&format!("{other}~A.3"), "");
    let draft = headers(&sent, "set-cookie")[0].split(';').next().unwrap_or_default();
    let cookies = format!("session={TOKEN}; cart={other}~A.3; {draft}");
    let page = handle(&with_cookies(get("/checkout"), &cookies), &shop);
    assert!(text(&page).contains("Your cart has changed") && text(&page).contains("name=\"lines\" value=\"A.3\""));
    assert_eq!(key(&page), other, "the form is for the cart as it is now");
}

#[test]
fn an_order_in_process_is_shown() {
    let shop = Shop::open();
    *shop.changing.borrow_mut() = Some(ordering::Error::InProcess("1000200".into()));
    let response = send(&shop, &filled());
    assert_eq!(header(&response, "location"), Some("/orders/1000200?note=in-process"));
    let kept = format!("ordered={KEY}.1000200");
    assert_eq!(
        headers(&response, "set-cookie")[0].split(';').next(),
        Some(&*kept),
        "the next page looks what came of it"
    );
    *shop.changing.borrow_mut() = Some(ordering::Error::InProcess("//evil.test".into()));
    assert_eq!(header(&send(&shop, &filled()), "location"), Some("/account"));
}

#[test]
fn after_every_error_the_form_keeps_the_typed_values_except_the_card() {
    let field = |field: &str, problem: &str| ordering::FieldProblem { field: field.into(), problem: problem.into() };
    let shop = Shop::open();
    let as_now = quote(&shop.albums, &[]).expect("one currency");
    for (error, said) in [
        (
            ordering::Error::Fields(vec![field("postcode", "No such postcode.")]),
            "<a href=\"#postcode\">No such postcode.</a>",
        ),
        (ordering::Error::Fields(vec![field("number", "Not a test card.")]), "id=\"number-problem\">Not a test card."),
        (ordering::Error::Fields(vec![field("else", "Odd.")]), "<li>Odd.</li>"),
        (ordering::Error::Changed(as_now), "The total is £78.47 now"),
        (ordering::Error::Declined("The bank refuses.".into()), "The bank refuses. Your records are still here"),
        (ordering::Error::Refused("Too late.".into()), "<h2>The order could not be placed</h2>\n<p>Too late.</p>"),
        (ordering::Error::Invalid("row 3".into()), "Nothing was charged. Please check"),
        (ordering::Error::UnknownOrder, "Nothing was charged. Please check"),
        (ordering::Error::Wait(361), "we look at the next card in 7 minutes. Nothing was charged"),
        (ordering::Error::Busy(2), "yours has to wait for one of them. Nothing was charged"),
        (ordering::Error::Unavailable("x".into()), "You are not charged twice"),
    ] {
        *shop.changing.borrow_mut() = Some(error.clone());
        let status = match error {
            ordering::Error::Unavailable(_) | ordering::Error::Busy(_) => 503,
            ordering::Error::Wait(_) => 429,
            _ => 200,
        };
        let unknown = status != 200;
        // Nothing can be said yet, so the answer is the page itself: sent again, it means the same order.
        let page = if unknown { send(&shop, &filled()) } else { sent_back(&shop, &filled()) };
        assert_eq!((page.status, header(&page, "retry-after").is_some()), (status, unknown));
        assert_eq!(key(&page) == KEY, unknown, "{error:?}: the form has a new key, unless it may be sent again");
        let page = text(&page);
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
        assert!(page.contains("role=\"alert\"") && page.contains("<title>Error: "), "{error:?}");
        assert!(
            !page.contains("value=\"4242") && !page.contains("value=\"123\""),
            "{error:?}: the card is shown again"
        );
        let logged =
            shop.calls.borrow().iter().filter(|line| line.starts_with("warn")).any(|line| line.contains("4242"));
        assert!(!logged, "{error:?}: no card in the log");
    }
    *shop.changing.borrow_mut() = Some(ordering::Error::Declined("The bank refuses.".into()));
    let sent = send(&shop, &filled());
    let draft = headers(&sent, "set-cookie")[0];
    assert!(!draft.contains("4242") && !draft.contains("123"), "no card in a cookie: {draft}");
}

#[test]
fn what_is_wrong_with_address_and_card_is_said_by_their_contexts_and_all_at_once() {
    let shop = Shop::open();
    let problem = |field: &str, problem: &str| (field.to_owned(), problem.to_owned());
    let (field, why) = problem("postcode", "Please enter the postcode.");
    *shop.address_check.borrow_mut() =
        Some(accounts::Error::Fields(vec![accounts::FieldProblem { field, problem: why }]));
    let (field, why) = problem("expiry", "This card has expired.");
    *shop.card_check.borrow_mut() = Some(payments::Error::Card(vec![payments::FieldProblem { field, problem: why }]));
    let response = sent_back(&shop, &but(&[("postcode", "")]));
    assert_eq!(key(&response), KEY, "nothing was tried, so it is the same order");
    let page = text(&response);
    for part in [
        "<a href=\"#postcode\">Please enter the postcode.</a>",
        "<a href=\"#expiry\">This card has expired.</a>",
        "aria-describedby=\"postcode-hint postcode-problem\"",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert!(placed(&shop).is_empty());

    *shop.address_check.borrow_mut() = Some(accounts::Error::Unavailable("away".into()));
    let response = send(&shop, &filled());
    assert!(response.status == 503 && text(&response).contains("Our accounts cannot be reached."));
    *shop.address_check.borrow_mut() = None;
    *shop.card_check.borrow_mut() = Some(payments::Error::Unavailable("away".into()));
    let response = send(&shop, &filled());
    assert!(
        response.status == 503 && text(&response).contains("value=\"2 Low Lane\""),
        "what was typed is still there"
    );
    assert!(placed(&shop).is_empty());
}

#[test]
fn a_draft_counts_for_its_visitor_alone() {
    let shop = Shop::open();
    *shop.changing.borrow_mut() = Some(ordering::Error::Declined("No.".into()));
    let sent = send(&shop, &filled());
    let draft = headers(&sent, "set-cookie")[0].split(';').next().unwrap_or_default().to_owned();
    let mine = handle(&with_cookies(get("/checkout"), &format!("{}; {draft}", cookies())), &shop);
    assert!(text(&mine).contains("2 Low Lane"));
    let other = draft.replace(&crate::csrf::token(TOKEN), &crate::csrf::token("another session"));
    assert_ne!(other, draft);
    for draft in [&*other, "draft=", "draft=%", "draft=outcome=declined&why=Pay+me", "draft=<script>"] {
        let page = handle(&with_cookies(get("/checkout"), &format!("{}; {draft}", cookies())), &shop);
        assert_eq!(page.status, 200, "{draft}");
        assert!(!text(&page).contains("2 Low Lane") && !text(&page).contains("role=\"alert\""), "{draft}");
    }
    let out = handle(&post_with("/sign-out", &[], &format!("{}; {draft}", cookies()), TOKEN), &shop);
    assert!(
        headers(&out, "set-cookie").iter().any(|cookie| cookie.starts_with("draft=; ")),
        "signing out takes it along"
    );
}

#[test]
fn an_address_that_no_cookie_holds_is_shown_at_once() {
    let shop = Shop::open();
    *shop.changing.borrow_mut() = Some(ordering::Error::Declined("No.".into()));
    let long = Box::leak("\u{65e5}".repeat(450).into_boxed_str());
    let page = send(&shop, &but(&[("street", &*long)]));
    assert!(page.status == 422 && text(&page).contains(&*long) && text(&page).contains("Your card was declined"));
}

#[test]
fn too_few_copies_are_said_in_the_cart() {
    let mut shop = Shop::open();
    shop.levels[1].on_hand = 1;
    assert_eq!(header(&open(&shop), "location"), Some("/cart"), "before anything is typed");
    shop.levels[1].on_hand = 2;
    assert_eq!(open(&shop).status, 200);

    let short = ordering::Shortage { sku: "B".into(), wanted: 2, on_hand: 1 };
    *shop.changing.borrow_mut() = Some(ordering::Error::Short(vec![short]));
    let sent = send(&shop, &filled());
    assert_eq!(header(&sent, "location"), Some("/cart?note=short"));
    assert!(headers(&sent, "set-cookie")[0].starts_with("cart=") && !headers(&sent, "set-cookie")[0].contains(KEY));
    shop.levels[1].on_hand = 1;
    let cart = follow(&shop, &sent);
    assert!(text(&cart).contains("Nothing was ordered and nothing was charged"));
    assert!(text(&cart).contains("Only 1 left.") && !text(&cart).contains("faster"));
    shop.levels[1].on_hand = 2;
    let cookies: Vec<&str> =
        headers(&sent, "set-cookie").into_iter().filter_map(|cookie| cookie.split(';').next()).collect();
    let page = handle(&with_cookies(get("/checkout"), &format!("session={TOKEN}; {}", cookies.join("; "))), &shop);
    assert!(text(&page).contains("value=\"2 Low Lane\"") && !text(&page).contains("role=\"alert\""), "typed once");
}

#[test]
fn after_a_change_the_form_carries_the_new_total() {
    let mut shop = Shop::open();
    let now = quote(&shop.albums, &[]).expect("one currency");
    *shop.changing.borrow_mut() = Some(ordering::Error::Changed(now));
    let sent = send(&shop, &filled());
    shop.albums[1].discontinued = true;
    let page = text(&follow(&shop, &sent)).to_owned();
    assert!(page.contains("name=\"total\" value=\"2849\"") && page.contains("name=\"lines\" value=\"A.1\""), "{page}");
    assert!(page.contains("One record in your cart is") && page.contains("The total is £28.49 now"));
    shop.albums[0].discontinued = true;
    assert_eq!(header(&follow(&shop, &sent), "location"), Some("/cart"), "nothing of it is sold any more");
}

#[test]
fn hostile_forms_order_nothing() {
    let shop = Shop::open();
    let huge = Box::leak("9".repeat(9000).into_boxed_str());
    for (changes, status) in [
        (&[("key", "")][..], 403),
        (&[("key", "x")], 403),
        (&[("key", &*huge)], 403),
        (&[("lines", "")], 303),
        (&[("lines", "<b>")], 303),
        (&[("lines", "A.0~B.21~a.1")], 303),
    ] {
        let response = send(&shop, &but(changes));
        assert_eq!(response.status, status, "{changes:?}");
        assert!(placed(&shop).is_empty(), "{changes:?}");
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
    let sent = send(&shop, &filled());
    assert_eq!(follow(&shop, &sent).status, 503, "without a quote there is no form");
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
        let page = text(&sent_back(&shop, &but(&[("name", evil), ("holder", evil)]))).to_owned();
        assert!(!page.contains("<script>") && !page.contains("<b> ") && page.contains("&#60;script"), "{page}");
    }
    let mut odd = order();
    odd.number = evil.into();
    let shop = Shop { known_orders: vec![odd], ..Shop::open() };
    assert_eq!(send(&shop, &filled()).status, 303);
}
