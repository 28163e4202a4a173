//! Test components that can stand in for each other, and a front that shows which of them answered.

use crate::{MEMORY, System, component};
use anyhow::Result;

/// `numbers.times`, which multiplies by `factor`.
pub fn numbers(factor: u32) -> Result<Vec<u8>> {
    numbers_with(&format!(
        "(i32.store (i32.const 16) (i32.const 0))
         (i32.store (i32.const 20) (i32.mul (local.get $n) (i32.const {factor}))) (i32.const 16)"
    ))
}

/// `numbers.times` with this body, from `$n` to a pointer.
pub fn numbers_with(body: &str) -> Result<Vec<u8>> {
    let wit = "package t:numbers@0.1.0;
         interface numbers {
             variant error { odd(u32), unavailable(string) }
             times: func(n: u32) -> result<u32, error>;
         }
         world this { export numbers; }";
    let wat = format!(
        r#"(module {MEMORY} (func (export "t:numbers/numbers@0.1.0#times") (param $n i32) (result i32) {body}))"#
    );
    component(wit, "this", &wat)
}

const NUMBERS: &str = "package t:numbers@0.1.0 { interface numbers {
     variant error { odd(u32), unavailable(string) }
     times: func(n: u32) -> result<u32, error>;
 } }";

/// `asking.ask`, which hands its argument to `numbers.times` and its answer back.
pub fn asking() -> Result<Vec<u8>> {
    let wit = format!(
        "package t:asking@0.1.0;
         interface asking {{
             use t:numbers/numbers@0.1.0.{{error}};
             ask: func(n: u32) -> result<u32, error>;
         }}
         world this {{ import t:numbers/numbers@0.1.0; export asking; }}
         {NUMBERS}"
    );
    let wat = format!(
        r#"(module
            (import "t:numbers/numbers@0.1.0" "times" (func $times (param i32 i32)))
            {MEMORY}
            (func (export "t:asking/asking@0.1.0#ask") (param i32) (result i32)
                (global.set $top (i32.const 4096))
                (call $times (local.get 0) (i32.const 64)) (i32.const 64)))"#
    );
    component(&wit, "this", &wat)
}

/// Answers every request with `sign` and what `numbers.times(1)` says, asked twice; `x` when there is no answer.
pub fn front(sign: char) -> Result<Vec<u8>> {
    let wit = format!(
        "package t:front;
         world this {{ import t:numbers/numbers@0.1.0; export seam:host/http-handler@0.1.0; }}
         {NUMBERS}"
    );
    let wat = format!(
        r#"(module
            (import "t:numbers/numbers@0.1.0" "times" (func $times (param i32 i32)))
            {MEMORY}
            (func $digit (param $at i32) (result i32)
                (call $times (i32.const 1) (local.get $at))
                (if (result i32) (i32.load8_u (local.get $at))
                    (then (i32.const 120))
                    (else (i32.add (i32.const 48) (i32.load offset=4 (local.get $at))))))
            (func (export "seam:host/http-handler@0.1.0#handle")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                (global.set $top (i32.const 4096))
                (i32.store8 (i32.const 700) (i32.const {sign}))
                (i32.store8 (i32.const 701) (call $digit (i32.const 64)))
                (i32.store8 (i32.const 702) (call $digit (i32.const 64)))
                (i32.store16 (i32.const 800) (i32.const 200))
                (i32.store (i32.const 804) (i32.const 0)) (i32.store (i32.const 808) (i32.const 0))
                (i32.store (i32.const 812) (i32.const 700)) (i32.store (i32.const 816) (i32.const 3))
                (i32.const 800)))"#,
        sign = u32::from(sign)
    );
    component(&wit, "this", &wat)
}

impl System {
    /// Adds a variant of a context that is there already, with more lines for its table; without a component it is not
    /// built.
    pub fn variant(mut self, context: &str, variant: &str, wasm: Option<&[u8]>, lines: &str) -> Result<Self> {
        let file = format!("{context}-{variant}.wasm");
        if let Some(wasm) = wasm {
            std::fs::write(self.folder.path().join(&file), wasm)?;
        }
        let build = format!("build = {{ command = \"false\", sources = [\"{file}\"] }}");
        self = self.lines(&format!("[context.{context}.variant.{variant}]\ncomponent = \"{file}\"\n{build}\n{lines}"));
        Ok(self)
    }
}
