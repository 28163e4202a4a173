//! Calls as the recorder keeps them, from real instances: their values, what they asked of others, and whether they wrote.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use anyhow::Result;
use seam::context::recorder::{Recorded, What};
use seam_tests::{MEMORY, System, call, component};
use wasmtime::component::Val;

/// `numbers.twice(n)`: ok(2n) for even numbers, err(odd(n)) for odd ones, a trap for 13.
fn numbers() -> Vec<u8> {
    let wit = "package t:numbers@0.1.0;
         interface numbers {
             variant error { odd(u32), unavailable(string) }
             twice: func(n: u32) -> result<u32, error>;
         }
         world this { export numbers; }";
    let wat = format!(
        r#"(module {MEMORY}
            (func (export "t:numbers/numbers@0.1.0#twice") (param $n i32) (result i32)
                (if (i32.eq (local.get $n) (i32.const 13)) (then unreachable))
                (if (result i32) (i32.and (local.get $n) (i32.const 1))
                    (then (i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 0))
                          (i32.store (i32.const 24) (local.get $n)) (i32.const 16))
                    (else (i32.store (i32.const 16) (i32.const 0))
                          (i32.store (i32.const 20) (i32.mul (local.get $n) (i32.const 2))) (i32.const 16)))))"#
    );
    component(wit, "this", &wat).unwrap()
}

/// `asking.ask(n)` asks `numbers.twice` twice and hands its last answer on; `asking.run(sql)` queries its store and tells the rows' bytes.
fn asking() -> Vec<u8> {
    let wit = "package t:asking@0.1.0;
         interface asking {
             use t:numbers/numbers@0.1.0.{error};
             ask: func(n: u32) -> result<u32, error>;
             run: func(sql: string) -> result<u32, error>;
         }
         world this {
             import t:numbers/numbers@0.1.0; import seam:host/store@0.1.0;
             export asking; export seam:host/migrations@0.1.0;
         }
         package t:numbers@0.1.0 {
             interface numbers {
                 variant error { odd(u32), unavailable(string) }
                 twice: func(n: u32) -> result<u32, error>;
             }
         }";
    let schema = "CREATE TABLE t (n INTEGER NOT NULL) STRICT";
    let wat = format!(
        r#"(module
            (import "t:numbers/numbers@0.1.0" "twice" (func $twice (param i32 i32)))
            (import "seam:host/store@0.1.0" "query" (func $query (param i32 i32 i32 i32 i32)))
            {MEMORY}
            (data (i32.const 2048) "{schema}") (data (i32.const 2040) "t")
            (func (export "seam:host/migrations@0.1.0#all") (result i32)
                (i32.store (i32.const 200) (i32.const 208)) (i32.store (i32.const 204) (i32.const 1))
                (i32.store (i32.const 208) (i32.const 1))
                (i32.store (i32.const 212) (i32.const 2040)) (i32.store (i32.const 216) (i32.const 1))
                (i32.store (i32.const 220) (i32.const 2048)) (i32.store (i32.const 224) (i32.const {length}))
                (i32.const 200))
            (func (export "t:asking/asking@0.1.0#ask") (param i32) (result i32)
                (global.set $top (i32.const 4096))
                (call $twice (i32.const 4) (i32.const 64))
                (call $twice (local.get 0) (i32.const 64)) (i32.const 64))
            (func (export "t:asking/asking@0.1.0#run") (param i32 i32) (result i32)
                (call $query (local.get 0) (local.get 1) (i32.const 0) (i32.const 0) (i32.const 1024))
                (global.set $top (i32.const 4096))
                (i32.store (i32.const 64) (i32.const 0)) (i32.store (i32.const 68) (i32.load8_u (i32.const 1024)))
                (i32.const 64)))"#,
        length = schema.len()
    );
    component(wit, "this", &wat).unwrap()
}

fn system(recording: &str) -> System {
    System::new()
        .context("asking", &asking(), "imports = [\"t:numbers/numbers\"]\nstore = true")
        .unwrap()
        .context("numbers", &numbers(), "")
        .unwrap()
        .lines(recording)
}

/// `function(params) -> results, asked: ..`
fn told(call: &Recorded) -> String {
    let asked: Vec<String> = call
        .asked
        .iter()
        .map(|asked| match &asked.outcome {
            Ok(results) => format!("{}.{}({:?}) -> {results:?}", asked.interface, asked.function, asked.params),
            Err(failure) => format!("{}({:?}) -> {failure}", asked.function, asked.params),
        })
        .collect();
    let What::Function { function, params, outcome, .. } = &call.what else { panic!("{call:?}") };
    let outcome = match outcome {
        Ok(results) => format!("{results:?}"),
        Err(failure) => failure.to_string(),
    };
    format!("{function}({params:?}) -> {outcome} wrote {} asked {}", call.wrote, asked.join("; "))
}

#[test]
fn a_tape_has_each_call_with_what_it_asked_and_what_became_of_it() -> Result<()> {
    let system = system("");
    let registry = system.start()?.unwrap();
    let recorder = |name: &str| registry.live(name).unwrap().generation().recorder.clone();
    assert!(recorder("asking").start_tape(false) && recorder("numbers").start_tape(false));
    for n in [2, 3, 13] {
        call(&registry, "asking", "asking.ask", &[Val::U32(n)], 5_000)?;
    }
    let tape = recorder("asking").stop_tape().unwrap();
    let told: Vec<String> = tape.calls.iter().map(told).collect();
    let first = "t:numbers/numbers.twice([U32(4)]) -> [Result(Ok(Some(U32(8))))]";
    let odd = "Result(Err(Some(Variant(\"odd\", Some(U32(3))))))";
    let away = "Result(Err(Some(Variant(\"unavailable\", Some(String(\"`numbers` failed\"))))))";
    let trapped = told[2].split("twice([U32(13)]) -> ").nth(1).unwrap().to_owned();
    assert!(trapped.starts_with("`numbers` trapped:"), "{told:#?}");
    assert_eq!(
        told,
        [
            format!(
                "ask([U32(2)]) -> [Result(Ok(Some(U32(4))))] wrote false asked {first}; \
                 t:numbers/numbers.twice([U32(2)]) -> [Result(Ok(Some(U32(4))))]"
            ),
            format!("ask([U32(3)]) -> [{odd}] wrote false asked {first}; t:numbers/numbers.twice([U32(3)]) -> [{odd}]"),
            format!("ask([U32(13)]) -> [{away}] wrote false asked {first}; twice([U32(13)]) -> {trapped}"),
        ]
    );
    assert_eq!(recorder("numbers").stop_tape().unwrap().calls.len(), 6, "the callee's own recorder has its side");
    Ok(())
}

#[test]
fn a_call_that_commits_is_told_from_one_that_reads() -> Result<()> {
    let system = system("");
    let registry = system.start()?.unwrap();
    let recorder = registry.live("asking").unwrap().generation().recorder.clone();
    recorder.start_tape(false);
    for sql in ["SELECT * FROM t", "INSERT INTO t VALUES (1) RETURNING n", "SELECT n FROM t"] {
        let answer = call(&registry, "asking", "asking.run", &[Val::String(sql.into())], 5_000)?;
        assert_eq!(answer, Val::Result(Ok(Some(Box::new(Val::U32(0))))), "{sql}");
    }
    let wrote: Vec<bool> = recorder.stop_tape().unwrap().calls.iter().map(|call| call.wrote).collect();
    assert_eq!(wrote, [false, true, false]);
    let recent = recorder.recent();
    assert!(recent.iter().all(|call| !call.wrote) && recent.len() <= 2, "{recent:?}");
    Ok(())
}

#[test]
fn calls_are_sampled_without_being_asked_for_unless_the_manifest_says_no() -> Result<()> {
    for (lines, some) in [("", true), ("[recording]\ncalls_per_s = 0", false)] {
        let system = system(lines);
        let registry = system.start()?.unwrap();
        for _ in 0..200 {
            call(&registry, "asking", "asking.ask", &[Val::U32(2)], 5_000)?;
        }
        let kept = registry.live("numbers").unwrap().generation().recorder.recent();
        assert_eq!(!kept.is_empty(), some);
        assert!(kept.len() < 100, "only some of the calls: {}", kept.len());
    }
    Ok(())
}
