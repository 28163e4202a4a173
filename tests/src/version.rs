//! Versions of one small context, `numbers`, good and bad, as WebAssembly text: what a gate has to tell apart.

use std::fmt::Write as _;

use anyhow::Result;
use seam_store::InvariantKind;

use crate::component;

/// `numbers.times(n)` is `n * factor`.
#[derive(Clone)]
pub struct Version {
    pub factor: u32,
    /// The text of each migration, oldest first; with any, it imports the store.
    pub migrations: Vec<&'static str>,
    /// What it declares of its file: kind, name and statement.
    pub invariants: Vec<(InvariantKind, &'static str, &'static str)>,
    /// A query that each call makes; it traps when it fails.
    pub query: Option<&'static str>,
    pub health: Option<Health>,
    pub start: Then,
    pub call: Then,
    /// The interface has a second function, `numbers.minus`.
    pub more: bool,
    /// The interface has a function without parameters, `numbers.tick`.
    pub ticks: bool,
    /// `times` takes another type.
    pub wide: bool,
    /// The version of its package.
    pub version: &'static str,
    /// More imports, as they stand in a world.
    pub imports: &'static str,
    /// It exports nothing of the above but an interface of another name.
    pub other: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Well,
    /// Says no, with these words.
    Ill(&'static str),
    Traps,
    Hangs,
}

/// What code does when it is reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Works,
    Traps,
    Hangs,
    /// Works, after some tens of milliseconds.
    Spins,
}

impl Then {
    fn wat(self) -> &'static str {
        match self {
            Self::Works => "",
            Self::Traps => "unreachable",
            Self::Hangs => "(loop $on (br $on))",
            Self::Spins => {
                "(global.set $spin (i32.const 40000000))
                 (loop $on (global.set $spin (i32.sub (global.get $spin) (i32.const 1))) (br_if $on (global.get $spin)))"
            }
        }
    }
}

impl Default for Version {
    fn default() -> Self {
        Self {
            factor: 2,
            migrations: Vec::new(),
            invariants: Vec::new(),
            query: None,
            health: None,
            start: Then::Works,
            call: Then::Works,
            more: false,
            ticks: false,
            wide: false,
            version: "0.1.0",
            imports: "",
            other: false,
        }
    }
}

/// Texts that a module has in its memory, from 8192 on.
#[derive(Default)]
struct Texts(String);

impl Texts {
    const AT: usize = 8192;

    fn put(&mut self, text: &str) -> (usize, usize) {
        let at = Self::AT + self.0.len();
        self.0.push_str(text);
        (at, text.len())
    }

    fn data(&self) -> String {
        let escaped = self.0.bytes().fold(String::new(), |mut all, byte| {
            let _ = write!(all, "\\{byte:02x}");
            all
        });
        format!("(data (i32.const {}) \"{escaped}\")", Self::AT)
    }
}

impl Version {
    pub fn times(factor: u32) -> Self {
        Self { factor, ..Self::default() }
    }

    /// The component's bytes.
    ///
    /// # Errors
    /// When the text that this makes is wrong.
    pub fn wasm(&self) -> Result<Vec<u8>> {
        let Self { version, imports, .. } = self;
        let ty = if self.wide { "u64" } else { "u32" };
        let name = if self.other { "digits" } else { "numbers" };
        let stores = !self.migrations.is_empty() || self.query.is_some();
        let more = if self.more { "minus: func(n: u32) -> result<u32, error>;" } else { "" };
        let tick = if self.ticks { "tick: func() -> result<u32, error>;" } else { "" };
        let exports = [
            (stores, "import seam:host/store@0.1.0; export seam:host/migrations@0.1.0;"),
            (!self.invariants.is_empty(), "export seam:host/invariants@0.1.0;"),
            (self.health.is_some(), "export seam:host/health@0.1.0;"),
        ];
        let exports: String = exports.iter().filter(|(on, _)| *on).map(|(_, text)| *text).collect();
        let wit = format!(
            "package t:numbers@{version};
             interface {name} {{
                 variant error {{ odd(u32), unavailable(string) }}
                 times: func(n: {ty}) -> result<u32, error>; {more} {tick}
             }}
             world this {{ {imports} {exports} export {name}; }}"
        );
        component(&wit, "this", &self.wat(name, stores))
    }

    fn wat(&self, name: &str, stores: bool) -> String {
        let Self { factor, version, .. } = self;
        let mut texts = Texts::default();
        let (param, n) = if self.wide { ("i64", "(i32.wrap_i64 (local.get $n))") } else { ("i32", "(local.get $n)") };
        let ask = self.query.map(|sql| {
            let (at, len) = texts.put(sql);
            format!(
                "(call $query (i32.const {at}) (i32.const {len}) (i32.const 0) (i32.const 0) (i32.const 64))
                 (if (i32.load8_u (i32.const 64)) (then unreachable))"
            )
        });
        let ask = ask.unwrap_or_default();
        let (start, call) = (self.start.wat(), self.call.wat());
        let interface = format!("t:numbers/{name}@{version}");
        let mut functions = format!(
            r#"(func (export "{interface}#times") (param $n {param}) (result i32)
                (global.set $top (i32.const 16384)) {ask} {call}
                (i32.store (i32.const 16) (i32.const 0))
                (i32.store (i32.const 20) (i32.mul {n} (i32.const {factor}))) (i32.const 16))
               (func $start {start}) (start $start)"#
        );
        if self.ticks {
            let _ = write!(
                functions,
                r#"(func (export "{interface}#tick") (result i32)
                    (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const 1)) (i32.const 16))"#
            );
        }
        if self.more {
            let _ = write!(
                functions,
                r#"(func (export "{interface}#minus") (param $n i32) (result i32)
                    (i32.store (i32.const 16) (i32.const 0))
                    (i32.store (i32.const 20) (i32.sub (local.get $n) (i32.const 1))) (i32.const 16))"#
            );
        }
        if stores {
            functions.push_str(&self.migrations(&mut texts));
        }
        if !self.invariants.is_empty() {
            functions.push_str(&self.invariants(&mut texts));
        }
        if let Some(health) = self.health {
            let (ill, (at, len), then) = match health {
                Health::Well => (0, (0, 0), ""),
                Health::Ill(why) => (1, texts.put(why), ""),
                Health::Traps => (0, (0, 0), "unreachable"),
                Health::Hangs => (0, (0, 0), "(loop $on (br $on))"),
            };
            let _ = write!(
                functions,
                r#"(func (export "seam:host/health@0.1.0#check") (result i32) {then}
                    (i32.store (i32.const 32) (i32.const {ill}))
                    (i32.store (i32.const 36) (i32.const {at})) (i32.store (i32.const 40) (i32.const {len})) (i32.const 32))"#
            );
        }
        let query = match self.query {
            Some(_) => r#"(import "seam:host/store@0.1.0" "query" (func $query (param i32 i32 i32 i32 i32)))"#,
            None => "",
        };
        let data = texts.data();
        format!(
            r#"(module {query}
                (memory (export "memory") 1)
                (global $top (mut i32) (i32.const 16384))
                (global $spin (mut i32) (i32.const 0))
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
                    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
                    (global.set $top (i32.add (local.get $at) (local.get 3)))
                    (local.get $at))
                {functions} {data})"#
        )
    }

    /// `all`: a list of records of a number and two texts.
    fn migrations(&self, texts: &mut Texts) -> String {
        let mut stores = String::new();
        for (at, sql) in self.migrations.iter().enumerate() {
            let (record, number) = (1024 + 20 * at, at + 1);
            let (name_at, name_len) = texts.put("step");
            let (sql_at, sql_len) = texts.put(sql);
            for (field, value) in [number, name_at, name_len, sql_at, sql_len].into_iter().enumerate() {
                let _ = write!(stores, "(i32.store (i32.const {}) (i32.const {value}))", record + 4 * field);
            }
        }
        let count = self.migrations.len();
        format!(
            r#"(func (export "seam:host/migrations@0.1.0#all") (result i32) {stores}
                (i32.store (i32.const 48) (i32.const 1024)) (i32.store (i32.const 52) (i32.const {count})) (i32.const 48))"#
        )
    }
}

impl Version {
    /// `all`: a list of records of a case and three texts. The sentence is the name.
    fn invariants(&self, texts: &mut Texts) -> String {
        let mut stores = String::new();
        for (at, (kind, name, sql)) in self.invariants.iter().enumerate() {
            let record = 1536 + 28 * at;
            let ((name_at, name_len), (sql_at, sql_len)) = (texts.put(name), texts.put(sql));
            let kind = usize::from(*kind == InvariantKind::Total);
            let fields = [kind, name_at, name_len, name_at, name_len, sql_at, sql_len];
            for (field, value) in fields.into_iter().enumerate() {
                let _ = write!(stores, "(i32.store (i32.const {}) (i32.const {value}))", record + 4 * field);
            }
        }
        let count = self.invariants.len();
        format!(
            r#"(func (export "seam:host/invariants@0.1.0#all") (result i32) {stores}
                (i32.store (i32.const 56) (i32.const 1536)) (i32.store (i32.const 60) (i32.const {count})) (i32.const 56))"#
        )
    }
}

/// `Version::times(factor)` with an import of the clock, which it never calls.
///
/// # Errors
/// When the text that this makes is wrong.
pub fn with_clock(factor: u32) -> Result<Vec<u8>> {
    // `wit-component` leaves out what is only declared, so the module imports it.
    let wit = "package t:numbers@0.1.0;
         interface numbers { variant error { odd(u32), unavailable(string) } times: func(n: u32) -> result<u32, error>; }
         world this { import wasi:clocks/wall-clock@0.2.0; export numbers; }
         package wasi:clocks@0.2.0 { interface wall-clock {
             record datetime { seconds: u64, nanoseconds: u32 }
             now: func() -> datetime;
         } }";
    let memory = crate::MEMORY;
    let wat = format!(
        r#"(module (import "wasi:clocks/wall-clock@0.2.0" "now" (func $now (param i32))) {memory}
            (func (export "t:numbers/numbers@0.1.0#times") (param $n i32) (result i32)
                (i32.store (i32.const 16) (i32.const 0))
                (i32.store (i32.const 20) (i32.mul (local.get $n) (i32.const {factor}))) (i32.const 16)))"#
    );
    component(wit, "this", &wat)
}

/// `asking.ask`, which hands its argument to `numbers.times` and its answer back.
///
/// # Errors
/// When the text that this makes is wrong.
pub fn asking() -> Result<Vec<u8>> {
    let wit = "package t:asking@0.1.0;
         interface asking {
             use t:numbers/numbers@0.1.0.{error};
             ask: func(n: u32) -> result<u32, error>;
         }
         world this { import t:numbers/numbers@0.1.0; export asking; }
         package t:numbers@0.1.0 { interface numbers {
             variant error { odd(u32), unavailable(string) }
             times: func(n: u32) -> result<u32, error>;
         } }";
    let memory = crate::MEMORY;
    let wat = format!(
        r#"(module
            (import "t:numbers/numbers@0.1.0" "times" (func $times (param i32 i32)))
            {memory}
            (func (export "t:asking/asking@0.1.0#ask") (param i32) (result i32)
                (global.set $top (i32.const 4096))
                (call $times (local.get 0) (i32.const 64)) (i32.const 64)))"#
    );
    component(wit, "this", &wat)
}

/// A page of one number: what `numbers.times(7)` answers, or `unavailable`.
///
/// # Errors
/// When the text that this makes is wrong.
pub fn page() -> Result<Vec<u8>> {
    page_that(Then::Works)
}

/// The same, which does something else after it has asked.
///
/// # Errors
/// As `page`.
pub fn page_that(then: Then) -> Result<Vec<u8>> {
    page_with(then, 200)
}

/// The same, which asks and then answers with this status.
///
/// # Errors
/// As `page`.
pub fn page_of(status: u16) -> Result<Vec<u8>> {
    page_with(Then::Works, status)
}

fn page_with(then: Then, status: u16) -> Result<Vec<u8>> {
    let wit = "package t:page@0.1.0;
         world this { import t:numbers/numbers@0.1.0; export seam:host/http-handler@0.1.0; }
         package t:numbers@0.1.0 { interface numbers {
             variant error { odd(u32), unavailable(string) }
             times: func(n: u32) -> result<u32, error>;
         } }";
    let (memory, then) = (crate::MEMORY, then.wat());
    // The answer at 64: a byte that is 0 for ok, and the number, of two digits, at 68. The response at 128.
    let wat = format!(
        r#"(module
            (import "t:numbers/numbers@0.1.0" "times" (func $times (param i32 i32)))
            {memory}
            (data (i32.const 2048) "unavailable")
            (func (export "seam:host/http-handler@0.1.0#handle")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                (global.set $top (i32.const 4096))
                (call $times (i32.const 7) (i32.const 64))
                {then}
                (i32.store16 (i32.const 128) (i32.const {status}))
                (i32.store (i32.const 132) (i32.const 0)) (i32.store (i32.const 136) (i32.const 0))
                (if (i32.load8_u (i32.const 64))
                    (then (i32.store (i32.const 140) (i32.const 2048)) (i32.store (i32.const 144) (i32.const 11)))
                    (else
                        (i32.store8 (i32.const 200) (i32.add (i32.const 48) (i32.div_u (i32.load (i32.const 68)) (i32.const 10))))
                        (i32.store8 (i32.const 201) (i32.add (i32.const 48) (i32.rem_u (i32.load (i32.const 68)) (i32.const 10))))
                        (i32.store (i32.const 140) (i32.const 200)) (i32.store (i32.const 144) (i32.const 2))))
                (i32.const 128)))"#
    );
    component(wit, "this", &wat)
}
