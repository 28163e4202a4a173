//! A flood of one kind of request, and the visitors who want something else meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Result;
use seam_tests::host::Host;
use seam_tests::person::Person;
use seam_tests::shop::Shop;
use seam_tests::shopping::{DEMO_PASSWORD, card, demo_email};

const CONNECTIONS: u32 = 160;
/// Pages that are looked at during the flood, and before it.
const PAGES: u32 = 40;
/// How much longer a page may take in the flood, when eight passwords are hashed at any time. It was 14 times on two
/// processors, and a thousand when the flood took all places.
const LONGER_MAX: u32 = 100;

/// A shop whose clients a proxy names: each connection comes from an address of its own.
fn shop() -> Result<Shop> {
    let shop = Shop::new()?;
    shop.edit("[http]\n", "[http]\ntrusted_proxies = [\"127.0.0.1\"]\n")?;
    Ok(shop)
}

/// The client with this number, as the proxy names it.
fn client(number: u32) -> String {
    format!("198.51.{}.{}", number / 250, number % 250 + 1)
}

/// Home and an album, by turns; how many were answered, and the median of their times.
fn pages(host: &Host, sku: &str) -> Result<(u32, Duration)> {
    let (mut answered, mut times) = (0, Vec::new());
    for page in 0..PAGES {
        let path = if page % 2 == 0 { "/".to_owned() } else { format!("/albums/{sku}") };
        let started = Instant::now();
        answered += u32::from(host.get_with(&path, &[("x-forwarded-for", "192.0.2.1")])?.status == 200);
        times.push(started.elapsed());
    }
    times.sort();
    Ok((answered, times[times.len() / 2]))
}

/// All connections do `one` again and again, each with its number and how often it did, while the pages are looked at.
fn flooded(host: &Host, sku: &str, one: impl Fn(u32, u32) -> Result<u16> + Sync) -> Result<((u32, Duration), u32)> {
    let (over, done) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let (over, done, one) = (&over, &done, &one);
            scope.spawn(move || {
                for time in 0.. {
                    if over.load(Relaxed) {
                        return;
                    }
                    // A connection that the host refuses under the flood is one of the flood.
                    one(connection, time).ok();
                    done.fetch_add(1, Relaxed);
                }
            });
        }
        while done.load(Relaxed) < CONNECTIONS / 4 {
            std::thread::yield_now();
        }
        let pages = pages(host, sku);
        over.store(true, Relaxed);
        Ok((pages?, done.load(Relaxed)))
    })
}

fn sign_up(host: &Host, form: &seam_tests::page::Form, person: &Person, from: &str, name: &str) -> Result<u16> {
    let form = form.clone().typed(&[
        ("name", "Eve"),
        ("email", &format!("{name}@shop.example")),
        ("password", "a long enough secret"),
    ])?;
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", host.url.as_str()),
        ("sec-fetch-site", "same-origin"),
        ("x-forwarded-for", from),
    ];
    Ok(person.clone().request("POST", "/sign-up", &headers, form.encoded().as_bytes())?.status)
}

#[test]
fn pages_are_answered_while_160_connections_sign_up() -> Result<()> {
    let shop = shop()?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 5)?;
    let (calm, usual) = pages(&host, &sku)?;
    assert_eq!(calm, PAGES);
    let mut person = Person::new(&host);
    let form = person.get("/sign-up")?.form("/sign-up")?;
    let ((answered, median), signed_up) = flooded(&host, &sku, |connection, time| {
        sign_up(&host, &form, &person, &client(connection), &format!("eve-{connection}-{time}"))
    })?;
    assert_eq!(answered, PAGES, "{usual:?}, in the flood {median:?}, {signed_up} sign-ups");
    assert!(median < usual * LONGER_MAX, "{usual:?}, in the flood {median:?}");
    Ok(())
}

#[test]
fn pages_are_answered_while_160_connections_search() -> Result<()> {
    let shop = shop()?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 5)?;
    let failed = AtomicU32::new(0);
    let ((answered, _), searches) = flooded(&host, &sku, |connection, time| {
        let from = client(connection);
        let found = host.get_with(&format!("/search?q=blue%20{}", time % 7), &[("x-forwarded-for", &from)])?.status;
        failed.fetch_add(u32::from(found != 200), Relaxed);
        Ok(found)
    })?;
    assert_eq!((answered, failed.into_inner()), (PAGES, 0), "of {searches} searches");
    Ok(())
}

#[test]
fn the_page_says_when_an_address_may_make_more_accounts_and_try_more_cards() -> Result<()> {
    let shop = shop()?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 50)?;
    let mut person = Person::new(&host);
    let form = person.get("/sign-up")?.form("/sign-up")?;
    let answers: Vec<u16> = (0..24)
        .map(|number| sign_up(&host, &form, &person, "192.0.2.7", &format!("many-{number}")))
        .collect::<Result<_>>()?;
    assert_eq!((&answers[..20], &answers[20..]), (&[303; 20][..], &[429; 4][..]));
    assert_eq!(sign_up(&host, &form, &person, "192.0.2.8", "another")?, 303, "another address");

    // A taken address and another password: the answer of a wrong password, without a word on whose it is.
    let again =
        form.clone().typed(&[("name", "Eve"), ("email", "another@shop.example"), ("password", "some other secret")])?;
    let page = person.submit(&again)?.must_be(422)?;
    page.must_say("We could not make an account with this e-mail address and this password")?;
    let again = again.with("password", "a long enough secret")?;
    assert_eq!(person.submit(&again)?.must_be(200)?.path, "/account?note=welcome", "made less than a minute ago");

    person.put_into_cart(&sku, 1)?;
    let mut cards = Vec::new();
    for _ in 0..12 {
        cards.push(person.check_out(card::REFUSED)?);
    }
    let statuses: Vec<u16> = cards.iter().map(|page| page.status).collect();
    assert_eq!((&statuses[..10], &statuses[10..]), (&[200; 10][..], &[429; 2][..]));
    let last = cards.pop().unwrap();
    last.must_say("we look at the next card in 6 minutes. Nothing was charged")?;
    let seconds: u32 = last.header("retry-after").unwrap().parse()?;
    assert!((300..=360).contains(&seconds), "{seconds}");
    // Its other pages are as they were, and another customer buys.
    person.get("/cart")?.must_be(200)?;
    let mut other = Person::signed_in(&host, &demo_email(1), DEMO_PASSWORD)?;
    other.buy(&sku, 1)?;
    Ok(())
}
