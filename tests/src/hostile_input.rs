//! Hostile values for form fields, and a shop with every form open to send them to.
//!
//! Each form is filled so that the shop refuses it as late as possible: the value of one field gets as far as it can.

use anyhow::{Context, Result, ensure};

use crate::books::{Books, balance};
use crate::host::Host;
use crate::page::{Form, Page};
use crate::person::Person;
use crate::shop::Shop;
use crate::shopping::{card, operator};

/// What the customers of the fixture sign in with.
pub const SECRET: &str = "a long enough secret";

/// Values for any field. None of them is right anywhere, but for the few that `is_right` names.
#[rustfmt::skip]
pub fn values() -> Vec<String> {
    let texts = [
        "", " ", "\t\r\n", "0", "-1", "+1", "1.5", "1e3", "0x10", "1,000", "NaN", "null", "undefined", "true", "[]", "{}",
        "4294967296", "99999999999999999999", "-9223372036854775809", "\u{ff11}\u{ff12}", "\u{663}", "' OR '1'='1",
        "'; DROP TABLE orders; --", "1 UNION SELECT password_hash FROM accounts", "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>", "' onfocus=alert(1) autofocus='", "</textarea><script>x()</script>",
        "javascript:alert(1)", "{{7*7}}", "${jndi:ldap://x}", "%00", "%ff", "&#60;b&#62;", "../../etc/passwd", "http://evil.test/",
        "//evil.test", "a\0b", "\u{1b}[31m", "\u{7f}", "a\r\nset-cookie: session=1", "\u{85}", "\u{202e}gnp", "\u{feff}",
        "\u{d7ff}\u{10ffff}", "D-000001", "MC-100001", "C-00001", "__proto__", "constructor",
    ];
    let mut values: Vec<String> = texts.map(str::to_owned).into();
    values.extend(["\u{e9}".repeat(300), "x".repeat(30_000), "x".repeat(1_000_000), "\u{1f600}".repeat(2_500)]);
    values
}

/// One form, and what is tried on it.
pub struct Case {
    pub form: Form,
    pub desk: bool,
    /// Fields that are tried; the others stay as they are.
    pub fields: Vec<&'static str>,
    /// Sending it does no harm, whatever comes of it.
    pub harmless: bool,
}

fn case(form: Form, typed: &[(&str, &str)], fields: &[&'static str]) -> Result<Case> {
    let desk = form.action.starts_with("/office");
    Ok(Case { form: form.typed(typed)?, desk, fields: fields.into(), harmless: false })
}

/// A shop with a customer and the operator signed in, and an order in every stage that forms are for.
pub struct Fixture {
    pub shop: Shop,
    pub host: Host,
    pub sku: String,
    pub person: Person,
    pub desk: Person,
    /// By what has become of them.
    pub placed: String,
    pub shipped: String,
    pub cancelled: String,
}

impl Fixture {
    pub fn set() -> Result<Self> {
        let shop = Shop::new()?;
        let host = shop.up()?;
        let sku = shop.album("kind of blue", 9)?;
        let mut person = Person::new(&host);
        person.sign_up("Ada Listener", "ada@shop.example", SECRET)?.must_be(200)?;
        let mut desk = operator(&host)?;
        let shipped = person.buy(&sku, 2)?;
        desk.desk(&shipped, "ship", &[])?.must_be(200)?;
        let cancelled = person.buy(&sku, 1)?;
        desk.desk(&cancelled, "cancel", &[("reason", "So it is.")])?.must_be(200)?;
        let placed = person.buy(&sku, 1)?;
        person.put_into_cart(&sku, 1)?;
        Ok(Self { shop, host, sku, person, desk, placed, shipped, cancelled })
    }

    /// Everything that must be the same afterwards.
    pub fn state(&self) -> Result<(Books, serde_json::Value, u64)> {
        let albums = self.shop.call("catalog", "albums.browse({:}, {page: 1, size: 1})")?;
        let album = self.shop.call("catalog", &format!("albums.get-albums([{:?}])", self.sku))?;
        Ok((balance(&self.shop)?.without_rejected(), album, albums["total"].as_u64().context("a total")?))
    }

    /// Every form there is.
    pub fn cases(&mut self) -> Result<Vec<Case>> {
        let Self { sku, person, desk, placed, shipped, cancelled, .. } = self;
        let (placed, shipped, cancelled) = (placed.as_str(), shipped.as_str(), cancelled.as_str());
        let to = |form: Form, action: String| Form { action, ..form };
        let copies: &'static str = format!("copies-{sku}").leak();
        let cart = person.get("/cart")?;
        let order = person.get(&format!("/orders/{placed}"))?;
        let sent = person.get(&format!("/orders/{shipped}"))?;
        let till = person.till(card::REFUSED)?.without("save");
        let mut cases = vec![
            case(
                till,
                &[],
                &["csrf", "key", "lines", "total", "name", "street", "extra", "city", "postcode", "country"],
            )?,
            case(person.till(card::REFUSED)?, &[], &["save", "number", "holder", "expiry", "code"])?,
            // What it asks for cannot be done any more.
            case(
                to(order.form(&format!("/orders/{placed}/cancel"))?, format!("/orders/{shipped}/cancel")),
                &[],
                &["csrf", "key"],
            )?,
            case(sent.form(&format!("/orders/{shipped}/return"))?, &[], &["csrf", "key", copies])?,
            case(
                person.get("/account/password")?.form("/account/password")?,
                &[("old", "not the password"), ("new", "another long secret")],
                &["csrf", "old", "new"],
            )?,
            case(
                person.get("/account/delete")?.form("/account/delete")?,
                &[("password", "not the password")],
                &["csrf", "password"],
            )?,
        ];
        let album = person.get(&format!("/albums/{sku}"))?;
        for (page, action, fields) in
            [(&album, "/cart/add", &["sku"][..]), (&cart, "/cart/change", &["csrf", copies, "remove", "next"])]
        {
            cases.push(Case { harmless: true, ..case(page.form(action)?, &[], fields)? });
        }
        let address = person.get("/account/address")?.form("/account/address")?;
        let fields = &["csrf", "name", "street", "extra", "city", "postcode", "country"];
        cases.push(Case { harmless: true, ..case(address, &[], fields)? });
        // Sent whole, it would sign out the person who tries the others.
        cases.push(case(person.get("/account")?.form("/sign-out")?, &[], &["csrf"])?);

        let office = |path: &str| format!("/office{path}");
        let ship = desk.deed(placed, "ship", &[])?;
        let cancel = desk.deed(placed, "cancel", &[])?;
        let refund = desk.deed(shipped, "refund", &[("amount", "1.00")])?;
        let receive = to(ship.clone(), office(&format!("/orders/{placed}/receive")));
        cases.push(case(to(ship, office(&format!("/orders/{cancelled}/ship"))), &[], &["csrf", "key"])?);
        cases.push(case(receive, &[], &["csrf", "key"])?);
        cases.push(case(
            to(cancel, office(&format!("/orders/{shipped}/cancel"))),
            &[("reason", "It is not wanted.")],
            &["csrf", "key", "reason"],
        )?);
        cases.push(case(refund.clone(), &[("amount", "999.00"), ("reason", "All")], &["csrf", "key", "reason"])?);
        cases.push(case(refund, &[("amount", "1"), ("reason", "")], &["amount"])?);
        let record = desk.get(&office(&format!("/records/{sku}")))?;
        let of = |action: &str| record.form(&office(&format!("/records/{sku}/{action}")));
        cases.push(case(of("restock")?, &[("copies", "0"), ("note", "")], &["csrf", "key", "copies", "note"])?);
        cases.push(case(of("count")?, &[("counted", "-1")], &["csrf", "counted"])?);
        cases.push(case(of("price")?, &[("price", "0")], &["csrf", "price"])?);
        cases.push(case(of("discontinue")?, &[], &["csrf"])?);
        let new = desk.get("/office/records/new")?.form("/office/records")?;
        let filled =
            [("artist", "A"), ("title", "T"), ("genre", "G"), ("label", "L"), ("price", "1"), ("currency", "GBP")];
        let new = new.typed(&filled)?;
        // Its number is taken.
        let fields = &["csrf", "artist", "title", "year", "genre", "label", "price", "currency", "notes"];
        cases.push(case(new.clone(), &[("sku", sku), ("year", "1999")], fields)?);
        cases.push(case(new, &[("year", "1")], &["sku"])?);
        Ok(cases)
    }

    /// Whose form it is.
    pub fn who(&mut self, case: &Case) -> &mut Person {
        if case.desk { &mut self.desk } else { &mut self.person }
    }

    pub fn person(&mut self, desk: bool) -> &mut Person {
        if desk { &mut self.desk } else { &mut self.person }
    }
}

/// The few values that are right for a field.
pub fn is_right(form: &Form, field: &str, value: &str) -> bool {
    let last = form.action.rsplit('/').next().unwrap_or_default();
    matches!((last, field, value), ("count", "counted", "0") | ("price", "price", "1.5"))
}

/// The answer is a page for people, which has what was sent as text at most.
pub fn decent(page: &Page, what: &str) -> Result<()> {
    ensure!(page.status < 500, "{what}: {} {}", page.status, page.words());
    let injected = page.injected();
    ensure!(injected.is_empty(), "{what} is in the page: {injected:?}");
    for (name, value) in &page.headers {
        ensure!(name != "set-cookie" || !value.contains("session=1"), "{what}: {value}");
        ensure!(name != "location" || (value.starts_with('/') && !value.starts_with("//")), "{what}: {value}");
    }
    Ok(())
}

/// Where the answer to a form that could not be done leads: to the form again, with a draft of what was typed.
pub fn led_back(page: &Page) -> Option<&str> {
    let kept = |(name, value): &(String, String)| {
        name == "set-cookie" && value.starts_with("draft=") && !value.starts_with("draft=;")
    };
    page.headers.iter().any(kept).then(|| page.header("location")).flatten()
}

/// The shop did it: a page, or a redirect to one that says so. A mistake, an empty cart, a missing session and the
/// question for the password lead elsewhere.
pub fn is_done(page: &Page) -> bool {
    let elsewhere = |to: &str| to == "/cart" || to.starts_with("/sign-in") || led_back(page).is_some();
    page.status < 300 || page.header("location").is_some_and(|to| !elsewhere(to))
}

pub fn refused(page: &Page, what: &str) -> Result<()> {
    decent(page, what)?;
    ensure!(!is_done(page), "{what} was taken: {} {:?}", page.status, page.headers);
    Ok(())
}
