//! Calls that work, fail, run out of time or are given up.

use std::convert::Infallible;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::uri::Authority;
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use seam_runtime::call::Failure;
use seam_runtime::remote::Carrier;

use super::forwarder::Forwarder;
use super::identities::Stranger;
use super::lines::Lines;
use super::{Books, Pki, SYSTEM, client, config, context, head, in_time, metrics};
use crate::limits;
use crate::remote::{Client, Credentials, System, wire};

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_answered_over_one_connection_with_all_that_travels_along() {
    let pki = Pki::new();
    let books = Books::start(&pki.books()).await;
    let network = Forwarder::to(books.address).await;
    let shop = client(&pki.shop(), network.address);
    assert!(!shop.is_down(&context("finance")), "not before a call has failed");
    for size in [0, 1, 100_000, limits::SEAM_MESSAGE_BYTES_MAX] {
        let arguments = Bytes::from(vec![7; size]);
        assert_eq!(in_time(shop.carry(head("echo"), arguments.clone())).await.unwrap(), arguments);
    }
    let all = join_all((0..300_u32).map(|n| shop.carry(head("echo"), Bytes::copy_from_slice(&n.to_le_bytes()))));
    for (n, answer) in (0..300_u32).zip(in_time(all).await) {
        assert_eq!(answer.unwrap(), n.to_le_bytes().as_slice());
    }
    assert_eq!(network.connections(), 1);
    let seen = books.finance.heads.lock().unwrap()[0].clone();
    assert!(seen.remaining <= head("echo").remaining && seen.remaining > Duration::from_secs(1));
    assert_eq!(seen, seam_runtime::remote::Head { remaining: seen.remaining, ..head("echo") });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_the_same_at_its_caller_and_is_counted() {
    let pki = Pki::new();
    let books = Books::start(&pki.books()).await;
    let (metrics, registry) = metrics();
    let config = config(SYSTEM, books.address);
    let shop = Client::start(config, &Credentials::load(&pki.shop()).unwrap(), &metrics).unwrap();
    for (function, expect) in [
        ("trap", "`finance` trapped: unreachable"),
        ("overload", "`finance` is overloaded"),
        ("absent", "`finance` is not available: it drains"),
        ("refuse", "`finance` was not called: the call chain is deeper than 8"),
    ] {
        let failure = in_time(shop.carry(head(function), Bytes::new())).await.unwrap_err();
        assert_eq!(failure.to_string(), expect);
    }
    let metrics = || prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let text = metrics();
    for line in [
        "seam_remote_calls_total{outcome=\"trapped\",peer=\"books\"} 1",
        "seam_remote_up{peer=\"books\"} 1",
        "seam_remote_seconds_count{peer=\"books\"} 4",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    books.stopped().await;
    in_time(shop.carry(head("echo"), Bytes::new())).await.unwrap_err();
    assert!(metrics().contains("seam_remote_up{peer=\"books\"} 0"), "a host that is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_to_a_host_is_measured_without_a_call_and_one_that_is_gone_says_so() {
    let pki = Pki::new();
    let books = Books::start(&pki.books()).await;
    let shop = client(&pki.shop(), books.address);
    let way = in_time(shop.round_trip("books")).await.unwrap();
    assert!(way > Duration::ZERO);
    assert!(books.finance.heads.lock().unwrap().is_empty(), "no context was called");
    assert!(in_time(shop.round_trip("bank")).await.unwrap_err().contains("no other host `bank`"));
    books.stopped().await;
    in_time(shop.round_trip("books")).await.unwrap_err();
}

/// An alarm on 0 must not ring for a host that no call needs.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_no_call_has_asked_for_counts_as_reachable() {
    let (pki, (metrics, registry)) = (Pki::new(), metrics());
    let config = config(SYSTEM, "127.0.0.1:1".parse().unwrap());
    let _shop = Client::start(config, &Credentials::load(&pki.shop()).unwrap(), &metrics).unwrap();
    in_time(async {
        loop {
            let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
            match text.lines().find(|line| line.starts_with("seam_remote_up{")) {
                Some(line) => return assert_eq!(line, "seam_remote_up{peer=\"books\"} 1"),
                None => tokio::task::yield_now().await,
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_at_its_deadline_and_its_callee_learns_of_it() {
    let pki = Pki::new();
    let books = Books::start(&pki.books()).await;
    let shop = client(&pki.shop(), books.address);
    let short = seam_runtime::remote::Head { remaining: Duration::from_millis(300), ..head("wait") };
    let failure = in_time(shop.carry(short, Bytes::new())).await.unwrap_err();
    assert!(matches!(failure, Failure::TimedOut { .. }), "{failure}");
    in_time(books.finance.has_cancelled.notified()).await;
    assert_eq!(books.finance.cancelled.load(SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_given_up_is_cancelled_and_the_connection_goes_on() {
    let pki = Pki::new();
    let books = Books::start(&pki.books()).await;
    let network = Forwarder::to(books.address).await;
    let shop = client(&pki.shop(), network.address);
    let waiting = tokio::spawn(shop.carry(head("wait"), Bytes::new()));
    in_time(books.finance.entered.notified()).await;
    waiting.abort();
    in_time(books.finance.has_cancelled.notified()).await;
    assert_eq!(books.finance.cancelled.load(SeqCst), 1);
    assert!(in_time(shop.carry(head("echo"), Bytes::new())).await.is_ok());
    // More at once than HTTP/2 takes for an attack by default.
    let many: Vec<_> = (0..200).map(|_| tokio::spawn(shop.carry(head("echo"), Bytes::from(vec![0; 10_000])))).collect();
    many.iter().for_each(tokio::task::JoinHandle::abort);
    join_all(many).await;
    assert!(in_time(shop.carry(head("echo"), Bytes::new())).await.is_ok());
    assert_eq!(network.connections(), 1);
}

#[tokio::test]
async fn what_is_too_large_does_not_travel() {
    let (lines, _guard) = Lines::keep();
    let pki = Pki::new();
    let books = Books::start(&pki.books()).await;
    let shop = client(&pki.shop(), books.address);
    let large = Bytes::from(vec![0; limits::SEAM_MESSAGE_BYTES_MAX + 1]);
    let failure = in_time(shop.carry(head("length"), large)).await.unwrap_err();
    assert!(matches!(failure, Failure::Absent { .. }), "{failure}");
    lines.with(&["who=host `books`", "the arguments have 16777217 bytes", "hint=pass less in one call"]).await;
    assert_eq!(books.finance.calls.load(SeqCst), 0);
    in_time(shop.carry(head("much"), Bytes::new())).await.unwrap_err();
    lines.with(&["payments@0.1.0.much", "the results are too large"]).await;
    assert!(in_time(shop.carry(head("echo"), Bytes::new())).await.is_ok(), "others go on");
}

#[tokio::test]
async fn hosts_that_do_not_fit_each_other_say_so_before_the_first_call() {
    let pki = Pki::new();
    let books = Books::start(&pki.books()).await;
    let shop = Credentials::load(&pki.shop()).unwrap();
    for (system, why, hint) in [
        (System { codec: 2, ..SYSTEM }, "this host knows version 1 of the codec, not 2", "the same version of `seam`"),
        (System { placement: [8; 32], ..SYSTEM }, "has 0808080808080808", "with the same `seam.toml`"),
    ] {
        let (lines, _guard) = Lines::keep();
        let config = config(system, books.address);
        let shop = Client::start(config, &shop, &metrics().0).unwrap();
        let failure = in_time(shop.carry(head("echo"), Bytes::new())).await.unwrap_err();
        assert_eq!(failure.to_string(), "`finance` is not available: its host `books` cannot be reached");
        assert!(shop.is_down(&context("finance")));
        lines.with(&["who=host `books`", "it does not fit this host", why, hint]).await;
        lines.with(&["who=host `shop`", "refused `GET /v1`", why, hint]).await;
    }
    assert_eq!(books.finance.calls.load(SeqCst), 0);
}

#[tokio::test]
async fn a_call_that_is_not_allowed_is_refused_and_both_hosts_say_why() {
    let pki = Pki::new();
    let books = Books::start(&pki.books()).await;
    let shop = client(&pki.host("shop", &["orders", "mail"]), books.address);
    let other = seam_runtime::interface_name::InterfaceName::parse("acme:finance/ledger@0.1.0").unwrap();
    for (chain, interface, why) in [
        (vec![context("orders"), context("mail")], None, "`mail` may not call `acme:finance/payments@0.1.0`"),
        (vec![context("orders")], Some(other), "`orders` may not call `acme:finance/ledger@0.1.0` of `finance`"),
        (vec![], None, "host `shop` itself may not call"),
        (vec![context("warehouse")], None, "the certificate of host `shop` does not name `warehouse`"),
    ] {
        let (lines, _guard) = Lines::keep();
        let mut head = seam_runtime::remote::Head { chain, ..head("echo") };
        head.interface = interface.unwrap_or(head.interface);
        let failure = in_time(shop.carry(head, Bytes::new())).await.unwrap_err();
        let expect = "`finance` is not available: its host `books` does not accept the call";
        assert_eq!(failure.to_string(), expect, "without internals");
        lines.with(&["who=host `shop` at 127.0.0.1", "refused `POST /v1/finance/", why, "hint=let the caller"]).await;
        lines.with(&["who=host `books` at 127.0.0.1", "it does not accept the call", why]).await;
    }
    assert_eq!(books.finance.calls.load(SeqCst), 0);
}

#[tokio::test]
async fn requests_that_are_no_whole_calls_are_rejected_with_what_is_wrong() {
    let pki = Pki::new();
    let books = Books::start(&pki.books()).await;
    let mut requests = in_time(Stranger::shop(&pki).connects(books.address)).await.unwrap();
    let pieces = |sizes: &'static [usize]| {
        let frames = sizes.iter().map(|size| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![0; *size]))));
        StreamBody::new(futures::stream::iter(frames)).boxed()
    };
    let authority = Authority::from_static("books:7443");
    let call = || wire::request(&authority, &SYSTEM, &head("echo"), head("echo").remaining, Bytes::new()).unwrap();
    const LARGE: usize = limits::SEAM_MESSAGE_BYTES_MAX + 1;
    type Change = fn(&mut Request<Bytes>);
    let cases: Vec<(Change, &[usize], Option<&str>, &str)> = vec![
        (|request| *request.uri_mut() = "https://a/v2/x".parse().unwrap(), &[], Some("version"), "not `v2`"),
        (|request| *request.method_mut() = Method::PUT, &[], Some("unreadable"), "neither a greeting nor a call"),
        (|request| drop(request.headers_mut().remove("seam-visitor")), &[], Some("unreadable"), "is missing"),
        (
            |request| drop(request.headers_mut().insert("seam-priority", HeaderValue::from(1))),
            &[],
            Some("version"),
            "does not know the field `seam-priority`",
        ),
        (|_| {}, &[10], Some("unreadable"), "`content-length` is missing"),
        (
            |request| drop(request.headers_mut().insert("content-length", HeaderValue::from(LARGE))),
            &[LARGE],
            Some("too-large"),
            "it has more than 16777216 bytes",
        ),
        // The stream is reset: there is no answer, but a line.
        (
            |request| drop(request.headers_mut().insert("content-length", HeaderValue::from(100))),
            &[10, 20],
            None,
            "of the arguments: it was cut off",
        ),
    ];
    for (change, sizes, outcome, why) in cases {
        let (lines, _guard) = Lines::keep();
        let mut request = call();
        change(&mut request);
        let response = in_time(requests.send_request(request.map(|_| pieces(sizes)))).await;
        let found = response.as_ref().ok().and_then(|response| response.headers().get("seam-outcome")?.to_str().ok());
        assert_eq!(found, outcome, "{why}");
        lines.with(&["who=host `shop`", "refused", why, "hint="]).await;
    }
    assert_eq!(books.finance.calls.load(SeqCst), 0);
    let good = in_time(requests.send_request(call().map(|body| Full::new(body).boxed()))).await.unwrap();
    assert_eq!(good.headers()["seam-outcome"], "answered", "the connection goes on");
}
