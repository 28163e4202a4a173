//! Amounts of a total, asked of another host: they come whole or not at all, and to those alone who may have them.

use seam_store::Range;
use tokio::sync::mpsc;

use super::lines::Lines;
use super::*;
use crate::remote::{Opening, Page, Pages, TotalAsk, Totals};

/// What `finance` says of each total.
pub(super) struct OfFinance;

fn rows(from: i64, count: i64) -> Page {
    Page::Rows((from..from + count).map(|n| (format!("MC-{n:06}"), Range { least: n, most: n + 1 })).collect())
}

impl Totals for OfFinance {
    fn open(&self, ask: TotalAsk) -> Opening {
        let (sender, pages) = mpsc::channel(1);
        tokio::spawn(async move {
            let end = match ask.total.as_str() {
                "held" => Some(Page::End),
                "broken" => Some(Page::Failed("its file is gone".to_owned())),
                "cut" => None,
                _ => {
                    // Without an end, until it is not read any more.
                    let mut from = 0;
                    while sender.send(rows(from, 1_000)).await.is_ok() {
                        from += 1_000;
                    }
                    ENDED.notify_one();
                    return;
                }
            };
            for from in [0, 1_000] {
                let _ = sender.send(rows(from, 1_000)).await;
            }
            if let Some(end) = end {
                let _ = sender.send(end).await;
            }
        });
        let absent = Failure::Absent { context: "finance".to_owned(), reason: "it does not declare it".to_owned() };
        let opened = if ask.context.as_str() == "finance" { Ok(pages) } else { Err(absent) };
        Box::pin(std::future::ready(opened))
    }
}

static ENDED: Notify = Notify::const_new();

fn ask(total: &str, side: &str) -> TotalAsk {
    let (context, side) = (context("finance"), context(side));
    TotalAsk { context, total: total.to_owned(), side, remaining: Duration::from_secs(20) }
}

/// How many rows come, and the last page.
async fn read(mut pages: Pages) -> (usize, Option<Page>) {
    let (mut rows, mut last) = (Vec::new(), None);
    while let Some(page) = in_time(pages.recv()).await {
        match page {
            Page::Rows(some) => rows.extend(some),
            end => last = Some(end),
        }
    }
    let expect: Vec<_> =
        (0..rows.len() as i64).map(|n| (format!("MC-{n:06}"), Range { least: n, most: n + 1 })).collect();
    assert!(rows == expect, "the rows are those that were sent");
    (rows.len(), last)
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_come_to_their_end_or_say_that_they_do_not() {
    let pki = Pki::new();
    let books = Books::start(&pki.books()).await;
    let shop = client(&pki.shop(), books.address);
    for (total, expect) in [
        ("held", Page::End),
        ("broken", Page::Failed("its file is gone".to_owned())),
        ("cut", Page::Failed("its answer was cut off".to_owned())),
    ] {
        let (count, last) = read(in_time(shop.open(ask(total, "orders"))).await.unwrap()).await;
        assert_eq!(last, Some(expect), "{total}");
        assert!(count == 2_000 || total != "held", "{count}");
    }
}

#[tokio::test]
async fn only_a_side_of_the_total_that_the_certificate_names_may_ask() {
    let pki = Pki::new();
    let (lines, _guard) = Lines::keep();
    let books = Books::start(&pki.books()).await;
    let shop = client(&pki.shop(), books.address);
    for (total, side, line) in [
        ("held", "mail", "the certificate of host `shop` does not name `mail`"),
        ("held", "storefront", "`storefront` neither declares nor mends the total `held`"),
        ("secret", "orders", "`orders` neither declares nor mends the total `secret`"),
    ] {
        let refused = in_time(shop.open(ask(total, side))).await.unwrap_err();
        assert!(refused.to_string().contains("does not accept the call"), "{total} for {side}: {refused}");
        lines.with(&["refused", line]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_is_not_read_any_more_ends_at_its_host() {
    let pki = Pki::new();
    let mut books = Books::start(&pki.books()).await;
    let shop = client(&pki.shop(), books.address);
    let mut pages = in_time(shop.open(ask("endless", "orders"))).await.unwrap();
    assert!(matches!(in_time(pages.recv()).await, Some(Page::Rows(_))));
    drop(pages);
    in_time(ENDED.notified()).await;

    // And one that is read ends when its host stops.
    let pages = in_time(shop.open(ask("endless", "orders"))).await.unwrap();
    books.stop();
    let (_, last) = read(pages).await;
    assert_eq!(last, Some(Page::Failed("its host stops".to_owned())));
    books.stopped().await;
}
