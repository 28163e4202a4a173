//! Calls that wait for a disk and calls that only read: the first never take the places of the others.

use std::time::{Duration, Instant};

use anyhow::Result;
use seam_runtime::serve::Registry;
use seam_tests::{MEMORY, System, call, component};
use wasmtime::component::Val;

const SCHEMA: &str = "CREATE TABLE t (n INTEGER NOT NULL) STRICT";
const INSERT: &str = "INSERT INTO t VALUES (1)";
const COUNT: &str = "SELECT count(*) FROM t";

const DESK: &str = "interface desk {
     variant error { refused, unavailable(string) }
     order: func() -> result<u32, error>;
     order-twice: func() -> result<u32, error>;
     page: func() -> result<u32, error>;
     think: func() -> result<u32, error>;
 }";

/// `desk` with a store: `order` commits one row, `order-twice` two, one after the other, `page` reads, and `think`
/// computes for as long as it may.
fn desk() -> Result<Vec<u8>> {
    let wit = format!(
        "package t:desk@0.1.0; {DESK}
         world this {{ import seam:host/store@0.1.0; export desk; export seam:host/migrations@0.1.0; }}"
    );
    let wat = format!(
        r#"(module
            (import "seam:host/store@0.1.0" "query" (func $query (param i32 i32 i32 i32 i32)))
            (import "seam:host/store@0.1.0" "execute" (func $execute (param i32 i32 i32 i32 i32)))
            (import "seam:host/store@0.1.0" "begin" (func $begin (param i32)))
            (import "seam:host/store@0.1.0" "commit" (func $commit (param i32)))
            {MEMORY}
            (data (i32.const 1024) "t") (data (i32.const 2048) "{SCHEMA}")
            (data (i32.const 2304) "{INSERT}") (data (i32.const 2560) "{COUNT}")
            (func (export "seam:host/migrations@0.1.0#all") (result i32)
                (i32.store (i32.const 200) (i32.const 208)) (i32.store (i32.const 204) (i32.const 1))
                (i32.store (i32.const 208) (i32.const 1))
                (i32.store (i32.const 212) (i32.const 1024)) (i32.store (i32.const 216) (i32.const 1))
                (i32.store (i32.const 220) (i32.const 2048)) (i32.store (i32.const 224) (i32.const {schema}))
                (i32.const 200))
            ;; ok(0) unless one of the statements' results, at 256 and 320, is an error: then err(refused).
            (func $answer (result i32)
                (i32.store (i32.const 64) (i32.or (i32.load8_u (i32.const 256)) (i32.load8_u (i32.const 320))))
                (i32.store (i32.const 68) (i32.const 0))
                (i32.store (i32.const 256) (i32.const 0)) (i32.store (i32.const 320) (i32.const 0))
                (i32.const 64))
            (func $insert (param i32)
                (call $execute (i32.const 2304) (i32.const {insert}) (i32.const 0) (i32.const 0) (local.get 0)))
            (func (export "t:desk/desk@0.1.0#order") (result i32)
                (global.set $top (i32.const 4096))
                (call $begin (i32.const 256))
                (if (i32.eqz (i32.load8_u (i32.const 256)))
                    (then (call $insert (i32.const 256)) (call $commit (i32.const 320))))
                (call $answer))
            (func (export "t:desk/desk@0.1.0#order-twice") (result i32)
                (global.set $top (i32.const 4096))
                (call $insert (i32.const 256)) (call $insert (i32.const 320)) (call $answer))
            (func (export "t:desk/desk@0.1.0#page") (result i32)
                (global.set $top (i32.const 4096))
                (call $query (i32.const 2560) (i32.const {count}) (i32.const 0) (i32.const 0) (i32.const 256))
                (call $answer))
            (func (export "t:desk/desk@0.1.0#think") (result i32) (loop (br 0)) (unreachable)))"#,
        schema = SCHEMA.len(),
        insert = INSERT.len(),
        count = COUNT.len(),
    );
    component(&wit, "this", &wat)
}

/// `front` has the same functions and asks `desk` in each.
fn front() -> Result<Vec<u8>> {
    let wit = format!(
        "package t:front@0.1.0;
         interface front {{
             use t:desk/desk@0.1.0.{{error}};
             order: func() -> result<u32, error>;
             order-twice: func() -> result<u32, error>;
             page: func() -> result<u32, error>;
             think: func() -> result<u32, error>;
         }}
         world this {{ import t:desk/desk@0.1.0; export front; }}
         package t:desk@0.1.0 {{ {DESK} }}"
    );
    let functions = ["order", "order-twice", "page", "think"];
    let imports: String =
        functions.map(|name| format!(r#"(import "t:desk/desk@0.1.0" "{name}" (func ${name} (param i32)))"#)).concat();
    let exports: String = functions
        .map(|name| {
            format!(
                r#"(func (export "t:front/front@0.1.0#{name}") (result i32)
                    (global.set $top (i32.const 4096)) (call ${name} (i32.const 64)) (i32.const 64))"#
            )
        })
        .concat();
    component(&wit, "this", &format!("(module {imports} {MEMORY} {exports})"))
}

/// The front runs two calls at the same time, which may call the same function of the desk, and none waits for a place.
fn started() -> Result<(System, Registry)> {
    let system =
        System::new().context("desk", &desk()?, "store = true\nlimits = { concurrency = 4, queue = 0 }")?.context(
            "front",
            &front()?,
            "imports = [\"t:desk/desk@0.1.0\"]\nlimits = { concurrency = 2, queue = 0, per_callee = 4 }",
        )?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    Ok((system, registry))
}

const MS: u64 = 20_000;

fn answered(registry: &Registry, function: &str) -> Result<bool> {
    Ok(matches!(call(registry, "front", function, &[], MS)?, Val::Result(Ok(_))))
}

/// Calls into `front` that run or wait for the disk.
fn calls(registry: &Registry) -> Result<u32> {
    Ok(registry.live("front")?.generation().occupancy().0)
}

/// Runs `meanwhile` while two calls of `front.function` are under way, and wait for the writer that `meanwhile` is
/// given.
fn with_two<T>(
    registry: &Registry,
    function: &str,
    meanwhile: impl FnOnce(&Registry) -> Result<T>,
) -> Result<(T, Vec<bool>)> {
    let database =
        registry.live("desk")?.generation().database().cloned().ok_or_else(|| anyhow::anyhow!("no store"))?;
    let slow = database.begin(Instant::now() + Duration::from_millis(MS))?;
    std::thread::scope(|scope| {
        let two = [(); 2].map(|()| scope.spawn(|| answered(registry, function)));
        while calls(registry)? < 2 || database.statistics().waiting < 2 {
            anyhow::ensure!(two.iter().all(|call| !call.is_finished()), "a call did not wait");
            std::thread::yield_now();
        }
        let value = meanwhile(registry);
        drop(slow);
        let two = two.into_iter().map(|call| call.join().unwrap()).collect::<Result<Vec<bool>>>();
        Ok((value?, two?))
    })
}

#[test]
fn pages_are_answered_while_every_place_has_an_order_that_waits_for_the_disk() -> Result<()> {
    let (_system, registry) = started()?;
    for order in ["order", "order-twice"] {
        let (pages, orders) = with_two(&registry, order, |registry| {
            let pages = (0..10).map(|_| answered(registry, "page")).collect::<Result<Vec<bool>>>()?;
            assert_eq!(calls(registry)?, 2, "both orders still wait");
            Ok(pages)
        })?;
        assert_eq!((pages, orders), (vec![true; 10], vec![true; 2]), "{order}");
    }
    assert_eq!(calls(&registry)?, 0);
    Ok(())
}

/// The control: a call that computes keeps its place, and then there is none for a page.
#[test]
fn calls_that_compute_keep_their_places() -> Result<()> {
    let (_system, registry) = started()?;
    std::thread::scope(|scope| {
        let two = [(); 2].map(|()| scope.spawn(|| call(&registry, "front", "think", &[], 2_000)));
        while calls(&registry)? < 2 {
            std::thread::yield_now();
        }
        let refused = answered(&registry, "page").unwrap_err().to_string();
        assert!(refused.contains("`front` is overloaded"), "{refused}");
        assert!(two.into_iter().all(|call| call.join().unwrap().is_ok()), "the front answers that the desk does not");
        Ok(())
    })
}

#[test]
fn more_orders_than_may_wait_are_refused_at_once_and_what_has_written_goes_on() -> Result<()> {
    let (_system, registry) = started()?;
    let (third, orders) = with_two(&registry, "order-twice", |registry| answered(registry, "order"))?;
    assert!(!third, "the third order is refused as the store's `busy`");
    assert_eq!(orders, [true, true]);
    assert!(answered(&registry, "order")?, "and when the disk is back, orders are taken again");
    Ok(())
}
