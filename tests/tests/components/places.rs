//! A call that ends badly leaves nothing behind: its place is free, and its instance is gone.

use anyhow::Result;
use seam_tests::{MEMORY, System, call, component};
use wasmtime::component::Val;

/// `work.do(how)`: 0 answers, 1 traps, 2 computes for as long as it may, 3 traps because it may have no more memory,
/// and 4 returns a list that is not in its memory.
fn worker() -> Result<Vec<u8>> {
    let wit = "package t:work@0.1.0;
        interface work {
            variant error { refused, unavailable(string) }
            do: func(how: u32) -> result<list<u8>, error>;
        }
        world this { export work; }";
    let wat = format!(
        r#"(module {MEMORY}
            (func (export "t:work/work@0.1.0#do") (param $how i32) (result i32)
                (if (i32.eq (local.get $how) (i32.const 1)) (then unreachable))
                (if (i32.eq (local.get $how) (i32.const 2)) (then (loop (br 0))))
                (if (i32.eq (local.get $how) (i32.const 3))
                    (then (if (i32.eq (memory.grow (i32.const 1000)) (i32.const -1)) (then unreachable))))
                (i32.store (i32.const 64) (i32.const 0))
                (i32.store (i32.const 68) (i32.const 1024))
                (i32.store (i32.const 72) (select (i32.const 0x7fff0000) (i32.const 2)
                    (i32.eq (local.get $how) (i32.const 4))))
                (i32.const 64)))"#
    );
    component(wit, "this", &wat)
}

#[test]
fn a_call_that_ends_badly_gives_its_only_place_back() -> Result<()> {
    let limits = "limits = { concurrency = 1, queue = 0, instance_memory_mb = 1, context_memory_mb = 1 }";
    let system = System::new().context("worker", &worker()?, limits)?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let generation = registry.live("worker")?.generation().clone();
    let answers = || call(&registry, "worker", "work.do", &[Val::U32(0)], 10_000).map(|answer| format!("{answer:?}"));
    let good = "Result(Ok(Some(List([U8(0), U8(0)]))))";
    assert_eq!(answers()?, good);
    for (how, ms, failure) in [
        (1, 10_000, "trapped"),
        (2, 50, "did not answer in time"),
        (3, 10_000, "its limit of 1 MB"),
        (4, 10_000, "trapped"),
    ] {
        for _ in 0..3 {
            let failed = call(&registry, "worker", "work.do", &[Val::U32(how)], ms).unwrap_err().to_string();
            assert!(failed.contains(failure), "{how}: {failed}");
            assert_eq!(generation.occupancy(), (0, 0, 0), "{how}");
            assert_eq!(generation.memory_bytes(), 0, "{how}");
        }
        assert_eq!(answers()?, good, "after {how}");
    }
    Ok(())
}
