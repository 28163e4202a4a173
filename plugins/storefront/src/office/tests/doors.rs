//! Only operators may open the office.

use super::*;
use crate::seams::accounts;

fn everything() -> Vec<Request> {
    let pages = PAGES.iter().map(|page| get_as_ann(page));
    let forms = FORMS.iter().map(|(address, fields, _)| post_as_ann(address, fields));
    pages.chain(forms).collect()
}

#[test]
fn for_customers_the_office_does_not_exist_and_only_customer_is_called() {
    let shop = Shop::open();
    for request in everything() {
        let response = send(&shop, &request);
        assert_eq!(response.status, 404, "{}", request.path);
        assert_eq!(*shop.calls.borrow(), ["who"], "{}", request.path);
        assert!(!text(&response).contains("office"), "{}", request.path);
    }
}

#[test]
fn visitors_sign_in_first_and_then_return() {
    let shop = office();
    for (address, next) in [
        ("/office", "/sign-in?next=%2Foffice"),
        ("/office/orders/1000123", "/sign-in?next=%2Foffice%2Forders%2F1000123"),
        ("/office/\\evil", "/sign-in?next=%2Foffice"),
    ] {
        let response = send(&shop, &get(address));
        assert_eq!((response.status, header(&response, "location")), (303, Some(next)), "{address}");
    }
    for (address, fields, _) in FORMS {
        let response = send(&shop, &post_as_visitor(address, fields));
        let page = address.rsplit_once('/').map_or("", |(page, _)| page);
        let expected = crate::href::sign_in(page);
        assert_eq!((response.status, header(&response, "location")), (303, Some(&*expected)), "{address}");
        assert!(shop.calls.borrow().is_empty(), "{address}");
    }
}

#[test]
fn a_session_that_is_over_opens_no_page() {
    let shop = Shop { account: None, ..office() };
    for request in everything() {
        let response = send(&shop, &request);
        assert_eq!(response.status, 303, "{}", request.path);
        assert!(header(&response, "location").is_some_and(|to| to.starts_with("/sign-in")));
        assert_eq!(*shop.calls.borrow(), ["who"], "{}", request.path);
    }
}

#[test]
fn while_customer_is_away_no_page_opens() {
    let shop = office();
    *shop.customer.borrow_mut() = Some(accounts::Error::Unavailable("away".into()));
    for request in everything() {
        assert_eq!(send(&shop, &request).status, 503, "{}", request.path);
        assert_eq!(*shop.calls.borrow(), ["who"], "{}", request.path);
    }
}

#[test]
fn a_form_from_another_visitor_or_site_does_nothing() {
    let shop = office();
    for (address, fields, _) in FORMS {
        let cookie = format!("session={TOKEN}");
        let mut foreign = post_as_ann(address, fields);
        foreign.headers.retain(|(name, _)| name != "sec-fetch-site");
        foreign.headers.push(("sec-fetch-site".into(), "cross-site".into()));
        for request in
            [with_cookies(post(address, fields), &cookie), post_with(address, fields, &cookie, VISITOR), foreign]
        {
            let response = send(&shop, &request);
            assert_eq!(response.status, 403, "{address}");
            assert!(shop.calls.borrow().iter().all(|call| call == "who"), "{address}");
            assert!(text(&response).contains("class=\"rooms\""), "{address}: an operator stays in the office");
        }
    }
}

#[test]
fn to_read_the_address_of_a_form_changes_nothing() {
    let shop = office();
    for (address, ..) in FORMS {
        let response = send(&shop, &get_as_ann(address));
        assert!(changes(&shop).is_empty(), "{address}");
        let pages = ["/office/records", "/office/records/A/edit"];
        let deeds = ["/ship", "/cancel", "/receive", "/refund"];
        let shown = pages.contains(&address) || deeds.iter().any(|deed| address.ends_with(deed));
        assert_eq!(response.status == 404, !shown, "{address}: {}", response.status);
    }
}

#[test]
fn what_goes_wrong_in_the_office_is_said_in_the_office() {
    let shop = office();
    for (address, status, words) in [
        ("/office/nothing", 404, "The office has no page at this address."),
        ("/office/a/b/c/d", 404, "The office has no page at this address."),
        ("/office/orders/9", 404, "No order has this number."),
        ("/office/orders/9/invoice", 404, "The invoice is written when the parcel leaves."),
        ("/office/orders/1000123/burn", 404, "No order has this number."),
        ("/office/records/MISSING", 404, "The catalogue has no record with this SKU."),
        ("/office/records/MISSING/edit", 404, "The catalogue has no record with this SKU."),
        ("/office/customers/C-9", 404, "No customer has this number"),
        ("/office/orders?page=501", 404, "This list does not have that many pages."),
        ("/office/orders?from=2026-13-01", 400, "A date is written year, month, day"),
        ("/office/records?q=%ff", 400, "not properly encoded"),
    ] {
        let response = send(&shop, &get_as_ann(address));
        assert_eq!(response.status, status, "{address}");
        let shown = text(&response);
        assert!(shown.contains("class=\"rooms\"") && shown.contains(words), "{address}: {shown}");
        assert!(!shown.contains("To the front of the shop"), "{address}");
    }
    let mut put = get_as_ann("/office/orders");
    put.method = "PUT".into();
    let response = send(&shop, &put);
    assert_eq!((response.status, header(&response, "allow")), (405, Some("GET, HEAD, POST")));
    *shop.orders.borrow_mut() = Some(ordering::Error::Unavailable("away".into()));
    let response = send(&shop, &get_as_ann("/office/orders"));
    assert_eq!((response.status, header(&response, "retry-after")), (503, Some("5")));
    assert!(text(&response).contains("class=\"rooms\""));
}

#[test]
fn money_and_prices_ask_for_the_password_again_and_keep_what_was_typed() {
    for (address, fields, call) in FORMS {
        let shop = ready(address);
        shop.unproved.set(true);
        let asked = send(&shop, &post_as_ann(address, fields));
        if !["/refund", "/receive", "/price"].iter().any(|action| address.ends_with(action)) {
            assert_eq!(changes(&shop).len(), 1, "{address}");
            continue;
        }
        assert_eq!((asked.status, header(&asked, "location")), (303, Some("/office/confirm")), "{address}");
        assert!(changes(&shop).is_empty(), "{address}");
        let page = seen(&shop, &asked);
        assert!(page.contains(&format!("action=\"{address}\"")), "{page}");
        for (name, value) in fields {
            assert!(page.contains(&format!("name=\"{name}\" value=\"{value}\"")), "{name}: {page}");
        }

        let with = |password: &'static str| [fields, &[("confirm-password", password)]].concat();
        for (error, status, said) in [
            (accounts::Error::WrongPassword, 303, "That is not your password."),
            (accounts::Error::Wait(61), 429, "looked at in 2 minutes."),
        ] {
            *shop.proving.borrow_mut() = Some(error);
            let refused = send(&shop, &post_as_ann(address, &with("guess")));
            assert_eq!((refused.status, changes(&shop)), (status, vec![]), "{address}");
            let page = seen(&shop, &refused);
            assert!(page.contains(said) && !page.contains("guess"), "{address}: {page}");
            assert_eq!(header(&refused, "retry-after").is_some(), status == 429);
        }
        *shop.proving.borrow_mut() = None;
        let done = send(&shop, &post_as_ann(address, &with("right")));
        assert_eq!(done.status, 303, "{}", text(&done));
        assert_eq!(changes(&shop), [call], "{address}");
        assert!(shop.calls.borrow().contains(&"prove right".to_owned()));
    }
}
