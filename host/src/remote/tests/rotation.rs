//! Certificates, authorities and lists of revoked certificates that change while hosts run.

use bytes::Bytes;
use seam_runtime::remote::Carrier;

use super::forwarder::Forwarder;
use super::lines::Lines;
use super::{Books, Pki, client, context, head, in_time};
use crate::remote::{Credentials, Identity, authority};

#[tokio::test]
async fn a_revoked_certificate_ends_the_connection_that_has_it() {
    let (lines, _guard) = Lines::keep();
    let pki = Pki::new();
    let shop = pki.shop();
    let books = Books::start(&pki.books()).await;
    let client = client(&shop, books.address);
    in_time(client.carry(head("echo"), Bytes::new())).await.unwrap();
    let revoked = authority::revoke(pki.folder(), &shop.certificate).unwrap();
    assert_eq!(revoked.written.len(), 5, "the list, and the authority and the list of both hosts: {revoked:?}");
    lines.with(&["who=host `shop`", "refused to keep a connection", "the certificate is revoked"]).await;
    in_time(async { while client.carry(head("echo"), Bytes::new()).await.is_ok() {} }).await;
}

#[tokio::test]
async fn an_authority_and_all_certificates_are_replaced_without_a_failed_call() {
    let (lines, _guard) = Lines::keep();
    let pki = Pki::new();
    let (shop, books) = (pki.shop(), pki.books());
    let server = Books::start(&books).await;
    let network = Forwarder::to(server.address).await;
    let client = client(&shop, network.address);
    let call = || async {
        let answer = in_time(client.carry(head("echo"), Bytes::new())).await;
        answer.unwrap_or_else(|failure| panic!("{failure}: {:#?}", lines.all()))
    };
    call().await;
    let connections = |more: usize| {
        let network = &network;
        async move {
            in_time(async {
                while network.connections() < more {
                    call().await;
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
    };
    // Both trust both; then each shows a certificate of the new one; then the old one is forgotten.
    authority::make_authority(pki.folder(), 100, true).unwrap();
    authority::share_with_hosts(pki.folder()).unwrap();
    connections(2).await;
    pki.books();
    connections(3).await;
    pki.shop();
    connections(4).await;
    authority::forget(pki.folder()).unwrap();
    authority::share_with_hosts(pki.folder()).unwrap();
    connections(5).await;
    call().await;
    assert!(!client.is_down(&context("finance")));
}

#[tokio::test]
async fn certificates_that_others_would_refuse_keep_a_host_from_starting() {
    let pki = Pki::new();
    let good = pki.shop();
    assert!(Credentials::load(&good).is_ok());
    let other = Pki::new().shop();
    let named = |host: &str| Identity { host: host.to_owned(), ..good.clone() };
    let cases: Vec<(Identity, &str)> = vec![
        (named("books"), "is that of host `shop`, not of `books`"),
        (Identity { key: pki.books().key, ..good.clone() }, "cannot use the TLS certificate"),
        (Identity { authority: pki.file("none.pem"), ..good.clone() }, "cannot read the TLS authority"),
        (Identity { authority: good.key.clone(), ..good.clone() }, "it has 0 certificates"),
        (Identity { revoked: good.certificate.clone(), ..good.clone() }, ""),
        (Identity { authority: pki.file(authority::AUTHORITY), ..other }, "cannot read"),
    ];
    for (identity, why) in cases {
        match Credentials::load(&identity) {
            Err(error) => assert!(seam_store::chain(&error).contains(why) && !error.remedy().is_empty(), "{error}"),
            Ok(_) => assert!(why.is_empty(), "{why}"),
        }
    }
    authority::revoke(pki.folder(), &good.certificate).unwrap();
    let error = Credentials::load(&good).err().unwrap();
    assert!(error.to_string().contains("the certificate is revoked") && error.remedy().contains("seam cert host"));
}
