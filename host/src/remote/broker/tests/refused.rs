//! What is not believed: calls that were changed, kept, or sent by those who may not; answers of strangers; and brokers
//! that are not the system's own.

use async_nats::Request;
use http::uri::Authority;

use super::super::envelope::{Sealed, now_ms, open_response, request};
use super::super::seal::{Seal, Seals, Signer};
use super::*;
use crate::limits;
use crate::remote::trust::Side;
use crate::remote::wire::{self, Answered};

/// Sends a message as it is, and says what the copy makes of it.
async fn sent(broker: &Broker, seals: &Seals, number: u128, sealed: &Sealed, body: &[u8]) -> String {
    let request = Request::new().headers(sealed.headers.clone()).payload(Bytes::copy_from_slice(body)).timeout(None);
    let answer = in_time(broker.line().client.send_request(sealed.subject.clone(), request)).await.unwrap();
    let (parts, _) = open_response(&answer.headers.unwrap(), &answer.payload, number, seals).unwrap();
    match Answered::read(&parts).carried("engine", "web1", answer.payload) {
        Ok(Ok(answer)) => String::from_utf8(answer.to_vec()).unwrap(),
        Ok(Err(failure)) => failure.to_string(),
        Err(rejection) => format!("{}: {rejection}", rejection.name()),
    }
}

fn sealed(head: &Head, system: System, number: u128, sent_ms: u64, seals: &Seals) -> Sealed {
    let parts = wire::request(&Authority::from_static("broker"), &system, head, TIMEOUT, Bytes::new()).unwrap();
    request(&parts.into_parts().0, b"body", number, sent_ms, seals).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_changed_kept_or_sent_twice_is_refused_by_name() {
    let pki = Pki::new();
    let _server = pki.serve(|text| text);
    let shop = pki.shop().await;
    let copy = pki.copy_of("web1", "web1", SYSTEM);
    until_one(&shop).await;
    let seals = Seals::new(&Credentials::load(&pki.identity("shop")).unwrap());
    let who = head("who", TIMEOUT);
    let good = sealed(&who, SYSTEM, 1, now_ms(), &seals);
    assert_eq!(sent(&shop, &seals, 1, &good, b"body").await, "web1");
    let performed = copy.engine.calls.load(SeqCst);
    let refused = async |number: u128, sealed: &Sealed, body: &[u8], expect: &str| {
        let said = sent(&shop, &seals, number, sealed, body).await;
        assert!(said.contains(expect), "{said}, not {expect}");
    };
    refused(1, &good, b"body", "forbidden: this call came before").await;
    let not_signed = "forbidden: the other side does not have the key of the certificate that it shows";
    refused(2, &sealed(&who, SYSTEM, 2, now_ms(), &seals), b"other", not_signed).await;
    let mut other = sealed(&who, SYSTEM, 3, now_ms(), &seals);
    other.subject = other.subject.replace("who", "length");
    refused(3, &other, b"body", not_signed).await;
    let mut later = sealed(&who, SYSTEM, 4, now_ms(), &seals);
    later.headers.insert("seam-remaining-ms", "600000");
    refused(4, &later, b"body", not_signed).await;
    let old = now_ms() - limits::BROKER_SKEW_MS - 1_000;
    refused(5, &sealed(&who, SYSTEM, 5, old, &seals), b"body", "ms ago, by the clock of its host").await;
    let ahead = now_ms() + limits::BROKER_SKEW_MS + 5_000;
    refused(6, &sealed(&who, SYSTEM, 6, ahead, &seals), b"body", "ms ahead of this one").await;
    let placed = System { placement: [8; 32], ..SYSTEM };
    refused(7, &sealed(&who, placed, 7, now_ms(), &seals), b"body", "placement: this host has the placement").await;
    let orders = Head { chain: vec![context("orders")], ..who.clone() };
    let unnamed = "forbidden: the certificate of host `shop` does not name `orders`";
    refused(8, &sealed(&orders, SYSTEM, 8, now_ms(), &seals), b"body", unnamed).await;
    let unsaid = Head { chain: Vec::new(), ..who.clone() };
    refused(9, &sealed(&unsaid, SYSTEM, 9, now_ms(), &seals), b"body", "host `shop` itself may not call").await;
    // A host that the system does not have any more, whose certificate is still good.
    pki.certificate("old", &["storefront"]);
    let old = Seals::new(&Credentials::load(&pki.identity("old")).unwrap());
    let by_old = sealed(&who, SYSTEM, 10, now_ms(), &old);
    refused(10, &by_old, b"body", "forbidden: there is no host `old` in this system").await;
    assert_eq!(copy.engine.calls.load(SeqCst), performed, "none was performed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_only_from_a_host_whose_certificate_names_the_context() {
    let pki = Pki::new();
    pki.certificate("web2", &["storefront"]);
    let _server = pki.serve(|text| text);
    let shop = pki.shop().await;
    let impostor = pki.copy_of("web2", "web2", SYSTEM);
    let said = in_time(async {
        loop {
            let said = reason(call(&shop, "who").await);
            if !said.contains("no host runs a copy") {
                return said;
            }
        }
    })
    .await;
    assert!(said.contains("what answers is no copy of it"), "{said}");
    drop(impostor);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_tls_or_with_the_certificate_of_a_host_is_not_used() {
    let no_tls = |text: String| {
        let (before, rest) = text.split_once("tls {").unwrap();
        format!("{before}{}", rest.split_once("\n}\n").unwrap().1)
    };
    let of_host = |text: String| {
        text.replace("/broker/certificate.pem", "/shop/certificate.pem").replace("/broker/key", "/shop/key")
    };
    let changes: [&dyn Fn(String) -> String; 2] = [&no_tls, &of_host];
    for change in changes {
        let pki = Pki::new();
        let _server = pki.serve(change);
        let shop = pki.client("shop").0;
        let failure = who(&shop).await.unwrap_err().to_string();
        assert!(failure.contains("the broker cannot be reached"), "{failure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_lets_a_host_do_no_more_than_its_contexts_need() {
    let pki = Pki::new();
    let server = pki.serve(|text| text);
    // `shop` has no copy of `engine`: it can neither take its calls nor read the answers of others.
    let shop = pki.copy_of("shop", "shop", SYSTEM);
    let web = pki.client("web1").0;
    in_time(web.until_up()).await;
    in_time(shop.broker.until_up()).await;
    let spy = shop.broker.line().client.subscribe("seam.v1.reply.web1.>").await.unwrap();
    web.line().client.publish("seam.v1.call.engine.t:engine.engine@0_1_0.who", Bytes::new()).await.unwrap();
    in_time(async {
        let expected = [
            "user:seam://host/shop\" - Subscription Violation - Subject \"seam.v1.call.engine.>\", Queue: \"engine\"",
            "user:seam://host/shop\" - Subscription Violation - Subject \"seam.v1.reply.web1.>\"",
            "user:seam://host/web1\" - Publish Violation - Subject \"seam.v1.call.engine.t:engine.engine@0_1_0.who\"",
        ];
        while !expected.iter().all(|line| server.said().contains(line)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    drop(spy);
}

#[tokio::test]
async fn a_signature_is_by_the_key_of_the_certificates_beside_it_also_when_both_were_renewed() {
    let pki = Pki::new();
    let seals = Seals::new(&Credentials::load(&pki.identity("shop")).unwrap());
    let before = seals.signer();
    pki.certificate("shop", &["storefront"]);
    in_time(async {
        while seals.signer().certificates() == before.certificates() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let after = seals.signer();
    let verified = |certificates: &Signer, key: &Signer| {
        let seal = Seal { certificates: certificates.certificates(), proof: key.proof(b"text").unwrap() };
        seals.verified(&seal, b"text", Side::Client).is_ok()
    };
    assert!(verified(&before, &before) && verified(&after, &after));
    assert!(!verified(&before, &after) && !verified(&after, &before));
}
