//! Feeds over real sockets, from a real file.

mod metrics;

use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_store::ids::ContextName;
use seam_store::{Config as StoreConfig, Database, NewEvent};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Config, Outboxes, Reply, Site, TIMEOUT, mount, to_end};
use crate::limits;
use crate::manifest::{Feed, FeedToken, Network, TokenSecret};

pub(super) const TOKEN: &str = "d2f1c0b6a79e48f3b5d4c3a2918f7e6d";
const OTHER: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
const PATH: &str = "/feeds/orders";

/// The file of `orders`, and the server that has its feed.
struct Publisher {
    outbox: Arc<Database>,
    site: Site,
    _folder: tempfile::TempDir,
}

fn token(name: &str, text: &str) -> FeedToken {
    FeedToken { name: name.into(), secret: TokenSecret::Sha256(Sha256::digest(text).into()) }
}

pub(super) fn feed() -> Feed {
    Feed {
        context: ContextName::new("orders").unwrap(),
        host: None,
        interfaces: vec!["acme:orders/events".into(), "acme:orders/returns".into()],
        plain_http: false,
        tokens: vec![token("reports", TOKEN), token("billing", OTHER)],
    }
}

impl Publisher {
    fn with(feed: Feed, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Database::open(StoreConfig::plain(folder.path().join("orders.db"), 64)).unwrap();
        let found = outbox.clone();
        let outboxes: Outboxes = Arc::new(move |context| (context.as_str() == "orders").then(|| found.clone()));
        let site = Site::feeding(&outboxes, |config| {
            config.feeds = vec![feed];
            config.mounts.push(mount("/", "shop"));
            change(config);
        });
        Self { outbox, site, _folder: folder }
    }

    fn start() -> Self {
        Self::with(feed(), |_| {})
    }

    /// Publishes events with these texts.
    fn publish(&self, texts: impl IntoIterator<Item = impl AsRef<str>>) {
        self.publish_to("acme:orders/events@0.2.0", texts);
    }

    fn publish_to(&self, interface: &str, texts: impl IntoIterator<Item = impl AsRef<str>>) {
        let mut transaction = self.outbox.begin(Instant::now() + TIMEOUT).unwrap();
        for text in texts {
            let data = Value::from(text.as_ref()).to_string();
            let event = NewEvent {
                interface,
                function: "order-placed",
                subject: Some("MC-7"),
                time_ms: 1_767_225_600_250,
                trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                data: &data,
            };
            transaction.publish(&event).unwrap();
        }
        transaction.commit().unwrap();
    }

    async fn ask(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let authorization = format!("Bearer {TOKEN}");
        let fields: Vec<_> = [("authorization", authorization.as_str())].iter().chain(fields).copied().collect();
        self.site.ask("GET", path, &fields).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask(path, &[]).await
    }

    /// A stream of events, and what was read of it.
    async fn stream(&self, path: &str, fields: &str) -> Events {
        let mut socket = self.site.connect().await;
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\naccept: text/event-stream\r\n\
             {fields}\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        Events { socket, read: Vec::new() }
    }
}

struct Events {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Events {
    /// Reads until the text has come.
    async fn until(&mut self, text: &str) -> String {
        loop {
            let all = String::from_utf8_lossy(&self.read).into_owned();
            if all.contains(text) {
                return all;
            }
            let read = timeout(TIMEOUT, self.socket.read_buf(&mut self.read)).await;
            assert_ne!(read.unwrap_or_else(|_| panic!("no {text:?} in {all}")).unwrap(), 0, "no {text:?} in {all}");
        }
    }
}

fn events(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    serde_json::from_slice(&reply.body).unwrap()
}

fn texts(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["data"].as_str().unwrap()).collect()
}

/// The address of the next page.
fn next(reply: &Reply) -> String {
    let link = reply.field("link").unwrap();
    link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_follows_the_pages_to_the_head_and_gets_each_event_once() {
    let orders = Publisher::start();
    orders.publish((1..=5).map(|number| format!("order {number}")));
    let (mut path, mut read) = (format!("{PATH}?count=2"), Vec::new());
    for expect in [("private, no-cache", 2), ("private, max-age=31536000, immutable", 2), ("private, no-cache", 1)] {
        let page = orders.get(&path).await;
        let found = events(&page);
        assert_eq!((page.field("cache-control").unwrap(), found.len()), expect, "{path}");
        assert_eq!(page.field("content-type"), Some("application/cloudevents-batch+json"));
        assert_eq!(page.field("cross-origin-resource-policy"), Some("same-origin"));
        assert_eq!(page.field("x-content-type-options"), Some("nosniff"));
        for absent in ["set-cookie", "access-control-allow-origin"] {
            assert_eq!(page.field(absent), None);
        }
        read.extend(found);
        path = next(&page);
    }
    assert_eq!(texts(&read), ["order 1", "order 2", "order 3", "order 4", "order 5"]);
    let id = read[0]["id"].as_str().unwrap();
    let expect = serde_json::json!({
        "specversion": "1.0", "id": id, "source": "/feeds/orders", "type": "acme:orders/events.order-placed",
        "time": "2026-01-01T00:00:00.25Z", "subject": "MC-7", "dataschema": "acme:orders/events@0.2.0",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "datacontenttype": "application/json", "data": "order 1",
    });
    assert_eq!(read[0], expect);
    let empty = orders.get(&path).await;
    assert_eq!((events(&empty).len(), next(&empty)), (0, path.clone()), "at the head the next page is the same");
    let head = orders.outbox.kept().unwrap().last.to_string();
    assert_eq!(empty.field("seam-feed-head"), Some(head.as_str()));
    // Events of another interface are not this reader's, and move it on.
    orders.publish_to("acme:orders/internal@0.1.0", ["not for readers"]);
    let moved = orders.get(&path).await;
    assert!(events(&moved).is_empty() && next(&moved) != path);
    orders.publish_to("acme:orders/returns@0.1.0", ["return 1"]);
    orders.publish(["order 6"]);
    assert_eq!(texts(&events(&orders.get(&path).await)), ["return 1", "order 6"]);
    let returns = orders.get(&format!("{path}&interface=acme:orders/returns")).await;
    assert_eq!(texts(&events(&returns)), ["return 1"]);
    assert!(next(&returns).ends_with("&interface=acme:orders/returns"), "{}", next(&returns));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_asked_for_again_by_its_tag_and_its_head_alone() {
    let orders = Publisher::start();
    orders.publish((1..=40).map(|number| format!("order {number}")));
    let page = orders.get(PATH).await;
    let tag = page.field("etag").unwrap();
    let known = orders.ask(PATH, &[("if-none-match", tag)]).await;
    assert_eq!((known.status, known.body.len(), known.field("etag")), (304, 0, Some(tag)));
    let authorization = format!("Bearer {TOKEN}");
    let head = orders.site.ask("HEAD", PATH, &[("authorization", &authorization)]).await;
    assert_eq!((head.status, head.body.len(), head.field("etag")), (200, 0, Some(tag)));
    assert_eq!(head.field("link"), page.field("link"));
    let small = orders.ask(PATH, &[("accept-encoding", "gzip")]).await;
    assert_eq!(small.field("content-encoding"), Some("gzip"));
    assert!(small.body.len() < page.body.len() / 2);
    orders.publish(["order 41"]);
    let changed = orders.ask(PATH, &[("if-none-match", tag)]).await;
    assert_eq!((changed.status, events(&changed).len()), (200, 41));
    // A count above the bound is the bound.
    orders.publish((0..limits::FEED_PAGE_MAX).map(|number| number.to_string()));
    let most = orders.get(&format!("{PATH}?count=999999")).await;
    assert_eq!(events(&most).len(), limits::FEED_PAGE_MAX as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_token_of_the_feed_opens_it_and_nothing_else_is_said() {
    let orders = Publisher::start();
    orders.publish(["secret order"]);
    let billing = format!("Bearer {OTHER}");
    assert_eq!(orders.site.ask("GET", PATH, &[("authorization", &billing)]).await.status, 200);
    let (bearer, basic) = (format!("Bearer {TOKEN}"), format!("Basic {TOKEN}"));
    let longer = format!("{bearer}0");
    for fields in [
        &[][..],
        &[("authorization", "Bearer ")],
        &[("authorization", "Bearer wrong")],
        &[("authorization", &longer)],
        &[("authorization", &basic)],
        &[("authorization", TOKEN)],
        &[("authorization", &bearer), ("authorization", &bearer)],
        &[("cookie", &bearer)],
    ] {
        for path in [PATH.to_owned(), format!("{PATH}?after=x"), format!("{PATH}?token={TOKEN}")] {
            let reply = orders.site.ask("GET", &path, fields).await;
            assert_eq!((reply.status, reply.field("www-authenticate")), (401, Some("Bearer")), "{fields:?}");
            // The number of the trace is made of the letters of `feed`, too.
            let text = reply.text();
            let text = text.split("trace:").next().unwrap_or_default();
            assert!(!text.contains("order") && !text.contains("after") && !text.contains("feed"), "{text}");
            assert_eq!(reply.field("cache-control"), Some("no-store"));
        }
    }
    let post = orders.site.ask("POST", PATH, &[("authorization", &bearer), ("content-length", "0")]).await;
    assert_eq!((post.status, post.field("allow")), (405, Some("GET, HEAD")));
    // What is no feed belongs to the mounts.
    for path in ["/feeds", "/feeds/", "/feeds/shop", "/feeds/orders/", "/feeds/orders/x", "/feeds/ORDERS"] {
        assert_eq!(orders.get(path).await.text(), format!("below {path}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_with_a_host_is_at_that_host_alone() {
    let named = Feed { host: Some("feeds.shop.example".into()), plain_http: true, ..feed() };
    let orders = Publisher::with(named, |_| {});
    for (host, expect) in [("feeds.shop.example", 200), ("FEEDS.shop.example:8080", 200), ("shop.example", 200)] {
        let head = format!("GET {PATH} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {TOKEN}\r\n");
        let reply = orders.site.raw(format!("{head}connection: close\r\n\r\n").as_bytes()).await;
        let is_feed = reply.field("content-type") == Some("application/cloudevents-batch+json");
        assert_eq!((reply.status, is_feed), (expect, host != "shop.example"), "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_machines_read_over_tls_alone_unless_the_manifest_allows_it() {
    let proxied = |config: &mut Config| config.proxies.trusted = vec![Network::parse("127.0.0.1").unwrap()];
    let (secure, plain) = (
        [("x-forwarded-for", "203.0.113.1"), ("x-forwarded-proto", "https")],
        [("x-forwarded-for", "203.0.113.1"), ("x-forwarded-proto", "http")],
    );
    let orders = Publisher::with(feed(), proxied);
    assert_eq!(orders.ask(PATH, &secure).await.status, 200);
    let refused = orders.ask(PATH, &plain).await;
    assert_eq!(refused.status, 403);
    let text = refused.text();
    let text = text.split("trace:").next().unwrap_or_default();
    assert!(!text.contains("TLS") && !text.contains("feed"), "{text}");
    let named = format!("GET {PATH} HTTP/1.1\r\nhost: shop.example\r\nauthorization: Bearer {TOKEN}\r\n");
    let named = orders.site.raw(format!("{named}connection: close\r\n\r\n").as_bytes()).await;
    assert_eq!(named.status, 403, "a proxy that names no client");
    let open = Publisher::with(Feed { plain_http: true, ..feed() }, proxied);
    assert_eq!(open.ask(PATH, &plain).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_guesses_has_to_wait_and_another_client_has_not() {
    let orders = Publisher::with(feed(), |config| config.proxies.trusted = vec![Network::parse("127.0.0.1").unwrap()]);
    let from = |address: &'static str, authorization: &str| {
        let fields = [("x-forwarded-for", address), ("x-forwarded-proto", "https")];
        let authorization = authorization.to_owned();
        let site = &orders.site;
        async move {
            let fields: Vec<_> = fields.into_iter().chain([("authorization", authorization.as_str())]).collect();
            site.ask("GET", PATH, &fields).await
        }
    };
    let right = format!("Bearer {TOKEN}");
    for _ in 0..3 * limits::FEED_GUESSES {
        assert_eq!(from("2001:db8::1", &right).await.status, 200, "a right token is no guess");
    }
    let mut refused = 0;
    while from("2001:db8::1", "Bearer wrong").await.status == 401 {
        refused += 1;
        assert!(refused <= limits::FEED_GUESSES + 5, "guessing without an end");
    }
    for (address, status) in [("2001:db8::1", 429), ("2001:db8::99", 429), ("2001:db8:0:1::1", 200)] {
        let reply = from(address, &right).await;
        assert_eq!(reply.status, status, "{address}");
        assert_eq!(reply.field("retry-after").is_some(), status == 429);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_is_none_is_refused_with_what_to_do() {
    let orders = Publisher::start();
    orders.publish(["order 1"]);
    let head = orders.outbox.kept().unwrap().last;
    let (max, ahead, last) =
        (format!("after={}", u64::MAX), format!("after={}", head + 1), format!("the last one is {head}"));
    for (query, status, says) in [
        ("after=", 400, "whole number"),
        ("after=-1", 400, "whole number"),
        ("after=+1", 400, "whole number"),
        ("after=1.5", 400, "whole number"),
        ("after=last", 400, "whole number"),
        ("after=%00", 400, "whole number"),
        ("after=%ff", 400, "no text"),
        (max.as_str(), 400, "whole number"),
        ("after=1&after=2", 400, "twice"),
        ("afer=1", 400, "no other parameter"),
        ("count=0", 400, "from 1 on"),
        ("count=many", 400, "from 1 on"),
        ("interface=acme:orders/desk", 404, "acme:orders/events, acme:orders/returns"),
        (ahead.as_str(), 400, last.as_str()),
    ] {
        for accept in ["*/*", "text/event-stream"] {
            let reply = orders.ask(&format!("{PATH}?{query}"), &[("accept", accept)]).await;
            assert_eq!(
                (reply.status, reply.field("content-type")),
                (status, Some("application/problem+json")),
                "{query}"
            );
            let problem: Value = serde_json::from_slice(&reply.body).unwrap();
            assert!(problem["detail"].as_str().unwrap().contains(says), "{query}: {problem}");
        }
    }
    let last = orders.ask(PATH, &[("accept", "text/event-stream"), ("last-event-id", "x")]).await;
    assert!(last.status == 400 && last.text().contains("Last-Event-ID"), "{}", last.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_behind_what_is_kept_is_refused_with_where_to_go_on() {
    let orders = Publisher::start();
    orders.publish((1..=4).map(|number| format!("order {number}")));
    let all = events(&orders.get(PATH).await);
    let id = |at: usize| all[at]["id"].as_str().unwrap();
    orders.outbox.forget_published(id(1).parse().unwrap(), u64::MAX >> 1).unwrap();
    for accept in ["*/*", "text/event-stream"] {
        let gone = orders.ask(&format!("{PATH}?after={}", id(0)), &[("accept", accept)]).await;
        assert_eq!(gone.status, 410, "{accept}");
        let problem: Value = serde_json::from_slice(&gone.body).unwrap();
        assert_eq!((problem["kept-after"].as_str(), problem["head"].as_str()), (Some(id(1)), Some(id(3))));
        let restarted = orders.get(problem["restart"].as_str().unwrap()).await;
        assert_eq!(texts(&events(&restarted)), ["order 3", "order 4"]);
    }
    assert_eq!(events(&orders.get(&format!("{PATH}?after={}", id(1))).await).len(), 2);
    // A position from a file that is gone: what was read of it no longer holds.
    let fresh = Publisher::start();
    fresh.publish(["order 1"]);
    let found = events(&fresh.get(&format!("{PATH}?after=5")).await);
    assert_eq!((found[0]["type"].as_str(), found[0]["data"]["last"].as_str()), (Some("seam.feed.restored"), Some("0")));
    assert_eq!(found[1]["data"], "order 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_what_is_there_and_what_comes_and_goes_on_where_it_was_cut_off() {
    let orders = Publisher::start();
    orders.publish(["order 1"]);
    let mut stream = orders.stream(PATH, "").await;
    let head = stream.until("order 1").await;
    assert!(head.contains("content-type: text/event-stream\r\n") && head.contains("retry: "), "{head}");
    assert!(head.contains("cache-control: no-store, no-transform\r\n"), "{head}");
    orders.publish_to("acme:orders/internal@0.1.0", ["not for readers"]);
    orders.publish(["order 2", "order 3"]);
    let all = stream.until("order 3").await;
    assert!(!all.contains("not for readers"));
    let ids: Vec<&str> = all.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    assert_eq!(ids.len(), 3, "{all}");
    drop(stream);
    let mut again = orders.stream(&format!("{PATH}?after=0"), &format!("last-event-id: {}\r\n", ids[1])).await;
    let all = again.until("order 3").await;
    assert!(!all.contains("order 2"), "`Last-Event-ID` counts more than the address: {all}");
    let authorization = format!("Bearer {TOKEN}");
    let fields = [("authorization", authorization.as_str()), ("accept", "text/event-stream")];
    let head = orders.site.ask("HEAD", PATH, &fields).await;
    assert_eq!((head.status, head.field("content-type")), (200, Some("text/event-stream")));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_whole_when_the_server_stops() {
    let mut orders = Publisher::start();
    orders.publish(["order 1"]);
    let mut stream = orders.stream(PATH, "").await;
    stream.until("order 1").await;
    orders.site.stop();
    let rest = to_end(&mut stream.socket).await;
    assert!(rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
    timeout(TIMEOUT, &mut orders.site.running).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_bounded_and_a_reader_without_a_place_is_asked_to_come_back() {
    let orders = Publisher::start();
    let mut open = Vec::new();
    for _ in 0..limits::FEED_STREAMS_PER_TOKEN {
        let mut stream = orders.stream(PATH, "").await;
        stream.until("retry: ").await;
        open.push(stream);
    }
    let full = orders.ask(PATH, &[("accept", "text/event-stream")]).await;
    assert_eq!((full.status, full.field("retry-after")), (503, Some("5")));
    assert_eq!(orders.get(PATH).await.status, 200, "pages need no place");
    open.pop();
    timeout(TIMEOUT, async {
        loop {
            let mut stream = orders.stream(PATH, "").await;
            if stream.until("\r\n\r\n").await.starts_with("HTTP/1.1 200") {
                break;
            }
        }
    })
    .await
    .expect("the place of a reader that left is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_reading_is_cut_off_and_goes_on_without_a_gap() {
    let orders = Publisher::with(feed(), |config| {
        config.limits.idle_time = Duration::from_millis(300);
        config.limits.header_time = Duration::from_millis(200);
    });
    // More than the buffers of both sockets.
    let long = "x".repeat(100_000);
    orders.publish((0..200).map(|number| format!("{number} {long}")));
    let mut stream = orders.stream(PATH, "").await;
    stream.until("data: ").await;
    let all = timeout(TIMEOUT, async {
        // The server closes while this side does not read; what is in the buffers is still there.
        while !orders.site.get("/metrics").await.text().contains("kind=\"stalled\"} 1") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut all = std::mem::take(&mut stream.read);
        all.extend(to_end(&mut stream.socket).await);
        String::from_utf8_lossy(&all).into_owned()
    })
    .await
    .expect("the stream is not cut off");
    // The last one may be cut off itself.
    let complete = all.rsplit_once("\n\n").map_or("", |(complete, _)| complete);
    let ids: Vec<&str> = complete.lines().filter_map(|line| line.trim_end().strip_prefix("id: ")).collect();
    assert!(ids.len() < 200, "{} events were read", ids.len());
    let last = ids.last().unwrap();
    let read = ids.len();
    let mut after = format!("{PATH}?after={last}");
    let mut rest = Vec::new();
    loop {
        let page = orders.get(&after).await;
        let found = events(&page);
        if found.is_empty() {
            break;
        }
        rest.extend(texts(&found).into_iter().map(|text| text.split(' ').next().unwrap().parse::<usize>().unwrap()));
        after = next(&page);
    }
    assert_eq!(rest, (read..200).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_taken_away_ends_its_streams_and_a_new_one_counts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reports.token");
    seam_store::private::write(&file, TOKEN.as_bytes()).unwrap();
    let by_file = FeedToken { name: "reports".into(), secret: TokenSecret::File(file.clone()) };
    let orders = Publisher::with(Feed { tokens: vec![by_file], ..feed() }, |_| {});
    let mut stream = orders.stream(PATH, "").await;
    stream.until("retry: ").await;
    seam_store::private::write(&file, format!("{OTHER}\n").as_bytes()).unwrap();
    let other = format!("Bearer {OTHER}");
    timeout(TIMEOUT, async {
        while orders.site.ask("GET", PATH, &[("authorization", &other)]).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    })
    .await
    .expect("the new token is not read");
    assert_eq!(orders.get(PATH).await.status, 401);
    orders.publish(["order 1"]);
    let rest = String::from_utf8(to_end_of_stream(&mut stream).await).unwrap();
    assert!(!rest.contains("order 1"), "{rest}");
}

/// Reads to the end of a chunked body, whose connection stays open.
async fn to_end_of_stream(stream: &mut Events) -> Vec<u8> {
    while !stream.read.ends_with(b"0\r\n\r\n") {
        let read = timeout(TIMEOUT, stream.socket.read_buf(&mut stream.read)).await.expect("the stream goes on");
        assert_ne!(read.unwrap(), 0);
    }
    std::mem::take(&mut stream.read)
}
