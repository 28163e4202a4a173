//! Every form of the shop and of the office, by the router's own table.

use crate::seams::{CatalogError, StockError, accounts, ordering, payments};
use crate::testing::*;
use crate::{forms, handle};

const KEY: &str = "00112233445566778899aabbccddeeff";

type Fields = &'static [(&'static str, &'static str)];

/// What is sent to an address.
struct Case {
    path: String,
    /// What a person would send.
    good: Fields,
    /// What a person may get wrong; the same as `good` where nothing is typed, and then the context refuses it.
    bad: Fields,
    state: ordering::State,
}

impl Case {
    fn of(pattern: &'static str) -> Case {
        use ordering::State::{Placed, ReturnRequested, Shipped};
        const IN: Fields = &[("email", "ann@example.test"), ("password", "s3cret-pass"), ("next", "/checkout")];
        const UP: Fields = &[("name", "Ann"), ("email", "ann@example.test"), ("password", "s3cret-pass")];
        const ORDER: Fields = &[
            ("key", KEY),
            ("lines", "A.1~B.2"),
            ("total", "7847"),
            ("name", "Bea Ray"),
            ("street", "2 Low Lane"),
            ("city", "York"),
            ("postcode", "YO1 1AA"),
            ("country", "GB"),
            ("number", "4242 4242 4242 4242"),
            ("holder", "BEA RAY"),
            ("expiry", "12/30"),
            ("code", "123"),
        ];
        const ADDRESS: Fields = &[("name", "Bea"), ("street", "2 Low Lane"), ("city", "York"), ("country", "GB")];
        const PASSWORDS: Fields = &[("old", "s3cret-pass"), ("new", "another-s3cret")];
        const RECORD: Fields = &[
            ("sku", "new-1"),
            ("artist", "Someone"),
            ("title", "Something"),
            ("year", "1971"),
            ("genre", "Jazz"),
            ("label", "Own"),
            ("price", "21"),
            ("currency", "GBP"),
            ("notes", "One."),
        ];
        const KEYED: Fields = &[("key", KEY)];
        let (good, bad, state): (Fields, Fields, _) = match pattern {
            "/cart/add" => (&[("sku", "A")], &[("sku", "A"), ("copies", "99")], Placed),
            "/cart/change" => (&[("copies-A", "2")], &[("copies-A", "many")], Placed),
            "/sign-in" => (IN, &[("email", "ann@example.test"), ("password", "")], Placed),
            "/sign-up" => (UP, &[("name", "Ann"), ("email", ""), ("password", "s3cret-pass")], Placed),
            "/sign-out" => (&[], &[], Placed),
            "/checkout" => (ORDER, ORDER, Placed),
            "/orders/{order}/cancel" => (KEYED, KEYED, Placed),
            "/orders/{order}/return" => {
                (&[("key", KEY), ("copies-A", "1")], &[("key", KEY), ("copies-A", "-1")], Shipped)
            }
            "/account/address" => (ADDRESS, ADDRESS, Placed),
            "/account/password" => (PASSWORDS, &[("old", "s3cret-pass"), ("new", "")], Placed),
            "/account/delete" => (&[("password", "s3cret-pass")], &[("password", "")], Placed),
            "/office/orders/{order}/ship" => (KEYED, KEYED, Placed),
            "/office/orders/{order}/cancel" => {
                (&[("key", KEY), ("reason", "Damaged")], &[("key", KEY), ("reason", " ")], Placed)
            }
            "/office/orders/{order}/receive" => (KEYED, KEYED, ReturnRequested),
            "/office/orders/{order}/refund" => (
                &[("key", KEY), ("was", "7347"), ("amount", "12.5"), ("reason", "Scratched")],
                &[("key", KEY), ("was", "7347"), ("amount", "99999"), ("reason", "Scratched")],
                Shipped,
            ),
            "/office/records" => (RECORD, &[("sku", "NEW-1"), ("title", "Half a record")], Placed),
            "/office/records/{sku}/edit" => (
                &[
                    ("was", "8244280585600172720"),
                    ("artist", "Someone"),
                    ("title", "Something"),
                    ("year", "1971"),
                    ("genre", "Jazz"),
                    ("label", "Own"),
                ],
                &[("was", "8244280585600172720"), ("artist", "Someone"), ("year", "1")],
                Placed,
            ),
            "/office/records/{sku}/restock" => {
                (&[("key", KEY), ("copies", "12")], &[("key", KEY), ("copies", "0"), ("note", "Box 7")], Placed)
            }
            "/office/records/{sku}/count" => {
                (&[("was", "10"), ("counted", "0")], &[("was", "10"), ("counted", "few")], Placed)
            }
            "/office/records/{sku}/price" => {
                (&[("was", "2499"), ("price", "19.99")], &[("was", "2499"), ("price", "free")], Placed)
            }
            "/office/records/{sku}/discontinue" | "/office/records/{sku}/relist" => (&[], &[], Placed),
            other => panic!("say what a person sends to {other}"),
        };
        let path = pattern.replace("{order}", "1000123").replace("{sku}", "A");
        Case { path, good, bad, state }
    }

    /// A shop in which the form is offered, with Ann as its operator.
    fn shop(&self) -> Shop {
        let mut account = account();
        account.operator = true;
        let captured = payments::Payment { stage: payments::Stage::Captured, refunded: 500, ..payment() };
        let placed = self.state == ordering::State::Placed;
        Shop {
            account: Some(account),
            known_orders: vec![ordering::Order { state: self.state, ..order() }],
            payment: (!placed).then_some(captured),
            ..Shop::open()
        }
    }

    fn cookies(&self) -> String {
        match self.path.as_str() {
            "/sign-in" | "/sign-up" => format!("visitor={VISITOR}"),
            _ => format!("session={TOKEN}; cart={KEY}~A.1~B.2"),
        }
    }

    fn request(&self, fields: Fields) -> crate::seams::Request {
        let secret = if self.cookies().starts_with("visitor") { VISITOR } else { TOKEN };
        post_with(&self.path, fields, &self.cookies(), secret)
    }
}

/// Every context refuses what is sent to it.
fn refuse(shop: &Shop) {
    let field = |field: &str| accounts::FieldProblem { field: field.into(), problem: "Not so.".into() };
    *shop.changing.borrow_mut() = Some(ordering::Error::Refused("It is too late.".into()));
    *shop.change_address.borrow_mut() = Some(accounts::Error::Fields(vec![field("street")]));
    *shop.editing.borrow_mut() = Some(CatalogError::Invalid("it is not so".into()));
    *shop.stock.borrow_mut() = Some(StockError::Invalid("it is not so".into()));
}

#[test]
fn every_form_is_answered_with_a_redirect_whether_it_could_be_done_or_not() {
    for pattern in forms() {
        let case = Case::of(pattern);
        let shop = case.shop();
        let done = handle(&case.request(case.good), &shop);
        assert_eq!(done.status, 303, "{pattern}: {}", text(&done));
        assert!(led_back(&shop, &done, &case.cookies()).is_none(), "{pattern} was done");

        let shop = case.shop();
        if case.bad == case.good {
            refuse(&shop);
        }
        let failed = handle(&case.request(case.bad), &shop);
        assert_eq!(failed.status, 303, "{pattern}: {}", text(&failed));
        let cookies = headers(&failed, "set-cookie").join(" ");
        for secret in ["s3cret", "4242", "123;"] {
            assert!(!cookies.replace(TOKEN, "").contains(secret), "{pattern}: {secret} in {cookies}");
        }
        // These cannot fail but for what no form of ours sends.
        if matches!(pattern, "/cart/add" | "/cart/change" | "/sign-out") {
            continue;
        }
        let page = led_back(&shop, &failed, &case.cookies()).expect(pattern);
        let shown = text(&page);
        assert!(page.status == 200 || pattern.ends_with("/refund"), "{pattern}: {}", page.status);
        assert!(shown.contains("role=\"alert\"") && shown.contains("<title>Error: "), "{pattern}: {shown}");
        assert!(!shown.contains("s3cret"), "{pattern}");
        for (name, value) in case.bad.iter().filter(|(name, _)| !["password", "old", "new", "was"].contains(name)) {
            let kept = shown.contains(&format!("value=\"{value}\"")) || shown.contains(&format!(">{value}</textarea>"));
            // What is refused for good is not offered again; a card is typed again; the reason comes after the amount.
            let gone = case.bad == case.good && !pattern.starts_with("/account")
                || pattern.ends_with("/return")
                || *name == "reason";
            assert!(kept || gone || *name == "key" || value.trim().is_empty(), "{pattern}: {name}={value}: {shown}");
        }
        let forgets = headers(&page, "set-cookie").iter().any(|cookie| cookie.starts_with("draft=; "));
        assert!(forgets, "{pattern}: the draft is for one page");
    }
}

#[test]
fn no_form_is_taken_from_elsewhere() {
    for pattern in forms() {
        let case = Case::of(pattern);
        for header in [
            &[][..],
            &[("origin", "null")],
            &[("origin", "http://evil.test")],
            &[("origin", "http://shop.test.evil.test")],
            &[("referer", "http://evil.test/http://shop.test/")],
            &[("origin", "http://shop.test"), ("sec-fetch-site", "cross-site")],
            &[("origin", "http://shop.test"), ("sec-fetch-site", "same-site")],
        ] {
            let shop = case.shop();
            let mut request = case.request(case.good);
            request.headers.retain(|(name, _)| name != "sec-fetch-site");
            request.headers.push(("host".into(), "shop.test".into()));
            request.headers.extend(header.iter().map(|(name, value)| ((*name).into(), (*value).into())));
            let response = handle(&request, &shop);
            assert_eq!(response.status, 403, "{pattern} {header:?}");
            assert!(headers(&response, "set-cookie").is_empty(), "{pattern} {header:?}");
            assert!(shop.calls.borrow().iter().all(|call| call == "who"), "{pattern} {header:?}");
        }
        // The album page is the same for all visitors, so its form carries no token.
        if pattern != "/cart/add" {
            let shop = case.shop();
            let strangers = post_with(&case.path, case.good, &case.cookies(), "another visitor");
            assert_eq!(handle(&strangers, &shop).status, 403, "{pattern}");
            assert!(shop.calls.borrow().iter().all(|call| call == "who"), "{pattern}");
        }
    }
}

/// The second click of two: what the first one did is what the answer says.
#[test]
fn a_form_that_was_done_says_so_again() {
    let given = crate::seams::books::GivenBack { at: NOW, amount: 1250, reason: "Scratched".into(), by: account().id };
    for (pattern, done) in [
        ("/office/orders/{order}/refund", "/office/orders/1000123?done=refunded"),
        ("/office/records/{sku}/count", "/office/records/A?done=counted"),
        ("/office/records/{sku}/price", "/office/records/A?done=repriced"),
    ] {
        let case = Case::of(pattern);
        let mut shop = case.shop();
        shop.levels[0].on_hand = 0;
        shop.albums[0].price.minor_units = 1999;
        shop.payment = shop.payment.map(|payment| payments::Payment { refunded: 1750, ..payment });
        shop.refunds = vec![given.clone()];
        let response = handle(&case.request(case.good), &shop);
        assert_eq!((response.status, header(&response, "location")), (303, Some(done)), "{pattern}");
        let calls = shop.calls.borrow();
        let changes = ["refund ", "stocktake", "change-price"];
        assert!(!calls.iter().any(|call| changes.iter().any(|change| call.starts_with(change))), "{calls:?}");
    }
    // Another amount, reason or operator is another form.
    let case = Case::of("/office/orders/{order}/refund");
    for other in [
        crate::seams::books::GivenBack { amount: 1249, ..given.clone() },
        crate::seams::books::GivenBack { reason: "Bent".into(), ..given.clone() },
        crate::seams::books::GivenBack { by: "C-9".into(), ..given.clone() },
    ] {
        let mut shop = case.shop();
        shop.payment = shop.payment.map(|payment| payments::Payment { refunded: 1750, ..payment });
        shop.refunds = vec![other];
        let response = handle(&case.request(case.good), &shop);
        let page = led_back(&shop, &response, &case.cookies()).expect("it was not done");
        assert!(text(&page).contains("The payment has changed since"), "{}", text(&page));
    }

    // The first answer started the session, or ended it.
    let shop = Shop::open();
    let case = Case::of("/sign-in");
    let both = format!("{}; session={TOKEN}", case.cookies());
    let again = handle(&post_with("/sign-in", case.good, &both, VISITOR), &shop);
    assert_eq!((again.status, header(&again, "location")), (303, Some("/checkout")));
    let again = handle(&post_with("/sign-out", &[], &format!("visitor={VISITOR}"), TOKEN), &shop);
    assert_eq!((again.status, header(&again, "location")), (303, Some("/sign-in?note=signed-out")));
    assert_eq!(
        handle(&post_with("/sign-out", &[], &both, VISITOR), &shop).status,
        403,
        "with a session it is asked for"
    );

    // The page that follows ends the session of a deleted account, and of no other.
    let delete = Case::of("/account/delete");
    let answer = handle(&delete.request(delete.good), &shop);
    assert!(headers(&answer, "set-cookie").is_empty(), "the second click needs its session");
    let over = Shop { account: None, ..Shop::open() };
    for (shop, ended) in [(&over, true), (&shop, false)] {
        let page = handle(&with_cookies(get("/sign-in?note=deleted"), &delete.cookies()), shop);
        let forgets = headers(&page, "set-cookie").iter().any(|cookie| cookie.starts_with("session=; "));
        assert_eq!((page.status, forgets), (200, ended));
    }
}

/// Scripts correct the number of records in the header of a page that the browser kept; without them it keeps none.
#[test]
fn only_a_browser_without_scripts_asks_for_each_page_again() {
    let shop = Shop::open();
    let album = |cookies: &str| handle(&with_cookies(get("/albums/A"), cookies), &shop);
    let first = album("");
    assert!(text(&first).contains("<noscript><img src=\"/scriptless.svg\""));
    let mark = handle(&get("/scriptless.svg"), &shop);
    let cookie = headers(&mark, "set-cookie")[0].split(';').next().expect("a pair").to_owned();
    assert_eq!((mark.status, header(&mark, "cache-control"), &*cookie), (200, Some("no-store"), "scriptless=1"));
    for (cookies, kept) in [("", true), ("cart=A.1", true), (&*cookie, false), (&*format!("{cookie}; cart=A.1"), false)]
    {
        let page = album(cookies);
        assert_eq!(header(&page, "etag").is_some(), kept, "{cookies}");
        assert_eq!(header(&page, "cache-control") == Some("no-store"), !kept, "{cookies}");
        assert_eq!(text(&page).contains("scriptless.svg"), kept, "{cookies}");
        let mut again = with_cookies(get("/albums/A"), cookies);
        again.headers.push(("if-none-match".into(), header(&page, "etag").unwrap_or("\"none\"").into()));
        assert_eq!(handle(&again, &shop).status, if kept { 304 } else { 200 }, "{cookies}");
    }
}
