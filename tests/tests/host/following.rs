//! A variant that is added later first gets the events that the others have had, and serves no call before.

use std::time::Duration;

use anyhow::Result;
use seam::delivery::{Deliveries, Tallies};
use seam_runtime::route::RouteRejected;
use seam_runtime::serve::Registry;
use seam_tests::publishing::{How, PUBLISHES, Reader, got, publisher, write};
use seam_tests::shop::Shop;
use seam_tests::{System, call, repo, wait};
use wasmtime::component::Val;

const ONE: Reader = Reader { sign: 1, traps_on: u32::MAX, refuses_from: u32::MAX };
const NEW: Reader = Reader { sign: 2, ..ONE };

/// `reader` with the main variant `one` and the variant `new`.
fn system(new: Reader) -> Result<System> {
    let subscribes = "subscribes.\"t:book/events\" = { batch = 50, pause_max_s = 1 }";
    System::new()
        .context("book", &publisher()?, PUBLISHES)?
        .context("reader", &ONE.component()?, &format!("main_variant = \"one\"\nstore = true\n{subscribes}"))?
        .variant("reader", "new", Some(&new.component()?), "")
}

fn started(system: &System) -> Result<Registry> {
    system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))
}

fn route(registry: &Registry, changes: &str) -> Result<(), RouteRejected> {
    let changes: Vec<String> = changes.split_whitespace().map(ToOwned::to_owned).collect();
    registry.route("reader", &changes).map(drop)
}

fn state(registry: &Registry) -> String {
    registry.routes().remove(0).variants[1].state.to_string()
}

/// Waits until the state of the variant begins with these words.
fn until_state(registry: &Registry, words: &str) -> Result<String> {
    wait::until(wait::TIMEOUT, || {
        let state = state(registry);
        Ok(if state.starts_with(words) { Ok(state) } else { Err(format!("it is {state:?}, not {words:?}")) })
    })
}

/// Which variant answers for `reader`.
fn answers(registry: &Registry) -> Result<u32> {
    match call(registry, "reader", "reading.sign", &[], 5_000)? {
        Val::Result(Ok(Some(sign))) => match *sign {
            Val::U32(sign) => Ok(sign),
            other => anyhow::bail!("{other:?}"),
        },
        other => anyhow::bail!("{other:?}"),
    }
}

#[test]
fn a_variant_gets_all_events_before_it_answers_and_goes_on_from_there() -> Result<()> {
    let system = system(NEW)?;
    let registry = started(&system)?;
    write(&registry, 0, 234, How::Together)?;
    assert_eq!(state(&registry), "catching up: 0 events");
    let refused = route(&registry, "new=1 one=0").unwrap_err();
    assert_eq!(refused.to_string(), "`reader@new` has not caught up: catching up: 0 events");
    assert!(route(&registry, "shadow=new").is_err());

    let _deliveries = Deliveries::start(registry.clone(), Tallies::default());
    until_state(&registry, "ready")?;
    assert_eq!(got(&registry, "reader@new")?, (0..234).collect::<Vec<_>>());
    route(&registry, "new=1 one=0")?;
    assert_eq!(answers(&registry)?, 2);

    write(&registry, 234, 2, How::Each)?;
    for variant in ["reader@one", "reader@new"] {
        wait::until(wait::TIMEOUT, || {
            let numbers = got(&registry, variant)?;
            Ok(if numbers == (0..236).collect::<Vec<_>>() { Ok(()) } else { Err(format!("{variant}: {numbers:?}")) })
        })?;
    }
    Ok(())
}

#[test]
fn a_variant_that_has_caught_up_serves_at_once_after_a_restart_and_without_its_file_starts_over() -> Result<()> {
    let system = system(NEW)?;
    let registry = started(&system)?;
    write(&registry, 0, 10, How::Together)?;
    let deliveries = Deliveries::start(registry.clone(), Tallies::default());
    until_state(&registry, "ready")?;
    route(&registry, "new=1 one=0")?;
    drop((deliveries, registry));

    let registry = restarted(&system)?;
    assert_eq!((state(&registry).as_str(), answers(&registry)?), ("ready", 2));
    drop(registry);

    for suffix in ["", "-wal", "-shm"] {
        let file = system.folder.path().join(format!("data/stores/reader@new.db{suffix}"));
        if file.exists() {
            std::fs::remove_file(file)?;
        }
    }
    let registry = restarted(&system)?;
    assert_eq!(state(&registry), "catching up: 0 events", "a new file starts at the first event");
    assert_eq!(answers(&registry)?, 1, "the main variant answers for it");
    let _deliveries = Deliveries::start(registry.clone(), Tallies::default());
    until_state(&registry, "ready")?;
    assert_eq!((answers(&registry)?, got(&registry, "reader@new")?.len()), (2, 10));
    Ok(())
}

/// Starts again once the threads that delivered have let go of the files.
fn restarted(system: &System) -> Result<Registry> {
    wait::until(wait::TIMEOUT, || Ok(started(system).map_err(|error| format!("{error:#}"))))
}

#[test]
fn a_variant_that_fails_is_behind_and_goes_on_when_it_can() -> Result<()> {
    let system = system(Reader { refuses_from: 90, ..NEW })?;
    let registry = started(&system)?;
    write(&registry, 0, 90, How::Together)?;
    let _deliveries = Deliveries::start(registry.clone(), Tallies::default());
    until_state(&registry, "ready")?;
    route(&registry, "new=1 one=0")?;
    write(&registry, 90, 2, How::Together)?;
    until_state(&registry, "behind: 2 events wait for another try, the first after: refused(90)")?;
    assert_eq!((answers(&registry)?, got(&registry, "reader@new")?.len()), (2, 90), "it answers with what it knows");

    // Another version of it takes them.
    let file = system.folder.path().join("next.wasm");
    std::fs::write(&file, Reader { sign: 3, ..NEW }.component()?)?;
    let mut specs = registry.specs();
    specs.iter_mut().find(|spec| spec.settings.name.as_str() == "reader@new").unwrap().component =
        registry.load(&file)?;
    registry.publish(registry.prepare(specs)?)?;
    until_state(&registry, "ready")?;
    assert_eq!((answers(&registry)?, got(&registry, "reader@new")?.len()), (3, 92));
    Ok(())
}

#[test]
fn a_variant_that_handles_nothing_never_answers() -> Result<()> {
    let system = system(Reader { refuses_from: 0, ..NEW })?;
    let registry = started(&system)?;
    write(&registry, 0, 5, How::Together)?;
    let _deliveries = Deliveries::start(registry.clone(), Tallies::default());
    let state = until_state(&registry, "not ready: 5 events wait for another try, the first after: refused(0)")?;
    let refused = route(&registry, "new=1").unwrap_err().to_string();
    assert_eq!(refused, format!("`reader@new` has not caught up: {state}"));
    Ok(())
}

#[test]
fn an_engine_that_joins_the_shop_learns_its_orders_and_says_what_the_others_say() -> Result<()> {
    let shop = Shop::new()?;
    // The same engine once more: what it says tells whether it knows the same.
    std::fs::copy(repo().join("target/components/recommendation.wasm"), shop.folder.path().join("again.wasm"))?;
    let manifest = std::fs::read_to_string(shop.manifest())?;
    shop.write_manifest(&format!("{manifest}\n[context.recommendation.variant.again]\ncomponent = \"again.wasm\"\n"))?;
    let host = shop.up()?;
    let routes = || {
        Ok::<_, anyhow::Error>(serde_json::from_str::<serde_json::Value>(&shop.seam(&["route", "--format", "json"])?)?)
    };
    until(|| Ok(routes()?[0]["variants"][1]["state"] == "ready"))?;
    shop.seam(&["route", "recommendation", "shadow=again"])?;
    let home = host.get("/")?.text();
    let links = home.split("href=\"/albums/").skip(1).filter_map(|after| after.split('"').next());
    let links: Vec<_> = links.filter(|link| link.ends_with("?via=recommendation")).collect();
    assert!(links.len() >= 6, "{home}");
    for link in &links {
        assert_eq!(host.get(&format!("/albums/{link}"))?.status, 200);
    }
    let compare = || {
        let said = shop.seam(&["compare", "recommendation", "--format", "json"])?;
        Ok::<_, anyhow::Error>(serde_json::from_str::<serde_json::Value>(&said)?["variants"].clone())
    };
    let calls = links.len() as u64 + 1;
    until(|| {
        let beside = compare()?[1]["beside"].clone();
        Ok(["compared", "failed", "dropped"].iter().filter_map(|key| beside[key].as_u64()).sum::<u64>() >= calls)
    })?;
    let variants = compare()?;
    let (rust, again) = (&variants[0], &variants[1]);
    assert_eq!((&rust["name"], &rust["clicks"]), (&"rust".into(), &links.len().into()));
    let beside = &again["beside"];
    assert!(beside["compared"].as_u64() > Some(0) && beside["equal"] == beside["compared"], "{again}");
    assert_eq!((&beside["overlap"], &beside["failed"]), (&1.0.into(), &0.into()));
    assert!(host.stop(Duration::from_secs(10))?.success());
    Ok(())
}

fn until(done: impl Fn() -> Result<bool>) -> Result<()> {
    wait::until(wait::TIMEOUT, || Ok(done()?.then_some(()).ok_or_else(|| "it is not done".to_owned())))
}
