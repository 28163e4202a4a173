//! Events from one context to another through the whole host: none is lost and none has its effect twice.

use anyhow::{Result, ensure};
use seam_tests::news::News;
use seam_tests::wait;

/// Waits until `taker` has so many news, and checks that none came twice.
pub(super) fn has(news: &News, taker: &str, events: u64) -> Result<()> {
    wait::until(wait::TIMEOUT, || {
        let (taken, _) = news.taken(taker)?;
        Ok(if taken >= events { Ok(()) } else { Err(format!("{taken} of {events} events are there")) })
    })?;
    let (taken, most) = news.taken(taker)?;
    ensure!((taken, most) == (events, 1), "{taken} events, of which one came {most} times");
    Ok(())
}

#[test]
fn what_is_published_arrives_and_what_is_rolled_back_does_not() -> Result<()> {
    let news = News::new("{ batch = 50 }", "")?;
    let _host = news.up()?;
    news.seam(&["call", "sender", "sender.send(1, 500, 7)"])?;
    news.seam(&["call", "sender", "sender.change-mind(1000)"])?;
    news.seam(&["call", "sender", "sender.send-alone(1001)"])?;
    news.seam(&["call", "sender", "sender.note(1002, true)"])?;
    news.seam(&["call", "sender", "sender.note(1003, false)"])?;
    has(&news, "taker", 502)
}

#[test]
fn no_event_is_lost_or_comes_twice_when_the_host_is_killed() -> Result<()> {
    let news = News::new("{ batch = 10 }", "")?;
    let mut acknowledged = 0;
    for round in 0..6u64 {
        let host = news.up()?;
        for number in 0..20 {
            news.seam(&["call", "sender", &format!("sender.note({}, true)", round * 100 + number)])?;
            acknowledged += 1;
        }
        news.seam(&["call", "sender", &format!("sender.send({}, 300, 5)", 10_000 + round * 1_000)])?;
        // Some of them are delivered by now.
        host.kill()?;
    }
    let _host = news.up()?;
    has(&news, "taker", acknowledged + 6 * 300)?;
    ensure!(news.seam(&["call", "sender", "sender.notes()"])?.contains(&acknowledged.to_string()));
    Ok(())
}

#[test]
fn a_new_subscriber_reads_from_the_start() -> Result<()> {
    let news = News::new("{ batch = 100 }", "")?;
    let host = news.up()?;
    news.seam(&["call", "sender", "sender.send(1, 250, 7)"])?;
    has(&news, "taker", 250)?;
    drop(host);
    let taker = seam_tests::news::component("taker")?;
    let mut text = std::fs::read_to_string(news.manifest())?;
    text.push_str(&format!(
        "[context.late]\ncomponent = {taker:?}\nstore = true\nsubscribes.\"seambench:shop/news\" = {{}}\n"
    ));
    std::fs::write(news.manifest(), text)?;
    let _host = news.up()?;
    has(&news, "late", 250)?;
    has(&news, "taker", 250)
}

#[test]
fn events_flow_on_while_the_subscriber_is_swapped() -> Result<()> {
    let news = News::new("{ batch = 5 }", "")?;
    let _host = news.up()?;
    let taker = seam_tests::news::component("taker")?;
    let other = news.data().join("other.wasm");
    // Another version: the same component with a section more, which says nothing.
    let mut bytes = std::fs::read(&taker)?;
    bytes.extend([0, 2, 1, b'x']);
    std::fs::write(&other, bytes)?;
    let mut sent = 0;
    for round in 0..4u64 {
        news.seam(&["call", "sender", &format!("sender.send({}, 400, 9)", round * 1_000)])?;
        sent += 400;
        let version = if round % 2 == 0 { &other } else { &taker };
        news.seam(&["deploy", "taker", &version.to_string_lossy(), "--watch", "0"])?;
    }
    has(&news, "taker", sent)
}
