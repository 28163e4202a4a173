//! Patterns as text, the values that they match, and the errors of wrong patterns.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, wasm_wave};
use wasmtime::{Config, Engine};

use super::*;

/// `{sku: string, year: u16, tags: list<string>, note: option<string>}` or `gone | invalid(string)`, as a result.
const TYPES: &str = r#"
    (type $track' (record (field "sku" string) (field "year" u16) (field "tags" (list string)) (field "note" (option string))))
    (import "track" (type $track (eq $track')))
    (type $error' (variant (case "gone") (case "invalid" string)))
    (import "error" (type $error (eq $error')))
    (type $stage' (enum "new" "sold"))
    (import "stage" (type $stage (eq $stage')))
    (type $marks' (flags "rare" "used"))
    (import "marks" (type $marks (eq $marks')))
    (import "f" (func (param "skus" (list string)) (param "count" u32)
        (result (result (list (tuple $track $stage $marks)) (error $error)))))"#;

fn signature() -> (Vec<(String, Type)>, Type) {
    let mut config = Config::new();
    config.gc_support(false);
    let engine = Engine::new(&config).unwrap();
    let component = Component::new(&engine, format!("(component {TYPES})")).unwrap();
    let mut found = None;
    for (_, item) in component.component_type().imports(&engine) {
        if let ComponentItem::ComponentFunc(ty) = item.ty {
            let params = ty.params().map(|(name, ty)| (name.to_owned(), ty)).collect();
            found = Some((params, ty.results().next().unwrap()));
        }
    }
    found.unwrap()
}

fn value(text: &str) -> Val {
    wasm_wave::from_str(&signature().1, text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

const ONE: &str = r#"ok([({sku: "A", year: 1969, tags: ["a", "b", "c"], note: some("n")}, new, {used})])"#;

#[test]
fn open_parts_match_any_value_and_the_rest_only_its_own() {
    let ty = signature().1;
    for (pattern, meets) in [
        ("_", true),
        ("ok(_)", true),
        ("err(_)", false),
        (ONE, true),
        ("ok([])", false),
        ("ok([...])", true),
        ("ok([_])", true),
        ("ok([_, ..., _])", false),
        (r#"ok([({sku: "A", ...}, _, _)])"#, true),
        (r#"ok([({sku: "B", ...}, _, _)])"#, false),
        ("ok([({...}, new, {used})])", true),
        ("ok([({...}, sold, _)])", false),
        ("ok([({...}, _, {rare, used})])", false),
        (r#"ok([({tags: ["a", ...], ...}, _, _)])"#, true),
        (r#"ok([({tags: [..., "c"], ...}, _, _)])"#, true),
        (r#"ok([({tags: ["a", ..., "b"], ...}, _, _)])"#, false),
        (r#"ok([({tags: ["a", "b", "c", ...], ...}, _, _)])"#, true),
        (r#"ok([({note: "n", ...}, _, _)])"#, true),
        ("ok([({note: some(_), ...}, _, _)])", true),
        ("ok([({note: none, ...}, _, _)])", false),
    ] {
        let read = Pattern::of(pattern, &ty).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        assert_eq!(read.matches(&value(ONE), &mut Bindings::new()), meets, "{pattern}");
    }
    let invalid = Pattern::of("err(invalid(_))", &ty).unwrap();
    assert!(invalid.matches(&value(r#"err(invalid("x"))"#), &mut Bindings::new()));
    assert!(!invalid.matches(&value("err(gone)"), &mut Bindings::new()));
}

#[test]
fn a_bound_name_matches_only_the_same_value() {
    let ty = signature().1;
    let two = |a: &str, b: &str| {
        let one = |sku| format!(r#"({{sku: "{sku}", year: 1, tags: []}}, new, {{}})"#);
        value(&format!("ok([{}, {}])", one(a), one(b)))
    };
    let same = Pattern::of("ok([({sku: $sku, ...}, _, _), ({sku: $sku, ...}, _, _)])", &ty).unwrap();
    let mut bound = Bindings::new();
    assert!(same.matches(&two("A", "A"), &mut bound));
    assert_eq!(bound.get("sku"), Some(&Val::String("A".into())));
    assert!(!same.matches(&two("A", "B"), &mut Bindings::new()));
    let one = Pattern::of("ok([({sku: $sku, year: 1, tags: []}, new, {})])", &ty).unwrap();
    let expected = value(r#"ok([({sku: "A", year: 1, tags: []}, new, {})])"#);
    assert_eq!(one.value(&bound), Some(expected));
    assert_eq!(one.value(&Bindings::new()), None);
    assert!(!one.is_open() && same.is_open());
}

#[test]
fn the_last_parameters_may_be_left_open() {
    let (params, _) = signature();
    for (text, count) in
        [(r#"(["A"], 3)"#, Ok(2)), ("(...)", Ok(2)), ("(_, ...)", Ok(2)), ("([])", Err("`count` is missing"))]
    {
        match (Pattern::params(text, &params), count) {
            (Ok(read), Ok(count)) => assert_eq!(read.len(), count, "{text}"),
            (Err(error), Err(says)) => assert!(error.message.contains(says), "{text}: {error}"),
            (read, _) => panic!("{text}: {read:?}"),
        }
    }
}

#[test]
fn a_pattern_that_no_value_matches_is_an_error_at_its_place() {
    let ty = signature().1;
    for (text, says, at) in [
        ("ok(7)", "expected a list<", "7"),
        ("okay(_)", "expected `ok` or `err`", "okay"),
        ("err(lost)", "there is no case `lost`", "lost"),
        ("err(invalid)", "`invalid` has a value", ")"),
        ("err(gone(1))", "`gone` has no value", "("),
        ("ok([({skuu: _, ...}, _, _)])", "did you mean `sku`?", "skuu"),
        ("ok([({sku: _}, _, _)])", "the field `year` is missing", "{"),
        ("ok([({sku: _, sku: _, ...}, _, _)])", "appears twice", "sku"),
        ("ok([({year: 70000, ...}, _, _)])", "`70000` is not a valid u16", "70000"),
        ("ok([({year: \"x\", ...}, _, _)])", "is not a valid u16", "\"x\""),
        ("ok([(_, old, _)])", "there is no case `old`", "old"),
        ("ok([(_, _, {used, used})])", "the flag `used` appears twice", "used"),
        ("ok([(_, _, {wet})])", "there is no flag `wet`", "wet"),
        ("ok([(_, _)])", "expected", ")"),
        ("ok([..., ...])", "one `...` at most", "..."),
        ("ok([_) ", "expected a comma", ")"),
        ("ok(_) _", "expected the end", "_"),
        ("ok(_", "expected `)`, found the end", ""),
        ("ok(#)", "unexpected `#`", "#"),
    ] {
        let error = Pattern::of(text, &ty).expect_err(text);
        assert!(error.message.contains(says), "{text}: {error}");
        assert_eq!(text.get(error.at.clone()), Some(at), "{text}: {error}");
    }
}

#[test]
fn a_diff_shows_differences_and_fills_open_parts_from_the_value() {
    let ty = signature().1;
    let pattern = Pattern::of(r#"ok([({sku: "A", year: 1970, tags: [...], note: _}, _, _)])"#, &ty).unwrap();
    let shown = diff(&pattern, &value(ONE), &Bindings::new());
    let changed: Vec<&str> = shown.lines().filter(|line| !line.starts_with(' ')).collect();
    assert!(changed.len() == 2 && changed[0].contains("1970") && changed[1].contains("1969"), "{shown}");
    assert_eq!(pretty(&value("err(gone)")), "err(gone)");
}
