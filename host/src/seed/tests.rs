//! Files of rows, good and bad. Tests of the whole host show what a context does with them.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write as _;
use std::path::PathBuf;

use seam_store::ids::ContextName;
use serde_json::json;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::*;
use seam_runtime::json::to_json;

fn row_type() -> Type {
    let engine = wasmtime::Engine::new(wasmtime::Config::new().gc_support(false)).unwrap();
    let text = r#"(component (import "rows" (instance
        (type $row' (record (field "id" u8) (field "name" string)))
        (export "row" (type $row (eq $row')))
        (export "take" (func (param "row" $row))))))"#;
    let component = Component::new(&engine, text).unwrap();
    let ty = component.component_type();
    let ComponentItem::ComponentInstance(rows) = ty.imports(&engine).next().unwrap().1.ty else {
        panic!("an instance")
    };
    let ComponentItem::ComponentFunc(take) = rows.get_export(&engine, "take").unwrap().ty else { panic!("a function") };
    take.params().next().unwrap().1
}

fn file(name: &str, text: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::File::create(&path).unwrap().write_all(text).unwrap();
    (folder, path)
}

fn read(name: &str, text: &[u8]) -> Result<Vec<(u64, u64, serde_json::Value)>, String> {
    let (folder, path) = file(name, text);
    let shown = |error: Error| error.to_string().replace(&format!("{}/", folder.path().display()), "");
    let mut rows = Rows::open(&path).map_err(shown)?;
    let ty = row_type();
    let mut batches = Vec::new();
    while let Some(batch) = rows.batch(&ty).map_err(shown)? {
        batches.push((batch.first, batch.last, batch.values.iter().map(to_json).collect()));
    }
    assert_eq!(rows.bytes(), rows.bytes_total, "all of it was read");
    Ok(batches)
}

#[test]
fn json_lines_and_csv_give_the_same_rows() {
    let expect = json!([{"id": 1, "name": "a"}, {"id": 2, "name": "b, c"}]);
    let lines = b"{\"id\": 1, \"name\": \"a\"}\n\n{\"id\": 2, \"name\": \"b, c\"}";
    assert_eq!(read("rows.jsonl", lines).unwrap(), [(1, 3, expect.clone())]);
    assert_eq!(read("rows.csv", b"name,id\na,1\n\"b, c\",2\n").unwrap(), [(2, 3, expect)]);
    assert_eq!(read("rows.jsonl", b"").unwrap(), []);
    assert_eq!(read("rows.csv", b"name,id\n").unwrap(), []);
}

#[test]
fn a_mark_and_windows_line_ends_are_not_there() {
    let hash = |name: &str, text: &[u8]| {
        let (_folder, path) = file(name, text);
        Rows::open(&path).unwrap().sha256
    };
    for (name, text) in [("rows.csv", "id,name\n1,\"a\nb\"\n"), ("rows.jsonl", "{\"id\": 1,\"name\": \"c\"}\n\n")] {
        let office = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        assert_eq!(read(name, office.as_bytes()).unwrap(), read(name, text.as_bytes()).unwrap());
        assert_eq!(hash(name, office.as_bytes()), hash(name, text.as_bytes()), "no changed seed");
    }
}

#[test]
fn rows_come_in_batches() {
    let text: String = (0..1_100).map(|n| format!("{{\"id\": {}, \"name\": \"\"}}\n", n % 256)).collect();
    let batches = read("rows.jsonl", text.as_bytes()).unwrap();
    let lines: Vec<_> = batches.iter().map(|(first, last, _)| (*first, *last)).collect();
    assert_eq!(lines, [(1, 500), (501, 1_000), (1_001, 1_100)]);
}

#[test]
fn a_wrong_row_is_reported_with_its_line() {
    let long = [b"{\"id\": 1, \"name\": \"".as_slice(), &vec![b'x'; 1 << 20], b"\"}"].concat();
    let cases: &[(&str, &[u8], &str)] = &[
        (
            "r.jsonl",
            b"{\"id\": 1, \"name\": \"\"}\n{\"id\": 300, \"name\": \"\"}",
            "r.jsonl:2: `id`: expected a whole number that fits `u8`, found 300",
        ),
        ("r.jsonl", b"\n{\"id\": 1,}", "r.jsonl:2: not JSON: trailing comma at column 10"),
        (
            "r.jsonl",
            b"{\"id\": 1, \"name\": \"a\"}\n{\"id\": 1, \"name\": \"a\", \"id\": 2}",
            "r.jsonl:2: column 27: an object has the key `id` twice; leave one out",
        ),
        (
            "r.jsonl",
            b"{\"id\": 1, \"nmae\": \"\", \"name\": \"\"}",
            "r.jsonl:1: expected the field `name`, found `nmae`",
        ),
        (
            "r.jsonl",
            b"\n{\"id\": 1, \"name\": \"\xe9\"}",
            "r.jsonl:2: not UTF-8 but probably Windows-1252, where the byte E9 is `\u{e9}`: save it as UTF-8",
        ),
        ("r.jsonl", &long, "r.jsonl:1: the row is longer than 1024 KiB"),
        ("r.csv", b"id,name\n1,a\nx,b\n", "r.csv:3: `id`: expected a whole number that fits `u8`, found \"x\""),
        ("r.csv", b"id,name\n1,a,b\n", "r.csv:2: the row has 3 cells, the header has 2"),
        (
            "r.csv",
            b"id,name\n1,\xff\n",
            "r.csv:2: not UTF-8 but probably Windows-1252, where the byte FF is `\u{ff}`: save it as UTF-8",
        ),
        ("r.csv", b"id;name\n1;a\n", "r.csv:1: cells are separated by semicolons: separate them with commas"),
        (
            "r.csv",
            b"\xef\xbb\xbfid\tname\r\n1\ta\r\n",
            "r.csv:1: cells are separated by tabs: separate them with commas",
        ),
        (
            "r.csv",
            b"sep=;\nid;name\n",
            "r.csv:1: `sep=` is a line for spreadsheets: remove it, and separate cells with commas",
        ),
        ("r.csv", b"\xff\xfei\0d\0", "r.csv:1: not UTF-8 but UTF-16, little-endian: save it as UTF-8"),
        ("r.csv", b"id,title\n1,a\n", "r.csv:2: expected a field `name`, found none"),
    ];
    for (name, text, expect) in cases {
        assert_eq!(read(name, text).unwrap_err(), *expect);
    }
}

#[test]
fn loaded_seeds_are_remembered_across_restarts_and_an_unreadable_list_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stores/seeds.json");
    let context = ContextName::new("a").unwrap();
    let seed = Seed { context, call: "b.c".into(), file: "d/e.jsonl".into(), place: Default::default() };
    let other = Seed { file: "d/f.jsonl".into(), ..seed.clone() };
    let record = Record { complete: true, ..Record::new(&seed, "00") };
    let mut loaded = Loaded::open(&path);
    assert_eq!(loaded.find(&record), None);
    loaded.remember([record.clone()]).unwrap();
    loaded.remember([record.clone()]).unwrap();
    assert_eq!(Loaded::open(&path).find(&record), Some(&record));
    assert_eq!(Loaded::open(&path).find(&Record::new(&seed, "01")), Some(&record), "another text of the same seed");
    assert_eq!(Loaded::open(&path).find(&Record::new(&other, "00")), Some(&record), "a file that was renamed");
    assert_eq!(Loaded::open(&path).find(&Record::new(&other, "01")), None);
    let text = std::fs::read_to_string(&path).unwrap().replace("\"complete\": true", "\"x\": 0");
    std::fs::write(&path, text).unwrap();
    assert_eq!(Loaded::open(&path).find(&record), Some(&record), "the list of an earlier host");
    std::fs::write(&path, "{").unwrap();
    assert_eq!(Loaded::open(&path).find(&record), None);
}
