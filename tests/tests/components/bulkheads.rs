//! A callee that answers slowly takes its share of its callers' places, and leaves the others to what does not need it.

use anyhow::Result;
use seam_runtime::serve::Registry;
use seam_tests::{MEMORY, System, call, component, unavailable};
use wasmtime::component::Val;

/// How long a call of `think` computes.
const THINK_MS: u64 = 3_000;
const MS: u64 = 20_000;

/// A context whose `page` answers at once. Its `think` computes for as long as it may, or asks the context `below` to.
/// Its `look` answers at once as well, but asks `below` before.
fn context(name: &str, below: Option<&str>) -> Result<Vec<u8>> {
    let interface = |name: &str| {
        format!(
            "interface {name} {{
                 variant error {{ refused, unavailable(string) }}
                 think: func() -> result<u32, error>;
                 page: func() -> result<u32, error>;
                 look: func() -> result<u32, error>;
             }}"
        )
    };
    let mut wit = format!("package t:{name}@0.1.0; {} world this {{ export {name}; ", interface(name));
    let mut import = String::new();
    let mut think = "(loop (br 0)) (unreachable)".to_owned();
    let page = "(i32.store (i32.const 64) (i32.const 0)) (i32.const 64)";
    let mut look = page.to_owned();
    match below {
        Some(below) => {
            wit += &format!("import t:{below}/{below}@0.1.0; }} package t:{below}@0.1.0 {{ {} }}", interface(below));
            let function = |name| format!(r#"(import "t:{below}/{below}@0.1.0" "{name}" (func ${name} (param i32)))"#);
            import = function("think") + &function("look");
            // Both error types are equal, so the answer is handed on as it is.
            let ask = |name| format!("(global.set $top (i32.const 4096)) (call ${name} (i32.const 64)) (i32.const 64)");
            (think, look) = (ask("think"), ask("look"));
        }
        None => wit += "}",
    }
    let wat = format!(
        r#"(module {import} {MEMORY}
            (func (export "t:{name}/{name}@0.1.0#think") (result i32) {think})
            (func (export "t:{name}/{name}@0.1.0#page") (result i32) {page})
            (func (export "t:{name}/{name}@0.1.0#look") (result i32) {look}))"#
    );
    component(&wit, "this", &wat)
}

/// `front` -> `desk` -> `bank`. The front and the desk run eight calls at the same time, the bank as many as `bank`
/// says, and none waits.
fn started(bank: u32, lines: &str) -> Result<(System, Registry)> {
    let limits = |calls: u32, lines: &str| format!("limits = {{ concurrency = {calls}, queue = 0 {lines} }}");
    let system = System::new()
        .context("bank", &context("bank", None)?, &limits(bank, ""))?
        .context(
            "desk",
            &context("desk", Some("bank"))?,
            &format!("imports = [\"t:bank/bank\"]\n{}", limits(8, lines)),
        )?
        .context(
            "front",
            &context("front", Some("desk"))?,
            &format!("imports = [\"t:desk/desk\"]\n{}", limits(8, lines)),
        )?;
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

/// One more call of `think` is refused at once, and the text says where it found no room.
fn too_many(registry: &Registry, caller: &str, full: &str) -> Result<()> {
    let refused = call(registry, caller, "think", &[], MS)?;
    assert_eq!(unavailable(&refused), Some(format!("`{full}` is overloaded").as_str()), "{caller}");
    Ok(())
}

/// Ten calls, one after the other, are answered.
fn answers(registry: &Registry, context: &str, function: &str) -> Result<()> {
    for _ in 0..10 {
        let answer = call(registry, context, function, &[], MS)?;
        assert!(matches!(answer, Val::Result(Ok(_))), "{context}.{function}: {answer:?}");
    }
    Ok(())
}

#[test]
fn a_slow_function_has_half_of_its_contexts_share_in_every_context_above_it() -> Result<()> {
    let (_system, registry) = started(8, "")?;
    while_the_bank_is_slow(&registry, 2, || {
        for context in ["front", "desk"] {
            // One more is refused at once, and a call of another function of the bank is answered.
            too_many(&registry, context, "t:bank/bank@0.1.0")?;
            answers(&registry, context, "look")?;
            answers(&registry, context, "page")?;
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
fn a_slow_function_leaves_permits_of_its_own_context_to_the_others() -> Result<()> {
    // The front may have four calls in the bank, two of one function, which are all that the bank runs.
    let (_system, registry) = started(2, "")?;
    while_the_bank_is_slow(&registry, 1, || {
        too_many(&registry, "front", "bank")?;
        answers(&registry, "front", "look")?;
        answers(&registry, "bank", "page")
    })
}

#[test]
fn the_manifest_says_how_many_places_one_callee_may_have() -> Result<()> {
    for (per_callee, thinkers) in [(1, 1), (6, 3)] {
        let (_system, registry) = started(8, &format!(", per_callee = {per_callee}"))?;
        while_the_bank_is_slow(&registry, thinkers, || too_many(&registry, "front", "t:bank/bank@0.1.0"))?;
    }
    Ok(())
}
