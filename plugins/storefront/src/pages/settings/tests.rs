//! The account's page, its forms, the statement and invoices.

use crate::handle;
use crate::seams::{Response, accounts, ordering, payments};
use crate::testing::{
    Shop, TOKEN, get, get_as_ann, header, headers, led_back, order, post, post_as_ann, text, with_cookies,
};

const ADDRESS: [(&str, &str); 6] = [
    ("name", "Bea"),
    ("street", "2 Low Lane"),
    ("extra", "Back door"),
    ("city", "York"),
    ("postcode", "YO1 1AA"),
    ("country", "AT"),
];

fn send(shop: &Shop, address: &str, fields: &[(&str, &str)]) -> Response {
    shop.calls.borrow_mut().clear();
    handle(&post_as_ann(address, fields), shop)
}

/// The page that the customer sees after the answer.
fn seen(shop: &Shop, response: &Response) -> String {
    let page = led_back(shop, response, &format!("session={TOKEN}"));
    text(page.as_ref().unwrap_or(response)).to_owned()
}

#[test]
fn the_account_lists_orders_and_links_to_every_page_of_the_customer() {
    let mut shop = Shop::open();
    shop.more_orders = true;
    let response = handle(&get_as_ann("/account?note=welcome"), &shop);
    let page = text(&response);
    assert_eq!((response.status, header(&response, "cache-control")), (200, Some("no-store")));
    assert_eq!(*shop.calls.borrow(), ["who", "orders-of C-1 1", "progress C-1 1000123"]);
    for part in [
        "Hello, Ann",
        "Welcome.",
        "href=\"/orders/1000123\"",
        "2 March 2026",
        "£78.47",
        "Placed",
        "href=\"/account?page=2\"",
        "href=\"/account/statement\"",
        "action=\"/sign-out\"",
        "ann@example.test",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert!(!page.contains("/office"), "she is no operator");
    let text_of = "We have your order.".to_owned();
    shop.progress = vec![ordering::Progress { number: "1000123".into(), since: 5, text: text_of }];
    assert!(text(&handle(&get_as_ann("/account"), &shop)).contains("<span class=\"by\">We have your order.</span>"));
    shop.account.as_mut().expect("Ann").operator = true;
    assert!(text(&handle(&get_as_ann("/account"), &shop)).contains("href=\"/office\""));

    assert_eq!(handle(&get_as_ann("/account?page=2"), &shop).status, 404, "past the last");
    assert_eq!(handle(&get_as_ann("/account?page=501"), &shop).status, 404);
    for page in ["0", "x", "-1"] {
        assert_eq!(handle(&get_as_ann(&format!("/account?page={page}")), &shop).status, 400, "{page}");
    }
    shop.known_orders.clear();
    assert!(text(&handle(&get_as_ann("/account"), &shop)).contains("None yet."));
}

#[test]
fn the_account_works_while_orders_is_away() {
    let shop = Shop::open();
    for error in [ordering::Error::Unavailable("x".into()), ordering::Error::Invalid("x".into())] {
        *shop.orders.borrow_mut() = Some(error);
        let response = handle(&get_as_ann("/account"), &shop);
        assert!(response.status == 200 && text(&response).contains("cannot be reached just now"));
        assert!(text(&response).contains("Statement"));
    }
}

#[test]
fn every_personal_page_needs_a_valid_session() {
    let shop = Shop::open();
    for address in [
        "/account",
        "/account/statement",
        "/account/address",
        "/account/password",
        "/account/delete",
        "/orders/1000123/invoice",
        "/office",
    ] {
        let encoded = address.replace('/', "%2F");
        let location = format!("/sign-in?next={encoded}");
        let response = handle(&get(address), &shop);
        assert_eq!((response.status, header(&response, "location")), (303, Some(location.as_str())));
        let over = format!("session={}", "1".repeat(64));
        let response = handle(&with_cookies(get(address), &over), &shop);
        assert_eq!((response.status, header(&response, "location")), (303, Some(location.as_str())));
        assert!(headers(&response, "set-cookie")[0].starts_with("session=; "), "{address}");
    }
    *shop.customer.borrow_mut() = Some(accounts::Error::Unavailable("x".into()));
    for address in ["/account", "/account/statement", "/account/address", "/orders/1000123/invoice"] {
        let response = handle(&get_as_ann(address), &shop);
        assert!(response.status == 503 && headers(&response, "set-cookie").is_empty(), "{address}");
    }
    assert_eq!(handle(&get_as_ann("/office"), &Shop::open()).status, 404, "no operator");
}

#[test]
fn a_customer_changes_the_address() {
    let shop = Shop::open();
    let page = text(&handle(&get_as_ann("/account/address"), &shop)).to_owned();
    assert!(page.contains("value=\"1 High Street\"") && page.contains("<option value=\"GB\" selected>"));
    let response = send(&shop, "/account/address", &ADDRESS);
    assert_eq!((response.status, header(&response, "location")), (303, Some("/account?note=address")));
    assert_eq!(*shop.calls.borrow(), ["change-address Bea, 2 Low Lane"]);
    let city = accounts::FieldProblem { field: "city".into(), problem: "Please enter the town or city.".into() };
    *shop.change_address.borrow_mut() = Some(accounts::Error::Fields(vec![city]));
    let response = send(&shop, "/account/address", &ADDRESS[..2]);
    let page = seen(&shop, &response);
    assert!(response.status == 303 && page.contains("<a href=\"#city\">") && page.contains("value=\"2 Low Lane\""));

    let bare = Shop { settings: Vec::new(), ..Shop::open() };
    let page = text(&handle(&get_as_ann("/account/address"), &bare)).to_owned();
    assert!(page.contains("<input id=\"country\""), "without the list of countries a code can be typed: {page}");
}

#[test]
fn a_customer_changes_the_password() {
    let shop = Shop::open();
    assert_eq!(handle(&get_as_ann("/account/password"), &shop).status, 200);
    let response = send(&shop, "/account/password", &[("old", " old "), ("new", "new one")]);
    assert_eq!((response.status, header(&response, "location")), (303, Some("/account?note=password")));
    assert_eq!(*shop.calls.borrow(), ["change-password  old  new one"]);
    let response = send(&shop, "/account/password", &[("old", "")]);
    assert!(response.status == 303 && seen(&shop, &response).matches("class=\"complaint\"").count() == 2);
}

#[test]
fn deleting_an_account_needs_its_password() {
    let shop = Shop::open();
    let page = text(&handle(&get_as_ann("/account/delete"), &shop)).to_owned();
    assert!(page.contains("This cannot be undone.") && page.contains("type=\"password\""));
    let response = send(&shop, "/account/delete", &[]);
    assert!(shop.calls.borrow().is_empty());
    assert!(response.status == 303 && seen(&shop, &response).contains("so that only you can do this"));
    shop.calls.borrow_mut().clear();
    let response = send(&shop, "/account/delete", &[("password", "s3cret")]);
    assert_eq!((response.status, header(&response, "location")), (303, Some("/sign-in?note=deleted")));
    assert_eq!(*shop.calls.borrow(), ["delete-account s3cret"]);
}

#[test]
fn the_form_shows_each_error_of_customer() {
    let shop = Shop::open();
    let field = |field: &str| accounts::FieldProblem { field: field.into(), problem: "Not <so>.".into() };
    let password = [("old", "s3cret"), ("new", "s3cret"), ("password", "s3cret")];
    let forms = [
        ("/account/address", &ADDRESS[..], "street"),
        ("/account/password", &password[..], "new"),
        ("/account/delete", &password[..], "password"),
    ];
    for (address, fields, name) in forms {
        for (error, status, said) in [
            (accounts::Error::Fields(vec![field(name)]), 303, "Not &#60;so&#62;."),
            (accounts::Error::WrongPassword, 303, "This is not your password."),
            (accounts::Error::Wait(300), 429, "in 5 minutes"),
            (accounts::Error::Unavailable("x".into()), 503, "Nothing was changed"),
            (accounts::Error::Invalid("x".into()), 303, "Please check what you typed"),
            (accounts::Error::SignedOut, 303, ""),
        ] {
            *shop.customer.borrow_mut() = Some(error.clone());
            let response = send(&shop, address, fields);
            assert_eq!(response.status, status, "{address} {error:?}");
            *shop.customer.borrow_mut() = None;
            let page = seen(&shop, &response);
            assert!(page.contains(said) && !page.contains("s3cret"), "{address} {error:?}: {page}");
            assert_eq!(header(&response, "retry-after").is_some(), status == 503, "{address}");
        }
    }
}

#[test]
fn a_form_from_another_visitor_changes_nothing() {
    let shop = Shop::open();
    for address in ["/account/address", "/account/password", "/account/delete"] {
        let strangers = with_cookies(post(address, &[("password", "x")]), &format!("session={TOKEN}"));
        assert_eq!(handle(&strangers, &shop).status, 403, "{address}");
        let huge = "x".repeat(40_000);
        assert_eq!(send(&shop, address, &[("name", &huge)]).status, 413, "{address}");
    }
    for address in ["/account", "/account/statement", "/orders/1000123", "/orders/1000123/invoice", "/cart", "/"] {
        let response = send(&shop, address, &[("password", "x")]);
        assert_eq!((response.status, header(&response, "allow")), (405, Some("GET, HEAD")), "{address}");
    }
    assert!(shop.calls.borrow().is_empty());
}

#[test]
fn the_statement_shows_the_bookings() {
    let mut shop = Shop::open();
    let response = handle(&get_as_ann("/account/statement"), &shop);
    let page = text(&response);
    assert_eq!(*shop.calls.borrow(), ["who", "statement C-1"]);
    for part in ["Paid by card ending 4242", "\u{2212}£78.47", "Invoice I-77", "href=\"/orders/1000123\"", "£0.00"] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    shop.statement[0].text = "<script>".into();
    shop.statement[0].order = "../<script>".into();
    assert!(!text(&handle(&get_as_ann("/account/statement"), &shop)).contains("<script>"));
    shop.statement.clear();
    assert!(text(&handle(&get_as_ann("/account/statement"), &shop)).contains("Nothing is booked yet."));
    *shop.finance.borrow_mut() = Some(payments::Error::Unavailable("x".into()));
    let response = handle(&get_as_ann("/account/statement"), &shop);
    assert!(response.status == 503 && text(&response).contains("bookkeeping"));
}

#[test]
fn an_invoice_is_shown_only_to_its_customer() {
    let mut shop = Shop::open();
    let response = handle(&get_as_ann("/orders/1000123/invoice"), &shop);
    let page = text(&response);
    assert_eq!(response.status, 200);
    for part in ["Invoice I-77", "Title A", "no longer in our catalogue", "£78.47", "1 High Street", "card ending 4242"]
    {
        assert!(page.contains(part), "{part}\n{page}");
    }
    *shop.orders.borrow_mut() = Some(ordering::Error::Unavailable("x".into()));
    let page = text(&handle(&get_as_ann("/orders/1000123/invoice"), &shop)).to_owned();
    assert!(page.contains("<address>Ann<br></address>"), "only the name while orders is away: {page}");

    assert_eq!(handle(&get_as_ann("/orders/7/invoice"), &shop).status, 404);
    shop.invoice.as_mut().expect("an invoice").customer = "C-2".into();
    assert_eq!(handle(&get_as_ann("/orders/1000123/invoice"), &shop).status, 404, "another customer's");
    shop.invoice = None;
    assert!(text(&handle(&get_as_ann("/orders/1000123/invoice"), &shop)).contains("No invoice yet"));
    *shop.finance.borrow_mut() = Some(payments::Error::Unavailable("x".into()));
    assert_eq!(handle(&get_as_ann("/orders/1000123/invoice"), &shop).status, 503);
}

#[test]
fn no_text_of_an_account_becomes_markup() {
    let evil = "\"><script>alert(1)</script>&'";
    let mut shop = Shop::open();
    let account = shop.account.as_mut().expect("Ann");
    account.name = evil.into();
    account.email = evil.into();
    let mut odd = order();
    odd.number = evil.into();
    odd.currency = evil.into();
    shop.known_orders.push(odd);
    for address in ["/account", "/account/address", "/orders/1000123/invoice"] {
        let response = handle(&get_as_ann(address), &shop);
        assert!(response.status == 200 && !text(&response).contains("<script>"), "{address}");
    }
}

#[test]
fn every_page_of_a_customer_works_with_a_screen_reader() {
    let shop = Shop::open();
    let cookies = format!("session={TOKEN}; cart=A.1~B.2");
    for address in [
        "/cart",
        "/checkout",
        "/account",
        "/account/statement",
        "/account/address",
        "/account/password",
        "/account/delete",
        "/orders/1000123",
        "/orders/1000123/invoice",
        "/sign-in",
        "/sign-up",
    ] {
        let response = handle(&with_cookies(get(address), &cookies), &shop);
        let page = text(&response);
        assert_eq!(response.status, 200, "{address}");
        assert_eq!(page.matches("<h1>").count(), 1, "{address}");
        assert!(page.contains("noindex") && !page.contains(" style=") && !page.contains("<script>"), "{address}");
        for (at, _) in page.match_indices("<input ").chain(page.match_indices("<select ")) {
            let tag = page[at..].split('>').next().unwrap_or_default();
            if tag.contains("type=\"hidden\"") {
                continue;
            }
            let id = tag.split("id=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a field has an id");
            assert!(page.contains(&format!("for=\"{id}\"")), "{address}: {id} has a label");
            assert_eq!(page.matches(&format!(" id=\"{id}\"")).count(), 1, "{address}: {id} stands once");
        }
        let forms = page.matches("method=\"post\"").count();
        assert_eq!(page.matches("name=\"csrf\"").count(), forms, "{address}: every form has its token");
    }
}
