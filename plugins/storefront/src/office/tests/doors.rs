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
            assert_eq!(send(&shop, &request).status, 403, "{address}");
            assert!(shop.calls.borrow().is_empty(), "{address}");
        }
    }
}

#[test]
fn the_address_of_a_form_answers_only_post() {
    let shop = office();
    for (address, ..) in FORMS.iter().filter(|(address, ..)| *address != "/office/records") {
        assert_eq!(send(&shop, &get_as_ann(address)).status, 404, "{address}");
        assert!(changes(&shop).is_empty(), "{address}");
    }
}
