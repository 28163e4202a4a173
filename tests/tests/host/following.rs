//! A variant that is added later first learns what the others know, and serves no call before.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Result;
use seam::follow;
use seam_runtime::call::{Affinity, Call};
use seam_runtime::route::RouteRejected;
use seam_runtime::serve::Registry;
use seam_store::ids::Trace;
use seam_tests::shop::Shop;
use seam_tests::{MEMORY, System, call, component, repo, wait};
use wasmtime::component::Val;

/// `book.page`: records of `at` (1, 2, ... up to how often `book.write` was called) and the text `A`. The count is kept
/// in the store, as is everything that has to last.
fn keeper() -> Result<Vec<u8>> {
    let wit = "package t:keeper@0.1.0;
         interface book {
             variant error { unavailable(string) }
             record entry { at: u64, id: string, weight: u32 }
             page: func(after: u64, count: u32) -> result<list<entry>, error>;
             write: func(count: u32) -> result<u32, error>;
         }
         world this { export book; }";
    // An entry is 24 bytes: at, id (8), weight, padding. The global holds the end of the book.
    let wat = format!(
        r#"(module {MEMORY} (data (i32.const 512) "A") (global $end (mut i64) (i64.const 0))
            (func (export "t:keeper/book@0.1.0#write") (param $n i32) (result i32)
                (global.set $end (i64.add (global.get $end) (i64.extend_i32_u (local.get $n))))
                (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.wrap_i64 (global.get $end)))
                (i32.const 16))
            (func (export "t:keeper/book@0.1.0#page") (param $after i64) (param $count i32) (result i32) (local $n i32) (local $at i32)
                (loop $next
                    (if (i32.and (i64.lt_u (local.get $after) (global.get $end)) (i32.lt_u (local.get $n) (local.get $count)))
                        (then
                            (local.set $after (i64.add (local.get $after) (i64.const 1)))
                            (local.set $at (i32.add (i32.const 8192) (i32.mul (local.get $n) (i32.const 24))))
                            (i64.store (local.get $at) (local.get $after))
                            (i32.store offset=8 (local.get $at) (i32.const 512)) (i32.store offset=12 (local.get $at) (i32.const 1))
                            (i32.store offset=16 (local.get $at) (i32.const 7))
                            (local.set $n (i32.add (local.get $n) (i32.const 1)))
                            (br $next))))
                (i32.store (i32.const 16) (i32.const 0))
                (i32.store (i32.const 20) (i32.const 8192)) (i32.store (i32.const 24) (local.get $n))
                (i32.const 16)))"#
    );
    component(wit, "this", &wat)
}

/// `lesson.learn` counts its records, `lesson.known` returns the count plus `sign`. Takes at most `most` records at a
/// time, and none after `full`.
fn learner(sign: u32, most: u32, full: u32) -> Result<Vec<u8>> {
    let wit = "package t:learner@0.1.0;
         interface lesson {
             variant error { refused(u32), unavailable(string) }
             record item { name: string, weight: u32 }
             learn: func(items: list<item>) -> result<u32, error>;
             known: func() -> result<u32, error>;
         }
         world this { export lesson; }";
    let wat = format!(
        r#"(module {MEMORY} (global $known (mut i32) (i32.const 0))
            (func $ok (param i32) (result i32)
                (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (local.get 0)) (i32.const 16))
            (func (export "t:learner/lesson@0.1.0#learn") (param i32) (param $n i32) (result i32)
                (global.set $top (i32.const 4096))
                (if (result i32) (i32.or (i32.gt_u (local.get $n) (i32.const {most}))
                        (i32.gt_u (i32.add (global.get $known) (local.get $n)) (i32.const {full})))
                    (then (i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 0))
                          (i32.store (i32.const 24) (local.get $n)) (i32.const 16))
                    (else
                        (global.set $known (i32.add (global.get $known) (local.get $n)))
                        (call $ok (local.get $n)))))
            (func (export "t:learner/lesson@0.1.0#known") (result i32)
                (call $ok (i32.add (global.get $known) (i32.const {sign})))))"#
    );
    component(wit, "this", &wat)
}

const CATCH_UP: &str = "catch_up = { from = \"keeper\", call = \"book.page\", into = \"lesson.learn\", cursor = \"at\", rename = { id = \"name\" } }";
const ANY: u32 = 1_000_000;

/// Instances are used again, one at a time: what a guest of these tests keeps in a global lasts as long as its
/// generation.
fn system(most: u32, full: u32) -> Result<System> {
    let lines = format!("main_variant = \"one\"\nstore = true\n{CATCH_UP}");
    System::new()
        .context("keeper", &keeper()?, "")?
        .context("learner", &learner(1_000_000, ANY, ANY)?, &lines)?
        .variant("learner", "new", Some(&learner(2_000_000, most, full)?), "")
}

fn started(system: &System) -> Result<Registry> {
    system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))
}

fn number(registry: &Registry, context: &str, function: &str, params: &[Val]) -> Result<u32> {
    match call(registry, context, function, params, 5_000)? {
        Val::Result(Ok(Some(n))) => match *n {
            Val::U32(n) => Ok(n),
            other => anyhow::bail!("{other:?}"),
        },
        other => anyhow::bail!("{other:?}"),
    }
}

fn route(registry: &Registry, changes: &str) -> Result<(), RouteRejected> {
    let changes: Vec<String> = changes.split_whitespace().map(ToOwned::to_owned).collect();
    registry.route("learner", &changes).map(drop)
}

fn state(registry: &Registry) -> String {
    registry.routes().remove(0).variants[1].state.to_string()
}

fn step(registry: &Registry) {
    follow::step(registry, &AtomicBool::new(false));
}

#[test]
fn a_variant_learns_the_whole_history_before_it_answers_and_goes_on_from_there() -> Result<()> {
    let system = system(ANY, ANY)?;
    let registry = started(&system)?;
    // More than two pages.
    number(&registry, "keeper", "book.write", &[Val::U32(1_234)])?;
    assert_eq!(state(&registry), "catching up: 0 records");
    let refused = route(&registry, "new=1").unwrap_err();
    assert_eq!(refused.to_string(), "`learner@new` has not caught up: catching up: 0 records");
    assert!(route(&registry, "shadow=new").is_err());
    step(&registry);
    assert_eq!(state(&registry), "ready");
    assert_eq!(number(&registry, "learner@new", "lesson.known", &[])?, 2_001_234);
    route(&registry, "new=1")?;
    assert_eq!(number(&registry, "learner", "lesson.known", &[])?, 2_001_234);

    // What the context learns goes to the main one, and rings; the others hear it from the history.
    let item = |name: &str| {
        let fields = [("name", Val::String(name.to_owned())), ("weight", Val::U32(7))];
        Val::Record(fields.map(|(name, value)| (name.to_owned(), value)).into())
    };
    number(&registry, "keeper", "book.write", &[Val::U32(2)])?;
    number(&registry, "learner", "lesson.learn", &[Val::List(vec![item("a"), item("b")])])?;
    let rung = Instant::now();
    registry.learned().wait(Duration::from_secs(20));
    assert!(rung.elapsed() < Duration::from_secs(10), "it was rung");
    assert_eq!(number(&registry, "learner@one", "lesson.known", &[])?, 1_000_002);
    assert_eq!(number(&registry, "learner@new", "lesson.known", &[])?, 2_001_234);
    step(&registry);
    assert_eq!(number(&registry, "learner@new", "lesson.known", &[])?, 2_001_236);
    step(&registry);
    assert_eq!(
        number(&registry, "learner@new", "lesson.known", &[])?,
        2_001_236,
        "nothing is learned twice without need"
    );
    Ok(())
}

#[test]
fn the_cursor_survives_a_restart_and_a_variant_that_has_caught_up_serves_at_once() -> Result<()> {
    let system = system(ANY, ANY)?;
    let registry = started(&system)?;
    number(&registry, "keeper", "book.write", &[Val::U32(10)])?;
    step(&registry);
    route(&registry, "new=1")?;
    drop(registry);
    let registry = started(&system)?;
    // The guests of this test have forgotten everything: what they learn now came after the cursor.
    assert_eq!(number(&registry, "learner", "lesson.known", &[])?, 2_000_000);
    number(&registry, "keeper", "book.write", &[Val::U32(13)])?;
    step(&registry);
    assert_eq!(number(&registry, "learner", "lesson.known", &[])?, 2_000_003);
    drop(registry);
    std::fs::remove_file(system.folder.path().join("data/stores/learner@new.db"))?;
    let registry = started(&system)?;
    number(&registry, "keeper", "book.write", &[Val::U32(13)])?;
    assert_eq!(state(&registry), "catching up: 0 records", "a new file begins at the beginning");
    assert_eq!(number(&registry, "learner", "lesson.known", &[])?, 1_000_000, "and the main one answers for it");
    step(&registry);
    assert_eq!(number(&registry, "learner", "lesson.known", &[])?, 2_000_013);
    Ok(())
}

#[test]
fn a_learner_that_cannot_take_a_whole_page_gets_less_at_a_time() -> Result<()> {
    let system = system(9, ANY)?;
    let registry = started(&system)?;
    number(&registry, "keeper", "book.write", &[Val::U32(1_000)])?;
    step(&registry);
    assert_eq!(state(&registry), "ready");
    assert_eq!(number(&registry, "learner@new", "lesson.known", &[])?, 2_001_000);
    Ok(())
}

#[test]
fn a_variant_that_cannot_learn_is_named_as_behind_and_goes_on_when_it_can() -> Result<()> {
    let system = system(ANY, 600)?;
    let registry = started(&system)?;
    number(&registry, "keeper", "book.write", &[Val::U32(590)])?;
    step(&registry);
    route(&registry, "new=1")?;
    number(&registry, "keeper", "book.write", &[Val::U32(20)])?;
    step(&registry);
    assert!(state(&registry).starts_with("behind: it rejects the records after 600"), "{}", state(&registry));
    let live = registry.live_for("learner", Affinity::by(b"ada"), std::iter::empty(), None)?;
    let export = live.generation().exports().iter().find(|export| export.function == "known").unwrap();
    let now = Call::start(Instant::now() + Duration::from_secs(5), Trace::start());
    let known = Val::Result(Ok(Some(Box::new(Val::U32(2_000_600)))));
    assert_eq!(live.call(now, export, &[])?, [known], "it answers with what it knows");

    // Another version of it takes more.
    let file = system.folder.path().join("next.wasm");
    std::fs::write(&file, learner(3_000_000, ANY, ANY)?)?;
    let mut parts = registry.specs();
    parts.iter_mut().find(|part| part.settings.name.as_str() == "learner@new").unwrap().component =
        registry.load(&file)?;
    registry.publish(registry.prepare(parts)?)?;
    step(&registry);
    assert_eq!(state(&registry), "ready");
    assert_eq!(number(&registry, "learner", "lesson.known", &[])?, 3_000_010);
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

#[test]
fn a_history_that_does_not_fit_is_refused_with_its_reason() -> Result<()> {
    let catch_up =
        |changes: &[(&str, &str)]| changes.iter().fold(CATCH_UP.to_owned(), |text, (from, to)| text.replace(from, to));
    for (changes, expect) in [
        (&[("book.page", "book.pages")][..], "keeper has no `book.pages`"),
        (&[("lesson.learn", "lesson.forget")], "the context has no `lesson.forget`"),
        (
            &[("book.page", "book.write")],
            "`book.write` is not a `func(after: u64, count: u32) -> result<list<record>, _>`",
        ),
        (&[("lesson.learn", "lesson.known")], "`lesson.known` must take one list of records and nothing else"),
        (&[("\"at\"", "\"weight\"")], "`book.page` has no field `weight` of type u64"),
        (&[("id = ", "ids = ")], "`book.page` has no field `ids` to rename"),
        (&[(", rename = { id = \"name\" }", "")], "`book.page` has no field `name`, which `lesson.learn` needs"),
        (
            &[("id = \"name\"", "at = \"name\"")],
            "`name` of `lesson.learn` and `at` of `book.page` are of different types",
        ),
    ] {
        let system = System::new().context("keeper", &keeper()?, "")?.context(
            "learner",
            &learner(0, ANY, ANY)?,
            &format!("store = true\n{}", catch_up(changes)),
        )?;
        let problems = system.start()?.err().unwrap_or_default();
        let text: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(text, [format!("variants of `learner` cannot catch up: {expect}")]);
    }
    Ok(())
}
