//! Forecasts from snapshots: three contexts, `front` that calls `orders`, and `orders` that calls `bank`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use seam_runtime::serve::MadeTraffic;

use super::*;

const WAY: Way = Way { round_trip_us: 1_000.0, bytes_per_s: 1e6 };

/// `calls` in 10 seconds, of `request` and `answer` bytes each.
fn edge(caller: &str, callee: &str, function: &str, calls: u64, request: u64, answer: u64) -> EdgeTraffic {
    EdgeTraffic {
        caller: caller.into(),
        callee: callee.into(),
        interface: format!("a:{callee}/api"),
        function: function.into(),
        over_s: 10.0,
        calls,
        sampled: calls.div_ceil(4),
        request_bytes: calls.div_ceil(4) * request,
        answer_bytes: calls.div_ceil(4) * answer,
    }
}

fn path(context: &str, name: &str, samples: u64, made: &[(&str, &str, u64)]) -> PathTraffic {
    let made = made.iter().map(|(callee, function, calls)| MadeTraffic {
        callee: (*callee).into(),
        function: format!("a:{callee}/api.{function}"),
        calls: *calls,
    });
    PathTraffic { context: context.into(), name: name.into(), samples, took_us: samples * 5_000, made: made.collect() }
}

/// A page shows one order and asks twice for its price; each price asks the bank three times.
fn snapshot() -> Snapshot {
    Snapshot {
        edges: vec![
            edge("front", "orders", "show", 100, 10, 90),
            edge("front", "orders", "price", 200, 20, 30),
            edge("orders", "bank", "rate", 600, 0, 0),
            edge("front", "news", "latest", 50, 0, 0),
        ],
        paths: vec![
            path("front", "GET /orders/*", 100, &[("orders", "show", 100), ("orders", "price", 200)]),
            path("front", "GET /", 100, &[("news", "latest", 100)]),
            path("orders", "a:orders/api.price", 50, &[("bank", "rate", 150)]),
            path("orders", "a:orders/api.show", 50, &[]),
        ],
        stores: Vec::new(),
    }
}

fn near(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-6 * b.abs().max(1.0), "{a} is not {b}");
}

#[test]
fn each_call_of_the_moved_context_or_by_it_takes_the_way_and_its_bytes() {
    let head = 2.0 * limits::FORECAST_HEAD_BYTES;
    let moved = forecast(&snapshot(), "orders", WAY);
    let [front, bank] = &moved.edges[..] else { panic!("{:?}", moved.edges) };
    assert_eq!(
        (&*front.caller, &*front.callee, &*front.interface, front.calls),
        ("front", "orders", "a:orders/api", 300)
    );
    near(front.calls_per_s, 30.0);
    near(front.request_bytes + front.answer_bytes, (100.0 * 100.0 + 200.0 * 50.0) / 300.0 + head);
    // At 1 MB/s, a byte takes a microsecond.
    near(front.added_us, 1_000.0 + front.request_bytes + front.answer_bytes);
    assert_eq!((&*bank.caller, &*bank.callee), ("orders", "bank"));
    near(bank.bytes_per_s(), 60.0 * head);
    // Calls between others do not cross.
    assert!(forecast(&snapshot(), "news", WAY).edges.iter().all(|edge| edge.callee == "news"));
}

#[test]
fn a_page_waits_for_all_calls_that_cross_below_it_and_only_for_these() {
    let head = 2.0 * limits::FORECAST_HEAD_BYTES;
    let small = 1_000.0 + head;
    let of = |context: &str| forecast(&snapshot(), context, WAY).pages;
    let [page] = &of("orders")[..] else { panic!("one page leads to it") };
    assert_eq!((&*page.page, page.samples), ("GET /orders/*", 100));
    near(page.crossings, 1.0 + 2.0 + 6.0);
    near(page.added_us, (small + 100.0) + 2.0 * (small + 50.0) + 6.0 * small);
    near(page.took_us, 5_000.0);
    // `front` stays beside `orders`: only the calls of the bank cross.
    let [page] = &of("bank")[..] else { panic!("one page leads to it") };
    near(page.crossings, 6.0);
    near(page.added_us, 6.0 * small);
    // The caller moves: what lies below its callees stays together.
    let pages = of("front");
    assert_eq!(pages.iter().map(|page| &*page.page).collect::<Vec<_>>(), ["GET /orders/*", "GET /"]);
    near(pages[0].crossings, 3.0);
}

#[test]
fn only_calls_to_and_from_the_host_that_is_meant_are_forecast() {
    let here = |name: &str| name != "bank";
    let moved = forecast(&snapshot().between("orders", &here), "orders", WAY);
    assert_eq!(moved.edges.iter().map(|edge| &*edge.callee).collect::<Vec<_>>(), ["orders"]);
    near(moved.pages[0].crossings, 3.0);
    let there = forecast(&snapshot().between("orders", &|name| !here(name)), "orders", WAY);
    assert_eq!(there.edges.iter().map(|edge| &*edge.callee).collect::<Vec<_>>(), ["bank"]);
}

#[test]
fn an_interface_is_too_chatty_by_its_calls_in_a_page_or_by_its_bytes() {
    let mut snapshot = snapshot();
    let [bank] = &forecast(&snapshot, "bank", WAY).chatty[..] else { panic!("one") };
    assert_eq!((&*bank.caller, &*bank.callee, &*bank.interface), ("orders", "bank", "a:bank/api"));
    assert!(matches!(&bank.why, Why::Calls { page, calls } if page == "front GET /orders/*" && *calls == 6.0));
    assert_eq!(forecast(&snapshot, "news", WAY).chatty, []);
    snapshot.edges[3].answer_bytes = snapshot.edges[3].sampled * (limits::FORECAST_CALL_BYTES_MAX as u64);
    let [news] = &forecast(&snapshot, "news", WAY).chatty[..] else { panic!("one") };
    assert!(matches!(news.why, Why::Bytes { .. }));
}

#[test]
fn what_was_not_counted_is_not_known_and_says_so() {
    let mut snapshot = snapshot();
    let unknown = |snapshot: &Snapshot, context: &str| forecast(snapshot, context, WAY).unknown;
    assert_eq!(unknown(&snapshot, "orders"), [""; 0]);
    assert_eq!(unknown(&snapshot, "alone"), ["it calls no context, and none calls it"]);
    snapshot.paths[0].samples = 3;
    assert_eq!(unknown(&snapshot, "orders"), ["front GET /orders/* rests on 3 recorded requests"]);
    snapshot.paths.clear();
    assert!(unknown(&snapshot, "orders")[0].contains("no recorded page"));
    snapshot.edges.iter_mut().for_each(|edge| (edge.calls, edge.sampled) = (0, 0));
    assert!(unknown(&snapshot, "orders")[0].contains("no call has crossed"));
}

#[test]
fn a_forecast_is_a_page_of_text() {
    let mut snapshot = snapshot();
    let (file_bytes, wal_bytes) = (9_000_000, 1_000_000);
    snapshot.stores.push(StoreTraffic { context: "bank".into(), file_bytes, wal_bytes, commits: 250, over_s: 10.0 });
    let expect = "\
moving `bank`: a call takes 1.0 ms more
  orders->bank a:bank/api: 60.0 calls/s, 300 B and 300 B a call, 36.0 KB/s, 1.6 ms more a call
pages that would wait longer:
  front GET /orders/*: 6.0 calls, 9.6 ms more than 5.0 ms
its file: 10.0 MB, 25.0 commits/s
too chatty: orders->bank a:bank/api: front GET /orders/* makes 6.0 calls of it; more than 3 should be one call with a list
";
    assert_eq!(text(&forecast(&snapshot, "bank", WAY)), expect);
}
