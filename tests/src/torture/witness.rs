//! A context beside the shop that writes each order it hears of into its file, as often as it hears of it: what a
//! handler that is repeatable by itself would hide, it shows.

use anyhow::{Result, ensure};

use crate::shop::Shop;
use crate::{MEMORY, component};

/// Its name in the manifest.
const NAME: &str = "witness";

/// Adds it to the shop's manifest. Before the first start: it hears of the demo's orders, too.
///
/// # Errors
/// When the text of the component is wrong, which is this file's fault.
pub fn add(shop: &Shop) -> Result<()> {
    add_with(shop, "")
}

/// The same with more lines of its table.
///
/// # Errors
/// As `add`.
pub fn add_with(shop: &Shop, lines: &str) -> Result<()> {
    let file = format!("{NAME}.wasm");
    std::fs::write(shop.folder.path().join(&file), wasm()?)?;
    let mut manifest = std::fs::read_to_string(shop.manifest())?;
    manifest.push_str(&format!(
        "\n[context.{NAME}]\ncomponent = \"{file}\"\nstore = true\n{lines}\
         subscribes.\"musiccorp:orders/events\" = {{ batch = 3 }}\n"
    ));
    shop.write_manifest(&manifest)
}

fn wasm() -> Result<Vec<u8>> {
    let wit = "package t:witness@0.1.0;
         world this {
             import seam:host/store@0.1.0;
             export musiccorp:orders/events@0.1.0;
             export seam:host/migrations@0.1.0;
         }
         package musiccorp:orders@0.1.0 {
             interface events {
                 record placed-order { number: string, customer: string, skus: list<string>, at: u64 }
                 variant error { invalid(string), unavailable(string) }
                 order-placed: func(order: placed-order) -> result<_, error>;
             }
         }";
    let (table, insert) = ("CREATE TABLE heard (number TEXT) STRICT", "INSERT INTO heard (number) VALUES (?1)");
    let wat = format!(
        r#"(module
            (import "seam:host/store@0.1.0" "execute" (func $execute (param i32 i32 i32 i32 i32)))
            {MEMORY}
            (data (i32.const 1000) "heard") (data (i32.const 1100) "{table}") (data (i32.const 1300) "{insert}")
            (func (export "seam:host/migrations@0.1.0#all") (result i32)
                (i32.store (i32.const 2000) (i32.const 1))
                (i32.store (i32.const 2004) (i32.const 1000)) (i32.store (i32.const 2008) (i32.const 5))
                (i32.store (i32.const 2012) (i32.const 1100)) (i32.store (i32.const 2016) (i32.const {table_length}))
                (i32.store (i32.const 16) (i32.const 2000)) (i32.store (i32.const 20) (i32.const 1))
                (i32.const 16))
            (func (export "musiccorp:orders/events@0.1.0#order-placed")
                (param $number i32) (param $length i32) (param i32 i32 i32 i32 i64) (result i32)
                (global.set $top (i32.const 4096))
                (i32.store8 (i32.const 64) (i32.const 3))
                (i32.store (i32.const 72) (local.get $number)) (i32.store (i32.const 76) (local.get $length))
                (call $execute (i32.const 1300) (i32.const {insert_length}) (i32.const 64) (i32.const 1) (i32.const 96))
                (if (i32.load8_u (i32.const 96)) (then unreachable))
                (i32.store8 (i32.const 16) (i32.const 0))
                (i32.const 16)))"#,
        table_length = table.len(),
        insert_length = insert.len(),
    );
    component(wit, "this", &wat)
}

/// How many different orders it has heard of, when each came once. Only while no host runs.
///
/// # Errors
/// With those that came more than once.
pub fn heard_once(shop: &Shop) -> Result<usize> {
    heard_once_at(&shop.data())
}

/// The same of a witness on the host with this data folder.
///
/// # Errors
/// As `heard_once`.
pub fn heard_once_at(data: &std::path::Path) -> Result<usize> {
    let file = rusqlite::Connection::open(data.join(format!("stores/{NAME}.db")))?;
    let mut statement = file.prepare("SELECT number, count(*) FROM heard GROUP BY number")?;
    let all: Vec<(String, u32)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let twice: Vec<_> = all.iter().filter(|(_, times)| *times > 1).collect();
    ensure!(twice.is_empty(), "the effect of events came more than once: {twice:?}");
    Ok(all.len())
}
