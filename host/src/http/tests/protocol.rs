//! Which bytes the server accepts as a request, and how it refuses the others.

use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Site, one, to_end};
use crate::manifest::Tls;

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_requests_are_refused() {
    let site = Site::start();
    let chunked = "transfer-encoding: chunked\r\n";
    for (name, head) in [
        ("no Host", "GET /shop/page HTTP/1.1\r\n\r\n".to_owned()),
        ("two Hosts", "GET /shop/page HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".into()),
        ("two equal Hosts", "GET /shop/page HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n".into()),
        ("a Host that is a path", "GET /shop/page HTTP/1.1\r\nhost: a/b\r\n\r\n".into()),
        ("two hosts in one", "GET /shop/page HTTP/1.1\r\nhost: a, b\r\n\r\n".into()),
        ("a Host that is a person", "GET /shop/page HTTP/1.1\r\nhost: b@a\r\n\r\n".into()),
        ("a Host that is empty", "GET /shop/page HTTP/1.1\r\nhost:\r\n\r\n".into()),
        ("an address of a person", "GET http://a@b/shop/page HTTP/1.0\r\n\r\n".into()),
        ("a Host unlike the address of 1.0", "GET http://b/shop/page HTTP/1.0\r\nhost: a\r\n\r\n".into()),
        ("a Host unlike the address", "GET http://b/shop/page HTTP/1.1\r\nhost: a\r\n\r\n".into()),
        ("CL then TE", format!("POST /shop/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n{chunked}\r\n0\r\n\r\n")),
        ("TE then CL", format!("POST /shop/echo HTTP/1.1\r\nhost: a\r\n{chunked}Content-Length : 5\r\n\r\n0\r\n\r\n")),
        ("TE then cl", format!("POST /shop/echo HTTP/1.1\r\nhost: a\r\n{chunked}cOnTent-length:5\r\n\r\n0\r\n\r\n")),
        (
            "CL and TE with bare LF",
            "POST /shop/echo HTTP/1.1\nhost: a\ncontent-length: 5\ntransfer-encoding: chunked\n\n0\n\n".into(),
        ),
        (
            "two lengths",
            "POST /shop/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!".into(),
        ),
        ("a length in words", "POST /shop/echo HTTP/1.1\r\nhost: a\r\ncontent-length: five\r\n\r\nhello".into()),
        (
            "a coding that is not chunked",
            "POST /shop/echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n".into(),
        ),
        (
            "chunked twice",
            "POST /shop/echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n".into(),
        ),
        ("chunked in two lines", format!("POST /shop/echo HTTP/1.1\r\nhost: a\r\n{chunked}{chunked}\r\n0\r\n\r\n")),
        (
            "gzip below chunked",
            "POST /shop/echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n".into(),
        ),
        (
            "chunked and nothing",
            "POST /shop/echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: , chunked\r\n\r\n0\r\n\r\n".into(),
        ),
        ("a folded header", "GET /shop/page HTTP/1.1\r\nhost: a\r\nx: b\r\n c\r\n\r\n".into()),
        ("rubbish", "rubbish\r\n\r\n".into()),
    ] {
        let mut stream = site.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = String::from_utf8_lossy(&to_end(&mut stream).await).into_owned();
        // hyper closes without a response when it cannot parse a length; what matters is that no guest is called.
        let silent = name.contains("length") || name.contains("coding");
        assert!(silent && answer.is_empty() || answer.split(' ').nth(1) == Some("400"), "{name}: {answer}");
    }
    assert_eq!(site.raw(b"GET /shop/x HTTP/1.0\r\n\r\n").await.status, 200, "HTTP/1.0 has no Host");
    assert_eq!(site.raw(b"GET http://a/shop/x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smuggled_request_gets_no_response() {
    let site = Site::start();
    let bytes = "POST /shop/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n\
                 0\r\n\r\nGET /shop/smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    let reply = site.raw(bytes.as_bytes()).await;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.field("connection"), Some("close"));
    assert!(!reply.text().contains("smuggled"));
}

#[tokio::test(flavor = "multi_thread")]
async fn chunked_requests_are_read_one_after_the_other() {
    let site = Site::start();
    let mut stream = site.connect().await;
    for _ in 0..3 {
        let bytes = b"POST /shop/echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        stream.write_all(bytes).await.unwrap();
        assert_eq!(one(&mut stream).await.text(), "abcde");
        stream.write_all(b"POST /shop/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nxyz").await.unwrap();
        assert_eq!(one(&mut stream).await.text(), "xyz");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let site = Site::start();
    let mut stream = site.connect().await;
    stream
        .write_all("GET /shop/a HTTP/1.1\r\nhost: a\r\n\r\nGET /shop/b HTTP/1.1\r\nhost: a\r\n\r\n".as_bytes())
        .await
        .unwrap();
    assert_eq!(one(&mut stream).await.text(), "below /a");
    assert_eq!(one(&mut stream).await.text(), "below /b");
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_large_are_refused() {
    let site = Site::start();
    let long = "x".repeat(64 * 1024);
    assert_eq!(site.ask("GET", "/shop/x", &[("x", &long)]).await.status, 431);
    let many = vec![("x", "1"); 200];
    assert_eq!(site.ask("GET", "/shop/x", &many).await.status, 431);
    assert_eq!(site.ask("GET", "/shop/x", &many[..50]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_large_are_refused_with_and_without_a_length() {
    let site = Site::with(|config| config.limits.body_bytes = 1000);
    let body = "x".repeat(1001);
    assert_eq!(
        site.raw(format!("POST /shop/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n\r\n{body}").as_bytes())
            .await
            .status,
        413
    );
    let announced = b"POST /shop/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n\r\n";
    assert_eq!(site.raw(announced).await.status, 413, "before any of it is sent");
    let chunked = |chunks: &[&str]| {
        let chunks: String = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
        format!("POST /shop/echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
    };
    assert_eq!(site.raw(chunked(&[&body]).as_bytes()).await.status, 413);
    assert_eq!(site.raw(chunked(&[&body[..500], &body[500..]]).as_bytes()).await.status, 413, "each piece fits");
    let fits = format!(
        "POST /shop/echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 1000\r\n\r\n{}",
        &body[1..]
    );
    assert_eq!(site.raw(fits.as_bytes()).await.body.len(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_early_or_is_not_chunked_is_a_bad_request() {
    let site = Site::start();
    let mut stream = site.connect().await;
    stream.write_all(b"POST /shop/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc").await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = to_end(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"));
    let reply = site.raw(b"POST /shop/echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n").await;
    assert_eq!(reply.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_still_sends_its_form_reads_why_it_is_refused() {
    let site = Site::start();
    for (path, status) in [("/shop/a%2Fb", 400), ("/elsewhere", 404)] {
        let mut stream = site.connect().await;
        let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 20000\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // Long enough for an answer that does not wait for the body.
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.write_all(&[b'a'; 20_000]).await.unwrap();
        assert_eq!(one(&mut stream).await.status, status, "{path}");
        // The connection goes on after it.
        stream.write_all(b"GET /shop/x HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert_eq!(one(&mut stream).await.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_cut_off() {
    let limit = Duration::from_millis(300);
    let site = Site::with(|config| {
        config.limits.header_time = limit;
        config.limits.body_time = limit;
    });
    let started = Instant::now();
    for bytes in ["", "GET /shop/x HTTP/1.1\r\n", "GET /shop/x HTTP/1.1\r\nhost: a\r\n"] {
        let mut stream = site.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        assert_eq!(to_end(&mut stream).await, b"", "{bytes:?}");
    }
    // The head of a second request has a timeout of its own.
    let mut stream = site.connect().await;
    stream.write_all(b"GET /shop/x HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(one(&mut stream).await.status, 200);
    stream.write_all(b"GET /shop/x HTTP/1.1\r\n").await.unwrap();
    assert_eq!(to_end(&mut stream).await, b"");
    let reply = site.raw(b"POST /shop/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc").await;
    assert_eq!(reply.status, 408);
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_drips_its_head_is_cut_off_too() {
    let site = Site::with(|config| config.limits.header_time = Duration::from_millis(400));
    let (mut read, mut write) = site.connect().await.into_split();
    let drip = tokio::spawn(async move {
        for byte in
            b"GET /shop/x HTTP/1.1\r\nx-padding: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".iter()
        {
            if write.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        std::future::pending::<()>().await;
    });
    let mut all = Vec::new();
    let started = Instant::now();
    let _ = tokio::time::timeout(super::TIMEOUT, read.read_to_end(&mut all)).await.expect("not cut off");
    assert!(all.is_empty() && started.elapsed() < Duration::from_secs(3));
    drip.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_works_with_prior_knowledge() {
    let site = Site::start();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(site.connect().await)).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let request = Request::get(format!("http://{}/shop/request", site.address))
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .body(Empty::<bytes::Bytes>::new())
            .unwrap();
        let response = client.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body);
        assert!(body.contains("a=1; b=2") && body.contains("\"host\", \"127.0.0.1"), "{body}");
    }
    let head = Request::head(format!("http://{}/shop/page", site.address)).body(Empty::new()).unwrap();
    let response = client.send_request(head).await.unwrap();
    assert_eq!(response.headers()["content-length"], super::page().len().to_string());
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_a_request_has_one_host() {
    let site = Site::start();
    for head in [
        "GET /shop/request HTTP/1.1\r\nhost: b:81\r\nconnection: close\r\n",
        "GET http://b:81/shop/request HTTP/1.1\r\nhost: B:81\r\nconnection: close\r\n",
        "GET http://b:81/shop/request HTTP/1.0\r\n",
        "GET https://b:81/shop/request HTTP/1.0\r\nhost: b:81\r\n",
    ] {
        let text = site.raw(format!("{head}\r\n").as_bytes()).await.text();
        assert!(text.matches("\"host\"").count() == 1 && text.contains("(\"host\", \"b:81\")"), "{head} {text}");
    }
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(site.connect().await)).await.unwrap();
    tokio::spawn(connection);
    for (host, expect) in
        [(None, 200), (Some("b"), 200), (Some("B"), 200), (Some("evil.example"), 400), (Some(""), 400)]
    {
        let mut request = Request::get("http://b/shop/request");
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let response = client.send_request(request.body(Empty::<bytes::Bytes>::new()).unwrap()).await.unwrap();
        assert_eq!(response.status(), expect, "{host:?}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body);
        assert!(expect == 400 || text.matches("\"host\"").count() == 1 && text.contains("(\"host\", \"b\")"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http2_connection_may_be_idle_for_longer_than_a_head_may_take() {
    let site = Site::with(|config| config.limits.header_time = Duration::from_millis(200));
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(site.connect().await)).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..2 {
        let request =
            Request::get(format!("http://{}/shop/x", site.address)).body(Empty::<bytes::Bytes>::new()).unwrap();
        assert_eq!(client.send_request(request).await.unwrap().status(), 200);
        // The time for a head has passed when a later connection without a head is cut off.
        for _ in 0..3 {
            assert_eq!(to_end(&mut site.connect().await).await, b"");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_offers_http2_and_http1() {
    let folder = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, own.cert.pem()).unwrap();
    seam_store::private::write(&key, own.signing_key.serialize_pem().as_bytes()).unwrap();
    let site = Site::with(|config| config.tls = Some(Tls { certificate: certificate.clone(), key }));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificate).unwrap()).unwrap();
    for (offer, expect) in [(vec!["h2", "http/1.1"], Some("h2")), (vec!["http/1.1"], Some("http/1.1")), (vec![], None)]
    {
        let mut config = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = offer.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let mut stream = connector.connect(name, site.connect().await).await.unwrap();
        let agreed = stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8(name.to_vec()).unwrap());
        assert_eq!(agreed.as_deref(), expect);
        if agreed.as_deref() == Some("h2") {
            let (mut client, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            let request = Request::get("https://localhost/shop/x").body(Empty::<bytes::Bytes>::new()).unwrap();
            assert_eq!(client.send_request(request).await.unwrap().status(), 200);
        } else {
            stream.write_all(b"GET /shop/x HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
            assert_eq!(one(&mut stream).await.status, 200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_names_the_tls_file_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.pem");
    let config = super::Config {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        tls: Some(Tls { certificate: path.clone(), key: path }),
        mounts: vec![],
        feeds: vec![],
        ops: crate::manifest::Ops::Public,
        affinity: Default::default(),
        proxies: Default::default(),
        hsts_days: 0,
        dev: None,
        limits: super::Limits::default(),
    };
    let contexts = super::contexts(&Default::default());
    let outboxes: super::Outboxes = std::sync::Arc::new(|_| None);
    let error = super::Server::bind_contexts(config, contexts, &outboxes, &prometheus::Registry::new()).err().unwrap();
    assert!(error.to_string().contains("certificate") && error.to_string().contains("none.pem"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preface_in_pieces_makes_http_2() {
    let site = Site::with(|config| {
        config.limits.header_time = Duration::from_millis(300);
        config.limits.idle_time = Duration::from_secs(9);
    });
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for cut in [1, 3, 6, 14, 23, 24] {
        let mut stream = site.connect().await;
        stream.set_nodelay(true).unwrap();
        stream.write_all(&preface[..cut]).await.unwrap();
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream.write_all(&preface[cut..]).await.unwrap();
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        // Only HTTP/1.1 bounds the silence by the time for a head.
        let mut all = [0; 1024];
        let closed = async { while stream.read(&mut all).await.is_ok_and(|read| read > 0) {} };
        assert!(tokio::time::timeout(Duration::from_millis(1000), closed).await.is_err(), "cut after {cut}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_one_request_leaves_the_other_streams_of_its_connection() {
    let site = Site::start();
    let stream = TokioIo::new(site.connect().await);
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.expect("a handshake");
    tokio::spawn(connection);
    let ask = |path: &str| Request::get(format!("http://a{path}")).body(Empty::<bytes::Bytes>::new()).unwrap();
    let held = client.send_request(ask("/shop/held"));
    let held = tokio::spawn(held);
    site.hold.arrived().await;
    for path in ["/shop/panic", "/shop/many"] {
        let reply = client.send_request(ask(path)).await.expect("the connection lives");
        assert_eq!(reply.status(), 500, "{path}");
        let page = reply.into_body().collect().await.unwrap().to_bytes();
        assert!(!String::from_utf8_lossy(&page).contains("SECRET"));
    }
    site.hold.release();
    assert_eq!(held.await.unwrap().unwrap().status(), 200);
    let metrics = site.get("/metrics").await.text();
    assert!(metrics.contains("seam_host_panics_total 1\n"), "{metrics}");
}
