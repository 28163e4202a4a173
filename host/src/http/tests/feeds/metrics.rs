//! What `/metrics` says of feeds and their readers.

use super::*;

/// A line of `/metrics` with this start, and the number behind it.
async fn metric(orders: &Publisher, line: &str) -> Option<u64> {
    let page = orders.site.ask("GET", "/metrics", &[]).await.text();
    page.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_say_who_reads_what_who_is_behind_and_who_is_refused() {
    let orders = Publisher::start();
    let of = |name: &str, labels: &str| format!("seam_feed_{name}{{context=\"orders\",{labels}}}");
    for (name, labels) in [
        ("events_total", "token=\"reports\""),
        ("gone_total", "token=\"billing\""),
        ("streams", "token=\"reports\""),
        ("refused_total", "reason=\"wrong-token\""),
    ] {
        assert_eq!(metric(&orders, &of(name, labels)).await, Some(0), "{name} is there from the start");
    }
    orders.publish(["order 1", "order 2", "order 3"]);
    let page = orders.get(PATH).await;
    let tag = page.field("etag").unwrap();
    assert_eq!(orders.ask(PATH, &[("if-none-match", tag)]).await.status, 304);
    assert_eq!(orders.get(&format!("{PATH}?count=none")).await.status, 400);
    for (status, expect) in [("200", Some(1)), ("304", Some(1)), ("400", Some(1)), ("410", None)] {
        let line = of("requests_total", &format!("status=\"{status}\",token=\"reports\""));
        assert_eq!(metric(&orders, &line).await, expect, "{line}");
    }
    assert_eq!(metric(&orders, &of("events_total", "token=\"reports\"")).await, Some(3), "a 304 has no events");

    // What is forgotten is gone for a reader that has read a part of it, in a page and in a stream.
    let first = orders.outbox.kept().unwrap().first;
    orders.outbox.forget_published(u64::MAX, u64::MAX >> 1).unwrap();
    let behind = format!("{PATH}?after={first}");
    assert_eq!(orders.get(&behind).await.status, 410);
    assert_eq!(orders.ask(&behind, &[("accept", "text/event-stream")]).await.status, 410);
    assert_eq!(metric(&orders, &of("gone_total", "token=\"reports\"")).await, Some(2));
    assert_eq!(metric(&orders, &of("streams", "token=\"reports\"")).await, Some(0), "it was no stream");

    let mut stream = orders.stream(PATH, "").await;
    stream.until("order 3").await;
    assert_eq!(metric(&orders, &of("streams", "token=\"reports\"")).await, Some(1));
    assert_eq!(metric(&orders, &of("events_total", "token=\"reports\"")).await, Some(4));
    drop(stream);
    let began = Instant::now();
    while metric(&orders, &of("streams", "token=\"reports\"")).await != Some(0) {
        // The host notices it when it writes.
        orders.publish(["another"]);
        assert!(began.elapsed() < TIMEOUT, "the stream is still open");
    }

    assert_eq!(orders.site.ask("GET", PATH, &[]).await.status, 401);
    for _ in 0..2 {
        let wrong = [("authorization", "Bearer wrong")];
        assert_eq!(orders.site.ask("GET", PATH, &wrong).await.status, 401);
    }
    assert_eq!(metric(&orders, &of("refused_total", "reason=\"no-token\"")).await, Some(1));
    assert_eq!(metric(&orders, &of("refused_total", "reason=\"wrong-token\"")).await, Some(2));
    assert_eq!(metric(&orders, &of("refused_total", "reason=\"plain-http\"")).await, Some(0));
}
