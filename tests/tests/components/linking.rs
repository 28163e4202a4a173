//! Contexts are linked by the names and types of their seams, and a seam that fails leaves its caller standing.

use std::time::{Duration, Instant};

use anyhow::Result;
use seam_tests::{MEMORY, System, call, component, unavailable};
use wasmtime::component::Val;

/// `numbers.twice` with a variant that can say it is away; `wat` is its body, from (param i32) to (result i32): a
/// pointer.
fn numbers(version: &str, body: &str) -> Vec<u8> {
    let wit = format!(
        "package t:numbers@{version};
         interface numbers {{
             variant error {{ odd(u32), unavailable(string) }}
             twice: func(n: u32) -> result<u32, error>;
         }}
         world this {{ export numbers; }}"
    );
    let wat = format!(
        r#"(module {MEMORY} (func (export "t:numbers/numbers@{version}#twice") (param $n i32) (result i32) {body}))"#
    );
    component(&wit, "this", &wat).unwrap()
}

/// ok(2n), laid out by hand: discriminant 0, payload at 4.
const TWICE: &str = "(i32.store (i32.const 16) (i32.const 0))
    (i32.store (i32.const 20) (i32.mul (local.get $n) (i32.const 2))) (i32.const 16)";

/// `asking.ask`, which hands its argument to `numbers.twice` and its answer back.
fn asking(version: &str) -> Vec<u8> {
    asking_for(
        "interface numbers {
             variant error { odd(u32), unavailable(string) }
             twice: func(n: u32) -> result<u32, error>;
         }",
        version,
    )
}

fn asking_for(numbers: &str, version: &str) -> Vec<u8> {
    let wit = format!(
        "package t:asking@0.1.0;
         interface asking {{
             use t:numbers/numbers@{version}.{{error}};
             ask: func(n: u32) -> result<u32, error>;
         }}
         world this {{ import t:numbers/numbers@{version}; export asking; }}
         package t:numbers@{version} {{ {numbers} }}"
    );
    let wat = format!(
        r#"(module
            (import "t:numbers/numbers@{version}" "twice" (func $twice (param i32 i32)))
            {MEMORY}
            (func (export "t:asking/asking@0.1.0#ask") (param i32) (result i32)
                (global.set $top (i32.const 4096))
                (call $twice (local.get 0) (i32.const 64)) (i32.const 64)))"#
    );
    component(&wit, "this", &wat).unwrap()
}

/// The same, with a transaction open while it asks when its argument is odd, and one that has ended when it is even.
fn asking_in_a_transaction() -> Vec<u8> {
    let wit = "package t:asking@0.1.0;
         interface asking {
             use t:numbers/numbers@0.1.0.{error};
             ask: func(n: u32) -> result<u32, error>;
         }
         world this {
             import seam:host/store@0.1.0;
             import t:numbers/numbers@0.1.0;
             export asking;
         }
         package t:numbers@0.1.0 {
             interface numbers {
                 variant error { odd(u32), unavailable(string) }
                 twice: func(n: u32) -> result<u32, error>;
             }
         }";
    let wat = format!(
        r#"(module
            (import "t:numbers/numbers@0.1.0" "twice" (func $twice (param i32 i32)))
            (import "seam:host/store@0.1.0" "begin" (func $begin (param i32)))
            (import "seam:host/store@0.1.0" "rollback" (func $rollback (param i32)))
            {MEMORY}
            (func (export "t:asking/asking@0.1.0#ask") (param $n i32) (result i32)
                (global.set $top (i32.const 4096))
                (call $begin (i32.const 128))
                (if (i32.load8_u (i32.const 128)) (then unreachable))
                (if (i32.eqz (i32.and (local.get $n) (i32.const 1))) (then (call $rollback (i32.const 128))))
                (call $twice (local.get $n) (i32.const 64))
                (i32.const 64)))"#
    );
    component(wit, "this", &wat).unwrap()
}

fn problems(system: System) -> Vec<String> {
    match system.start().unwrap() {
        Ok(_) => panic!("the system started"),
        Err(problems) => problems.into_iter().map(|p| format!("{} | {}", p.message, p.remedy)).collect(),
    }
}

fn check_problem(system: System, message: &str, remedy: &str) {
    let found = problems(system);
    let fits = |p: &String| p.split_once(" | ").is_some_and(|(m, r)| m.contains(message) && r.contains(remedy));
    assert!(found.iter().any(fits), "no `{message}` with `{remedy}` in {found:#?}");
}

const GRANT: &str = r#"imports = ["t:numbers/numbers"]"#;

#[test]
fn a_call_reaches_the_provider_of_the_seam_whatever_the_order_of_the_manifest() -> Result<()> {
    for callee_first in [true, false] {
        let mut system = System::new();
        if callee_first {
            system = system.context("numbers", &numbers("0.1.0", TWICE), "")?;
        }
        system = system.context("asking", &asking("0.1.0"), GRANT)?;
        if !callee_first {
            system = system.context("numbers", &numbers("0.1.0", TWICE), "")?;
        }
        let registry = system.start()?.unwrap();
        for n in [0, 1, 21] {
            let answer = call(&registry, "asking", "asking.ask", &[Val::U32(n)], 1_000)?;
            assert_eq!(answer, Val::Result(Ok(Some(Box::new(Val::U32(2 * n))))));
        }
    }
    Ok(())
}

#[test]
fn compatible_versions_link() -> Result<()> {
    let system =
        System::new().context("asking", &asking("0.1.0"), GRANT)?.context("numbers", &numbers("0.1.7", TWICE), "")?;
    let registry = system.start()?.unwrap();
    let answer = call(&registry, "asking", "asking.ask", &[Val::U32(4)], 1_000)?;
    assert_eq!(answer, Val::Result(Ok(Some(Box::new(Val::U32(8))))));
    Ok(())
}

#[test]
fn a_callee_that_traps_or_hangs_is_unavailable_and_its_caller_answers() -> Result<()> {
    for (body, says) in
        [("unreachable", "`numbers` failed"), ("(loop $l (br $l)) unreachable", "did not answer in time")]
    {
        let system = System::new().context("asking", &asking("0.1.0"), GRANT)?.context(
            "numbers",
            &numbers("0.1.0", body),
            "limits = { timeout_ms = 200 }",
        )?;
        let registry = system.start()?.unwrap();
        for _ in 0..3 {
            let started = Instant::now();
            let answer = call(&registry, "asking", "asking.ask", &[Val::U32(4)], 5_000)?;
            assert!(unavailable(&answer).is_some_and(|t| t.contains(says)), "{answer:?}");
            assert!(started.elapsed() < Duration::from_secs(3), "the callee's own limit cuts it off");
        }
    }
    Ok(())
}

#[test]
fn a_context_that_holds_its_own_writer_cannot_call_another() -> Result<()> {
    let system = System::new()
        .context("asking", &asking_in_a_transaction(), "imports = [\"t:numbers/numbers\"]\nstore = true")?
        .context("numbers", &numbers("0.1.0", TWICE), "")?;
    let registry = system.start()?.unwrap();
    let ask = |n| call(&registry, "asking", "asking.ask", &[Val::U32(n)], 1_000);
    let refused = ask(3)?;
    assert!(unavailable(&refused).is_some_and(|text| text.contains("open transaction")), "{refused:?}");
    assert_eq!(ask(4)?, Val::Result(Ok(Some(Box::new(Val::U32(8))))), "it has ended, and nothing was left open");
    Ok(())
}

#[test]
fn a_callee_gets_less_time_than_its_caller_has_left() -> Result<()> {
    let system = System::new().context("asking", &asking("0.1.0"), GRANT)?.context(
        "numbers",
        &numbers("0.1.0", "(loop $l (br $l)) unreachable"),
        "",
    )?;
    let registry = system.start()?.unwrap();
    let answer = call(&registry, "asking", "asking.ask", &[Val::U32(4)], 400)?;
    assert!(unavailable(&answer).is_some(), "the caller had time left to say so: {answer:?}");
    Ok(())
}

#[test]
fn an_answer_that_breaks_the_canonical_abi_is_the_callees_trap() -> Result<()> {
    for body in [
        "(i32.store (i32.const 16) (i32.const 7)) (i32.const 16)", // no such case of the result
        "(i32.const 65534)",                                       // out of bounds
        "(i32.const 17)",                                          // unaligned
        // err(unavailable(4 GB of text))
        "(i32.store8 (i32.const 16) (i32.const 1)) (i32.store8 (i32.const 20) (i32.const 1))
         (i32.store (i32.const 24) (i32.const 0)) (i32.store (i32.const 28) (i32.const -1)) (i32.const 16)",
    ] {
        let system = System::new().context("asking", &asking("0.1.0"), GRANT)?.context(
            "numbers",
            &numbers("0.1.0", body),
            "",
        )?;
        let registry = system.start()?.unwrap();
        let answer = call(&registry, "asking", "asking.ask", &[Val::U32(4)], 1_000)?;
        assert_eq!(unavailable(&answer), Some("`numbers` failed"), "{body}");
    }
    Ok(())
}

#[test]
fn what_keeps_a_system_from_linking_is_named_with_a_remedy() -> Result<()> {
    let base = || System::new().context("asking", &asking("0.1.0"), GRANT).unwrap();
    check_problem(base(), "no context exports it", "add a context that exports `t:numbers/numbers`");
    check_problem(
        base().context("numbers", &numbers("0.2.0", TWICE), "")?,
        "only other versions exist: `numbers` has `t:numbers/numbers@0.2.0`",
        "build both against one version",
    );
    check_problem(
        base().context("one", &numbers("0.1.0", TWICE), "")?.context("two", &numbers("0.1.1", TWICE), "")?,
        "more than one context exports it: `one`",
        "remove all but one",
    );
    check_problem(
        System::new().context("asking", &asking("0.1.0"), "")?.context("numbers", &numbers("0.1.0", TWICE), "")?,
        "the manifest does not allow it",
        "add \"t:numbers/numbers\" to `imports` of [context.asking]",
    );
    let other = asking_for(
        "interface numbers {
            variant error { odd(u32), even(u32), unavailable(string) }
            twice: func(n: u32) -> result<u32, error>;
        }",
        "0.1.0",
    );
    check_problem(
        System::new().context("asking", &other, GRANT)?.context("numbers", &numbers("0.1.0", TWICE), "")?,
        "disagree about the type of `t:numbers/numbers@0.1.0.twice`",
        "same WIT",
    );
    Ok(())
}

#[test]
fn all_problems_are_reported_together() -> Result<()> {
    let found = problems(System::new().context("asking", &asking("0.1.0"), "")?.context(
        "wrong",
        &component(
            "package t:w; interface w { f: func(); } world this { export w; }",
            "this",
            r#"(module (func (export "t:w/w#f")))"#,
        )?,
        "",
    )?);
    assert_eq!(found.len(), 3, "{found:#?}");
    Ok(())
}

#[test]
fn an_interface_that_cannot_fail_or_passes_handles_is_no_seam() -> Result<()> {
    for (functions, export, says) in [
        ("f: func() -> u32;", "f", "returns no `result`"),
        ("f: func() -> result<u32, string>;", "f", "whose error is not a variant"),
        ("variant e { bad } f: func() -> result<u32, e>;", "f", "without the case `unavailable(string)`"),
        ("variant e { unavailable(u32) } f: func() -> result<u32, e>;", "f", "without the case `unavailable(string)`"),
        ("resource r; variant e { unavailable(string) } f: func() -> result<u32, e>;", "f", "defines the resource `r`"),
    ] {
        let wit = format!("package t:w; interface w {{ {functions} }} world this {{ export w; }}");
        let wat = format!(r#"(module {MEMORY} (func (export "t:w/w#{export}") (result i32) unreachable))"#);
        let wasm = component(&wit, "this", &wat)?;
        let found = problems(System::new().context("w", &wasm, "")?);
        assert!(found.iter().any(|p| p.contains(says)), "{functions}: {found:#?}");
    }
    Ok(())
}

#[test]
fn a_circle_of_imports_is_refused_with_its_members() -> Result<()> {
    let member = |me: &str, other: &str| {
        let interface = |n: &str| {
            format!("interface {n} {{ variant error {{ unavailable(string) }} f: func() -> result<u32, error>; }}")
        };
        let wit = format!(
            "package t:{me}@0.1.0; {} world this {{ import t:{other}/{other}@0.1.0; export {me}; }}
             package t:{other}@0.1.0 {{ {} }}",
            interface(me),
            interface(other)
        );
        let wat = format!(
            r#"(module (import "t:{other}/{other}@0.1.0" "f" (func $f (param i32))) {MEMORY}
               (func (export "t:{me}/{me}@0.1.0#f") (result i32) (call $f (i32.const 64)) (i32.const 64)))"#
        );
        component(&wit, "this", &wat).unwrap()
    };
    check_problem(
        System::new().context("a", &member("a", "b"), r#"imports = ["t:b/b"]"#)?.context(
            "b",
            &member("b", "a"),
            r#"imports = ["t:a/a"]"#,
        )?,
        "in a circle: a -> b -> a",
        "events",
    );
    Ok(())
}

#[test]
fn what_is_no_component_is_refused_by_what_it_is() -> Result<()> {
    for (bytes, says) in [
        (&b""[..], "is empty"),
        (b"hello", "of an unknown format"),
        (b"\0asm\x01\0\0\0", "a core WebAssembly module"),
        (b"\x7fELF1234", "a native or precompiled binary"),
        (b"\0asm\x0d\0\x01\0 and then garbage", "does not compile"),
    ] {
        let found = problems(System::new().context("x", bytes, "")?);
        assert!(found.iter().any(|p| p.contains(says)), "{says}: {found:#?}");
    }
    Ok(())
}
