//! A seam at two versions that differ in type and in answer, and callers of the one, of the other, and of both.

use anyhow::Result;

use crate::{MEMORY, component};

/// `twice` doubles.
const OLD: &str = "package t:numbers@0.1.0 { interface numbers {
     variant error { odd(u32), unavailable(string) }
     twice: func(n: u32) -> result<u32, error>;
 } }";

/// `twice` doubles and adds 1,000,000; `thrice` is new.
const NEW: &str = "package t:numbers@0.2.0 { interface numbers {
     variant error { odd(u64), unavailable(string) }
     twice: func(n: u64) -> result<u64, error>;
     thrice: func(n: u64) -> result<u64, error>;
 } }";

/// Exports `t:numbers/numbers` at these versions, `0.1.0` and `0.2.0` or one of them, in this order.
pub fn numbers(versions: &[&str]) -> Result<Vec<u8>> {
    let exports: String = versions.iter().map(|version| format!("export t:numbers/numbers@{version}; ")).collect();
    let old = r#"(func (export "t:numbers/numbers@0.1.0#twice") (param $n i32) (result i32)
        (i32.store (i32.const 16) (i32.const 0))
        (i32.store (i32.const 20) (i32.mul (local.get $n) (i32.const 2))) (i32.const 16))"#;
    let new = r#"(func (export "t:numbers/numbers@0.2.0#twice") (param $n i64) (result i32)
        (i32.store (i32.const 16) (i32.const 0))
        (i64.store (i32.const 24) (i64.add (i64.const 1000000) (i64.mul (local.get $n) (i64.const 2))))
        (i32.const 16))
    (func (export "t:numbers/numbers@0.2.0#thrice") (param $n i64) (result i32)
        (i32.store (i32.const 16) (i32.const 0))
        (i64.store (i32.const 24) (i64.mul (local.get $n) (i64.const 3))) (i32.const 16))"#;
    let functions: String = [("0.1.0", old), ("0.2.0", new)]
        .into_iter()
        .filter(|(version, _)| versions.contains(version))
        .map(|(_, functions)| functions)
        .collect();
    let wit = format!("package t:both@0.1.0; world this {{ {exports} }} {OLD} {NEW}");
    component(&wit, "this", &format!("(module {MEMORY} {functions})"))
}

/// `asking.ask` is `twice` of 0.1.0.
pub fn old() -> Result<Vec<u8>> {
    let wit = format!(
        "package t:old@0.1.0;
         interface asking {{ use t:numbers/numbers@0.1.0.{{error}}; ask: func(n: u32) -> result<u32, error>; }}
         world this {{ import t:numbers/numbers@0.1.0; export asking; }} {OLD}"
    );
    let wat = format!(
        r#"(module (import "t:numbers/numbers@0.1.0" "twice" (func $twice (param i32 i32))) {MEMORY}
            (func (export "t:old/asking@0.1.0#ask") (param i32) (result i32)
                (global.set $top (i32.const 4096))
                (call $twice (local.get 0) (i32.const 64)) (i32.const 64)))"#
    );
    component(&wit, "this", &wat)
}

/// `asking.ask` is `twice` of 0.2.0, `asking.ask3` its `thrice`.
pub fn new() -> Result<Vec<u8>> {
    let wit = format!(
        "package t:new@0.1.0;
         interface asking {{
             use t:numbers/numbers@0.2.0.{{error}};
             ask: func(n: u64) -> result<u64, error>;
             ask3: func(n: u64) -> result<u64, error>;
         }}
         world this {{ import t:numbers/numbers@0.2.0; export asking; }} {NEW}"
    );
    let wat = format!(
        r#"(module (import "t:numbers/numbers@0.2.0" "twice" (func $twice (param i64 i32)))
            (import "t:numbers/numbers@0.2.0" "thrice" (func $thrice (param i64 i32))) {MEMORY}
            (func (export "t:new/asking@0.1.0#ask") (param i64) (result i32) (global.set $top (i32.const 4096))
                (call $twice (local.get 0) (i32.const 64)) (i32.const 64))
            (func (export "t:new/asking@0.1.0#ask3") (param i64) (result i32) (global.set $top (i32.const 4096))
                (call $thrice (local.get 0) (i32.const 64)) (i32.const 64)))"#
    );
    component(&wit, "this", &wat)
}

/// `asking.ask(n)` asks `twice` of 0.1.0 and then of 0.2.0, both for n, and hands the answer of 0.2.0 back.
pub fn both() -> Result<Vec<u8>> {
    let wit = format!(
        "package t:asker@0.1.0;
         interface asking {{ use t:numbers/numbers@0.2.0.{{error}}; ask: func(n: u32) -> result<u64, error>; }}
         world this {{ import t:numbers/numbers@0.1.0; import t:numbers/numbers@0.2.0; export asking; }} {OLD} {NEW}"
    );
    let wat = format!(
        r#"(module (import "t:numbers/numbers@0.1.0" "twice" (func $old (param i32 i32)))
            (import "t:numbers/numbers@0.2.0" "twice" (func $new (param i64 i32))) {MEMORY}
            (func (export "t:asker/asking@0.1.0#ask") (param i32) (result i32) (global.set $top (i32.const 4096))
                (call $old (local.get 0) (i32.const 64))
                (call $new (i64.extend_i32_u (local.get 0)) (i32.const 64)) (i32.const 64)))"#
    );
    component(&wit, "this", &wat)
}
