//! A context's version is replaced while requests are under way: each keeps the set it began with, and what was
//! replaced goes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use seam_runtime::call::Call;
use seam_runtime::serve::{Error, Live, Registry};
use seam_store::ids::Trace;
use seam_tests::version::{Then, Version};
use seam_tests::{MEMORY, System, call, component};
use wasmtime::component::Val;

/// `numbers.times`, which multiplies by `factor`; of a type that differs when `wide`.
fn numbers(factor: u32, wide: bool) -> Vec<u8> {
    let ty = if wide { "u64" } else { "u32" };
    let wit = format!(
        "package t:numbers@0.1.0;
         interface numbers {{
             variant error {{ odd(u32), unavailable(string) }}
             times: func(n: {ty}) -> result<u32, error>;
         }}
         world this {{ export numbers; }}"
    );
    let (param, n) = if wide { ("i64", "(i32.wrap_i64 (local.get $n))") } else { ("i32", "(local.get $n)") };
    let wat = format!(
        r#"(module {MEMORY} (func (export "t:numbers/numbers@0.1.0#times") (param $n {param}) (result i32)
            (i32.store (i32.const 16) (i32.const 0))
            (i32.store (i32.const 20) (i32.mul {n} (i32.const {factor}))) (i32.const 16)))"#
    );
    component(&wit, "this", &wat).unwrap()
}

/// `asking.ask`, which hands its argument to `numbers.times` and its answer back.
fn asking() -> Vec<u8> {
    let wit = "package t:asking@0.1.0;
         interface asking {
             use t:numbers/numbers@0.1.0.{error};
             ask: func(n: u32) -> result<u32, error>;
         }
         world this { import t:numbers/numbers@0.1.0; export asking; }
         package t:numbers@0.1.0 { interface numbers {
             variant error { odd(u32), unavailable(string) }
             times: func(n: u32) -> result<u32, error>;
         } }";
    let wat = format!(
        r#"(module
            (import "t:numbers/numbers@0.1.0" "times" (func $times (param i32 i32)))
            {MEMORY}
            (func (export "t:asking/asking@0.1.0#ask") (param i32) (result i32)
                (global.set $top (i32.const 4096))
                (call $times (local.get 0) (i32.const 64)) (i32.const 64)))"#
    );
    component(wit, "this", &wat).unwrap()
}

fn system() -> Result<(System, Registry)> {
    let system = System::new().context("numbers", &numbers(2, false), "")?.context(
        "asking",
        &asking(),
        r#"imports = ["t:numbers/numbers"]"#,
    )?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    Ok((system, registry))
}

/// What serves now, with another component for `numbers`.
fn change(system: &System, registry: &Registry, wasm: &[u8]) -> Result<Result<(), Error>> {
    let file = system.folder.path().join("next.wasm");
    std::fs::write(&file, wasm)?;
    let component = registry.load(&file)?;
    let mut parts = registry.specs();
    parts.iter_mut().find(|part| part.settings.name.as_str() == "numbers").unwrap().component = component;
    Ok(registry.prepare(parts).and_then(|prepared| {
        prepared.migrate(None)?;
        registry.publish(prepared)
    }))
}

fn answer(value: u32) -> Val {
    Val::Result(Ok(Some(Box::new(Val::U32(value)))))
}

fn ask(live: &Live, n: u32) -> Val {
    let export = live.generation().exports().first().unwrap();
    let call = Call::start(Instant::now() + Duration::from_secs(5), Trace::start());
    live.call(call, export, &[Val::U32(n)]).unwrap().remove(0)
}

#[test]
fn a_request_keeps_the_set_that_it_started_with_and_the_next_one_gets_the_new_set() -> Result<()> {
    let (system, registry) = system()?;
    let before = registry.live("asking")?;
    assert_eq!(ask(&before, 7), answer(14));
    change(&system, &registry, &numbers(3, false))??;
    assert_eq!(ask(&before, 7), answer(14), "nested calls included");
    assert_eq!(call(&registry, "asking", "asking.ask", &[Val::U32(7)], 5_000)?, answer(21));
    assert_eq!(call(&registry, "numbers", "numbers.times", &[Val::U32(7)], 5_000)?, answer(21));
    Ok(())
}

#[test]
fn a_replaced_generation_is_dropped_with_its_last_request_and_the_others_stay() -> Result<()> {
    let (system, registry) = system()?;
    let [numbers_1, asking_1] = registry.generations().try_into().map_err(|_| anyhow::anyhow!("two"))?;
    let (old, kept) = (Arc::downgrade(&numbers_1), Arc::downgrade(&asking_1));
    drop((numbers_1, asking_1));
    let request = registry.live("asking")?;
    change(&system, &registry, &numbers(3, false))??;
    assert_eq!(registry.draining().len(), 1);
    assert!(old.upgrade().is_some(), "a request that began before may call it still");
    drop(request);
    assert!(old.upgrade().is_none(), "its memory comes back with the last request");
    assert_eq!(registry.draining(), []);
    assert!(kept.upgrade().is_some());
    let numbers: Vec<_> = registry.generations().iter().map(|generation| generation.number).collect();
    assert_eq!(numbers, [2, 1]);
    Ok(())
}

#[test]
fn a_version_that_does_not_fit_changes_nothing() -> Result<()> {
    let (system, registry) = system()?;
    let Err(Error::Problems(problems)) = change(&system, &registry, &numbers(3, true))? else {
        panic!("it was let in")
    };
    assert!(problems.iter().any(|p| p.message.contains("disagree about the type")), "{problems:?}");
    assert_eq!(call(&registry, "asking", "asking.ask", &[Val::U32(7)], 5_000)?, answer(14));
    Ok(())
}

#[test]
fn of_two_changes_made_from_the_same_state_the_second_is_refused() -> Result<()> {
    let (system, registry) = system()?;
    let late = registry.prepare(registry.specs())?;
    change(&system, &registry, &numbers(5, false))??;
    assert!(matches!(registry.publish(late), Err(Error::Overtaken)));
    assert_eq!(call(&registry, "asking", "asking.ask", &[Val::U32(7)], 5_000)?, answer(35));
    Ok(())
}

#[test]
fn the_same_parts_again_are_no_new_generations() -> Result<()> {
    let (_system, registry) = system()?;
    let prepared = registry.prepare(registry.specs())?;
    assert!(prepared.candidates.is_empty());
    registry.publish(prepared)?;
    assert_eq!(registry.generations().iter().map(|g| g.number).collect::<Vec<_>>(), [1, 1]);
    Ok(())
}

#[test]
fn a_slow_call_that_began_before_a_swap_ends_well_with_its_own_version() -> Result<()> {
    let slow = |factor| Version { call: Then::Spins, ..Version::times(factor) }.wasm();
    let system = System::new().context("numbers", &slow(2)?, "")?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    // On a busy machine the call may have ended before the swap: then another one is tried.
    for factor in 3..53 {
        let file = system.folder.path().join("next.wasm");
        std::fs::write(&file, slow(factor)?)?;
        let mut parts = registry.specs();
        parts[0].component = registry.load(&file)?;
        let prepared = registry.prepare(parts)?;
        let before = registry.generations().remove(0);
        let (answered, ran_on) = std::thread::scope(|scope| -> Result<(Val, bool)> {
            let asked = scope.spawn(|| call(&registry, "numbers", "numbers.times", &[Val::U32(7)], 60_000));
            while before.occupancy().0 == 0 && !asked.is_finished() {
                std::thread::yield_now();
            }
            registry.publish(prepared)?;
            registry.check_draining();
            let ran_on = before.occupancy().0 > 0;
            Ok((asked.join().unwrap()?, ran_on))
        })?;
        assert_eq!(answered, answer(7 * (factor - 1)), "the version that it began with");
        if ran_on {
            return Ok(());
        }
    }
    anyhow::bail!("no call was still running after a swap")
}

#[test]
fn a_place_is_free_again_after_a_trap_and_after_a_timeout() -> Result<()> {
    let limits = "limits = { concurrency = 1, queue = 0, timeout_ms = 100 }";
    for (then, kind) in [(Then::Traps, "trapped"), (Then::Hangs, "time")] {
        let bad = Version { call: then, ..Version::times(2) };
        let system = System::new().context("numbers", &bad.wasm()?, limits)?;
        let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
        for n in 0..3 {
            let failed = call(&registry, "numbers", "numbers.times", &[Val::U32(7)], 5_000).unwrap_err();
            assert!(failed.to_string().contains(kind), "call {n}: {failed}");
            assert_eq!(registry.generations()[0].occupancy(), (0, 0, 0), "after call {n}: {failed}");
        }
    }
    Ok(())
}
