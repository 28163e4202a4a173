//! Events from one context to another: in the publisher's transaction, in order, once, whatever the subscriber does.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use seam::delivery::{Deliveries, Tallies};
use seam_runtime::serve::Registry;
use seam_store::WaitState;
use seam_tests::publishing::{How, PUBLISHES, Reader, got, publisher, source, write};
use seam_tests::{System, wait};

fn system(reader: Reader, subscribes: &str) -> Result<(System, Registry)> {
    let lines = format!("store = true\nsubscribes.\"t:book/events\" = {{ {subscribes} }}");
    let system =
        System::new().context("book", &publisher()?, PUBLISHES)?.context("reader", &reader.component()?, &lines)?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    Ok((system, registry))
}

/// Waits until the reader has so many numbers.
fn until_got(registry: &Registry, count: usize) -> Result<Vec<u32>> {
    wait::until(wait::TIMEOUT, || {
        let numbers = got(registry, "reader")?;
        Ok(if numbers.len() >= count {
            Ok(numbers)
        } else {
            Err(format!("it has {} of {count} numbers", numbers.len()))
        })
    })
}

#[test]
fn what_is_committed_is_delivered_and_what_is_rolled_back_is_not() -> Result<()> {
    let (_system, registry) = system(Reader::default(), "batch = 10")?;
    let _deliveries = Deliveries::start(registry.clone(), Tallies::default());
    write(&registry, 1, 3, How::Each)?;
    write(&registry, 50, 5, How::RolledBack)?;
    write(&registry, 4, 30, How::Together)?;
    assert_eq!(until_got(&registry, 33)?, (1..=33).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn a_subscriber_is_swapped_while_events_flow_and_none_is_lost_or_comes_twice() -> Result<()> {
    const ALL: u32 = 3_000;
    let (system, registry) = system(Reader::default(), "batch = 7")?;
    let _deliveries = Deliveries::start(registry.clone(), Tallies::default());
    let done = AtomicBool::new(false);
    let swaps = std::thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            let outcome = (0..ALL / 10).try_for_each(|n| write(&registry, n * 10, 10, How::Together));
            done.store(true, Ordering::Relaxed);
            outcome
        });
        let mut swaps = 0;
        while !done.load(Ordering::Relaxed) || swaps < 5 {
            let file = system.folder.path().join("next.wasm");
            std::fs::write(&file, Reader { sign: 2 + swaps, ..Reader::default() }.component()?)?;
            let mut specs = registry.specs();
            let reader = specs.iter_mut().find(|spec| spec.settings.name.as_str() == "reader");
            reader.expect("a reader").component = registry.load(&file)?;
            registry.publish(registry.prepare(specs)?)?;
            swaps += 1;
        }
        publishing.join().expect("the publisher ends")?;
        anyhow::Ok(swaps)
    })?;
    assert_eq!(until_got(&registry, ALL as usize)?, (0..ALL).collect::<Vec<_>>(), "after {swaps} swaps");
    Ok(())
}

#[test]
fn an_event_on_which_the_subscriber_traps_becomes_a_dead_letter_and_the_others_go_on() -> Result<()> {
    let (_system, registry) =
        system(Reader { traps_on: 5, ..Reader::default() }, "batch = 4, tries = 2, pause_max_s = 1")?;
    let _deliveries = Deliveries::start(registry.clone(), Tallies::default());
    write(&registry, 1, 10, How::Together)?;
    assert_eq!(until_got(&registry, 9)?, [1, 2, 3, 4, 6, 7, 8, 9, 10]);
    let dead = wait::until(wait::TIMEOUT, || {
        let live = registry.live("reader")?;
        let inbox = live.generation().database().expect("a store");
        let dead = inbox.waiting(&source(), Some(WaitState::Dead), 0, 10)?;
        Ok(if dead.is_empty() { Err(format!("{:?}", inbox.waiting_count(&source())?)) } else { Ok(dead) })
    })?;
    let [dead] = dead.as_slice() else { panic!("{dead:?}") };
    assert_eq!((dead.event.data.as_str(), dead.event.subject.as_deref(), dead.tries), ("5", Some("5"), 2));
    assert!(dead.reason.contains("unreachable"), "{}", dead.reason);
    assert_eq!(got(&registry, "reader")?.len(), 9, "nothing of it was kept");
    Ok(())
}

#[test]
fn what_the_handler_of_a_refused_event_wrote_is_undone() -> Result<()> {
    let (_system, registry) = system(Reader { refuses_from: 8, ..Reader::default() }, "batch = 20, tries = 1")?;
    // They are there before the first delivery, which takes all of them.
    write(&registry, 1, 10, How::Together)?;
    let _deliveries = Deliveries::start(registry.clone(), Tallies::default());
    wait::until(wait::TIMEOUT, || {
        let count = registry.live("reader")?.generation().database().expect("a store").waiting_count(&source())?;
        Ok(if count.dead == 3 { Ok(()) } else { Err(format!("{count:?}")) })
    })?;
    assert_eq!(got(&registry, "reader")?, (1..=7).collect::<Vec<_>>());
    Ok(())
}
