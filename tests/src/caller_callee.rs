//! Two contexts, one of which asks the other: what the recorder and the harness are tried on.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::{MEMORY, component};

/// `numbers.twice(n)`: ok(2n) for even numbers, err(odd(n)) for odd ones, a trap for 13.
pub fn numbers() -> Vec<u8> {
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

/// A context that asks another, has a file, and keeps something where nothing may be kept: `asking.ask(n)` asks
/// `numbers.twice` for 4 and for n and hands its last answer on; `asking.run(sql)` queries its store and tells whether
/// that failed; `asking.count()` tells how often this instance has been asked to.
pub fn asking() -> Vec<u8> {
    let wit = "package t:asking@0.1.0;
         interface asking {
             use t:numbers/numbers@0.1.0.{error};
             ask: func(n: u32) -> result<u32, error>;
             run: func(sql: string) -> result<u32, error>;
             count: func() -> result<u32, error>;
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
            (global $counted (mut i32) (i32.const 0))
            (func (export "t:asking/asking@0.1.0#count") (result i32)
                (global.set $counted (i32.add (global.get $counted) (i32.const 1)))
                (i32.store (i32.const 64) (i32.const 0)) (i32.store (i32.const 68) (global.get $counted))
                (i32.const 64))
            (func (export "t:asking/asking@0.1.0#run") (param i32 i32) (result i32)
                (call $query (local.get 0) (local.get 1) (i32.const 0) (i32.const 0) (i32.const 1024))
                (global.set $top (i32.const 4096))
                (i32.store (i32.const 64) (i32.const 0)) (i32.store (i32.const 68) (i32.load8_u (i32.const 1024)))
                (i32.const 64)))"#,
        length = schema.len()
    );
    component(wit, "this", &wat).unwrap()
}
