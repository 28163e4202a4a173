//! Two small contexts: one publishes numbers, the other writes those that it gets into its own file.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use seam_runtime::serve::Registry;
use seam_store::{Rows, Source, Value};

use crate::{MEMORY, call, component};
use wasmtime::component::Val;

const EVENTS: &str = "package t:book@0.1.0 {
    interface events {
        variant error { refused(u32), unavailable(string) }
        written: func(number: u32) -> result<_, error>;
    }
}";

/// The line of the manifest of who publishes.
pub const PUBLISHES: &str = "store = true\npublishes.\"t:book/events\" = { key = \"number\", keep = \"forever\" }";

/// How a publisher publishes some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Each without a transaction.
    Each = 0,
    /// All in one transaction.
    Together = 1,
    /// In a transaction that is rolled back.
    RolledBack = 2,
}

/// `writing.write(first, count, how)` publishes `count` numbers from `first` on.
///
/// # Errors
/// When the text of the component is wrong, which is this file's fault.
pub fn publisher() -> Result<Vec<u8>> {
    let wit = format!(
        "package t:publisher@0.1.0;
         interface writing {{
             variant error {{ unavailable(string) }}
             write: func(first: u32, count: u32, how: u32) -> result<u32, error>;
         }}
         world this {{ import t:book/events@0.1.0; import seam:host/store@0.1.0; export writing; }}
         {EVENTS}"
    );
    let wat = format!(
        r#"(module
            (import "t:book/events@0.1.0" "written" (func $written (param i32 i32)))
            (import "seam:host/store@0.1.0" "begin" (func $begin (param i32)))
            (import "seam:host/store@0.1.0" "commit" (func $commit (param i32)))
            (import "seam:host/store@0.1.0" "rollback" (func $rollback (param i32)))
            {MEMORY}
            (func $fine (if (i32.load8_u (i32.const 64)) (then unreachable)))
            (func (export "t:publisher/writing@0.1.0#write") (param $at i32) (param $count i32) (param $how i32) (result i32)
                (local $end i32)
                (global.set $top (i32.const 4096))
                (local.set $end (i32.add (local.get $at) (local.get $count)))
                (if (local.get $how) (then (call $begin (i32.const 64)) (call $fine)))
                (loop $next
                    (if (i32.lt_u (local.get $at) (local.get $end)) (then
                        (call $written (local.get $at) (i32.const 64)) (call $fine)
                        (local.set $at (i32.add (local.get $at) (i32.const 1)))
                        (br $next))))
                (if (i32.eq (local.get $how) (i32.const 1)) (then (call $commit (i32.const 64)) (call $fine)))
                (if (i32.eq (local.get $how) (i32.const 2)) (then (call $rollback (i32.const 64)) (call $fine)))
                (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (local.get $count))
                (i32.const 16)))"#
    );
    component(&wit, "this", &wat)
}

/// What a subscriber does with some numbers.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    /// `reading.sign()` answers with this.
    pub sign: u32,
    /// It traps on this number.
    pub traps_on: u32,
    /// It refuses numbers from this one on, after it has written them.
    pub refuses_from: u32,
}

impl Default for Reader {
    fn default() -> Self {
        Self { sign: 1, traps_on: u32::MAX, refuses_from: u32::MAX }
    }
}

impl Reader {
    /// The component: it writes each number that it gets into the table `got`.
    ///
    /// # Errors
    /// When the text of the component is wrong, which is this file's fault.
    pub fn component(self) -> Result<Vec<u8>> {
        let Self { sign, traps_on, refuses_from } = self;
        let wit = format!(
            "package t:reader@0.1.0;
             interface reading {{
                 variant error {{ unavailable(string) }}
                 sign: func() -> result<u32, error>;
             }}
             world this {{
                 import seam:host/store@0.1.0;
                 export t:book/events@0.1.0;
                 export reading;
                 export seam:host/migrations@0.1.0;
             }}
             {EVENTS}"
        );
        let (table, insert) = ("CREATE TABLE got (number INTEGER) STRICT", "INSERT INTO got (number) VALUES (?1)");
        let wat = format!(
            r#"(module
                (import "seam:host/store@0.1.0" "execute" (func $execute (param i32 i32 i32 i32 i32)))
                {MEMORY}
                (data (i32.const 1000) "got") (data (i32.const 1100) "{table}") (data (i32.const 1300) "{insert}")
                (func (export "seam:host/migrations@0.1.0#all") (result i32)
                    (i32.store (i32.const 2000) (i32.const 1))
                    (i32.store (i32.const 2004) (i32.const 1000)) (i32.store (i32.const 2008) (i32.const 3))
                    (i32.store (i32.const 2012) (i32.const 1100)) (i32.store (i32.const 2016) (i32.const {table_length}))
                    (i32.store (i32.const 16) (i32.const 2000)) (i32.store (i32.const 20) (i32.const 1))
                    (i32.const 16))
                (func (export "t:book/events@0.1.0#written") (param $number i32) (result i32)
                    (global.set $top (i32.const 4096))
                    (i32.store8 (i32.const 64) (i32.const 1))
                    (i64.store (i32.const 72) (i64.extend_i32_u (local.get $number)))
                    (call $execute (i32.const 1300) (i32.const {insert_length}) (i32.const 64) (i32.const 1) (i32.const 96))
                    (if (i32.load8_u (i32.const 96)) (then unreachable))
                    (if (i32.eq (local.get $number) (i32.const {traps_on})) (then unreachable))
                    (i32.store (i32.const 16) (i32.ge_u (local.get $number) (i32.const {refuses_from})))
                    (i32.store (i32.const 20) (i32.const 0)) (i32.store (i32.const 24) (local.get $number))
                    (i32.const 16))
                (func (export "t:reader/reading@0.1.0#sign") (result i32)
                    (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const {sign}))
                    (i32.const 16)))"#,
            table_length = table.len(),
            insert_length = insert.len(),
        );
        component(&wit, "this", &wat)
    }
}

/// Has the context `book` publish `count` numbers from `first` on.
///
/// # Errors
/// When it does not.
pub fn write(registry: &Registry, first: u32, count: u32, how: How) -> Result<()> {
    let said =
        call(registry, "book", "writing.write", &[Val::U32(first), Val::U32(count), Val::U32(how as u32)], 20_000)?;
    anyhow::ensure!(said == Val::Result(Ok(Some(Box::new(Val::U32(count))))), "{said:?}");
    Ok(())
}

/// The numbers that a reader has, in the order in which it got them.
///
/// # Errors
/// When its file cannot be read.
pub fn got(registry: &Registry, reader: &str) -> Result<Vec<u32>> {
    let live = registry.live(reader)?;
    let database = live.generation().database().context("a store")?;
    let packed =
        database.query("SELECT number FROM got ORDER BY rowid", &[], Instant::now() + Duration::from_secs(20))?;
    let mut rows = Rows::new(&packed)?;
    let (mut numbers, mut row) = (Vec::new(), Vec::new());
    while rows.next_into(&mut row)? {
        match row.as_slice() {
            [Value::Integer(number)] => numbers.push(u32::try_from(*number)?),
            other => anyhow::bail!("{other:?}"),
        }
        row.clear();
    }
    Ok(numbers)
}

/// What a reader gets its numbers from.
pub fn source() -> Source {
    Source { publisher: "book".into(), interface: "t:book/events".into() }
}
