//! Pages during development, and outside of it.

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;

use super::{Site, TIMEOUT};
use crate::http::StatusBoard;

fn developing(board: &StatusBoard) -> Site {
    Site::with(|config| config.dev = Some(board.clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn html_pages_get_the_script_and_are_always_sent_in_full() {
    let board = StatusBoard::default();
    board.post(&json!({}), 7);
    let site = developing(&board);
    let page = site.ask("GET", "/shop/page", &[("accept", "text/html"), ("if-none-match", "\"v1\"")]).await;
    assert_eq!(page.status, 200);
    let script = "<script src=\"/_seam/dev.js\" data-version=\"7\" data-reloadable=\"true\" defer></script>\n";
    assert!(page.text().ends_with(script), "{}", page.text());
    assert_eq!((page.field("etag"), page.field("cache-control")), (None, Some("no-store")));
    assert_eq!(page.field("content-length"), Some(page.body.len().to_string().as_str()));
    assert!(site.ask("POST", "/shop/page", &[]).await.text().contains("data-reloadable=\"false\""));
    assert_eq!(site.get("/shop/trap").await.status, 500);
    let text = site.get("/shop/request").await;
    assert!(!text.text().contains("_seam"));
    let packed = site.ask("GET", "/shop/page", &[("accept-encoding", "gzip")]).await;
    assert_eq!(packed.field("content-encoding"), Some("gzip"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_script_and_the_events_are_served_and_only_during_development() {
    let board = StatusBoard::default();
    let site = developing(&board);
    let script = site.get("/_seam/dev.js").await;
    assert_eq!((script.status, script.field("content-type")), (200, Some("text/javascript; charset=utf-8")));
    assert_eq!(site.get("/_seam/else").await.status, 404);
    assert_eq!(site.ask("POST", "/_seam/events", &[("content-length", "0")]).await.status, 405);
    let plain = Site::start();
    for path in ["/_seam/dev.js", "/_seam/events"] {
        assert_eq!(plain.get(path).await.status, 404, "{path}");
    }
    let page = plain.get("/shop/page").await;
    assert!(!page.text().contains("_seam") && page.field("etag").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_this_machine_gets_the_script_and_the_events() {
    let board = StatusBoard::default();
    board.post(&json!({ "secret": 1 }), 1);
    let site = developing(&board);
    let ask = async |path: &str, version: &str, fields: &str| {
        let head = format!("GET {path} HTTP/{version}\r\nconnection: close\r\n{fields}\r\n");
        site.raw(head.as_bytes()).await
    };
    for host in ["localhost", "127.0.0.1:8080", "[::1]:8080"] {
        let here = format!("host: {host}\r\nsec-fetch-site: same-origin\r\n");
        assert_eq!(ask("/_seam/dev.js", "1.1", &here).await.status, 200, "{host}");
        assert!(ask("/shop/page", "1.1", &here).await.text().contains("/_seam/dev.js"), "{host}");
    }
    for (what, version, fields) in [
        ("by another name", "1.1", "host: shop.example\r\n"),
        ("by a rebound name", "1.1", "host: rebound.example\r\nsec-fetch-site: same-origin\r\n"),
        ("by another site's page", "1.1", "host: localhost\r\nsec-fetch-site: cross-site\r\n"),
        ("by a page of another port", "1.1", "host: localhost\r\norigin: http://localhost:3000\r\n"),
        ("through a proxy", "1.1", "host: localhost\r\nx-forwarded-for: 127.0.0.1\r\n"),
        ("through a silent proxy", "1.0", "host: localhost\r\n"),
        ("without a host", "1.0", ""),
    ] {
        for path in ["/_seam/dev.js", "/_seam/events"] {
            let reply = ask(path, version, fields).await;
            assert!(reply.status == 404 && !reply.text().contains("secret"), "{path} {what}");
        }
        let page = ask("/shop/page", version, fields).await;
        assert!(page.status == 200 && !page.text().contains("_seam"), "{what}: no script that would not load");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_carry_the_state_and_its_changes_and_end_with_the_server() {
    let board = StatusBoard::default();
    board.post(&json!({ "version": 1 }), 1);
    let mut site = developing(&board);
    let mut stream = site.connect().await;
    stream.write_all(b"GET /_seam/events HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut data = async || loop {
        match timeout(TIMEOUT, lines.next_line()).await.unwrap().unwrap() {
            Some(line) if line.starts_with("data: ") => return Some(line),
            Some(_) => {}
            None => return None,
        }
    };
    assert_eq!(data().await.as_deref(), Some("data: {\"version\":1}"));
    board.post(&json!({ "version": 2 }), 2);
    assert_eq!(data().await.as_deref(), Some("data: {\"version\":2}"));
    site.stop();
    assert_eq!(data().await, None, "a server that is stopping does not wait for readers of events");
    timeout(TIMEOUT, site.running).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn mounts_are_replaced_while_requests_run() {
    let site = Site::start();
    let mount = |path: &str| super::mount(path, "shop");
    let running = site.ask("GET", "/shop/held", &[]);
    let change = async {
        site.hold.arrived().await;
        site.mounts.set(&[mount("/other")]).unwrap();
        site.hold.release();
    };
    let (answer, ()) = tokio::join!(running, change);
    assert_eq!((answer.status, answer.text().as_str()), (200, "held"));
    assert_eq!(site.get("/shop/x").await.status, 404);
    assert_eq!(site.get("/other/x").await.text(), "below /x");
    let gone = crate::http::Mount { assets: Some("/none".into()), ..mount("/third") };
    assert!(site.mounts.set(&[gone]).is_err());
    assert_eq!(site.get("/other/x").await.status, 200, "a mount that cannot be opened changes nothing");
}
