//! Every form of the shop and of the office against fields that are missing, huge, wrong or hostile, and requests that
//! no browser sends: never an answer of the 500 kind, nothing of it in the page but as text, and nothing bought, sold,
//! moved or booked.

use anyhow::Result;
use seam_tests::hostile_input::{Fixture, SECRET, decent, is_done, is_right, led_back, refused, values};
use seam_tests::page::{Form, encode};
use seam_tests::person::Person;
use seam_tests::shopping::{card, order_number};

#[test]
fn no_value_typed_into_a_form_does_harm() -> Result<()> {
    let mut fixture = Fixture::set()?;
    let cases = fixture.cases()?;
    let before = fixture.state()?;
    let values = values();
    for case in &cases {
        let action = &case.form.action;
        for field in &case.fields {
            let mut tried = vec![(format!("{action}: without {field}"), case.form.clone().without(field))];
            for value in values.iter().filter(|value| !is_right(&case.form, field, value)) {
                let shown: String = value.chars().take(40).collect();
                tried.push((format!("{action}: {field}={shown:?}"), case.form.clone().forced(field, value)));
            }
            for (what, form) in tried {
                let page = fixture.who(case).send(&form)?;
                decent(&page, &what)?;
                if let Some(to) = led_back(&page) {
                    decent(&fixture.who(case).get(to)?, &what)?;
                }
                assert!(case.harmless || !is_done(&page), "{what} was taken: {} {:?}", page.status, page.headers);
            }
        }
    }
    assert_eq!(fixture.state()?, before);
    fixture.person.get("/account")?.must_be(200)?.must_say("Hello, Ada Listener")?;
    fixture.desk.get("/office")?.must_be(200)?;
    let log = fixture.host.log()?;
    assert!(!log.contains("unreachable") && !log.contains("panicked"), "a guest trapped");
    Ok(())
}

#[test]
fn a_form_that_is_not_ours_or_not_a_form_is_refused() -> Result<()> {
    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
    let mut fixture = Fixture::set()?;
    let mut stranger = Person::new(&fixture.host);
    stranger.sign_up("Eve Dropper", "eve@shop.example", SECRET)?.must_be(200)?;
    let theirs = stranger.get("/account")?.form("/sign-out")?.value("csrf")?.to_owned();
    let cases = fixture.cases()?;
    let before = fixture.state()?;
    let own = fixture.host.url.clone();
    let other = own.replace("127.0.0.1", "localhost");
    for case in &cases {
        let action = case.form.action.clone();
        let body = case.form.encoded();
        let has_token = case.form.value("csrf").is_ok();
        let post = |fixture: &mut Fixture, headers: &[(&str, &str)], body: &[u8], what: &str| -> Result<()> {
            let page = fixture.person(case.desk).request("POST", &action, headers, body)?;
            refused(&page, &format!("{action}: {what}"))?;
            Ok(())
        };
        if has_token {
            for token in ["", "0", &theirs, &"0".repeat(64)] {
                let page = fixture.who(case).send(&case.form.clone().forced("csrf", token))?;
                assert_eq!(page.status, 403, "{action}: the token {token}");
            }
        }
        for from in [
            &[][..],
            &[("origin", "null")],
            &[("origin", "http://evil.test")],
            &[("origin", &other)],
            &[("referer", "http://evil.test/")],
            &[("origin", &own), ("sec-fetch-site", "cross-site")],
            &[("origin", &own), ("sec-fetch-site", "same-site")],
        ] {
            let headers = [&[FORM], from].concat();
            post(&mut fixture, &headers, body.as_bytes(), &format!("{from:?}"))?;
        }
        let origin = ("origin", own.as_str());
        for kind in [
            "",
            "text/plain",
            "application/json",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded; charset=iso-8859-1",
            "application/x-www-form-urlencoded; charset=utf-16",
        ] {
            post(&mut fixture, &[("content-type", kind), origin], body.as_bytes(), kind)?;
        }
        let many = format!("{body}{}", "&x=1".repeat(200));
        let large = format!("{body}&x={}", "x".repeat(40_000));
        let huge = format!("{body}&x={}", "x".repeat(2_000_000));
        let twice = format!("{body}&csrf=0");
        let utf16: Vec<u8> = body.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (what, bytes) in [
            ("nothing", &b""[..]),
            ("no names", b"=&=&&&=="),
            ("half a percent", &[body.as_bytes(), b"&x=%"].concat()),
            ("no hexadecimal", &[body.as_bytes(), b"&x=%zz"].concat()),
            ("Latin-1", &[body.as_bytes(), b"&x=Ren%E9"].concat()),
            ("raw Latin-1", &[body.as_bytes(), b"&x=Ren\xe9"].concat()),
            ("overlong UTF-8", &[body.as_bytes(), b"&x=%c0%af"].concat()),
            ("half of a pair", &[body.as_bytes(), b"&x=%ed%a0%80"].concat()),
            ("a zero byte", &[body.as_bytes(), b"&x=a%00b"].concat()),
            ("UTF-16", &utf16),
            ("many fields", many.as_bytes()),
            ("large", large.as_bytes()),
            ("huge", huge.as_bytes()),
        ] {
            // Without a key or a token, only what fills a cart is understood.
            if bytes.is_empty() && case.harmless {
                continue;
            }
            post(&mut fixture, &[FORM, origin], bytes, what)?;
        }
        if has_token {
            post(&mut fixture, &[FORM, origin], twice.as_bytes(), "two tokens")?;
        }
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
            let who = fixture.person(case.desk);
            let page = who.request(method, &action, &[FORM, origin], b"")?;
            let reads = method == "GET" || method == "HEAD";
            let allowed = reads && page.status == 200;
            // To read what cannot be undone: its page says why it is not possible.
            let refused = matches!(page.status, 400 | 404 | 405 | 409 | 422 | 501);
            assert!(allowed || refused, "{method} {action}: {}", page.status);
        }
    }
    assert_eq!(fixture.state()?, before);
    fixture.person.get("/account")?.must_be(200)?.must_say("Hello, Ada Listener")?;
    fixture.desk.get("/office")?.must_be(200)?;
    Ok(())
}

#[test]
fn invented_addresses_and_cookies_lead_nowhere() -> Result<()> {
    let mut fixture = Fixture::set()?;
    let before = fixture.state()?;
    let form = fixture
        .person
        .get(&format!("/orders/{}", fixture.placed))?
        .form(&format!("/orders/{}/cancel", fixture.placed))?;
    for value in values().iter().filter(|value| value.len() < 5_000) {
        let value = encode(value);
        for path in [
            format!("/orders/{value}"),
            format!("/orders/{value}/invoice"),
            format!("/albums/{value}"),
            format!("/covers/{value}.svg"),
            format!("/account?page={value}&note={value}"),
            format!("/sign-in?next={value}&note={value}"),
            format!("/sign-up?next={value}"),
            format!("/cart?note={value}"),
            format!("/search?q={value}&page={value}"),
            format!("/browse?genre={value}&artist={value}&decade={value}&page={value}"),
            format!("/office/orders/{value}"),
            format!("/office/orders?state={value}&page={value}&done={value}"),
            format!("/office/records/{value}"),
            format!("/office/records?q={value}&page={value}"),
            format!("/office/customers/{value}"),
            format!("/office/customers?id={value}"),
            format!("/office/{value}"),
        ] {
            let person = fixture.person(path.starts_with("/office"));
            decent(&person.request("GET", &path, &[], b"")?, &path)?;
        }
        for action in ["cancel", "return"] {
            let form = Form { action: format!("/orders/{value}/{action}"), ..form.clone() };
            refused(&fixture.person.send(&form)?, &form.action)?;
        }
    }
    // A sign-in that leads to another site stays here.
    let mut other = Person::new(&fixture.host);
    let form =
        other.get("/sign-in")?.form("/sign-in")?.typed(&[("email", "ada@shop.example"), ("password", SECRET)])?;
    for next in
        ["//evil.test", "http://evil.test/", "/\\evil.test", "/%2f/evil.test", "javascript:alert(1)", "/a\r\nx: y"]
    {
        let page = other.clone().send(&form.clone().forced("next", next))?;
        let to = page.header("location").unwrap_or_default();
        let stays = to.starts_with('/') && !to.starts_with("//") && !to.starts_with("/\\");
        assert!(page.status >= 400 || stays, "{next:?} leads to {to}");
    }
    for (name, value) in [
        ("session", "x".repeat(64)),
        ("session", "0".repeat(64)),
        ("session", "' OR 1=1 --".into()),
        ("visitor", "<script>".into()),
        ("cart", "A.1~<script>.2~A.1~B.99999999999999999999".into()),
        ("cart", vec!["MC-0001.20"; 400].join("~")),
        ("cart", (0..400).map(|n| format!("X-{n}.20")).collect::<Vec<_>>().join("~")),
    ] {
        for path in ["/", "/cart", "/account", "/checkout", "/office", "/sign-in"] {
            let mut person = Person::new(&fixture.host);
            person.set_cookie(name, &value);
            decent(&person.request("GET", path, &[], b"")?, &format!("{path} with {name}={value:.40}"))?;
        }
    }
    assert_eq!(fixture.state()?, before);
    Ok(())
}

#[test]
fn the_key_of_another_customers_order_gives_nothing_away() -> Result<()> {
    let mut fixture = Fixture::set()?;
    let mut stranger = Person::new(&fixture.host);
    stranger.sign_up("Eve Dropper", "eve@shop.example", SECRET)?.must_be(200)?;
    stranger.put_into_cart(&fixture.sku, 1)?;
    let form = fixture.person.till(card::APPROVED)?;
    let order = fixture.person.submit(&form)?.must_be(200)?;
    let before = fixture.state()?;
    let own = stranger.till(card::APPROVED)?;
    let page = stranger.send(&own.forced("key", form.value("key")?))?;
    refused(&page, "another's key")?;
    assert!(!page.text.contains(&order_number(&order)?), "{}", page.words());
    assert_eq!(fixture.state()?, before);
    Ok(())
}

#[test]
fn what_looks_like_markup_is_shown_as_it_was_typed() -> Result<()> {
    const MARK: &str = "<b>\"O'Neil\" & <script>alert(1)</script>";
    let mut fixture = Fixture::set()?;
    let sku = fixture.sku.clone();
    let mut person = Person::new(&fixture.host);
    person.sign_up(MARK, "mark@shop.example", SECRET)?.must_be(200)?.must_say(MARK)?;
    person.put_into_cart(&sku, 1)?;
    let form = person.till(card::APPROVED)?;
    let form = form.typed(&[("name", MARK), ("street", MARK), ("extra", MARK), ("city", MARK), ("holder", MARK)])?;
    let placed = person.submit(&form)?.must_be(200)?;
    placed.must_say("Your order is placed")?;
    let order = order_number(&placed)?;
    let desk = &mut fixture.desk;
    desk.desk(&order, "ship", &[])?.must_be(200)?;
    desk.desk(&order, "refund", &[("amount", "1.00"), ("reason", MARK)])?.must_be(200)?;
    let record = format!("/office/records/{sku}");
    desk.press(&record, &format!("{record}/restock"), &[("copies", "1"), ("note", MARK)])?.must_be(200)?;
    let album = [
        ("sku", "TEST-1"),
        ("artist", MARK),
        ("title", MARK),
        ("year", "1999"),
        ("genre", MARK),
        ("label", MARK),
        ("price", "9.99"),
        ("currency", "GBP"),
        ("notes", MARK),
    ];
    let form = desk.get("/office/records/new")?.form("/office/records")?.typed(&album)?;
    desk.submit(&form)?.must_be(200)?.must_say("No record has this genre yet")?;
    desk.submit(&form.forced("new-genre", MARK))?.must_be(200)?;
    person.put_into_cart("TEST-1", 1).unwrap_err(); // The warehouse has not counted it: it cannot be bought yet.
    fixture.shop.count("TEST-1", 3)?;
    person.put_into_cart("TEST-1", 1)?;
    for (office, path) in [
        (false, "/account".to_owned()),
        (false, "/account/address".into()),
        (false, "/account/statement".into()),
        (false, "/checkout".into()),
        (false, "/cart".into()),
        (false, "/albums/TEST-1".into()),
        (false, format!("/browse?genre={}", encode(MARK))),
        (false, format!("/orders/{order}")),
        (false, format!("/orders/{order}/invoice")),
        (true, "/office/records/TEST-1".into()),
        (true, record),
        (true, format!("/office/orders/{order}")),
    ] {
        let page = if office { fixture.desk.get(&path)? } else { person.get(&path)? }.must_be(200)?;
        assert_eq!(page.injected(), Vec::<String>::new(), "{path}");
        let fields = page.forms().into_iter().flat_map(|form| form.fields);
        assert!(page.says(MARK) || fields.into_iter().any(|field| field.value == MARK), "{path}: {}", page.words());
    }
    let cover = person.get("/covers/TEST-1.svg")?.must_be(200)?;
    assert!(!cover.text.contains("<script"), "{}", cover.text);
    Ok(())
}

#[test]
fn guessing_passwords_soon_locks_out_the_address_it_comes_from() -> Result<()> {
    let fixture = Fixture::set()?;
    let before = fixture.state()?;
    let mut guesser = Person::new(&fixture.host);
    let form = guesser.get("/sign-in")?.form("/sign-in")?;
    let guess = |guesser: &mut Person, email: &str, password: &str| {
        let page = guesser.send(&form.clone().typed(&[("email", email), ("password", password)])?)?;
        decent(&page, email)?;
        anyhow::Ok(page)
    };
    for value in values() {
        let page = guess(&mut guesser, &value, "a wrong password")?;
        assert!(!is_done(&page), "{value:.40}");
        let page = guess(&mut guesser, "ada@shop.example", &value)?;
        assert!(!is_done(&page), "{value:.40}");
    }
    let page = guess(&mut guesser, "ada@shop.example", SECRET)?;
    assert_eq!(page.status, 429, "the right one comes too late: {}", page.words());
    page.must_say("minutes")?;
    let form = guesser.get("/sign-up")?.form("/sign-up")?;
    for field in ["name", "email", "password"] {
        for value in values() {
            let typed = [("name", "Bob Listener"), ("email", "ada@shop.example"), ("password", SECRET)];
            let page = guesser.send(&form.clone().typed(&typed)?.forced(field, &value))?;
            refused(&page, &format!("sign-up: {field}={value:.40}"))?;
        }
    }
    assert_eq!(fixture.state()?, before);
    Ok(())
}
