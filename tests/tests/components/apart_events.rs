//! Events whose publisher lives on another host than their subscriber. Without a network: `seam_tests::apart`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seam::delivery::{Deliveries, SubscriptionStatus, Tallies, statuses};
use seam_runtime::serve::Registry;
use seam_store::clock::Clock;
use seam_tests::apart::Apart;
use seam_tests::publishing::{How, PUBLISHES, Reader, got, publisher, write};
use seam_tests::wait::{TIMEOUT, until};
use seam_tests::{System, call};
use wasmtime::component::Val;

/// `reader`, with two variants, takes the events of `book`.
fn system(publishes: &str) -> Result<System> {
    let subscribes = "main_variant = \"one\"\nstore = true\nsubscribes.\"t:book/events\" = { batch = 10 }";
    System::new()
        .context("book", &publisher()?, publishes)?
        .context("reader", &Reader::default().component()?, subscribes)?
        .variant("reader", "new", Some(&Reader { sign: 2, ..Reader::default() }.component()?), "")
}

fn until_got(here: &Registry, numbers: u32) -> Result<()> {
    let all: Vec<u32> = (1..=numbers).collect();
    for reader in ["reader", "reader@new"] {
        until(TIMEOUT, || {
            let got = got(here, reader)?;
            Ok(if got == all { Ok(()) } else { Err(format!("{reader} has {got:?}, not 1 to {numbers}")) })
        })?;
    }
    Ok(())
}

/// Waits until the subscription of `reader` is as wanted.
fn until_status(
    registry: &Registry,
    tallies: &Tallies,
    what: &str,
    is: impl Fn(&SubscriptionStatus) -> bool,
) -> Result<()> {
    until(TIMEOUT, || {
        let all = statuses(registry, tallies);
        let status = all.iter().find(|status| status.subscriber == "reader").context("no subscription")?;
        Ok(if is(status) { Ok(()) } else { Err(format!("not so: {what}: {status:?}")) })
    })
}

#[test]
fn events_of_another_host_have_their_effect_once_also_when_it_is_cut_off() -> Result<()> {
    let system = system(PUBLISHES)?;
    let Apart { here, there, wire, .. } = &system.start_apart(&["book"])?;
    let (tallies, elsewhere) = (Tallies::default(), Tallies::default());
    let _deliveries = Deliveries::start(here.clone(), tallies.clone());
    write(there, 1, 3, How::Each)?;
    write(there, 90, 3, How::RolledBack)?;
    until_got(here, 3)?;
    for (registry, tallies) in [(here, &tallies), (there, &elsewhere)] {
        until_status(registry, tallies, "it has everything", |status| {
            status.lag == Some(0) && status.position.is_some_and(|at| at > 0) && status.away.is_none()
        })?;
    }
    let of_there = statuses(there, &elsewhere);
    let variants: Vec<_> = of_there.iter().map(|each| (each.subscriber.as_str(), each.at.as_deref())).collect();
    assert_eq!(variants, [("reader", Some("the other")), ("reader@new", Some("the other"))]);
    assert_eq!(of_there[0].dead, None, "what waits is known where the subscriber lives");
    until(TIMEOUT, || {
        let states = here.routes().remove(0).variants.into_iter().map(|variant| variant.state.to_string());
        let states: Vec<String> = states.collect();
        Ok(if states[1] == "ready" { Ok(()) } else { Err(format!("{states:?}")) })
    })?;

    wire.cut();
    write(there, 4, 50, How::Together)?;
    until_status(here, &tallies, "its publisher's host is gone", |status| {
        status.away.as_deref() == Some("`book` is not available: its host is gone") && status.lag.is_none()
    })?;
    until_status(there, &elsewhere, "it lags", |status| status.lag == Some(50))?;
    wire.mend();
    until_got(here, 53)?;
    until_status(here, &tallies, "it goes on", |status| status.away.is_none() && status.lag == Some(0))?;
    // One by one, each after the one before has arrived: each wakes the subscriber.
    for number in 54..=60 {
        write(there, number, 1, How::Each)?;
        until_got(here, number)?;
    }
    Ok(())
}

#[test]
fn while_nothing_is_published_no_further_question_is_asked() -> Result<()> {
    let system = system(PUBLISHES)?;
    let Apart { here, there, wire, .. } = &system.start_apart(&["book"])?;
    let tallies = Tallies::default();
    let _deliveries = Deliveries::start(here.clone(), tallies.clone());
    write(there, 1, 1, How::Each)?;
    until_got(here, 1)?;
    until_status(here, &tallies, "it waits", |status| status.lag == Some(0))?;
    let asks = || wire.asks.load(Ordering::SeqCst);
    // The questions of both variants wait from here on.
    let before = until(TIMEOUT, || {
        let before = asks();
        statuses(here, &tallies);
        Ok(if asks() == before { Ok(before) } else { Err("it still asks".to_owned()) })
    })?;
    for _ in 0..100 {
        for status in statuses(here, &tallies) {
            assert_eq!((status.lag, status.away), (Some(0), None));
        }
    }
    assert_eq!(asks(), before);
    Ok(())
}

#[test]
fn what_a_subscriber_elsewhere_may_still_need_is_kept_until_it_has_it() -> Result<()> {
    let time = Clock::manual();
    let system = system("store = true\npublishes.\"t:book/events\" = { key = \"number\", keep = \"1m\" }")?;
    let Apart { here, there, wire, .. } = &system.start_apart_by(&["book"], &time.clock())?;
    wire.cut();
    let _forgets = Deliveries::start(there.clone(), Tallies::default());
    let live = there.live("book")?;
    let outbox = live.generation().database().context("a store")?;
    let kept = || -> Result<u64> { Ok(outbox.outbox_rows(100)?) };
    write(there, 1, 20, How::Together)?;
    let forget = || time.advance(Duration::from_secs(3_600));
    forget();
    let tallies = Tallies::default();
    until_status(there, &tallies, "it was never heard of", |status| {
        let why = "its host `the other` has not asked for events since this host started; they are kept";
        status.away.as_deref() == Some(why)
    })?;
    assert_eq!(kept()?, 20);
    wire.mend();
    let _deliveries = Deliveries::start(here.clone(), Tallies::default());
    until_got(here, 20)?;
    until_status(there, &tallies, "it has everything", |status| status.lag == Some(0))?;
    until(TIMEOUT, || {
        forget();
        let kept = kept()?;
        Ok(if kept == 1 { Ok(()) } else { Err(format!("{kept} are kept")) })
    })?;
    write(there, 21, 5, How::Together)?;
    until_got(here, 25)?;
    // Of a host that is gone, what it has said last is what it has.
    wire.cut();
    write(there, 26, 5, How::Together)?;
    until(TIMEOUT, || {
        forget();
        let kept = kept()?;
        Ok(if kept == 5 { Ok(()) } else { Err(format!("{kept} are kept")) })
    })?;
    until_status(there, &tallies, "it is silent", |status| {
        status.away.as_deref().is_some_and(|why| why.contains("has not asked for events for"))
    })?;
    wire.mend();
    until_got(here, 30)
}

#[test]
fn a_publisher_whose_file_was_put_back_is_noticed_as_in_one_process() -> Result<()> {
    let system = system(PUBLISHES)?;
    let Apart { here, there, .. } = &system.start_apart(&["book"])?;
    write(there, 1, 2, How::Each)?;
    let source = seam_tests::publishing::source();
    let live = here.live("reader")?;
    let inbox = live.generation().database().context("a store")?;
    let mut tx = inbox.begin(std::time::Instant::now() + Duration::from_secs(20))?;
    tx.seen(&source, u64::MAX >> 2)?;
    tx.commit()?;
    let tallies = Tallies::default();
    let _deliveries = Deliveries::start(here.clone(), tallies.clone());
    until_status(here, &tallies, "its position is from the future", |status| {
        status.away.as_deref().is_some_and(|why| why.contains("is its file the right one?"))
    })?;
    ensure!(got(here, "reader")?.is_empty());
    Ok(())
}

#[test]
fn a_context_calls_another_host_while_it_takes_events_from_there() -> Result<()> {
    let system = system(PUBLISHES)?;
    let Apart { here, there, .. } = &system.start_apart(&["book"])?;
    let _deliveries = Deliveries::start(here.clone(), Tallies::default());
    // Published by a call that came from the other host.
    let written = call(here, "book", "writing.write", &[Val::U32(1), Val::U32(5), Val::U32(1)], 20_000)?;
    assert_eq!(written, Val::Result(Ok(Some(Box::new(Val::U32(5))))));
    until_got(here, 5)?;
    assert!(there.live("book")?.generation().database().is_some());
    Ok(())
}
