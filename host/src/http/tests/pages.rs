//! What clients get: routing, negotiation, conditions, failures, files, metrics.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::time::timeout;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use super::{Site, TIMEOUT, page};

#[tokio::test(flavor = "multi_thread")]
async fn guests_get_the_client_that_a_trusted_proxy_names_and_no_other() {
    let said = [
        ("x-forwarded-for", "198.51.100.9, 203.0.113.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil"),
        ("x-real-ip", "198.51.100.9"),
        ("forwarded", "for=198.51.100.9;proto=https, for=203.0.113.1;proto=https"),
    ];
    let network = |text: &str| crate::manifest::Network::parse(text).unwrap();
    for (trusted, expect) in
        [(network("127.0.0.0/8"), "for=203.0.113.1;proto=https"), (network("127.0.0.2"), "for=127.0.0.1;proto=http")]
    {
        let site = Site::with(|config| config.proxies.trusted = vec![trusted]);
        let reply = site.ask("GET", "/shop/request", &said).await;
        assert_eq!(reply.text(), format!(r#"GET /request None [("forwarded", "{expect}"), ("host", "localhost")]"#));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_mount_that_ends_at_a_segment_gets_the_rest_of_the_path() {
    let site = Site::start();
    for (path, status, body) in [
        ("/shop", 200, "below /"),
        ("/shop/", 200, "below /"),
        ("/shop/a/b?c", 200, "below /a/b"),
        ("/shop/desk/x", 200, "below /x"),
        ("/shop/desks", 200, "below /desks"),
        ("/shop/a;x/b", 200, "below /a;x/b"),
        ("/shop//x", 400, ""),
        ("/shop/..;x/desk", 400, ""),
        ("/shop%2Fdesk", 400, ""),
        ("/shopping", 404, ""),
        ("/", 404, ""),
        ("/Shop", 404, ""),
    ] {
        let reply = site.get(path).await;
        assert_eq!(reply.status, status, "{path}");
        assert!(status != 200 || reply.text() == body, "{path}: {}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_sees_the_request_without_hop_by_hop_headers() {
    let site = Site::start();
    let reply =
        site.ask("DELETE", "/shop/request?a=%20b", &[("te", "trailers"), ("keep-alive", "1"), ("x-a", "ä")]).await;
    assert_eq!(
        reply.text(),
        r#"DELETE /request Some("a=%20b") [("forwarded", "for=127.0.0.1;proto=http"), ("host", "localhost"), ("x-a", "ä")]"#
    );
    let mut bytes = b"GET /shop/request HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: \xff\r\n\r\n".to_vec();
    assert_eq!(site.raw(&bytes).await.status, 400);
    bytes.retain(|byte| *byte != 0xff);
    assert_eq!(site.raw(&bytes).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_a_get_without_its_body() {
    let site = Site::start();
    for path in ["/shop/page", "/shop/x", "/nowhere", "/healthz"] {
        let (get, head) = (site.get(path).await, site.ask("HEAD", path, &[]).await);
        assert_eq!((get.status, get.field("content-length")), (head.status, head.field("content-length")), "{path}");
        assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
    }
    let head = site.ask("HEAD", "/shop/page", &[("accept-encoding", "gzip")]).await;
    assert_eq!((head.field("content-encoding"), head.field("content-length")), (Some("gzip"), None));
    assert!(site.get("/shop/nothing").await.body.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_compressed_for_clients_that_accept_it() {
    let site = Site::start();
    let ask = async |path, accept| site.ask("GET", path, &[("accept-encoding", accept)]).await;
    let plain = site.get("/shop/page").await;
    assert_eq!(plain.body, page());
    assert_eq!((plain.field("etag"), plain.field("vary")), (Some("\"v1\""), Some("accept-encoding")));
    let gzipped = ask("/shop/page", "gzip, deflate, br").await;
    assert_eq!((gzipped.field("content-encoding"), gzipped.field("etag")), (Some("gzip"), Some("W/\"v1\"")));
    assert_eq!(gzipped.field("content-length"), Some(gzipped.body.len().to_string().as_str()));
    let mut back = Vec::new();
    flate2::read::GzDecoder::new(&*gzipped.body).read_to_end(&mut back).unwrap();
    assert_eq!(back, page());
    let brotlied = ask("/shop/page", "gzip;q=0.1, br").await;
    assert_eq!(brotlied.field("content-encoding"), Some("br"));
    let mut back = Vec::new();
    brotli::Decompressor::new(&*brotlied.body, 4096).read_to_end(&mut back).unwrap();
    assert_eq!(back, page());
    for (path, accept) in [
        ("/shop/page", "identity"),
        ("/shop/page", "gzip;q=0"),
        ("/shop/fixed", "gzip"),
        ("/shop/png", "gzip"),
        ("/shop/x", "gzip"),
    ] {
        assert_eq!(ask(path, accept).await.field("content-encoding"), None, "{path} {accept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_the_client_has_yields_304() {
    let site = Site::start();
    for tag in ["\"v1\"", "W/\"v1\"", "\"v0\", \"v1\"", "*"] {
        let reply = site.ask("GET", "/shop/page", &[("if-none-match", tag), ("accept-encoding", "gzip")]).await;
        assert_eq!((reply.status, reply.body.len()), (304, 0), "{tag}");
        assert_eq!((reply.field("etag"), reply.field("cache-control")), (Some("\"v1\""), Some("max-age=5")));
        assert_eq!((reply.field("content-type"), reply.field("vary")), (None, Some("accept-encoding")));
    }
    assert_eq!(site.ask("GET", "/shop/page", &[("if-none-match", "\"v2\"")]).await.status, 200);
    assert_eq!(
        site.ask("POST", "/shop/page", &[("if-none-match", "\"v1\""), ("content-length", "0")]).await.status,
        200
    );
    assert_eq!(site.ask("HEAD", "/shop/page", &[("if-none-match", "\"v1\"")]).await.status, 304);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_the_host_repeat_nothing_of_the_request_and_lead_nowhere() {
    let site = Site::start();
    let evil = "%3Cscript%3Ealert(1)%3C/script%3E";
    for path in [
        format!("/{evil}"),
        format!("/shop/trap?{evil}"),
        "/<script>alert(1)</script>".into(),
        "//evil.example/%2f..".into(),
        "/\\evil.example".into(),
        "/shop/assets/<script>".into(),
    ] {
        for accept in ["text/html", "application/json", "*/*"] {
            let fields =
                [("accept", accept), ("referer", "<script>"), ("user-agent", "<script>"), ("origin", "<script>")];
            let reply = site.ask("GET", &path, &fields).await;
            assert!(matches!(reply.status, 400 | 404 | 500) || reply.text() == "below /assets/<script>", "{path}");
            assert!(reply.field("location").is_none() && reply.field("refresh").is_none(), "{path}");
            let text = reply.text();
            let of_guest = reply.field("content-type") == Some("text/plain");
            assert!(
                of_guest || !text.contains("script") && !text.contains("evil") && !text.contains("alert"),
                "{text}"
            );
        }
    }
    let reply = site.raw(b"GET / HTTP/1.1\r\nhost: <script>\r\naccept: text/html\r\n\r\n").await;
    assert!(reply.status == 400 && !reply.text().contains("script"));
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_their_status_and_hide_their_reasons() {
    let site = Site::start();
    for (path, status, retry) in [
        ("/shop/trap", 500, None),
        ("/shop/late", 504, None),
        ("/shop/busy", 503, Some("1")),
        ("/shop/gone", 503, Some("1")),
        ("/shop/circle", 508, None),
        ("/shop/bad-status", 500, None),
        ("/shop/bad-header", 500, None),
    ] {
        for accept in ["text/html", "application/json"] {
            let reply = site.ask("GET", path, &[("accept", accept)]).await;
            assert_eq!((reply.status, reply.field("retry-after")), (status, retry), "{path}");
            let text = reply.text();
            assert!(!text.contains("SECRET") && !text.contains("shop"), "{path}: {text}");
            let trace = reply.field("traceparent").unwrap().split('-').nth(1).unwrap();
            assert!(text.contains(trace), "{path}: {text}");
            let kind = if accept == "text/html" { "text/html; charset=utf-8" } else { "application/problem+json" };
            assert_eq!(reply.field("content-type"), Some(kind));
            if accept != "text/html" {
                let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert_eq!(value["status"], status);
            }
        }
    }
    assert_eq!(site.get("/shop/x").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_spans_the_whole_request() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (proxy, theirs) in [("127.0.0.1", true), ("192.0.2.1", false)] {
        let proxy = crate::manifest::Network::parse(proxy).unwrap();
        let site = Site::with(|config| config.proxies.trusted = vec![proxy]);
        let reply = site.ask("GET", "/shop/trace", &[("traceparent", parent)]).await;
        let (trace, span) = reply.text().split_once(' ').map(|(t, s)| (t.to_owned(), s.to_owned())).unwrap();
        assert_eq!(trace == "4bf92f3577b34da6a3ce929d0e0e4736", theirs, "only a trusted proxy's trace goes on");
        assert_ne!(span, "00f067aa0ba902b7");
        let flags = if theirs { "01" } else { "00" };
        assert_eq!(reply.field("traceparent"), Some(format!("00-{trace}-{span}-{flags}").as_str()));
        let seen = site.ask("GET", "/shop/request", &[("traceparent", parent), ("tracestate", "a=b")]).await.text();
        assert_eq!(seen.contains("4bf92f3577b34da6") && seen.contains("tracestate"), theirs, "{seen}");
    }
    let site = Site::start();
    let (one, two) = (site.get("/shop/trace").await.text(), site.get("/shop/trace").await.text());
    assert_ne!(one, two);
    assert_eq!(site.ask("GET", "/shop/trace", &[("traceparent", "rubbish")]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_paths_take_precedence_over_mounts() {
    let site = Site::with(|config| config.mounts[0].path = "/".into());
    assert_eq!(site.get("/healthz").await.text(), "ok\n");
    assert_eq!(site.get("/readyz").await.text(), "ready\n");
    let refused = site.ask("POST", "/metrics", &[("content-length", "0")]).await;
    assert_eq!((refused.status, refused.field("allow")), (405, Some("GET, HEAD")));
    site.get("/trap").await;
    site.get("/page").await;
    let metrics = site.get("/metrics").await.text();
    for line in [
        r#"seam_http_requests_total{class="5xx",context="shop"} 1"#,
        r#"seam_http_requests_total{class="2xx",context="shop"} 1"#,
        r#"seam_http_request_seconds_count{context="shop"} 2"#,
        "seam_http_connections 1",
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
    let private = Site::with(|config| config.ops = crate::manifest::Ops::Off);
    assert_eq!(private.get("/metrics").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_no_context_handles_are_refused() {
    let site = Site::start();
    assert_eq!(site.ask("TRACE", "/shop/x", &[]).await.status, 405);
    assert_eq!(site.raw(b"CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\nconnection: close\r\n\r\n").await.status, 405);
    assert_eq!(site.raw(b"OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_files_of_the_assets_folder_are_served() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("assets")).unwrap();
    std::fs::write(folder.path().join("assets/shop.css"), "a { color: red }\n".repeat(100)).unwrap();
    std::fs::write(folder.path().join("secret.txt"), "SECRET").unwrap();
    let site = Site::with(|config| config.mounts[0].assets = Some(folder.path().join("assets")));
    let css = site.get("/shop/assets/shop.css").await;
    assert_eq!((css.status, css.field("content-type")), (200, Some("text/css; charset=utf-8")));
    assert_eq!(css.field("x-content-type-options"), Some("nosniff"));
    let tag = css.field("etag").unwrap();
    assert_eq!(site.ask("GET", "/shop/assets/shop.css", &[("if-none-match", tag)]).await.status, 304);
    let version = &tag.trim_matches('"')[..12];
    let forever = site.get(&format!("/shop/assets/shop.css?v={version}")).await;
    assert!(forever.field("cache-control").unwrap().contains("immutable"));
    let small = site.ask("GET", "/shop/assets/shop.css", &[("accept-encoding", "gzip, br")]).await;
    assert_eq!(small.field("content-encoding"), Some("br"));
    assert_eq!(small.field("content-length"), Some(small.body.len().to_string().as_str()));
    for path in ["../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt", "none.css", "", "%2e%2e%5csecret.txt"] {
        let reply = site.get(&format!("/shop/assets/{path}")).await;
        let expect = if path.starts_with(['.', '%']) { 400 } else { 404 };
        assert_eq!(reply.status, expect, "{path}");
        assert!(!reply.text().contains("SECRET"));
    }
    assert_eq!(site.ask("POST", "/shop/assets/shop.css", &[("content-length", "0")]).await.status, 405);
}

#[tokio::test]
async fn the_access_log_has_a_line_for_each_request() {
    let kept = Accesses::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(kept.clone()));
    let site = Site::start();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    site.ask("GET", "/shop/page?secret=1", &[("traceparent", parent), ("user-agent", &"u".repeat(1000))]).await;
    // The line is written after the last byte of the answer.
    timeout(TIMEOUT, kept.0.written.notified()).await.expect("no line was written");
    let all = kept.0.lines.lock().unwrap();
    assert_eq!(all.len(), 1);
    let bytes = page().len().to_string();
    for (name, expect) in [
        ("method", "GET"),
        ("path", "/shop/page"),
        ("status", "200"),
        ("context", "shop"),
        ("client_trace", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("bytes", &bytes),
        ("agent", &"u".repeat(256)),
    ] {
        assert_eq!(all[0].0.get(name).map(String::as_str), Some(expect), "{name}");
    }
}

/// The fields of the access events.
#[derive(Clone, Default)]
struct Accesses(Arc<Written>);

#[derive(Default)]
struct Written {
    lines: Mutex<Vec<Fields>>,
    written: Notify,
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl<S: tracing::Subscriber> Layer<S> for Accesses {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "access" {
            let mut fields = Fields::default();
            event.record(&mut fields);
            self.0.lines.lock().unwrap().push(fields);
            self.0.written.notify_one();
        }
    }
}

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
