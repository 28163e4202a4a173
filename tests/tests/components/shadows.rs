//! A shadow is called beside the variant that answers: compared, never shown, never waited for, and unable to call
//! others.

use std::time::{Duration, Instant};

use anyhow::Result;
use seam_runtime::route::{Beside, Compared};
use seam_runtime::serve::Registry;
use seam_tests::host::{Host, seam};
use seam_tests::variants::{asking, front, numbers, numbers_with};
use seam_tests::{MEMORY, System, call, component, wait};
use wasmtime::component::Val;

const IMPORTS: &str = r#"imports = ["t:numbers/numbers"]"#;

fn started(system: &System) -> Result<Registry> {
    system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))
}

fn route(registry: &Registry, context: &str, changes: &str) {
    let changes: Vec<String> = changes.split_whitespace().map(ToOwned::to_owned).collect();
    registry.route(context, &changes).unwrap();
}

fn compared(registry: &Registry, context: &str, variant: &str) -> Compared {
    registry.compare(context).unwrap().variants.into_iter().find(|v| v.name == variant).unwrap()
}

/// What the shadow did, once it has dealt with so many calls.
fn beside(registry: &Registry, context: &str, variant: &str, calls: u64) -> Result<Beside> {
    wait::until(wait::TIMEOUT, || {
        let beside = compared(registry, context, variant).beside;
        let enough = beside.filter(|b| b.compared + b.failed + b.dropped >= calls);
        Ok(enough.ok_or_else(|| format!("it has not dealt with {calls} calls: {:?}", registry.compare(context))))
    })
}

fn ok(n: u32) -> Val {
    Val::Result(Ok(Some(Box::new(Val::U32(n)))))
}

#[test]
fn a_shadow_is_compared_and_never_shown() -> Result<()> {
    let system = System::new()
        .context("numbers", &numbers(1)?, "")?
        .variant("numbers", "same", Some(&numbers(1)?), "")?
        .variant("numbers", "odd", Some(&numbers(3)?), "")?
        .context("asking", &asking()?, IMPORTS)?;
    let registry = started(&system)?;
    let ask = || call(&registry, "asking", "asking.ask", &[Val::U32(7)], 5_000);
    assert_eq!(ask()?, ok(7));
    assert_eq!(compared(&registry, "numbers", "odd").beside, None);
    for (shadow, equal) in [("same", 5), ("odd", 0)] {
        route(&registry, "numbers", &format!("shadow={shadow}"));
        for _ in 0..5 {
            assert_eq!(ask()?, ok(7));
        }
        let expect = Beside { compared: 5, equal, overlap: None, failed: 0, dropped: 0 };
        assert_eq!(beside(&registry, "numbers", shadow, 5)?, expect);
    }
    let (main, odd) = (compared(&registry, "numbers", "main"), compared(&registry, "numbers", "odd"));
    assert_eq!((main.calls, main.errors, main.shadow, main.beside), (11, 0, false, None));
    assert_eq!((odd.calls, odd.errors, odd.shadow, odd.weight), (5, 0, true, 0));
    Ok(())
}

/// `words.some`: the texts `A` and `B`, or `B` and `C`, by where it begins.
fn words(first: char) -> Result<Vec<u8>> {
    let wit = "package t:words@0.1.0;
         interface words { variant error { unavailable(string) } some: func() -> result<list<string>, error>; }
         world this { export words; }";
    let first = u32::from(first) - u32::from('A');
    let wat = format!(
        r#"(module {MEMORY} (data (i32.const 512) "ABC")
            (func (export "t:words/words@0.1.0#some") (result i32)
                (i32.store (i32.const 16) (i32.const 0))
                (i32.store (i32.const 20) (i32.const 32)) (i32.store (i32.const 24) (i32.const 2))
                (i32.store (i32.const 32) (i32.const {one})) (i32.store (i32.const 36) (i32.const 1))
                (i32.store (i32.const 40) (i32.const {two})) (i32.store (i32.const 44) (i32.const 1))
                (i32.const 16)))"#,
        one = 512 + first,
        two = 513 + first
    );
    component(wit, "this", &wat)
}

#[test]
fn lists_are_compared_by_what_they_have_in_common() -> Result<()> {
    let system = System::new().context("words", &words('A')?, "")?.variant("words", "b", Some(&words('B')?), "")?;
    let registry = started(&system)?;
    route(&registry, "words", "shadow=b");
    for _ in 0..2 {
        call(&registry, "words", "words.some", &[], 5_000)?;
    }
    let beside = beside(&registry, "words", "b", 2)?;
    assert_eq!((beside.compared, beside.equal, beside.overlap), (2, 0, Some(1.0 / 3.0)));
    Ok(())
}

#[test]
fn no_caller_waits_for_a_shadow_and_calls_that_it_cannot_keep_up_with_are_dropped_and_counted() -> Result<()> {
    const CALLS: u64 = 300;
    let system = System::new()
        .context("numbers", &numbers(1)?, "")?
        .variant(
            "numbers",
            "endless",
            Some(&numbers_with("(loop $l (br $l)) unreachable")?),
            "limits = { timeout_ms = 100 }",
        )?
        .context("asking", &asking()?, IMPORTS)?;
    let registry = started(&system)?;
    route(&registry, "numbers", "shadow=endless");
    let began = Instant::now();
    for _ in 0..CALLS {
        assert_eq!(call(&registry, "asking", "asking.ask", &[Val::U32(7)], 5_000)?, ok(7));
    }
    let took = began.elapsed();
    // Each of them would take it 100 ms.
    assert!(took < Duration::from_millis(100) * CALLS as u32 / 4, "{took:?}");
    let taken = seam::limits::SHADOW_QUEUE_MAX as u64 + 1 + took.as_millis() as u64 / 500;
    let dropped = compared(&registry, "numbers", "endless").beside.unwrap().dropped;
    assert!(dropped >= CALLS - taken, "{dropped} of {CALLS}");
    let beside = beside(&registry, "numbers", "endless", dropped + 1)?;
    assert!(beside.failed >= 1 && beside.compared == 0, "{beside:?}");
    Ok(())
}

#[test]
fn a_shadow_calls_no_other_context() -> Result<()> {
    let system = System::new().context("numbers", &numbers(2)?, "")?.context("asking", &asking()?, IMPORTS)?.variant(
        "asking",
        "again",
        Some(&asking()?),
        "",
    )?;
    let registry = started(&system)?;
    route(&registry, "asking", "shadow=again");
    assert_eq!(call(&registry, "asking", "asking.ask", &[Val::U32(7)], 5_000)?, ok(14));
    let beside = beside(&registry, "asking", "again", 1)?;
    assert_eq!((beside.compared, beside.equal), (1, 0), "it answered that the other side is not there");
    let calls = |name: &str| registry.live(name).unwrap().generation().metrics.calls();
    assert_eq!((calls("numbers"), calls("asking@again")), (1, 1));
    Ok(())
}

#[test]
fn clicks_count_for_the_variant_that_the_visitor_got() -> Result<()> {
    let system = System::new()
        .lines("[http]\nrouting_key = [\"cookie:visitor\"]\nforce_variants = true")
        .lines("[[mount]]\npath = \"/\"\ncontext = \"front\"")
        .context("numbers", &numbers(1)?, "main_variant = \"one\"\nclicks = \"via=numbers\"")?
        .variant("numbers", "two", Some(&numbers(2)?), "")?
        .context("front", &front('a')?, IMPORTS)?
        .variant("front", "new", Some(&front('b')?), "")?;
    let manifest = system.write()?;
    let host = Host::up(&manifest, &system.folder.path().join("data"))?;
    assert!(seam(&manifest, &["route", "numbers", "one=1", "two=1"])?.status.success());
    let mut seen = [0_u64; 2];
    for i in 0..30 {
        let visitor = format!("visitor=v{i}");
        let page = host.get_with("/?a=b&via=numbers", &[("cookie", &visitor)])?.text();
        seen[usize::from(page == "a22")] += 1;
        host.get_with("/?via=numbers7", &[("cookie", &visitor)])?;
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
    host.get_with("/?via=numbers", &[("x-seam-variant", "numbers=two")])?;
    seen[1] += 1;
    let output = seam(&manifest, &["compare", "numbers", "--format", "json"])?;
    let compared: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let clicks: Vec<_> =
        compared["variants"].as_array().unwrap().iter().map(|v| v["clicks"].as_u64().unwrap()).collect();
    assert_eq!(clicks, seen);
    let output = seam(&manifest, &["compare", "front"])?;
    assert!(String::from_utf8_lossy(&output.stderr).contains("clicks are not recorded"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("not recorded"));
    let refused = seam(&manifest, &["compare", "fornt"])?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("did you mean `front`?"), "{said}");
    let metrics = host.get("/metrics")?.text();
    for line in [
        "seam_variant_clicks_total{context=\"numbers\",variant=\"two\"}",
        "seam_variant_duration_seconds_count{context=\"numbers\",variant=\"one\"}",
    ] {
        assert!(metrics.contains(line), "{line}");
    }
    assert!(host.stop(Duration::from_secs(10))?.success());
    Ok(())
}
