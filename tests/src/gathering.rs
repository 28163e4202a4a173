//! A context that asks three others side by side.

#![expect(clippy::unwrap_used, reason = "tests")]

use crate::{MEMORY, System, component};

/// The three contexts, each with an interface `numbers` of its own.
pub const ASKED: [&str; 3] = ["one", "two", "three"];

/// What `gathering.ask` adds for an answer that is an error.
pub const ERROR: u32 = 1_000_000;

const NUMBERS: &str = "interface numbers {
     variant error { odd(u32), unavailable(string) }
     twice: func(n: u32) -> result<u32, error>;
 }";

/// `numbers.twice(n)`: ok(2n) for even numbers, err(odd(n)) for odd ones, a trap for 13.
fn numbers(context: &str) -> Vec<u8> {
    let wit = format!("package t:{context}@0.1.0; {NUMBERS} world this {{ export numbers; }}");
    let wat = format!(
        r#"(module {MEMORY}
            (func (export "t:{context}/numbers@0.1.0#twice") (param $n i32) (result i32)
                (if (i32.eq (local.get $n) (i32.const 13)) (then unreachable))
                (i32.store (i32.const 16) (i32.and (local.get $n) (i32.const 1)))
                (i32.store (i32.const 20) (i32.mul (local.get $n) (i32.const 2)))
                (if (i32.and (local.get $n) (i32.const 1))
                    (then (i32.store (i32.const 20) (i32.const 0)) (i32.store (i32.const 24) (local.get $n))))
                (i32.const 16)))"#
    );
    component(&wit, "this", &wat).unwrap()
}

/// `ask(a, b, c)` asks each of the three for twice its number and adds the answers; `many(n)` asks the first one for
/// twice 0, 2, 4, .., n times together; `changing(a, b)` has the call with `a` kept and makes that with `b` first;
/// `forgetting(a)` fetches no answer; `pays()` tells whether the host would keep a call.
fn gathering() -> Vec<u8> {
    let packages: String = ASKED.iter().map(|name| format!("package t:{name}@0.1.0 {{ {NUMBERS} }}\n")).collect();
    let wit = format!(
        "package t:gathering@0.1.0;
         interface gathering {{
             use t:one/numbers@0.1.0.{{error}};
             ask: func(a: u32, b: u32, c: u32) -> result<u32, error>;
             many: func(n: u32) -> result<u32, error>;
             changing: func(a: u32, b: u32) -> result<u32, error>;
             forgetting: func(a: u32) -> result<u32, error>;
             pays: func() -> result<u32, error>;
         }}
         world this {{
             import t:one/numbers@0.1.0; import t:two/numbers@0.1.0; import t:three/numbers@0.1.0;
             import seam:host/together@0.1.0;
             export gathering;
         }}
         {packages}"
    );
    let imports: String = ASKED
        .iter()
        .map(|name| format!(r#"(import "t:{name}/numbers@0.1.0" "twice" (func ${name} (param i32 i32)))"#))
        .collect();
    let wat = format!(
        r#"(module
            {imports}
            (import "seam:host/together@0.1.0" "collect" (func $collect (result i32)))
            (import "seam:host/together@0.1.0" "perform" (func $perform))
            (import "seam:host/together@0.1.0" "finish" (func $finish))
            {MEMORY}
            (global $sum (mut i32) (i32.const 0))
            (func $start (global.set $sum (i32.const 0)) (global.set $top (i32.const 4096)))
            ;; Adds the answer that stands at 64.
            (func $add (global.set $sum (i32.add (global.get $sum)
                (select (i32.const {ERROR}) (i32.load (i32.const 68)) (i32.load8_u (i32.const 64))))))
            (func $sum (result i32)
                (i32.store (i32.const 64) (i32.const 0)) (i32.store (i32.const 68) (global.get $sum)) (i32.const 64))
            (func (export "t:gathering/gathering@0.1.0#ask") (param $a i32) (param $b i32) (param $c i32) (result i32)
                (call $start)
                (if (call $collect) (then
                    (call $one (local.get $a) (i32.const 64))
                    (drop (call $collect)) (call $two (local.get $b) (i32.const 64))
                    (drop (call $collect)) (call $three (local.get $c) (i32.const 64))
                    ;; Not expected, so it is not made.
                    (call $three (i32.const 13) (i32.const 64))
                    (call $perform)))
                (call $one (local.get $a) (i32.const 64)) (call $add)
                (call $two (local.get $b) (i32.const 64)) (call $add)
                (call $three (local.get $c) (i32.const 64)) (call $add)
                (call $finish) (call $sum))
            (func $each (param $n i32) (param $keep i32) (local $at i32)
                (loop $next
                    (if (local.get $keep) (then (drop (call $collect))))
                    (call $one (i32.mul (local.get $at) (i32.const 2)) (i32.const 64))
                    (if (i32.eqz (local.get $keep)) (then (call $add)))
                    (local.set $at (i32.add (local.get $at) (i32.const 1)))
                    (br_if $next (i32.lt_u (local.get $at) (local.get $n)))))
            (func (export "t:gathering/gathering@0.1.0#many") (param $n i32) (result i32)
                (call $start)
                (call $each (local.get $n) (i32.const 1)) (call $perform)
                (call $each (local.get $n) (i32.const 0)) (call $finish) (call $sum))
            (func (export "t:gathering/gathering@0.1.0#changing") (param $a i32) (param $b i32) (result i32)
                (call $start)
                (drop (call $collect)) (call $one (local.get $a) (i32.const 64)) (call $perform)
                (call $one (local.get $b) (i32.const 64)) (call $add)
                (call $one (local.get $a) (i32.const 64)) (call $add)
                (call $finish) (call $sum))
            (func (export "t:gathering/gathering@0.1.0#forgetting") (param $a i32) (result i32)
                (call $start)
                (drop (call $collect)) (call $one (local.get $a) (i32.const 64)) (call $perform)
                (call $finish) (call $sum))
            (func (export "t:gathering/gathering@0.1.0#pays") (result i32)
                (call $start) (global.set $sum (call $collect)) (call $finish) (call $sum)))"#
    );
    component(&wit, "this", &wat).unwrap()
}

/// The four contexts; `lines` are added to the entry of the one that asks.
pub fn system(lines: &str) -> anyhow::Result<System> {
    let imports = ASKED.map(|name| format!("\"t:{name}/numbers\"")).join(", ");
    let mut system = System::new().context("gathering", &gathering(), &format!("imports = [{imports}]\n{lines}"))?;
    for name in ASKED {
        system = system.context(name, &numbers(name), "")?;
    }
    Ok(system)
}
