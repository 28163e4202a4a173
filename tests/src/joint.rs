//! Three small contexts: `desk` writes a number into its own file and has `left` and `right` write it into theirs, in
//! one transaction over the three files.

use std::path::Path;

use anyhow::{Context, Result};
use seam_runtime::serve::Registry;
use wasmtime::component::Val;

use crate::{MEMORY, System, call, component, publishing};

/// What the desk does with a number; some of it together.
pub const COMMIT: u32 = 0;
pub const ROLL_BACK: u32 = 1;
/// Returns with the transaction open.
pub const LEAVE_OPEN: u32 = 2;
pub const TRAP: u32 = 3;
pub const BEGIN_TWICE: u32 = 4;
pub const WITHOUT_RIGHT: u32 = 16;
pub const WITHOUT_LEFT: u32 = 32;

/// The number on which `left` and `right` trap after they have written it.
pub const TRAPS_ON: u32 = 13;

/// What became of a number: what `left` and `right` said (0: done, 1: refused, 2: unavailable, 9: not asked), and what
/// the end of the transaction was (0: fine, otherwise as in `Said::of`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    pub left: u32,
    pub right: u32,
    pub end: &'static str,
}

impl Said {
    /// What the number says that `work.write` returns.
    pub fn of(code: u32) -> Option<Self> {
        let names = ["ok", "busy", "aborted", "in-doubt", "refused", "unavailable", "none"];
        let end = names.get(usize::try_from(code % 10).ok()?)?;
        Some(Self { left: code / 1000, right: code / 100 % 10, end })
    }
}

/// What stands in the table of each context.
const MIGRATION: &str = "CREATE TABLE got (number INTEGER PRIMARY KEY) STRICT";
const INSERT: &str = "INSERT INTO got (number) VALUES (?1)";

/// All three must agree on the numbers that they have.
pub const TOTAL: &str = "numbers";
const NUMBERS: &str = "SELECT 'number ' || number, 1 FROM got";

/// Data and functions that all three share: their migration, their total, and `$put`, which returns 1 when the number
/// is there.
fn keeping() -> String {
    format!(
        r#"{MEMORY}
        (data (i32.const 1000) "got") (data (i32.const 1100) "{MIGRATION}") (data (i32.const 1300) "{INSERT}")
        (data (i32.const 1400) "{TOTAL}") (data (i32.const 1500) "{NUMBERS}")
        (func (export "seam:host/invariants@0.1.0#all") (result i32)
            (i32.store (i32.const 2100) (i32.const 1))
            (i32.store (i32.const 2104) (i32.const 1400)) (i32.store (i32.const 2108) (i32.const {total}))
            (i32.store (i32.const 2112) (i32.const 1400)) (i32.store (i32.const 2116) (i32.const {total}))
            (i32.store (i32.const 2120) (i32.const 1500)) (i32.store (i32.const 2124) (i32.const {sql}))
            (i32.store (i32.const 24) (i32.const 2100)) (i32.store (i32.const 28) (i32.const 1))
            (i32.const 24))
        (func (export "seam:host/migrations@0.1.0#all") (result i32)
            (i32.store (i32.const 2000) (i32.const 1))
            (i32.store (i32.const 2004) (i32.const 1000)) (i32.store (i32.const 2008) (i32.const 3))
            (i32.store (i32.const 2012) (i32.const 1100)) (i32.store (i32.const 2016) (i32.const {migration}))
            (i32.store (i32.const 16) (i32.const 2000)) (i32.store (i32.const 20) (i32.const 1))
            (i32.const 16))
        (func $put (param $number i32) (result i32)
            (i32.store8 (i32.const 64) (i32.const 1))
            (i64.store (i32.const 72) (i64.extend_i32_u (local.get $number)))
            (call $execute (i32.const 1300) (i32.const {insert}) (i32.const 64) (i32.const 1) (i32.const 96))
            (i32.load8_u (i32.const 96)))"#,
        migration = MIGRATION.len(),
        insert = INSERT.len(),
        total = TOTAL.len(),
        sql = NUMBERS.len(),
    )
}

fn keeping_wit(name: &str) -> String {
    format!(
        "package t:{name}@0.1.0 {{
            interface keeping {{
                variant error {{ refused(u32), unavailable(string) }}
                put: func(number: u32) -> result<u32, error>;
            }}
        }}"
    )
}

/// `keeping.put(number)` writes it, and refuses one that is there.
///
/// # Errors
/// When the text of the component is wrong, which is this file's fault.
pub fn keeper(name: &str) -> Result<Vec<u8>> {
    keeper_that_calls(name, None)
}

/// The same, which has another one put the number, too, and says what that one says.
///
/// # Errors
/// As `keeper`.
pub fn keeper_that_calls(name: &str, below: Option<&str>) -> Result<Vec<u8>> {
    let (mut imports, mut function, mut call, mut wit) = Default::default();
    if let Some(below) = below {
        imports = format!("import t:{below}/keeping@0.1.0;");
        function = format!(r#"(import "t:{below}/keeping@0.1.0" "put" (func $below (param i32 i32)))"#);
        call = "(call $below (local.get $number) (i32.const 160)) (if (i32.load8_u (i32.const 160))
                    (then (return (i32.const 160))))"
            .to_owned();
        wit = keeping_wit(below);
    }
    let wit = format!(
        "package t:keeper@0.1.0;
         world this {{
             import seam:host/store@0.1.0; {imports} export t:{name}/keeping@0.1.0; export seam:host/migrations@0.1.0;
             export seam:host/invariants@0.1.0;
         }}
         {} {wit}",
        keeping_wit(name)
    );
    let wat = format!(
        r#"(module
            (import "seam:host/store@0.1.0" "execute" (func $execute (param i32 i32 i32 i32 i32)))
            {function}
            {keeping}
            (func (export "t:{name}/keeping@0.1.0#put") (param $number i32) (result i32)
                (global.set $top (i32.const 4096))
                (i32.store (i32.const 16) (call $put (local.get $number)))
                (i32.store (i32.const 20) (i32.const 0)) (i32.store (i32.const 24) (local.get $number))
                (if (i32.eq (local.get $number) (i32.const {TRAPS_ON})) (then unreachable))
                {call}
                (i32.const 16)))"#,
        keeping = keeping(),
    );
    component(&wit, "this", &wat)
}

/// `work.write(number, how)`.
///
/// # Errors
/// As `keeper`.
pub fn desk() -> Result<Vec<u8>> {
    let wit = format!(
        "package t:desk@0.1.0;
         interface work {{ variant error {{ unavailable(string) }} write: func(number: u32, how: u32) -> result<u32, error>; }}
         world this {{
             import seam:host/store@0.1.0; import seam:host/two-phase@0.1.0;
             import t:left/keeping@0.1.0; import t:right/keeping@0.1.0;
             export work; export seam:host/migrations@0.1.0; export seam:host/invariants@0.1.0;
         }}
         {} {}",
        keeping_wit("left"),
        keeping_wit("right")
    );
    let wat = format!(
        r#"(module
            (import "seam:host/store@0.1.0" "execute" (func $execute (param i32 i32 i32 i32 i32)))
            (import "seam:host/two-phase@0.1.0" "begin" (func $begin (param i32)))
            (import "seam:host/two-phase@0.1.0" "commit" (func $commit (param i32)))
            (import "seam:host/two-phase@0.1.0" "rollback" (func $rollback))
            (import "t:left/keeping@0.1.0" "put" (func $left (param i32 i32)))
            (import "t:right/keeping@0.1.0" "put" (func $right (param i32 i32)))
            {keeping}
            (func $ended (result i32)
                (if (result i32) (i32.load8_u (i32.const 128))
                    (then (i32.add (i32.const 1) (i32.load8_u (i32.const 132)))) (else (i32.const 0))))
            (func $said (result i32)
                (if (result i32) (i32.load8_u (i32.const 160))
                    (then (i32.add (i32.const 1) (i32.load8_u (i32.const 164)))) (else (i32.const 0))))
            (func (export "t:desk/work@0.1.0#write") (param $number i32) (param $flags i32) (result i32)
                (local $how i32) (local $code i32) (local $l i32) (local $r i32)
                (global.set $top (i32.const 4096))
                (local.set $how (i32.and (local.get $flags) (i32.const 15)))
                (local.set $l (i32.const 9)) (local.set $r (i32.const 9))
                (call $begin (i32.const 128))
                (local.set $code (call $ended))
                (if (i32.eqz (local.get $code)) (then
                    (if (call $put (local.get $number)) (then unreachable))
                    (if (i32.eqz (i32.and (local.get $flags) (i32.const {WITHOUT_LEFT}))) (then
                        (call $left (local.get $number) (i32.const 160)) (local.set $l (call $said))))
                    (if (i32.eqz (i32.and (local.get $flags) (i32.const {WITHOUT_RIGHT}))) (then
                        (call $right (local.get $number) (i32.const 160)) (local.set $r (call $said))))
                    (local.set $code (i32.const 6))
                    (if (i32.eq (local.get $how) (i32.const {COMMIT})) (then
                        (call $commit (i32.const 128)) (local.set $code (call $ended))))
                    (if (i32.eq (local.get $how) (i32.const {ROLL_BACK})) (then (call $rollback)))
                    (if (i32.eq (local.get $how) (i32.const {TRAP})) (then unreachable))
                    (if (i32.eq (local.get $how) (i32.const {BEGIN_TWICE})) (then
                        (call $begin (i32.const 128)) (local.set $code (call $ended))))))
                (i32.store (i32.const 16) (i32.const 0))
                (i32.store (i32.const 20) (i32.add (local.get $code)
                    (i32.add (i32.mul (local.get $l) (i32.const 1000)) (i32.mul (local.get $r) (i32.const 100)))))
                (i32.const 16)))"#,
        keeping = keeping(),
    );
    component(&wit, "this", &wat)
}

/// The manifest's lines of `desk` beside its component.
pub const DESK: &str =
    "store = true\nimports = [\"t:left/keeping\", \"t:right/keeping\"]\ntwo_phase = [\"left\", \"right\"]";

/// All three; `desk` are the lines of that one.
///
/// # Errors
/// As `keeper`.
pub fn system(desk: &str) -> Result<System> {
    System::new().context("desk", &self::desk()?, desk)?.context("left", &keeper("left")?, "store = true")?.context(
        "right",
        &keeper("right")?,
        "store = true",
    )
}

/// Has the desk write a number.
///
/// # Errors
/// When it does not answer.
pub fn write(registry: &Registry, number: u32, how: u32) -> Result<Said> {
    let said = call(registry, "desk", "work.write", &[Val::U32(number), Val::U32(how)], 20_000)?;
    match &said {
        Val::Result(Ok(Some(code))) => match **code {
            Val::U32(code) => Said::of(code).context("a code"),
            _ => anyhow::bail!("{said:?}"),
        },
        _ => anyhow::bail!("{said:?}"),
    }
}

/// The numbers of the desk, of `left` and of `right`.
///
/// # Errors
/// When a file cannot be read.
pub fn numbers(registry: &Registry) -> Result<[Vec<u32>; 3]> {
    let of = |context| publishing::got(registry, context);
    Ok([of("desk")?, of("left")?, of("right")?])
}

/// Gives the file of a context in the data folder, with its log, another name.
///
/// # Errors
/// When the file system refuses.
pub fn renamed(data: &Path, from: &str, to: &str) -> Result<()> {
    for end in ["", "-wal", "-shm"] {
        let name = |stem: &str| data.join(format!("stores/{stem}.db{end}"));
        if name(from).exists() {
            std::fs::rename(name(from), name(to))?;
        }
    }
    Ok(())
}
