//! Contexts beside each other: by host, and on one origin.

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt;

use super::renewal::{connect, renew};
use super::{Reply, Site, mount, one};
use crate::http::Mount;
use crate::manifest::{Company, Network, Tls};

fn at(host: Option<&str>, path: &str, context: &str) -> Mount {
    Mount { host: host.map(str::to_owned), company: Company::OtherOrigins, ..mount(path, context) }
}

/// A shop under any name, and what others bring in under its own.
fn by_name(unnamed: bool) -> Site {
    let raw = at(Some("raw.shop.example"), "/", "raw");
    Site::with(|config| {
        config.mounts = vec![raw, at(Some("raw.shop.example"), "/deep", "deep")];
        if unnamed {
            config.mounts.insert(0, at(None, "/shop", "shop"));
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_a_mount_names_has_its_mounts_alone() {
    let site = by_name(true);
    for (head, expect) in [
        ("GET /x HTTP/1.1\r\nhost: raw.shop.example\r\n", (200, "below /x")),
        ("GET /x HTTP/1.1\r\nhost: RAW.shop.Example:8443\r\n", (200, "below /x")),
        ("GET /x HTTP/1.1\r\nhost: raw.shop.example.\r\n", (200, "below /x")),
        ("GET /deep/x HTTP/1.1\r\nhost: raw.shop.example\r\n", (200, "below /x")),
        ("GET /shop/x HTTP/1.1\r\nhost: raw.shop.example\r\n", (200, "below /shop/x")),
        ("GET http://raw.shop.example/x HTTP/1.1\r\nhost: raw.shop.example\r\n", (200, "below /x")),
        ("GET http://raw.shop.example/x HTTP/1.0\r\n", (200, "below /x")),
        ("HEAD /x HTTP/1.1\r\nhost: raw.shop.example\r\n", (200, "")),
        ("GET /shop/x HTTP/1.1\r\nhost: shop.example\r\n", (200, "below /x")),
        ("GET /shop/x HTTP/1.1\r\nhost: 127.0.0.1\r\n", (200, "below /x")),
        ("GET /shop/x HTTP/1.1\r\nhost: deep.raw.shop.example\r\n", (200, "below /x")),
        ("GET /shop/x HTTP/1.0\r\n", (200, "below /x")),
    ] {
        let reply = site.raw(format!("{head}connection: close\r\n\r\n").as_bytes()).await;
        assert_eq!((reply.status, reply.text().as_str()), expect, "{head}");
    }
    let unnamed = site.raw(b"GET /x HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n").await;
    assert_eq!(unnamed.status, 404, "a path that only the other host has");
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(site.connect().await)).await.unwrap();
    tokio::spawn(connection);
    for (address, expect) in
        [("http://raw.shop.example/x", "below /x"), ("http://raw.shop.example:81/shop/x", "below /shop/x")]
    {
        let request = Request::get(address).body(Empty::<bytes::Bytes>::new()).unwrap();
        let body = client.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, expect, "{address}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_name_comes_before_a_star_and_a_star_before_no_name() {
    let site = Site::with(|config| {
        config.mounts = vec![
            at(None, "/shop", "shop"),
            at(Some("*.shop.example"), "/star", "raw"),
            at(Some("raw.shop.example"), "/whole", "deep"),
        ];
    });
    for (host, path) in [
        ("raw.shop.example", "/whole"),
        ("RAW.shop.example:81", "/whole"),
        ("other.shop.example", "/star"),
        ("OTHER.SHOP.EXAMPLE.", "/star"),
        ("shop.example", "/shop"),
        ("a.b.shop.example", "/shop"),
    ] {
        for asked in ["/whole", "/star", "/shop"] {
            let head = format!("GET {asked}/x HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            let status = if asked == path { 200 } else { 404 };
            assert_eq!(site.raw(head.as_bytes()).await.status, status, "{host} {asked}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_are_those_of_the_host() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("raw.css"), "a { color: red }").unwrap();
    let raw = Mount { assets: Some(folder.path().to_owned()), ..at(Some("raw.example"), "/", "raw") };
    let site = Site::with(|config| config.mounts = vec![at(None, "/", "shop"), raw]);
    for (host, expect) in [("raw.example", "text/css; charset=utf-8"), ("shop.example", "text/plain")] {
        let head = format!("GET /assets/raw.css HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        assert_eq!(site.raw(head.as_bytes()).await.field("content-type"), Some(expect), "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_no_mount_serves_is_misdirected() {
    let site = by_name(false);
    for head in
        ["GET /x HTTP/1.1\r\nhost: evil.example\r\n", "GET /x HTTP/1.0\r\n", "GET http://evil.example/x HTTP/1.0\r\n"]
    {
        let reply = site.raw(format!("{head}connection: close\r\n\r\n").as_bytes()).await;
        assert!(reply.status == 421 && !reply.text().contains("example"), "{head}");
    }
    assert_eq!(site.get("/healthz").await.status, 200, "what the host answers itself has no mount");
}

/// A shop at `/` that has its cookies, and `/raw` beside it.
fn beside() -> Site {
    let shared = |path: &str, context: &str, cookies: &[&str]| Mount {
        company: Company::SameOrigin,
        cookies: Some(cookies.iter().map(|name| (*name).to_owned()).collect()),
        ..mount(path, context)
    };
    Site::with(|config| {
        config.mounts = vec![shared("/", "shop", &["session", "visitor"]), shared("/raw", "raw", &["raw"])]
    })
}

/// What a client gets of an answer with these headers.
async fn answered(site: &Site, path: &str, lines: &str) -> Reply {
    let length = lines.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    site.raw(format!("{head}{lines}").as_bytes()).await
}

fn cookies(reply: &Reply) -> Vec<&str> {
    reply.fields.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn contexts_on_one_origin_get_and_set_their_own_cookies() {
    let site = beside();
    let sent = [("cookie", "session=SECRET; __Host-session=SECRET; raw=1; visitor=2"), ("x", "1")];
    let raw = site.ask("GET", "/raw/request", &sent).await.text();
    assert!(raw.contains(r#"("cookie", "raw=1")"#) && !raw.contains("SECRET"), "{raw}");
    let shop = site.ask("GET", "/request", &sent).await.text();
    assert!(shop.contains(r#"("cookie", "session=SECRET; __Host-session=SECRET; visitor=2")"#), "{shop}");
    let none = site.ask("GET", "/raw/request", &[("cookie", "session=SECRET")]).await.text();
    assert!(!none.contains("cookie"), "{none}");

    let lines = "set-cookie: session=evil; Path=/\nset-cookie: raw=1; Path=/; Domain=example\n\
                 set-cookie: __Host-session=evil; Secure; Path=/\nset-cookie: =session=evil\nset-cookie: raw2=1\n";
    assert_eq!(cookies(&answered(&site, "/raw/headers", lines).await), ["raw=1; Path=/raw"]);
    let lines = "set-cookie: session=1; HttpOnly; Path=/\nset-cookie: raw=evil; Path=/raw\n";
    assert_eq!(cookies(&answered(&site, "/headers", lines).await), ["session=1; HttpOnly; Path=/"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn contexts_on_one_origin_leave_the_origin_alone() {
    let site = beside();
    let lines = "clear-site-data: \"*\"\nservice-worker-allowed: /\nstrict-transport-security: max-age=1\n\
                 alt-svc: h2=\":1\"\nwww-authenticate: Basic\nx-accel-redirect: /internal\nx-own: 1\n";
    let reply = answered(&site, "/raw/headers", lines).await;
    let left: Vec<&str> =
        reply.fields.iter().map(|(name, _)| name.as_str()).filter(|name| lines.contains(name)).collect();
    assert_eq!(left, ["x-own"], "{:?}", reply.fields);
    for path in ["/raw", "/raw/sw.js", "/sw.js"] {
        assert_eq!(site.ask("GET", path, &[("service-worker", "script")]).await.status, 404, "{path}");
        assert_eq!(site.get(path).await.status, 200, "{path}");
    }
    // A context that has its origin to itself does with it what it likes, but does not speak for the host.
    let alone = Site::start();
    let reply = answered(&alone, "/shop/headers", &format!("{lines}set-cookie: any=1; Domain=example\n")).await;
    assert_eq!(cookies(&reply), ["any=1; Domain=example"]);
    assert!(reply.field("clear-site-data").is_some() && reply.field("www-authenticate").is_some());
    for name in ["strict-transport-security", "alt-svc", "x-accel-redirect"] {
        assert_eq!(reply.field(name), None, "{name}");
    }
    assert_eq!(alone.ask("GET", "/shop/sw.js", &[("service-worker", "script")]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_asked_to_come_back_over_tls_where_they_came_over_tls() {
    let header = "strict-transport-security";
    let site = Site::with(|config| {
        config.hsts_days = 30;
        config.proxies.trusted = vec![Network::parse("127.0.0.1").unwrap()];
    });
    let ask = async |host: &str, scheme: &str, path: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nx-forwarded-for: 203.0.113.1\r\n");
        site.raw(format!("{head}x-forwarded-proto: {scheme}\r\nconnection: close\r\n\r\n").as_bytes()).await
    };
    for path in ["/shop/x", "/nowhere", "/shop/trap"] {
        assert_eq!(ask("shop.example", "https", path).await.field(header), Some("max-age=2592000"), "{path}");
        assert_eq!(ask("shop.example", "http", path).await.field(header), None, "{path}");
        assert_eq!(ask("192.0.2.1", "https", path).await.field(header), None, "{path}");
    }
    let untrusted = Site::with(|config| config.hsts_days = 30);
    assert_eq!(untrusted.ask("GET", "/shop/x", &[("x-forwarded-proto", "https")]).await.field(header), None);

    let folder = tempfile::tempdir().unwrap();
    let files = Tls { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let root = renew(&files, "shop.example");
    let tls = Site::with(|config| (config.tls, config.hsts_days) = (Some(files), 30));
    let mut stream = connect(&tls, "shop.example", &[&root]).await;
    for (host, expect) in [("shop.example", Some("max-age=2592000")), ("localhost", None), ("127.0.0.1", None)] {
        stream.write_all(format!("GET /shop/x HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes()).await.unwrap();
        assert_eq!(one(&mut stream).await.field(header), expect, "{host}");
    }
}
