//! `seam:host/attempts`, as a guest uses it: each context has counts of its own, and they outlast its versions.

use anyhow::Result;
use seam_runtime::serve::Registry;
use seam_tests::{MEMORY, System, call, component};
use wasmtime::component::Val;

/// `gate.pass` counts an attempt under `door`, of which `most` are allowed in 900 seconds: 0, or the seconds to wait.
/// `gate.leave` takes one back. Components of other versions differ.
fn gate(name: &str, version: u32, most: u32) -> Result<Vec<u8>> {
    let wit = format!(
        "package t:{name}@0.1.0;
         interface gate {{
             variant error {{ refused, unavailable(string) }}
             pass: func() -> result<u32, error>;
             leave: func() -> result<u32, error>;
         }}
         world this {{ import seam:host/attempts@0.1.0; export gate; }}"
    );
    let wat = format!(
        r#"(module
            (import "seam:host/attempts@0.1.0" "take" (func $take (param i32 i32 i32)))
            (import "seam:host/attempts@0.1.0" "give-back" (func $back (param i32 i32)))
            {MEMORY}
            (global $version i32 (i32.const {version}))
            (data (i32.const 1024) "door")
            (func $limits
                (i32.store (i32.const 512) (i32.const 1024)) (i32.store (i32.const 516) (i32.const 4))
                (i32.store (i32.const 520) (i32.const {most})) (i32.store (i32.const 524) (i32.const 900)))
            ;; take's result at 64: ok, or an error with the seconds; pass's at 128: ok(seconds).
            (func (export "t:{name}/gate@0.1.0#pass") (result i32)
                (call $limits)
                (i32.store (i32.const 68) (i32.const 0))
                (call $take (i32.const 512) (i32.const 1) (i32.const 64))
                (i32.store (i32.const 128) (i32.const 0))
                (i32.store (i32.const 132) (select (i32.load (i32.const 68)) (i32.const 0) (i32.load8_u (i32.const 64))))
                (i32.const 128))
            (func (export "t:{name}/gate@0.1.0#leave") (result i32)
                (call $limits)
                (call $back (i32.const 512) (i32.const 1))
                (i32.store (i32.const 128) (i32.const 0)) (i32.store (i32.const 132) (i32.const 0))
                (i32.const 128)))"#
    );
    component(&wit, "this", &wat)
}

const GRANT: &str = "capabilities = [\"attempts\"]";

fn ask(registry: &Registry, context: &str, function: &str) -> Result<u32> {
    match call(registry, context, function, &[], 10_000)? {
        Val::Result(Ok(Some(seconds))) => match *seconds {
            Val::U32(seconds) => Ok(seconds),
            other => anyhow::bail!("{other:?}"),
        },
        other => anyhow::bail!("{other:?}"),
    }
}

#[test]
fn counts_belong_to_their_context_and_outlast_its_versions() -> Result<()> {
    let system =
        System::new().context("north", &gate("north", 1, 3)?, GRANT)?.context("south", &gate("south", 1, 3)?, GRANT)?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    for _ in 0..3 {
        assert_eq!(ask(&registry, "north", "gate.pass")?, 0);
    }
    assert!((299..=300).contains(&ask(&registry, "north", "gate.pass")?));
    assert_eq!(ask(&registry, "south", "gate.pass")?, 0, "it does not see the counts of the north");

    let file = system.folder.path().join("next.wasm");
    std::fs::write(&file, gate("north", 2, 3)?)?;
    let mut specs = registry.specs();
    specs.iter_mut().find(|spec| spec.settings.name.as_str() == "north").unwrap().component = registry.load(&file)?;
    registry.publish(registry.prepare(specs)?)?;
    assert_eq!(registry.live("north")?.generation().number, 2);
    assert!((298..=300).contains(&ask(&registry, "north", "gate.pass")?), "the counts are the host's");
    assert_eq!(ask(&registry, "north", "gate.leave")?, 0);
    assert_eq!(ask(&registry, "north", "gate.pass")?, 0);
    Ok(())
}

#[test]
fn a_context_gets_counts_only_when_the_manifest_grants_them_and_a_limit_that_is_none_traps() -> Result<()> {
    let system = System::new().context("north", &gate("north", 1, 3)?, "capabilities = [\"clocks\"]")?;
    let problems = system.start()?.err().unwrap_or_default();
    let said: Vec<_> = problems.iter().map(|problem| format!("{} | {}", problem.message, problem.remedy)).collect();
    let expect = "`north` imports `seam:host/attempts@0.1.0`, but the manifest does not grant it counts of attempts | \
                  add `capabilities = [\"attempts\"]` to [context.north], or leave the import out";
    assert_eq!(said, [expect]);

    let system = System::new().context("north", &gate("north", 1, 0)?, GRANT)?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let trapped = call(&registry, "north", "gate.pass", &[], 10_000).unwrap_err().to_string();
    assert!(trapped.contains("0 attempts in 900 s is no limit"), "{trapped}");
    Ok(())
}
