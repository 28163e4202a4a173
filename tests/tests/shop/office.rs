//! A clerk's day over HTTP: orders are found, sent and paid back, records are edited and sold again, lists are fetched.

use anyhow::{Context, Result};
use seam_tests::page::Page;
use seam_tests::person::Person;
use seam_tests::shop::Shop;
use seam_tests::shopping::operator;

const SECRET: &str = "a long enough secret";

/// The lines of a CSV file, without its head.
fn lines(page: &Page) -> Result<Vec<String>> {
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/csv; charset=utf-8")), "{page:?}");
    assert!(page.header("content-disposition").is_some_and(|name| name.starts_with("attachment")), "{page:?}");
    let text = page.text.strip_prefix('\u{feff}').context("no mark of UTF-8")?;
    Ok(text.split_terminator("\r\n").skip(1).map(String::from).collect())
}

#[test]
fn an_order_is_found_sent_listed_and_paid_back() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 5)?;
    let mut person = Person::new(&host);
    person.sign_up("Grace Hopper", "grace@shop.example", SECRET)?.must_be(200)?;
    let mut desk = operator(&host)?;
    // The parcel goes to Ada Listener, 1 Groove Lane.
    let order = person.buy(&sku, 2)?;

    let to_do = desk.get("/office/orders")?.must_be(200)?;
    to_do.must_say("What needs doing")?;
    assert!(lines(&desk.get("/office/orders.csv")?)?.iter().any(|line| line.starts_with(&order)), "it needs doing");
    let digits = order.rsplit('-').next().unwrap_or_default();
    for number in [order.clone(), order.to_lowercase(), digits.to_owned()] {
        let found = desk.get(&format!("/office/orders?q={number}"))?;
        assert_eq!(found.path, format!("/office/orders/{order}"), "{number}");
    }
    for (query, finds) in [
        ("q=listen+ada", true),
        ("q=grace%40shop.example", true),
        ("q=listener&state=placed&from=2020-01-01", true),
        ("q=listener&to=2020-01-01", false),
        ("q=listener&state=shipped", false),
        ("q=stranger+here", false),
        ("q=stranger%40shop.example", false),
    ] {
        let page = desk.get(&format!("/office/orders?{query}"))?.must_be(200)?;
        assert_eq!(page.says(&order), finds, "{query}: {}", page.words());
        let file = lines(&desk.get(&format!("/office/orders.csv?{query}"))?)?;
        assert_eq!(file.iter().any(|line| line.starts_with(&order)), finds, "{query}: {file:?}");
    }
    let pick = desk.get("/office/pick.csv")?;
    let parcel = lines(&pick)?.into_iter().find(|line| line.starts_with(&order)).context("no parcel")?;
    assert!(parcel.contains(",Ada Listener,1 Groove Lane,,Bristol,BS1 4DJ,GB,"), "{parcel}");

    desk.get(&format!("/office/orders/{order}/ship"))?.must_say("The parcel with 2 copies leaves for Ada Listener")?;
    let shipped = desk.desk(&order, "ship", &[])?.must_be(200)?;
    shipped.must_say("Taken from the card")?;
    let by = |page: &Page, what: &str| -> Option<String> {
        page.all(".past li").into_iter().find(|item| item.starts_with(what))
    };
    assert!(by(&shipped, "Shipped").is_some_and(|item| item.contains(", by ")), "{}", shipped.words());
    assert!(by(&shipped, "To be shipped").is_some_and(|item| !item.contains(", by ")), "the customer ordered it");
    let invoice = desk.get(&format!("/office/orders/{order}/invoice"))?.must_be(200)?;
    invoice.must_say("Ada Listener")?;
    assert!(invoice.all("nav.rooms a").len() > 3, "the invoice has the office's menu");

    // All of it is given back, and then the records come back: nothing more is promised, to neither side.
    person.send_back(&order, &sku, 1)?;
    person.get(&format!("/orders/{order}"))?.must_say("MusicCorp Returns")?;
    let page = desk.get(&format!("/office/orders/{order}"))?;
    let all = page.form(&format!("/office/orders/{order}/refund"))?.value("amount")?.to_owned();
    let page = desk.desk(&order, "refund", &[("amount", &all), ("reason", "It came too late.")])?.must_be(200)?;
    page.must_say("Nothing is left.")?;
    page.must_say("It came too late.")?;
    let givers = page.all(".past li").into_iter().find(|item| item.contains("It came too late."));
    assert!(givers.as_ref().is_some_and(|item| item.contains(", by ")), "{givers:?}");
    page.must_say("No money goes back: all of it has been given back before.")?;
    let page = desk.desk(&order, "receive", &[])?.must_be(200)?;
    page.must_say("No money went back by itself")?;
    assert!(by(&page, "Returned").is_some_and(|item| item.contains(", by ")), "{}", page.words());
    person.get(&format!("/orders/{order}"))?.must_say("All of the money had been given back before.")?;
    let file = lines(&desk.get(&format!("/office/records/{sku}/movements.csv"))?)?;
    assert!(file[0].contains(",Returned,1,"), "{file:?}");
    Ok(())
}

#[test]
fn a_record_is_edited_taken_off_the_shelf_and_sold_again() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 5)?;
    let mut desk = operator(&host)?;
    let record = format!("/office/records/{sku}");
    let edit = format!("{record}/edit");
    let form = desk.get(&edit)?.form(&edit)?;
    let genre = form.value("genre")?.to_owned();
    let typed = form.clone().typed(&[("title", "Kind of Green"), ("genre", &format!("{genre}z"))])?;
    desk.submit(&typed)?.must_be(200)?.must_say(&format!("Did you mean {genre}?"))?;
    desk.submit(&typed.with("genre", &genre.to_uppercase())?)?.must_be(200)?.must_say("Kind of Green")?;
    // Another tab, open since before.
    let late = form.typed(&[("title", "Kind of Red")])?;
    desk.submit(&late)?.must_be(200)?.must_say("The record has changed")?;

    desk.press(&record, &format!("{record}/discontinue"), &[])?.must_say("no longer sold")?;
    desk.get("/office/records?gone=1")?.must_say("Kind of Green")?;
    let gone = lines(&desk.get("/office/records.csv?gone=1")?)?;
    assert!(gone.iter().any(|line| line.starts_with(&sku) && line.contains(",no,")), "{gone:?}");
    let mut person = Person::new(&host);
    assert!(!person.get("/search?q=kind+of+green")?.says("Kind of Green"), "it has left the shop");
    desk.press(&record, &format!("{record}/relist"), &[])?.must_say("sold again")?;
    desk.press(&record, &format!("{record}/restock"), &[("copies", "1")])?.must_be(200)?;
    desk.press(&record, &format!("{record}/count"), &[("counted", "5")])?.must_be(200)?;
    let clerk = {
        let changed = lines(&desk.get(&format!("{record}/changes.csv"))?)?;
        let [again, ended, title] = changed.as_slice() else { anyhow::bail!("three changes: {changed:?}") };
        assert!(again.contains(",Sold again,") && ended.contains(",Sale ended,"), "{changed:?}");
        assert!(title.contains(",Title,Kind of Blue,Kind of Green,"), "{changed:?}");
        let clerk = title.rsplit(',').next().unwrap_or_default().to_owned();
        assert!(!clerk.is_empty() && changed.iter().all(|line| line.ends_with(&clerk)), "{changed:?}");
        clerk
    };
    let moved = lines(&desk.get(&format!("{record}/movements.csv"))?)?;
    assert!(moved[0].contains(",Counted,-1,5,") && moved[1].contains(",Restocked,1,6,"), "{moved:?}");
    assert!(moved.iter().take(2).all(|line| line.ends_with(&format!(",{clerk}"))), "{moved:?}");
    person.get("/search?q=kind+of+green")?.must_say("Kind of Green")?;
    person.put_into_cart(&sku, 1)?;
    let all = lines(&desk.get("/office/records.csv")?)?;
    assert!(all.iter().any(|line| line.starts_with(&sku) && line.contains(",yes,5")), "the file has all pages");
    Ok(())
}

#[test]
fn the_office_keeps_its_menu_when_a_page_is_missing_and_is_no_page_for_others() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let mut desk = operator(&host)?;
    let mut person = Person::new(&host);
    person.sign_up("Grace Hopper", "grace@shop.example", SECRET)?.must_be(200)?;
    for path in ["nothing", "orders/MC-999999", "records/NO-1", "customers/C-STRANGER", "orders/MC-1/invoice"] {
        let page = desk.get(&format!("/office/{path}"))?.must_be(404)?;
        assert!(page.all("nav.rooms a").len() > 3, "{path}: {}", page.words());
        let page = person.get(&format!("/office/{path}"))?.must_be(404)?;
        assert!(page.all("nav.rooms a").is_empty(), "{path}: {}", page.words());
    }
    for file in ["orders.csv", "pick.csv", "records.csv", "books.csv"] {
        person.get(&format!("/office/{file}"))?.must_be(404)?;
    }
    Ok(())
}
