//! Measures one call from component to component, for each transport:
//! `cargo run --release --example call_bench -p seam-runtime`.
//!
//! Both guests run on one thread, each in its own store. The callee's results are ready in its memory, so that nearly
//! all of the measured time is transport. The transports take turns, and the minimum of many rounds counts: ratios are
//! stable, absolute times vary.
//! `typed` uses the types that `bindgen!` generates on both sides, which only a host that knows the interface can use.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use seam_runtime::abi_copy;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentType, Func, Instance, Lift, Linker, LinkerInstance, Lower};
use wasmtime::{Config, Engine, Result, Store};
use wit_component::{ComponentEncoder, StringEncoding};

const SEAM: &str = "t:t/seam";
const ROUNDS: usize = 60;

const WIT: &str = "package t:t;
interface seam {
  record item { id: u64, title: string, price: u64, tags: list<string> }
  variant error { not-found(u64), unavailable(string) }
  add: func(a: u32, b: u32) -> u32;
  get-item: func(id: u64) -> result<item, error>;
  list-items: func(n: u32) -> result<list<item>, error>;
  blob: func(n: u32) -> list<u8>;
}
world caller { import seam; export run: func(which: u32, times: u32); }
world callee { export seam; }";

const CALLER: &str = r#"(module
(import "t:t/seam" "add" (func $add (param i32 i32) (result i32)))
(import "t:t/seam" "get-item" (func $get-item (param i64 i32)))
(import "t:t/seam" "list-items" (func $list-items (param i32 i32)))
(import "t:t/seam" "blob" (func $blob (param i32 i32)))
(memory (export "memory") 64)
(global $heap (mut i32) (i32.const 1024))
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
  (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
  (global.set $heap (i32.add (local.get $at) (local.get 3)))
  (local.get $at))
(func (export "run") (param $which i32) (param $times i32)
  (loop $next
    (global.set $heap (i32.const 1024))
    (if (i32.eq (local.get $which) (i32.const 0)) (then (drop (call $add (i32.const 1) (i32.const 2)))))
    (if (i32.eq (local.get $which) (i32.const 1)) (then (call $get-item (i64.const 7) (i32.const 16))))
    (if (i32.eq (local.get $which) (i32.const 2)) (then (call $list-items (i32.const 100) (i32.const 16))))
    (if (i32.eq (local.get $which) (i32.const 3)) (then (call $blob (i32.const 1048576) (i32.const 16))))
    (local.set $times (i32.sub (local.get $times) (i32.const 1)))
    (br_if $next (local.get $times)))))"#;

/// An item has 32 bytes: id, title, price, tags. The result at 1000 holds one, and a hundred start at 8192.
const CALLEE: &str = r#"(module
(memory (export "memory") 64)
(data (i32.const 64) "The Dark Side of the Moon")
(data (i32.const 100) "progressive" "rock")
(func $pair (param $at i32) (param i32 i32)
  (i32.store (local.get $at) (local.get 1)) (i32.store offset=4 (local.get $at) (local.get 2)))
(func $item (param $at i32)
  (i64.store (local.get $at) (i64.const 7)) (call $pair (i32.add (local.get $at) (i32.const 8)) (i32.const 64) (i32.const 25))
  (i64.store offset=16 (local.get $at) (i64.const 1999))
  (call $pair (i32.add (local.get $at) (i32.const 24)) (i32.const 200) (i32.const 2)))
(func $begin (local $i i32)
  (call $pair (i32.const 200) (i32.const 100) (i32.const 11)) (call $pair (i32.const 208) (i32.const 111) (i32.const 4))
  (call $item (i32.const 1008))
  (call $pair (i32.const 1112) (i32.const 8192) (i32.const 100))
  (loop $next
    (call $item (i32.add (i32.const 8192) (i32.mul (local.get $i) (i32.const 32))))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $i) (i32.const 100))))
  (call $pair (i32.const 1200) (i32.const 65536) (i32.const 1048576)))
(start $begin)
(func (export "t:t/seam#add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
(func (export "t:t/seam#get-item") (param i64) (result i32) (i32.const 1000))
(func (export "t:t/seam#list-items") (param i32) (result i32) (i32.const 1104))
(func (export "t:t/seam#blob") (param i32) (result i32) (i32.const 1200)))"#;

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
struct Item {
    id: u64,
    title: String,
    price: u64,
    tags: Vec<String>,
}

#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "not-found")]
    NotFound(u64),
    #[component(name = "unavailable")]
    Unavailable(String),
}

#[derive(Clone, Copy)]
enum Transport {
    AbiCopy,
    Val,
    Typed,
}

fn component(engine: &Engine, core: &str, world: &str) -> anyhow::Result<Component> {
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_source("bench.wit", WIT)?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut module = wat::parse_str(core)?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    let bytes = ComponentEncoder::default().module(&module)?.validate(true).encode()?;
    Ok(Component::new(engine, bytes)?)
}

/// Only the transport differs: all use one callee behind a lock, like a checked-out instance.
fn link(
    seam: &mut LinkerInstance<'_, ()>,
    transport: Transport,
    name: &str,
    callee: Arc<Mutex<Store<()>>>,
    func: Func,
) -> Result<()> {
    macro_rules! typed {
        ($params:ty, $results:ty) => {{
            let func = func.typed::<$params, $results>(&*callee.lock().map_err(|_| wasmtime::format_err!("lock"))?)?;
            seam.func_wrap(name, move |_, params: $params| -> Result<$results> {
                func.call(&mut *callee.lock().map_err(|_| wasmtime::format_err!("lock"))?, params)
            })
        }};
    }
    let ty = func.ty(&*callee.lock().map_err(|_| wasmtime::format_err!("lock"))?);
    match (transport, name) {
        (Transport::AbiCopy, _) => abi_copy::link(seam, name, &ty, move |_, args| {
            args.invoke(&func, &mut *callee.lock().map_err(|_| wasmtime::format_err!("lock"))?)
        }),
        (Transport::Val, _) => seam.func_new(name, move |_, _, params, results| {
            func.call(&mut *callee.lock().map_err(|_| wasmtime::format_err!("lock"))?, params, results)
        }),
        (Transport::Typed, "add") => typed!((u32, u32), (u32,)),
        (Transport::Typed, "get-item") => typed!((u64,), (Result<Item, Error>,)),
        (Transport::Typed, "list-items") => typed!((u32,), (Result<Vec<Item>, Error>,)),
        (Transport::Typed, _) => typed!((u32,), (Vec<u8>,)),
    }
}

fn caller(
    engine: &Engine,
    transport: Transport,
    caller: &Component,
    callee: &Component,
) -> Result<(Store<()>, Instance)> {
    let mut store = Store::new(engine, ());
    let instance = Linker::new(engine).instantiate(&mut store, callee)?;
    let missing = || wasmtime::format_err!("the callee exports less than the caller imports");
    let interface = instance.get_export_index(&mut store, None, SEAM).ok_or_else(missing)?;
    let mut functions = Vec::new();
    for (_, item) in caller.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(seam) = item.ty else { continue };
        for (name, item) in seam.exports(engine) {
            if !matches!(item.ty, ComponentItem::ComponentFunc(_)) {
                continue;
            }
            let index = instance.get_export_index(&mut store, Some(&interface), name).ok_or_else(missing)?;
            functions.push((name.to_owned(), instance.get_func(&mut store, index).ok_or_else(missing)?));
        }
    }
    let callee = Arc::new(Mutex::new(store));
    let mut linker = Linker::new(engine);
    let mut seam = linker.instance(SEAM)?;
    for (name, func) in functions {
        link(&mut seam, transport, &name, callee.clone(), func)?;
    }
    let mut store = Store::new(engine, ());
    let instance = linker.instantiate(&mut store, caller)?;
    Ok((store, instance))
}

fn main() -> anyhow::Result<()> {
    let mut config = Config::new();
    config.concurrency_support(false).gc_support(false);
    let engine = Engine::new(&config)?;
    let (importing, exporting) = (component(&engine, CALLER, "caller")?, component(&engine, CALLEE, "callee")?);
    let mut transports = Vec::new();
    for transport in [Transport::AbiCopy, Transport::Val, Transport::Typed] {
        let (mut store, instance) = caller(&engine, transport, &importing, &exporting)?;
        let run = instance.get_typed_func::<(u32, u32), ()>(&mut store, "run")?;
        transports.push((store, run));
    }
    println!("{:<22}{:>12}{:>12}{:>12}{:>10}{:>12}", "", "copy ns", "Val ns", "typed ns", "Val/copy", "typed/copy");
    for (which, (name, times)) in
        [("add(u32, u32)", 2_000), ("one item", 1_000), ("list of 100 items", 40), ("list<u8> of 1 MiB", 1)]
            .into_iter()
            .enumerate()
    {
        let mut best = [f64::INFINITY; 3];
        for _ in 0..ROUNDS {
            for ((store, run), best) in transports.iter_mut().zip(&mut best) {
                let started = Instant::now();
                run.call(store, (which as u32, times))?;
                *best = best.min(started.elapsed().as_nanos() as f64 / f64::from(times));
            }
        }
        let [copied, val, typed] = best;
        println!("{name:<22}{copied:>12.0}{val:>12.0}{typed:>12.0}{:>10.2}{:>12.2}", val / copied, typed / copied);
    }
    Ok(())
}
