//! A flood of one kind of request, and the visitors who want something else meanwhile.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Result;
use seam_tests::host::Host;
use seam_tests::hostile_input::led_back;
use seam_tests::page::{Form, Page};
use seam_tests::person::Person;
use seam_tests::shop::Shop;
use seam_tests::shopping::{DEMO_PASSWORD, card, demo_email};

const CONNECTIONS: u32 = 160;
/// Those who do the same thing at the same moment.
const TOGETHER: usize = 40;
/// Pages that are looked at during the flood, and before it.
const PAGES: usize = 40;
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

/// A visitor at an address of the own.
fn visitor(person: &Person) -> Person {
    person.clone().with_address("192.0.2.1".into())
}

/// These pages by turns; how many were answered, and the median of their times.
fn look_at(person: &Person, paths: &[&str]) -> Result<(u32, Duration)> {
    let (mut answered, mut times) = (0, Vec::new());
    for path in paths.iter().cycle().take(PAGES) {
        let started = Instant::now();
        answered += u32::from(visitor(person).request("GET", path, &[], &[])?.status == 200);
        times.push(started.elapsed());
    }
    times.sort();
    Ok((answered, times[times.len() / 2]))
}

/// All connections do `one` again and again, each with its number and how often it did, while something else is done.
/// What that gives, and how often the answer to `one` had this status, which it had at least once.
fn flooded<T>(
    status: u16,
    one: impl Fn(u32, u32) -> Result<u16> + Sync,
    meanwhile: impl FnOnce() -> Result<T>,
) -> Result<(T, u32)> {
    let (over, done, as_meant) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let (over, done, as_meant, one) = (&over, &done, &as_meant, &one);
            scope.spawn(move || {
                for time in 0.. {
                    if over.load(Relaxed) {
                        return;
                    }
                    // A connection that the host refuses under the flood is one of the flood.
                    as_meant.fetch_add(u32::from(one(connection, time).is_ok_and(|got| got == status)), Relaxed);
                    done.fetch_add(1, Relaxed);
                }
            });
        }
        while done.load(Relaxed) < CONNECTIONS / 4 {
            std::thread::yield_now();
        }
        let result = meanwhile();
        over.store(true, Relaxed);
        let as_meant = as_meant.load(Relaxed);
        assert!(as_meant > 0, "none of {} answers was a {status}", done.load(Relaxed));
        Ok((result?, as_meant))
    })
}

fn sign_up(host: &Host, form: &Form, person: &Person, from: &str, name: &str) -> Result<u16> {
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
    let album = format!("/albums/{}", shop.album("kind of blue", 5)?);
    let pages = || look_at(&Person::new(&host), &["/", &album]);
    let (calm, usual) = pages()?;
    assert_eq!(calm as usize, PAGES);
    let mut person = Person::new(&host);
    let form = person.get("/sign-up")?.form("/sign-up")?;
    let sign_up =
        |connection, time| sign_up(&host, &form, &person, &client(connection), &format!("eve-{connection}-{time}"));
    let ((answered, median), signed_up) = flooded(303, sign_up, pages)?;
    assert_eq!(answered as usize, PAGES, "{usual:?}, in the flood {median:?}, {signed_up} sign-ups");
    assert!(median < usual * LONGER_MAX, "{usual:?}, in the flood {median:?}");
    Ok(())
}

/// Each of these pages asks `customer` who is signed in, and half of the flood signs in instead.
#[test]
fn who_is_signed_in_is_known_while_160_connections_sign_up_and_in() -> Result<()> {
    let shop = shop()?;
    let host = shop.up()?;
    let mut eve = Person::new(&host);
    let mut form = |path: &str| eve.get(path)?.form(path);
    let (up, enter) = (form("/sign-up")?, form("/sign-in")?);
    let ann = Person::signed_in(&host, &demo_email(1), DEMO_PASSWORD)?;
    let flood = |connection: u32, time: u32| {
        let (from, name) = (client(connection), format!("eve-{connection}-{time}"));
        if connection.is_multiple_of(2) {
            return sign_up(&host, &up, &eve, &from, &name);
        }
        let form =
            enter.clone().typed(&[("email", &format!("{name}@shop.example")), ("password", "a wrong secret")])?;
        Ok(eve.clone().with_address(from).send(&form)?.status)
    };
    let pages = || {
        let mut ann = visitor(&ann);
        (0..PAGES).map(|_| Ok(ann.get("/account")?.status)).collect::<Result<Vec<_>>>()
    };
    let (statuses, sent) = flooded(303, flood, pages)?;
    assert_eq!(statuses, [200; PAGES], "{sent} sign-ups");
    Ok(())
}

#[test]
fn pages_are_answered_while_160_connections_search() -> Result<()> {
    let shop = shop()?;
    let host = shop.up()?;
    let album = format!("/albums/{}", shop.album("kind of blue", 5)?);
    let failed = AtomicU32::new(0);
    let search = |connection, time| {
        let from = client(connection);
        let found = host.get_with(&format!("/search?q=blue%20{}", time % 7), &[("x-forwarded-for", &from)])?.status;
        failed.fetch_add(u32::from(found != 200), Relaxed);
        Ok(found)
    };
    let ((answered, _), searches) = flooded(200, search, || look_at(&Person::new(&host), &["/", &album]))?;
    // Calls within a process do not wait: a thread makes one at a time. Of those that wait for another host, a function
    // has half of its context's share and of the queue (`per_callee`), and the others are refused at once.
    let here = shop.host_name("storefront") == shop.host_name("catalog");
    let failed = if here { failed.into_inner() } else { 0 };
    assert_eq!((answered as usize, failed), (PAGES, 0), "of {searches} searches");
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
    let page = person.submit(&again)?.must_be(200)?;
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

/// The answers to all of these forms, sent at once.
fn at_once(forms: Vec<(Person, Form)>) -> Result<Vec<Page>> {
    let start = Barrier::new(forms.len());
    std::thread::scope(|scope| {
        let send = |(mut person, form): (Person, Form)| {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                person.send(&form)
            })
        };
        let sent: Vec<_> = forms.into_iter().map(send).collect();
        sent.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// Customers of one network at the till, each with the form of a checkout with this card.
fn at_till(host: &Host, sku: &str, card: &str) -> Result<Vec<(Person, Form)>> {
    let ready = |number: usize| {
        let mut person = Person::new(host).with_address("192.0.2.9".into());
        person.sign_in(&demo_email(number), DEMO_PASSWORD)?;
        person.put_into_cart(sku, 1)?;
        let form = person.till(card)?;
        Ok((person, form))
    };
    (1..=TOGETHER).map(ready).collect()
}

#[test]
fn good_cards_of_one_network_are_all_taken_and_no_more_bad_ones_than_its_limit() -> Result<()> {
    let shop = Shop::with(60, TOGETHER as u32)?;
    shop.edit("[http]\n", "[http]\ntrusted_proxies = [\"127.0.0.1\"]\n")?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 500)?;
    let mut left = at_till(&host, &sku, card::APPROVED)?;
    for _ in 0..TOGETHER {
        let pages = at_once(left.clone())?;
        for page in pages.iter().filter(|page| page.status != 303) {
            assert_eq!(page.status, 503, "no answer speaks of cards that could not be used: {}", page.words());
            assert!(page.header("retry-after").is_some(), "{}", page.words());
        }
        let mut pages = pages.into_iter();
        left.retain(|_| pages.next().is_some_and(|page| page.status == 503));
        if left.is_empty() {
            break;
        }
    }
    assert_eq!(left.len(), 0, "every one is placed, if need be at another try");

    let thieves = at_till(&host, &sku, card::REFUSED)?;
    let statuses: Vec<u16> = at_once(thieves.clone())?.iter().map(|page| page.status).collect();
    let declined = statuses.iter().filter(|status| **status == 303).count();
    assert!(declined <= 20 && statuses.iter().all(|status| [303, 429, 503].contains(status)), "{statuses:?}");
    // One after the other, the rest of the limit is used up, and then it is said.
    let mut answers = thieves.into_iter().map(|(mut person, form)| person.send(&form));
    let refused = answers.find(|page| !page.as_ref().is_ok_and(|page| page.status == 303)).unwrap()?.must_be(429)?;
    refused.must_say("Too many cards that could not be used")?;
    Ok(())
}

/// Each limit of wrong passwords, tried at once: how many are answered as wrong, before all have to wait.
#[test]
fn guesses_at_once_are_answered_no_more_often_than_one_after_the_other() -> Result<()> {
    let shop = shop()?;
    let host = shop.up()?;
    let mut thief = Person::new(&host);
    let form = thief.get("/sign-in")?.form("/sign-in")?;
    let guess = |account: usize, from: usize| {
        let person = thief.clone().with_address(client(from as u32));
        let typed = [("email", demo_email(account)), ("password", "a wrong secret".to_owned())];
        let form = form.clone().typed(&typed.each_ref().map(|(name, value)| (*name, value.as_str())))?;
        anyhow::Ok((person, form))
    };
    let wrong = |guesses: Vec<(Person, Form)>, most: usize| -> Result<()> {
        let again = guesses.clone();
        let pages = at_once(guesses)?;
        let is_wrong = |page: &Page| led_back(page) == Some("/sign-in");
        let mut wrong = pages.iter().filter(|page| is_wrong(page)).count();
        let statuses: Vec<u16> = pages.iter().map(|page| page.status).collect();
        assert!(pages.iter().all(|page| is_wrong(page) || [429, 503].contains(&page.status)), "{statuses:?}");
        // What found no room at once is tried again, until all have to wait.
        for (mut person, form) in again {
            let page = person.send(&form)?;
            match page.status {
                429 => {
                    assert!(wrong <= most, "{wrong} of {most}: {statuses:?}");
                    return Ok(());
                }
                _ if is_wrong(&page) => wrong += 1,
                status => anyhow::bail!("{status}"),
            }
        }
        anyhow::bail!("{wrong} wrong passwords, and none has to wait")
    };
    wrong((0..TOGETHER).map(|_| guess(1, 1)).collect::<Result<_>>()?, 5)?;
    wrong((0..TOGETHER).map(|account| guess(2 + account, 2)).collect::<Result<_>>()?, 20)?;
    wrong((0..60).map(|from| guess(1, 3 + from)).collect::<Result<_>>()?, 50)
}
