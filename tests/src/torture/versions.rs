//! Versions of the small contexts that the torture swaps: good ones that say which they are, and bad ones of every
//! kind.
//!
//! `catalog` and `recommendation` each export `now`, which answers with the version's number. `front` asks each of them
//! three times for one page, and writes down the answers: a page from two versions shows.

use anyhow::Result;

use crate::{MEMORY, component};

/// What is wrong with a version, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Good,
    /// Traps whenever it is called.
    Traps,
    /// Passes every check; each of its instances traps at its 51st call, later than what is replayed.
    TrapsLater,
    /// Its health check never ends.
    HangsAtHealth,
    Unhealthy,
    /// Its `now` takes a parameter that no caller gives.
    LiesAboutItsWit,
    FailsItsMigration,
    /// The end of its file is missing.
    Truncated,
}

impl Kind {
    /// Of twenty versions twelve are good.
    pub fn of(number: u32) -> Self {
        match number % 20 {
            3 => Self::Traps,
            7 => Self::TrapsLater,
            9 => Self::HangsAtHealth,
            11 => Self::Unhealthy,
            13 => Self::LiesAboutItsWit,
            15 => Self::FailsItsMigration,
            17 => Self::Truncated,
            19 => Self::TrapsLater,
            _ => Self::Good,
        }
    }
}

/// Version `number` of `context`.
///
/// # Errors
/// When the text of the component is wrong, which is this file's fault.
pub fn version(context: &str, number: u32, kind: Kind) -> Result<Vec<u8>> {
    let params = if kind == Kind::LiesAboutItsWit { "n: u32" } else { "" };
    let wit = format!(
        "package t:{context}@0.1.0;
         interface numbers {{
             variant error {{ odd(u32), unavailable(string) }}
             now: func({params}) -> result<u32, error>;
         }}
         world this {{
             export numbers;
             export seam:host/migrations@0.1.0;
             export seam:host/health@0.1.0;
         }}"
    );
    let now = match kind {
        Kind::Traps => "unreachable".to_owned(),
        // State in a global is what guests must not have; a bug that shows after a while is made of it.
        Kind::TrapsLater => {
            let counted = "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
                (if (i32.gt_u (global.get $calls) (i32.const 50)) (then unreachable))";
            format!("{counted} {}", ok(number))
        }
        _ => ok(number),
    };
    let health = match kind {
        Kind::HangsAtHealth => "(loop $l (br $l)) unreachable".to_owned(),
        Kind::Unhealthy => "(i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 900))
             (i32.store (i32.const 24) (i32.const 9)) (i32.const 16)"
            .to_owned(),
        _ => "(i32.store (i32.const 16) (i32.const 0)) (i32.const 16)".to_owned(),
    };
    let table = "CREATE TABLE notes (text TEXT NOT NULL) STRICT;";
    let wrong = "CREATE TABEL more (text TEXT) STRICT;";
    let migrations = if kind == Kind::FailsItsMigration { 2 } else { 1 };
    let param = if params.is_empty() { "" } else { "(param i32)" };
    let wat = format!(
        r#"(module {MEMORY}
            (global $calls (mut i32) (i32.const 0))
            (data (i32.const 900) "not today")
            (data (i32.const 1000) "notes")
            (data (i32.const 1100) "{table}")
            (data (i32.const 1300) "{wrong}")
            (func $migration (param $at i32) (param $number i32) (param $sql i32) (param $length i32)
                (i32.store (local.get $at) (local.get $number))
                (i32.store offset=4 (local.get $at) (i32.const 1000)) (i32.store offset=8 (local.get $at) (i32.const 5))
                (i32.store offset=12 (local.get $at) (local.get $sql))
                (i32.store offset=16 (local.get $at) (local.get $length)))
            (func (export "seam:host/migrations@0.1.0#all") (result i32)
                (call $migration (i32.const 2000) (i32.const 1) (i32.const 1100) (i32.const {table_length}))
                (call $migration (i32.const 2020) (i32.const 2) (i32.const 1300) (i32.const {wrong_length}))
                (i32.store (i32.const 16) (i32.const 2000)) (i32.store (i32.const 20) (i32.const {migrations}))
                (i32.const 16))
            (func (export "seam:host/health@0.1.0#check") (result i32) {health})
            (func (export "t:{context}/numbers@0.1.0#now") {param} (result i32) {now}))"#,
        table_length = table.len(),
        wrong_length = wrong.len(),
    );
    let mut wasm = component(&wit, "this", &wat)?;
    if kind == Kind::Truncated {
        wasm.truncate(wasm.len() / 2);
    }
    Ok(wasm)
}

/// `ok(number)`, laid out by hand: discriminant 0, payload at 4.
fn ok(number: u32) -> String {
    format!("(i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const {number})) (i32.const 16)")
}

/// Asks `catalog` and `recommendation` three times each, and answers with six letters: `aaabbb`. Traps when one is not
/// there.
///
/// # Errors
/// As with `version`.
pub fn front() -> Result<Vec<u8>> {
    let numbers = "interface numbers {
             variant error { odd(u32), unavailable(string) }
             now: func() -> result<u32, error>;
         }";
    let wit = format!(
        "package t:front@0.1.0;
         world this {{
             import t:catalog/numbers@0.1.0;
             import t:recommendation/numbers@0.1.0;
             export seam:host/http-handler@0.1.0;
         }}
         package t:catalog@0.1.0 {{ {numbers} }}
         package t:recommendation@0.1.0 {{ {numbers} }}"
    );
    let wat = format!(
        r#"(module
            (import "t:catalog/numbers@0.1.0" "now" (func $catalog (param i32)))
            (import "t:recommendation/numbers@0.1.0" "now" (func $recommendation (param i32)))
            {MEMORY}
            (func $write (param $at i32)
                (if (i32.load8_u (i32.const 64)) (then unreachable))
                (i32.store8 (local.get $at)
                    (i32.add (i32.const 97) (i32.rem_u (i32.load (i32.const 68)) (i32.const 26)))))
            (func (export "seam:host/http-handler@0.1.0#handle")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                (local $n i32)
                (global.set $top (i32.const 4096))
                (loop $l
                    (call $catalog (i32.const 64)) (call $write (i32.add (i32.const 700) (local.get $n)))
                    (call $recommendation (i32.const 64)) (call $write (i32.add (i32.const 703) (local.get $n)))
                    (local.set $n (i32.add (local.get $n) (i32.const 1)))
                    (br_if $l (i32.lt_u (local.get $n) (i32.const 3))))
                (i32.store16 (i32.const 800) (i32.const 200))
                (i32.store (i32.const 804) (i32.const 0)) (i32.store (i32.const 808) (i32.const 0))
                (i32.store (i32.const 812) (i32.const 700)) (i32.store (i32.const 816) (i32.const 6))
                (i32.const 800)))"#
    );
    component(&wit, "this", &wat)
}

/// The same component under another hash: an empty custom section more at its end.
pub fn relabelled(wasm: &[u8], label: u32) -> Vec<u8> {
    let name = format!("label-{label:08}");
    let mut relabelled = wasm.to_vec();
    // Section 0: its size, then the length of its name, both below 128.
    relabelled.extend([0, name.len() as u8 + 1, name.len() as u8]);
    relabelled.extend(name.bytes());
    relabelled
}
