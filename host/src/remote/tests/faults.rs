//! Hosts that stop, start again, freeze and vanish.

use std::sync::atomic::Ordering::SeqCst;

use bytes::Bytes;
use seam_runtime::call::Failure;
use seam_runtime::remote::Carrier;

use super::forwarder::Forwarder;
use super::{Books, Pki, client, context, head, in_time};

#[tokio::test(flavor = "multi_thread")]
async fn calls_fail_at_once_while_a_host_is_gone_and_go_on_when_it_is_back() {
    let pki = Pki::new();
    let identity = pki.books();
    let books = Books::start(&identity).await;
    let address = books.address;
    let shop = client(&pki.shop(), address);
    in_time(shop.carry(head("echo"), Bytes::new())).await.unwrap();
    books.stopped().await;
    for _ in 0..3 {
        let failure = in_time(shop.carry(head("echo"), Bytes::new())).await.unwrap_err();
        assert_eq!(failure.to_string(), "`finance` is not available: its host `books` cannot be reached");
    }
    assert!(shop.is_down(&context("finance")));
    let _books = Books::with(&identity, |config| config.address = address).await;
    in_time(shop.until_up(&context("finance"))).await;
    assert!(!shop.is_down(&context("finance")));
    in_time(shop.carry(head("echo"), Bytes::new())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stops_finishes_its_calls_while_its_successor_takes_new_ones() {
    let pki = Pki::new();
    let identity = pki.books();
    let mut books = Books::start(&identity).await;
    let address = books.address;
    let shop = client(&pki.shop(), address);
    let held = tokio::spawn(shop.carry(head("hold"), Bytes::new()));
    in_time(books.finance.entered.notified()).await;
    books.stop();
    // Its listener closes first: until then the address is taken.
    let successor = in_time(async {
        loop {
            if std::net::TcpStream::connect(address).is_err() {
                return Books::with(&identity, |config| config.address = address).await;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Until its GOAWAY has arrived, the host that stops still gets calls, and answers them.
    in_time(async {
        while successor.finance.calls.load(SeqCst) == 0 {
            assert_eq!(shop.carry(head("echo"), Bytes::from_static(b"new")).await.unwrap(), "new");
        }
    })
    .await;
    assert!(!held.is_finished());
    books.finance.release.store(true, SeqCst);
    assert_eq!(in_time(held).await.unwrap().unwrap(), "held");
    books.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_do_not_finish_within_the_drain_time_are_cut_off() {
    let pki = Pki::new();
    let mut books = Books::with(&pki.books(), |config| config.drain_time = std::time::Duration::from_millis(100)).await;
    let shop = client(&pki.shop(), books.address);
    let waiting = tokio::spawn(shop.carry(head("wait"), Bytes::new()));
    in_time(books.finance.entered.notified()).await;
    books.stop();
    in_time(books.finance.has_cancelled.notified()).await;
    let failure = in_time(waiting).await.unwrap().unwrap_err();
    assert!(matches!(failure, Failure::Absent { .. }), "{failure}");
    assert_eq!(books.finance.calls.load(SeqCst), 1, "it may have had an effect, so it is not sent again");
    books.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_to_a_frozen_host_fail_long_before_their_deadline() {
    let pki = Pki::new();
    let books = Books::start(&pki.books()).await;
    let network = Forwarder::to(books.address).await;
    let shop = client(&pki.shop(), network.address);
    let waiting = tokio::spawn(shop.carry(head("wait"), Bytes::new()));
    in_time(books.finance.entered.notified()).await;
    network.freeze();
    let failure = in_time(waiting).await.unwrap().unwrap_err();
    assert!(failure.to_string().contains("the connection to its host `books` was lost"), "{failure}");
    in_time(books.finance.has_cancelled.notified()).await;
    let failure = in_time(shop.carry(head("echo"), Bytes::new())).await.unwrap_err();
    assert!(matches!(failure, Failure::Absent { .. }), "{failure}");
    assert!(shop.is_down(&context("finance")));
    network.thaw();
    in_time(shop.until_up(&context("finance"))).await;
    in_time(shop.carry(head("echo"), Bytes::new())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_connection_is_cut_is_not_sent_again() {
    let pki = Pki::new();
    let books = Books::start(&pki.books()).await;
    let network = Forwarder::to(books.address).await;
    let shop = client(&pki.shop(), network.address);
    let waiting = tokio::spawn(shop.carry(head("wait"), Bytes::new()));
    in_time(books.finance.entered.notified()).await;
    network.cut();
    let failure = in_time(waiting).await.unwrap().unwrap_err();
    assert!(failure.to_string().contains("the connection to its host `books` was lost"), "{failure}");
    in_time(books.finance.has_cancelled.notified()).await;
    network.thaw();
    in_time(shop.until_up(&context("finance"))).await;
    in_time(shop.carry(head("echo"), Bytes::new())).await.unwrap();
    assert_eq!(books.finance.calls.load(SeqCst), 2, "`wait` once, `echo` once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_never_answers_is_given_up_within_the_time_to_connect() {
    let pki = Pki::new();
    // It accepts connections, as a frozen process does, and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shop = client(&pki.shop(), silent.local_addr().unwrap());
    let failure = in_time(shop.carry(head("echo"), Bytes::new())).await.unwrap_err();
    assert!(matches!(failure, Failure::Absent { .. }), "{failure}");
}
