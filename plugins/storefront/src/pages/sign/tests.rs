//! Signing up, in and out.

use crate::handle;
use crate::seams::{Response, accounts};
use crate::testing::{
    NOW, Shop, TOKEN, VISITOR, get, header, headers, led_back, post, post_as_ann, post_as_visitor, post_with, text,
    with_cookies,
};

const IN: [(&str, &str); 2] = [("email", " ann@example.test "), ("password", " s3cret pass\u{e9} ")];
const UP: [(&str, &str); 3] = [("name", "Ann"), ("email", "ann@example.test"), ("password", "s3cret-pass")];

fn sent(shop: &Shop, address: &str, fields: &[(&str, &str)]) -> Response {
    handle(&post_as_visitor(address, fields), shop)
}

/// The page that the visitor sees after the answer.
fn seen(shop: &Shop, response: &Response) -> String {
    let page = led_back(shop, response, &format!("visitor={VISITOR}"));
    text(page.as_ref().unwrap_or(response)).to_owned()
}

fn session_cookie(response: &Response) -> Option<&str> {
    headers(response, "set-cookie").into_iter().find(|cookie| cookie.contains("session="))
}

#[test]
fn the_forms_come_with_a_cookie_for_their_token() {
    let shop = Shop::open();
    for address in ["/sign-in", "/sign-up?next=%2Fcheckout"] {
        let response = handle(&get(address), &shop);
        assert_eq!((response.status, header(&response, "cache-control")), (200, Some("no-store")));
        let cookie = headers(&response, "set-cookie");
        assert!(cookie.len() == 1 && cookie[0].starts_with("visitor=") && cookie[0].contains("HttpOnly; SameSite=Lax"));
        assert!(text(&response).contains("name=\"csrf\" value=\""), "{address}");
        assert!(
            !text(&response).contains(cookie[0].split([';', '=']).nth(1).expect("a value")),
            "the cookie is not shown"
        );
    }
    let again = handle(&with_cookies(get("/sign-in"), &format!("visitor={VISITOR}")), &shop);
    assert!(headers(&again, "set-cookie").is_empty());
    assert!(shop.calls.borrow().is_empty());
}

#[test]
fn signing_in_sets_a_cookie_that_lasts_as_long_as_the_session() {
    let shop = Shop::open();
    let mut request = post_as_visitor("/sign-in", &IN);
    request.headers.push(("forwarded".into(), "for=192.0.2.7;proto=http".into()));
    let response = handle(&request, &shop);
    assert_eq!((response.status, header(&response, "location")), (303, Some("/account")));
    let expected = format!("session={TOKEN}; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax");
    assert_eq!(session_cookie(&response), Some(expected.as_str()));
    assert_eq!(
        *shop.calls.borrow(),
        ["sign-in ann@example.test  s3cret pass\u{e9}  192.0.2.7".to_owned(), format!("remember-browser {TOKEN} None")],
        "passwords are not trimmed"
    );

    let mut request = post_with("/sign-in", &IN, &format!("__Host-visitor={VISITOR}"), VISITOR);
    request.headers.push(("forwarded".into(), "for=192.0.2.7;proto=https".into()));
    let response = handle(&request, &shop);
    let cookie = session_cookie(&response).expect("a session");
    assert!(cookie.starts_with("__Host-session=") && cookie.ends_with("; Secure"), "{cookie}");

    let late = Shop { now: NOW + 9_999_999, ..Shop::open() };
    assert!(session_cookie(&sent(&late, "/sign-in", &IN)).is_some_and(|cookie| cookie.contains("Max-Age=0")));
}

#[test]
fn a_browser_keeps_the_key_by_which_the_account_knows_it() {
    let shop = Shop::open();
    let browser_cookie = |response: &Response| {
        let cookie = headers(response, "set-cookie").into_iter().find(|cookie| cookie.contains("browser="));
        cookie.map(String::from)
    };
    let first = sent(&shop, "/sign-in", &IN);
    let key = "b".repeat(64);
    let expected = format!("browser={key}; Path=/; Max-Age=15552000; HttpOnly; SameSite=Lax");
    assert_eq!(browser_cookie(&first), Some(expected));
    shop.calls.borrow_mut().clear();

    let known = "c".repeat(64);
    let again = handle(&post_with("/sign-in", &IN, &format!("visitor={VISITOR}; browser={known}"), VISITOR), &shop);
    assert!(browser_cookie(&again).is_some_and(|cookie| cookie.starts_with(&format!("browser={known};"))));
    let asked = format!("sign-in-known ann@example.test  s3cret pass\u{e9}  unknown {known}");
    assert_eq!(*shop.calls.borrow(), [asked, format!("remember-browser {TOKEN} {:?}", Some(&known))]);
    shop.calls.borrow_mut().clear();

    // What is no key is not asked about, and a browser that cannot be remembered is signed in all the same.
    *shop.remembering.borrow_mut() = Some(accounts::Error::Unavailable("away".into()));
    let odd = handle(&post_with("/sign-in", &IN, &format!("visitor={VISITOR}; browser=<b>"), VISITOR), &shop);
    assert_eq!((odd.status, browser_cookie(&odd)), (303, None));
    assert!(session_cookie(&odd).is_some() && shop.calls.borrow()[0].starts_with("sign-in ann"));
}

#[test]
fn signing_in_leads_back_but_never_to_another_site() {
    let shop = Shop::open();
    for (next, location) in [
        ("/checkout", "/checkout"),
        ("/orders/1000123", "/orders/1000123"),
        ("", "/account"),
        ("//evil.test", "/account"),
        ("https://evil.test", "/account"),
        ("/\\evil.test", "/account"),
        ("/\tx", "/account"),
        ("/a\r\nset-cookie: x=1", "/account"),
    ] {
        let mut fields = IN.to_vec();
        fields.push(("next", next));
        let response = sent(&shop, "/sign-in", &fields);
        assert_eq!(header(&response, "location"), Some(location), "{next:?}");
    }
    let page = handle(&get("/sign-in?next=%2F%2Fevil.test"), &shop);
    assert!(!text(&page).contains("evil.test"));
    let page = handle(&get("/sign-in?next=%2Fcheckout"), &shop);
    assert!(text(&page).contains("name=\"next\" value=\"/checkout\""));
    assert!(text(&page).contains("href=\"/sign-up?next=%2Fcheckout\""));
    let response = sent(&shop, "/sign-up", &UP);
    assert_eq!(header(&response, "location"), Some("/account?note=welcome"));
}

#[test]
fn problems_are_shown_beside_their_fields_and_passwords_are_not_repeated() {
    let shop = Shop::open();
    let field = |field: &str, problem: &str| accounts::FieldProblem { field: field.into(), problem: problem.into() };
    let fields = accounts::Error::Fields(vec![field("password", "Too short."), field("email", "Not an address.")]);
    for (error, status, said) in [
        (fields, 303, "Too short."),
        (accounts::Error::WrongPassword, 303, "could not make an account with this e-mail address and this password"),
        (accounts::Error::Wait(61), 429, "in 2 minutes"),
        (accounts::Error::Wait(0), 429, "in 1 minute."),
        (accounts::Error::Invalid("from".into()), 303, "Please check what you typed"),
        (accounts::Error::SignedOut, 303, "Please check what you typed"),
        (accounts::Error::Unavailable("x".into()), 503, "cannot be reached"),
    ] {
        *shop.customer.borrow_mut() = Some(error.clone());
        let mut typed = UP.to_vec();
        typed.push(("next", "/checkout"));
        let response = sent(&shop, "/sign-up", &typed);
        let page = seen(&shop, &response);
        assert_eq!(response.status, status, "{error:?}");
        assert!(page.contains(said) && page.contains("id=\"problems\" role=\"alert\""), "{error:?}: {page}");
        assert!(page.contains("value=\"ann@example.test\"") && page.contains("value=\"/checkout\""), "{error:?}");
        assert!(!page.contains("s3cret"), "{error:?}");
        assert!(page.contains("<title>Error: "), "{error:?}");
        assert_eq!(session_cookie(&response), None);
        assert_eq!(header(&response, "retry-after").is_some(), status == 429 || status == 503, "{error:?}");
    }
    let field = accounts::FieldProblem { field: "email".into(), problem: "Not an address.".into() };
    *shop.customer.borrow_mut() = Some(accounts::Error::Fields(vec![field]));
    let page = seen(&shop, &sent(&shop, "/sign-up", &UP));
    assert!(page.contains("<a href=\"#email\">Not an address.</a>"));
    assert!(page.contains("aria-invalid=\"true\" aria-describedby=\"email-problem\""), "{page}");
    assert!(page.contains("aria-describedby=\"password-hint\""));
}

#[test]
fn hostile_forms_do_not_sign_in() {
    let shop = Shop::open();
    let huge = "x".repeat(20_000);
    let cases: [(&[(&str, &str)], u16); 8] = [
        (&[], 303),
        (&[("email", ""), ("password", "")], 303),
        (&[("email", "ann@example.test")], 303),
        (&[("password", "x")], 303),
        (&[("email", &huge), ("password", "x"), ("name", "x")], 422),
        (&[("email", "<script>alert(1)</script>"), ("password", ""), ("name", "\"><b>")], 303),
        (&[("email", "a"), ("email", ""), ("password", "x"), ("name", "x")], 303),
        (&[("email", &huge), ("password", &huge)], 413),
    ];
    for (fields, status) in cases {
        for address in ["/sign-in", "/sign-up"] {
            let response = sent(&shop, address, fields);
            assert_eq!(response.status, status, "{address}");
            let page = seen(&shop, &response);
            assert!(!page.contains("<script>alert") && !page.contains("\"><b>"));
            assert!(status == 413 || page.contains("id=\"problems\""), "{address}: {page}");
        }
    }
    assert!(shop.calls.borrow().is_empty(), "no context was called");
    for body in [&b"email=%00&password=x"[..], b"email=%ff", b"%", b"\xff\xfe"] {
        let mut request = post_as_visitor("/sign-in", &[]);
        request.body = body.to_vec();
        assert_eq!(handle(&request, &shop).status, 400);
    }
    for media_type in ["application/json", "multipart/form-data; boundary=x", "text/plain"] {
        let mut request = post_as_visitor("/sign-in", &IN);
        request.headers.retain(|(name, _)| name != "content-type");
        assert_eq!(handle(&request, &shop).status, 415, "none");
        request.headers.push(("content-type".into(), media_type.into()));
        assert_eq!(handle(&request, &shop).status, 415, "{media_type}");
    }
}

#[test]
fn a_form_from_another_visitor_or_site_does_not_sign_in() {
    let shop = Shop::open();
    for address in ["/sign-in", "/sign-up"] {
        assert_eq!(handle(&post(address, &UP), &shop).status, 403, "{address}: no cookie");
        let cookies = format!("visitor={VISITOR}");
        assert_eq!(handle(&with_cookies(post(address, &UP), &cookies), &shop).status, 403, "{address}: no token");
        let foreign = post_with(address, &UP, &cookies, "ffffffffffffffffffffffffffffffff");
        assert_eq!(handle(&foreign, &shop).status, 403, "{address}: another visitor's token");
        let mut elsewhere = post_as_visitor(address, &UP);
        elsewhere.headers.retain(|(name, _)| name != "sec-fetch-site");
        assert_eq!(handle(&elsewhere, &shop).status, 403, "{address}: from nowhere");
    }
    assert!(shop.calls.borrow().is_empty());
}

#[test]
fn signing_out_deletes_the_cookie_even_while_customer_is_away() {
    let shop = Shop::open();
    for error in [None, Some(accounts::Error::Unavailable("x".into()))] {
        *shop.customer.borrow_mut() = error;
        let response = handle(&post_as_ann("/sign-out", &[]), &shop);
        assert_eq!((response.status, header(&response, "location")), (303, Some("/sign-in?note=signed-out")));
        let cookie = session_cookie(&response).expect("a cookie");
        assert!(cookie.starts_with("session=; ") && cookie.contains("Max-Age=0"));
    }
    assert_eq!(shop.calls.borrow()[0], format!("sign-out {TOKEN}"));
    let page = handle(&get("/sign-in?note=signed-out"), &shop);
    assert!(text(&page).contains("You are signed out on this device."));
}
