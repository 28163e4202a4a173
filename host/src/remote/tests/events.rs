//! Questions for events of another host's outbox: who may ask, what travels, and what ends a question that waits.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use seam_runtime::remote::{Ask, Carrier, Page, Question, Reply};
use seam_store::{Bounds, Event, Kept, Kind, Span};

use super::forwarder::Forwarder;
use super::lines::Lines;
use super::{Books, Pki, client, context, in_time};

/// What `orders` asks of the events of `finance`.
fn ask(question: Question) -> Ask {
    Ask {
        subscriber: context("orders"),
        publisher: context("finance"),
        interface: "acme:finance/events".to_owned(),
        question,
        remaining: Duration::from_secs(60),
    }
}

fn page(wait: Duration) -> Question {
    Question::Page { after: 112_201_764_437_954_561, most: 10, wait, taken: Some(5) }
}

/// What `finance` answers.
pub fn answer(question: &Question) -> Reply {
    match question {
        Question::Page { after, .. } => {
            let event = Event {
                position: after + 1,
                interface: "acme:finance/events@0.1.0".to_owned(),
                function: "booked".to_owned(),
                subject: Some("MC-7".to_owned()),
                time_ms: 9,
                trace: String::new(),
                data: "[{\"order\":\"MC-7\"}]".to_owned(),
            };
            Reply::Page(Page { events: vec![event], kept: Kept { first: 3, last: after + 1, is_cut: true } })
        }
        Question::Span { .. } => Reply::Span(Span { events: 7, first_ms: Some(1), last_ms: Some(2) }),
        Question::Kinds { .. } => {
            Reply::Kinds(vec![Kind { interface: "a:b/c@0.1.0".to_owned(), function: "d".to_owned(), events: 3 }])
        }
        Question::Bounds { at } => Reply::Bounds(Bounds { last: at + 1, forgotten: 2, rows: 3, known: Some(1) }),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_question_and_its_answer_travel_as_they_are() {
    let pki = Pki::new();
    let books = Books::start(&pki.books()).await;
    let shop = client(&pki.shop(), books.address);
    for question in [
        page(Duration::ZERO),
        Question::Span { after: 1, up_to: 9, most: 100 },
        Question::Kinds { after: 4 },
        Question::Bounds { at: 4 },
    ] {
        let ask = ask(question.clone());
        assert_eq!(in_time(shop.ask(ask.clone())).await.unwrap(), answer(&question));
        assert_eq!(books.finance.asked.lock().unwrap().last(), Some(&ask));
    }
    assert_eq!(books.finance.calls.load(SeqCst), 0);
}

#[tokio::test]
async fn a_subscriber_that_no_certificate_or_manifest_knows_is_refused_and_both_sides_say_so() {
    let (lines, _guard) = Lines::keep();
    let pki = Pki::new();
    let books = Books::start(&pki.books()).await;
    let shop = client(&pki.shop(), books.address);
    for (change, why) in [
        (
            (|ask: &mut Ask| ask.subscriber = context("mail")) as fn(&mut Ask),
            "the certificate of host `shop` does not name `mail`",
        ),
        (
            |ask| ask.subscriber = context("storefront"),
            "`storefront` does not subscribe to `acme:finance/events` of `finance`",
        ),
        (
            |ask| ask.interface = "acme:finance/secrets".to_owned(),
            "`orders` does not subscribe to `acme:finance/secrets` of `finance`",
        ),
    ] {
        let mut ask = ask(page(Duration::ZERO));
        change(&mut ask);
        let failure = in_time(shop.ask(ask)).await.unwrap_err();
        let expect = "`finance` is not available: its host `books` does not accept the call";
        assert_eq!(failure.to_string(), expect);
        in_time(lines.with(&["who=host `shop` at", &format!("why={why}"), "refused `GET /v1/events/finance/"])).await;
        in_time(lines.with(&["who=host `books` at", why, "refused the events of"])).await;
    }
    assert!(books.finance.asked.lock().unwrap().is_empty());
    // The host that is asked must be that of the publisher.
    let other = Books::start(&pki.host("books", &["ledger"])).await;
    let shop = client(&pki.shop(), other.address);
    in_time(shop.ask(ask(page(Duration::ZERO)))).await.unwrap_err();
    in_time(lines.with(&["the certificate of host `books` does not name `finance`"])).await;
    assert!(other.finance.asked.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_waits_ends_when_its_asker_goes_away() {
    let pki = Pki::new();
    let books = Books::start(&pki.books()).await;
    let shop = client(&pki.shop(), books.address);
    let waiting = tokio::spawn(shop.ask(ask(page(Duration::from_secs(30)))));
    in_time(books.finance.entered.notified()).await;
    waiting.abort();
    in_time(books.finance.has_cancelled.notified()).await;
    assert!(in_time(shop.ask(ask(page(Duration::ZERO)))).await.is_ok(), "the connection goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_lets_no_question_wait() {
    let pki = Pki::new();
    let books = Books::start(&pki.books()).await;
    let shop = client(&pki.shop(), books.address);
    let waiting = tokio::spawn(shop.ask(ask(page(Duration::from_secs(30)))));
    in_time(books.finance.entered.notified()).await;
    let stopping = std::time::Instant::now();
    books.stopped().await;
    assert!(stopping.elapsed() < Duration::from_secs(5), "far less than the drain time");
    let failure = in_time(waiting).await.unwrap().unwrap_err();
    assert_eq!(failure.to_string(), "`finance` is not available: its host stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_waits_at_a_frozen_host_fails_long_before_its_time() {
    let pki = Pki::new();
    let books = Books::start(&pki.books()).await;
    let network = Forwarder::to(books.address).await;
    let shop = client(&pki.shop(), network.address);
    let waiting = tokio::spawn(shop.ask(ask(page(Duration::from_secs(30)))));
    in_time(books.finance.entered.notified()).await;
    network.freeze();
    let failure = in_time(waiting).await.unwrap().unwrap_err();
    assert!(failure.to_string().contains("the connection to its host `books` was lost"), "{failure}");
    in_time(books.finance.has_cancelled.notified()).await;
}
