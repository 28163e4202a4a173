//! A callee that answers slowly takes its share of its callers' places, and leaves the others to what does not need it.

use anyhow::Result;
use seam_runtime::serve::Registry;
use seam_tests::{MEMORY, System, call, component, unavailable};
use wasmtime::component::Val;

/// How long a call of `think` computes.
const THINK_MS: u64 = 3_000;
const MS: u64 = 20_000;

/// A context whose `page` answers at once; its `think` computes for as long as it may, or asks the context `below` to.
fn context(name: &str, below: Option<&str>) -> Result<Vec<u8>> {
    let interface = |name: &str| {
        format!(
            "interface {name} {{
                 variant error {{ refused, unavailable(string) }}
                 think: func() -> result<u32, error>;
                 page: func() -> result<u32, error>;
             }}"
        )
    };
    let mut wit = format!("package t:{name}@0.1.0; {} world this {{ export {name}; ", interface(name));
    let mut import = String::new();
    let mut think = "(loop (br 0)) (unreachable)".to_owned();
    match below {
        Some(below) => {
            wit += &format!("import t:{below}/{below}@0.1.0; }} package t:{below}@0.1.0 {{ {} }}", interface(below));
            import = format!(r#"(import "t:{below}/{below}@0.1.0" "think" (func $think (param i32)))"#);
            // Both error types are equal, so the answer is handed on as it is.
            think = "(global.set $top (i32.const 4096)) (call $think (i32.const 64)) (i32.const 64)".to_owned();
        }
        None => wit += "}",
    }
    let wat = format!(
        r#"(module {import} {MEMORY}
            (func (export "t:{name}/{name}@0.1.0#think") (result i32) {think})
            (func (export "t:{name}/{name}@0.1.0#page") (result i32) (i32.store (i32.const 64) (i32.const 0)) (i32.const 64)))"#
    );
    component(&wit, "this", &wat)
}

/// `front` -> `desk` -> `bank`. The front runs four calls at the same time, the others two, and none waits.
fn started(lines: &str) -> Result<(System, Registry)> {
    let limits = |calls: u32, lines: &str| format!("limits = {{ concurrency = {calls}, queue = 0 {lines} }}");
    let two = limits(2, "");
    let system = System::new()
        .context("bank", &context("bank", None)?, &limits(4, ""))?
        .context("desk", &context("desk", Some("bank"))?, &format!("imports = [\"t:bank/bank\"]\n{}", limits(4, "")))?
        .context(
            "front",
            &context("front", Some("desk"))?,
            &format!("imports = [\"t:desk/desk\"]\n{}", limits(4, lines)),
        )?
        .context("quick", &context("quick", None)?, &two)?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    Ok((system, registry))
}

/// For the callees of a context: the places in it, the calls that wait for it, and those that were refused.
fn loads(registry: &Registry, context: &str) -> Result<Vec<(String, u32, u32, u64)>> {
    let all = registry.generations();
    let loads = registry.live(context)?.generation().callee_loads();
    Ok(loads
        .into_iter()
        .map(|load| (all[usize::from(load.callee)].context().to_string(), load.inside, load.waiting, load.refused))
        .collect())
}

fn load(context: &str, inside: u32, waiting: u32, refused: u64) -> (String, u32, u32, u64) {
    (context.to_owned(), inside, waiting, refused)
}

/// Runs `meanwhile` while as many calls think as the bank may have of the front's places.
fn while_the_bank_is_slow(registry: &Registry, thinkers: u32, meanwhile: impl FnOnce() -> Result<()>) -> Result<()> {
    std::thread::scope(|scope| {
        let slow: Vec<_> =
            (0..thinkers).map(|_| scope.spawn(|| call(registry, "front", "think", &[], THINK_MS))).collect();
        while !loads(registry, "front")?.contains(&load("bank", thinkers, 0, 0)) {
            anyhow::ensure!(slow.iter().all(|call| !call.is_finished()), "a call did not think");
            std::thread::yield_now();
        }
        let done = meanwhile();
        anyhow::ensure!(slow.iter().all(|call| !call.is_finished()), "they think on");
        slow.into_iter().for_each(|call| drop(call.join()));
        done
    })
}

#[test]
fn a_slow_callee_has_half_of_the_places_of_every_context_above_it() -> Result<()> {
    let (_system, registry) = started("")?;
    while_the_bank_is_slow(&registry, 2, || {
        // One more that needs the bank is refused at once, and told which context has no room.
        for caller in ["front", "desk"] {
            let refused = call(&registry, caller, "think", &[], MS)?;
            assert_eq!(unavailable(&refused), Some("`t:bank/bank@0.1.0` is overloaded"), "{caller}");
        }
        for page in ["front", "desk"] {
            for _ in 0..10 {
                let answer = call(&registry, page, "page", &[], MS)?;
                assert!(matches!(answer, Val::Result(Ok(_))), "{page}: {answer:?}");
            }
        }
        // The places of the front are in the bank: the desk, between them, is free for others.
        assert_eq!(loads(&registry, "front")?, [load("bank", 2, 0, 1)]);
        assert_eq!(loads(&registry, "desk")?, [load("bank", 2, 0, 1)]);
        Ok(())
    })?;
    assert_eq!(loads(&registry, "front")?, [load("bank", 0, 0, 1)], "all places come back");
    Ok(())
}

#[test]
fn the_manifest_says_how_many_places_one_callee_may_have() -> Result<()> {
    let (_system, registry) = started(", per_callee = 1")?;
    while_the_bank_is_slow(&registry, 1, || {
        let refused = call(&registry, "front", "think", &[], MS)?;
        assert_eq!(unavailable(&refused), Some("`t:bank/bank@0.1.0` is overloaded"));
        Ok(())
    })
}
