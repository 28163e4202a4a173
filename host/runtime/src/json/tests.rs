//! Values of a component's own types, from JSON and back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use serde_json::{Value, json};
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};
use wasmtime::component::{Component, Val};
use wasmtime::{Config, Engine};

use super::*;

const TYPES: &str = r#"(component (import "types" (instance
  (type $money' (record (field "minor-units" u32) (field "currency" string)))
  (export "money" (type $money (eq $money')))
  (type $kind' (enum "lp" "cd"))
  (export "kind" (type $kind (eq $kind')))
  (type $shape' (variant (case "dot") (case "circle" f64)))
  (export "shape" (type $shape (eq $shape')))
  (type $marks' (flags "new" "sale"))
  (export "marks" (type $marks (eq $marks')))
  (type $album' (record
    (field "sku" string) (field "year" u16) (field "price" $money) (field "kind" $kind)
    (field "tags" (list string)) (field "note" (option string)) (field "gone" bool)))
  (export "album" (type $album (eq $album')))
  (export "all" (func
    (param "album" $album) (param "shape" $shape) (param "marks" $marks) (param "pair" (tuple u8 s8))
    (param "deep" (option (option u8))) (param "outcome" (result u8 (error string))) (param "nothing" (result))
    (param "letter" char) (param "big" u64) (param "small" s64) (param "f" f32) (param "d" f64)))
  (export "one" (func (param "album" $album)))
  (export "two" (func (param "count" u8) (param "note" (option string))))
)))"#;

fn type_of(param: &str) -> Type {
    function("all").params().find(|(name, _)| *name == param).unwrap().1
}

fn function(name: &str) -> ComponentFunc {
    let engine = Engine::new(Config::new().gc_support(false)).unwrap();
    let component = Component::new(&engine, TYPES).unwrap();
    let ty = component.component_type();
    let ComponentItem::ComponentInstance(types) = ty.imports(&engine).next().unwrap().1.ty else {
        panic!("an instance")
    };
    let ComponentItem::ComponentFunc(found) = types.get_export(&engine, name).unwrap().ty else { panic!("a function") };
    found
}

fn album(changed: &[(&str, Value)]) -> Value {
    let mut album = json!({
        "sku": "A-1", "year": 1975, "price": {"minor-units": 999, "currency": "GBP"}, "kind": "lp",
        "tags": ["a", "b"], "note": null, "gone": false,
    });
    for (key, value) in changed {
        match value {
            Value::String(gone) if gone == "-" => drop(album.as_object_mut().unwrap().remove(*key)),
            value => album[*key] = value.clone(),
        }
    }
    album
}

#[test]
fn values_are_written_as_they_were_read() {
    let cases = [
        ("album", album(&[])),
        ("album", album(&[("note", json!("x")), ("year", json!(0)), ("tags", json!([]))])),
        ("shape", json!("dot")),
        ("shape", json!({"circle": 1.5})),
        ("marks", json!(["new", "sale"])),
        ("pair", json!([255, -128])),
        ("deep", json!(null)),
        ("deep", json!({"some": null})),
        ("deep", json!({"some": 7})),
        ("outcome", json!({"ok": 7})),
        ("outcome", json!({"err": "no"})),
        ("nothing", json!({"ok": null})),
        ("letter", json!("ß")),
        ("big", json!(u64::MAX)),
        ("small", json!(i64::MIN)),
        ("f", json!(0.1)),
        ("d", json!("-inf")),
    ];
    for (param, json) in cases {
        let value = from_json(&json, &type_of(param)).unwrap_or_else(|e| panic!("{param} {json}: {e}"));
        assert_eq!(to_json(&value), json, "{param}");
    }
}

#[test]
fn an_optional_field_may_be_left_out() {
    let value = from_json(&album(&[("note", json!("-"))]), &type_of("album")).unwrap();
    assert_eq!(to_json(&value), album(&[]));
}

#[test]
fn a_value_that_does_not_fit_is_reported_with_its_path() {
    let cases = [
        ("album", json!(7), "expected an object, found 7"),
        ("album", album(&[("sku", json!("-"))]), "expected a field `sku`, found none"),
        ("album", album(&[("yaer", json!(1))]), "expected the field `year`, found `yaer`"),
        ("album", album(&[("year", json!(65536))]), "`year`: expected a whole number that fits `u16`, found 65536"),
        ("album", album(&[("year", json!("1975"))]), "`year`: expected a whole number that fits `u16`, found \"1975\""),
        (
            "album",
            album(&[("price", json!({"minor-units": 1.5, "currency": "GBP"}))]),
            "`price.minor-units`: expected a whole number that fits `u32`, found 1.5",
        ),
        ("album", album(&[("tags", json!(["a", 2]))]), "`tags[1]`: expected a string, found 2"),
        ("album", album(&[("kind", json!("mc"))]), "`kind`: expected one of `lp`, `cd`, found \"mc\""),
        ("album", album(&[("gone", json!("no"))]), "`gone`: expected true or false, found \"no\""),
        ("shape", json!("square"), "expected one of the cases `dot`, `circle`, found `square`"),
        ("shape", json!("circle"), "expected `{\"circle\": …}`, because `circle` has a payload, found \"circle\""),
        ("shape", json!({"dot": 1}), "expected \"dot\" alone, because `dot` has no payload, found an object"),
        ("marks", json!(["used"]), "`[0]`: expected one of `new`, `sale`, found \"used\""),
        ("marks", json!(["new", "sale", "new"]), "`[2]`: expected each flag once, found \"new\""),
        ("pair", json!([1]), "expected an array of 2, found an array of 1"),
        ("pair", json!([1, 128]), "`[1]`: expected a whole number that fits `s8`, found 128"),
        ("deep", json!(7), "expected null or `{\"some\": …}`, found 7"),
        ("outcome", json!({"err": 1}), "`err`: expected a string, found 1"),
        ("outcome", json!("ok"), "expected `{\"ok\": …}`, found \"ok\""),
        ("letter", json!("ab"), "expected a string of one character, found \"ab\""),
        ("f", json!(1e300), "expected a number that fits `f32`, found 1e+300"),
        ("small", json!(u64::MAX), "expected a whole number that fits `s64`, found 18446744073709551615"),
    ];
    for (param, json, expect) in cases {
        let error = from_json(&json, &type_of(param)).expect_err(expect);
        assert_eq!(error.to_string(), expect, "{param} {json}");
    }
}

#[test]
fn cells_are_read_by_their_type() {
    let ty = type_of("album");
    let cells = [
        ("sku", "007"),
        ("year", "1975"),
        ("price.minor-units", "999"),
        ("price.currency", "GBP"),
        ("kind", "cd"),
        ("tags", "[\"1\", \"b\"]"),
        ("note", ""),
        ("gone", "true"),
    ];
    let value = from_cells(cells, &ty).unwrap();
    let expect =
        album(&[("sku", json!("007")), ("kind", json!("cd")), ("tags", json!(["1", "b"])), ("gone", json!(true))]);
    assert_eq!(to_json(&value), expect);
    let with = |column, cell| cells.map(|(c, old)| if c == column { (c, cell) } else { (c, old) });
    for (column, cell, expect) in [
        ("year", "old", "`year`: expected a whole number that fits `u16`, found \"old\""),
        ("gone", "yes", "`gone`: expected true or false, found \"yes\""),
        ("tags", "a, b", "`tags`: expected an array, found \"a, b\""),
        (
            "tags",
            "[{\"a\": 1, \"a\": 2}]",
            "`tags`: expected each key once, found column 13: an object has the key `a` twice; leave one out",
        ),
        ("price.minor-units", "", "`price.minor-units`: expected a whole number that fits `u32`, found \"\""),
    ] {
        assert_eq!(from_cells(with(column, cell), &ty).unwrap_err().to_string(), expect);
    }
    let both = cells.into_iter().chain([("sku.part", "1")]);
    assert!(from_cells(both, &ty).unwrap_err().to_string().contains("both"));
    for twice in [("sku", "008"), ("price.minor-units", "1")] {
        let error = from_cells(cells.into_iter().chain([twice]), &ty).unwrap_err().to_string();
        assert_eq!(error, format!("`{0}`: expected one column `{0}`, found another of this name", twice.0));
    }
    assert!(matches!(from_cells(with("note", "7"), &ty).unwrap(), Val::Record(_)));
}

#[test]
fn arguments_are_read_as_the_long_way_reads_them() {
    let one = function("one");
    let albums = [
        album(&[]),
        album(&[("note", json!("\u{1f3b5} \"x\""))]),
        album(&[("note", json!("-"))]),
        album(&[("year", json!(65536))]),
        album(&[("year", json!(-1))]),
        album(&[("year", json!(1975.0))]),
        album(&[("year", json!("1975"))]),
        album(&[("sku", json!("-"))]),
        album(&[("yaer", json!(1))]),
        album(&[("kind", json!("mc"))]),
        album(&[("kind", json!("cd"))]),
        album(&[("tags", json!([]))]),
        album(&[("tags", json!([1]))]),
        album(&[("gone", json!(0))]),
        album(&[("price", json!({"minor-units": 1}))]),
        json!(null),
        json!([]),
    ];
    let texts = albums.iter().map(Value::to_string).chain([
        format!("{} ", album(&[])),
        format!("{}1", album(&[])),
        album(&[]).to_string().replace("\"gone\"", "\"sku\":\"twice\",\"gone\""),
        "{\"sku\": ".to_owned(),
    ]);
    let arguments = Arguments::of(&one);
    let ty = one.params().next().unwrap().1;
    for text in texts {
        let long_way = serde_json::from_str::<Value>(&text).map_err(|error| format!("it is no JSON: {error}"));
        let long_way = long_way.and_then(|json| from_json(&json, &ty).map_err(|error| error.to_string()));
        assert_eq!(arguments.read(&text), long_way.map(|value| vec![value]), "{text}");
    }
}

#[test]
fn several_arguments_are_an_object_with_their_names() {
    let two = Arguments::of(&function("two"));
    let note = |text: &str| Val::Option(Some(Box::new(Val::String(text.into()))));
    assert_eq!(two.read(r#"{"note": "x", "count": 7}"#), Ok(vec![Val::U8(7), note("x")]));
    assert_eq!(two.read(r#"{"count": 7}"#), Ok(vec![Val::U8(7), Val::Option(None)]));
    let error = two.read(r#"{"count": 256}"#).unwrap_err();
    assert_eq!(error, "`count`: expected a whole number that fits `u8`, found 256");
}
