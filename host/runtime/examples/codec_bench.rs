//! Measures how long a message takes from the bytes of another host to a reply for the caller, and back:
//! `cargo run --release --example codec_bench -p seam-runtime`.
//!
//! Beside it stands the way through `Val`, which has then still to be carried into a component's memory. The ways take
//! turns, and the minimum of many rounds counts: ratios are stable, absolute times vary.

use std::hint::black_box;
use std::time::Instant;

use seam_runtime::abi_copy::Reply;
use seam_runtime::codec::{self, FunctionLayout};
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{Component, Val};
use wasmtime::{Config, Engine};

const ROUNDS: usize = 60;

const TYPES: &str = r#"(component (import "t:t/seam" (instance
  (type $record (record (field "id" u64) (field "title" string) (field "price" u64) (field "tags" (list string))))
  (export "item" (type $item (eq $record)))
  (export "number" (func (result u32)))
  (export "one" (func (result $item)))
  (export "many" (func (result (list $item))))
  (export "blob" (func (result (list u8))))
)))"#;

fn functions(engine: &Engine) -> anyhow::Result<Vec<(String, ComponentFunc)>> {
    let component = Component::new(engine, TYPES)?;
    let mut found = Vec::new();
    for (_, import) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(seam) = import.ty else { continue };
        for (name, item) in seam.exports(engine) {
            if let ComponentItem::ComponentFunc(ty) = item.ty {
                found.push((name.to_owned(), ty));
            }
        }
    }
    Ok(found)
}

/// A result of this function, and how often a round handles it.
fn sample(name: &str) -> (Val, u32) {
    let text = |text: &str| Val::String(text.to_owned());
    let item = || {
        let tags = Val::List(vec![text("progressive"), text("rock")]);
        let title = text("The Dark Side of the Moon");
        let fields = [("id", Val::U64(7)), ("title", title), ("price", Val::U64(1999)), ("tags", tags)];
        Val::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    match name {
        "number" => (Val::U32(300), 5_000),
        "one" => (item(), 1_000),
        "many" => (Val::List((0..100).map(|_| item()).collect()), 20),
        _ => (Val::List(vec![Val::U8(7); 1 << 20]), 1),
    }
}

/// The nanoseconds of one run of each way: the least of many rounds.
fn measure(times: u32, mut ways: [&mut dyn FnMut() -> anyhow::Result<()>; 4]) -> anyhow::Result<[f64; 4]> {
    let mut best = [f64::INFINITY; 4];
    for _ in 0..ROUNDS {
        for (way, best) in ways.iter_mut().zip(&mut best) {
            let started = Instant::now();
            for _ in 0..times {
                way()?;
            }
            *best = best.min(started.elapsed().as_nanos() as f64 / f64::from(times));
        }
    }
    Ok(best)
}

fn main() -> anyhow::Result<()> {
    let mut config = Config::new();
    config.concurrency_support(false).gc_support(false);
    let engine = Engine::new(&config)?;
    println!(
        "{:<10}{:>10}{:>12}{:>12}{:>8}{:>12}{:>12}{:>8}",
        "", "bytes", "read ns", "by Val", "x", "write ns", "by Val", "x"
    );
    for (name, ty) in functions(&engine)? {
        let (layout, types) = (FunctionLayout::of(&ty)?, ty.results().collect::<Vec<Type>>());
        let (value, times) = sample(&name);
        let (values, mut bytes) = (vec![value], Vec::new());
        codec::encode(&values, &types, &mut bytes)?;
        let reply = Reply::decode(&layout, &bytes)?;
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let [read, read_val, write, write_val] = measure(
            times,
            [
                &mut || {
                    black_box(Reply::decode(&layout, black_box(&bytes))?);
                    Ok(())
                },
                &mut || {
                    black_box(codec::decode(black_box(&bytes), &types)?);
                    Ok(())
                },
                &mut || {
                    first.clear();
                    Ok(reply.encode(&layout, black_box(&mut first))?)
                },
                &mut || {
                    second.clear();
                    Ok(codec::encode(&values, &types, black_box(&mut second))?)
                },
            ],
        )?;
        anyhow::ensure!(first == bytes && second == bytes, "both ways write the same bytes");
        println!(
            "{name:<10}{:>10}{read:>12.0}{read_val:>12.0}{:>8.1}{write:>12.0}{write_val:>12.0}{:>8.1}",
            bytes.len(),
            read_val / read,
            write_val / write
        );
    }
    Ok(())
}
