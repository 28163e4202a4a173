//! The encoding of each type, what is refused, digests, and what `docs/codec.md` says about them.

#![allow(clippy::unwrap_used, clippy::panic)]

use wasmtime::component::Val;

use super::*;
use crate::limits;
use crate::samples::{Seed, Types, params, signature, signatures, value};

fn encoded(interface: &str, values: &[Val]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    encode(values, &params(&signature(interface)), &mut out).map(|()| out)
}

fn decoded(interface: &str, bytes: &[u8]) -> Result<Vec<Val>, Error> {
    decode(bytes, &params(&signature(interface)))
}

#[test]
fn random_values_of_random_types_come_back() {
    for number in 0..40 {
        let mut seed = Seed(number);
        let interface = Types::interface(&mut seed, 6);
        for (name, ty) in signatures(&interface) {
            let types = params(&ty);
            for _ in 0..8 {
                let values: Vec<Val> = types.iter().map(|ty| value(ty, &mut seed)).collect();
                let mut bytes = b"before".to_vec();
                encode(&values, &types, &mut bytes).unwrap();
                let back = decode(&bytes[6..], &types);
                assert_eq!(back.as_ref(), Ok(&values), "seed {number}, {name} of\n{interface}");
                assert!(bytes.starts_with(b"before"));
            }
        }
    }
}

#[test]
fn integers_have_the_bytes_of_leb128() {
    let cases: [(Val, &str, &[u8]); 14] = [
        (Val::U16(127), "u16", &[0x7f]),
        (Val::U16(128), "u16", &[0x80, 1]),
        (Val::U16(u16::MAX), "u16", &[0xff, 0xff, 3]),
        (Val::U32(u32::MAX), "u32", &[0xff, 0xff, 0xff, 0xff, 0xf]),
        (Val::U64(u64::MAX), "u64", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        (Val::S16(63), "s16", &[0x3f]),
        (Val::S16(64), "s16", &[0xc0, 0]),
        (Val::S16(-64), "s16", &[0x40]),
        (Val::S16(-65), "s16", &[0xbf, 0x7f]),
        (Val::S16(i16::MIN), "s16", &[0x80, 0x80, 0x7e]),
        (Val::S32(i32::MIN), "s32", &[0x80, 0x80, 0x80, 0x80, 0x78]),
        (Val::S64(i64::MIN), "s64", &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f]),
        (Val::S64(i64::MAX), "s64", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]),
        (Val::Char('\u{10ffff}'), "char", &[0xff, 0xff, 0x43]),
    ];
    for (value, ty, bytes) in cases {
        let interface = format!("f: func(x: {ty});");
        assert_eq!(encoded(&interface, std::slice::from_ref(&value)).as_deref(), Ok(bytes), "{value:?}");
        assert_eq!(decoded(&interface, bytes), Ok(vec![value]));
    }
}

#[test]
fn the_bits_of_a_nan_stay() {
    let bits = [0x7f80_0001_u32, 0xffff_ffff, 0x7fc0_0000];
    for bits in bits {
        let bytes = encoded("f: func(x: f32);", &[Val::Float32(f32::from_bits(bits))]).unwrap();
        assert_eq!(bytes, bits.to_le_bytes());
        assert_eq!(decoded("f: func(x: f32);", &bytes), Ok(vec![Val::Float32(f32::from_bits(bits))]));
    }
}

/// Every other form of a value than the one that `encode` writes, and everything that is none.
#[test]
fn bytes_that_are_no_encoding_are_refused_with_what_and_where() {
    let declared = "enum e { a, b, c } variant v { n, t(string) } flags nine { a, b, c, d, e, f, g, h, i }
        record r { id: u16, lines: list<tuple<bool, option<char>>> }";
    let end = |expected| Problem::End { expected };
    let range = |expected| Problem::Range { expected };
    let cases: [(&str, &[u8], Problem, &str); 31] = [
        ("bool", &[2], Problem::Bool { byte: 2 }, "value 1: 0x02 is neither 0 nor 1, at byte 0"),
        ("bool", &[], end("bool"), "value 1: the bytes end in the middle of a `bool`, at byte 0"),
        ("bool", &[1, 0, 0], Problem::Trailing { bytes: 2 }, "2 bytes follow the last value, at byte 1"),
        ("u16", &[0x80, 0], Problem::Overlong, ""),
        ("u16", &[0x81, 0x80, 0], Problem::Overlong, ""),
        ("u16", &[0x80, 0x80, 4], range("u16"), "value 1: the number is out of the range of `u16`, at byte 0"),
        ("u32", &[0xff, 0xff, 0xff, 0xff, 0x1f], range("u32"), ""),
        ("u64", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], range("u64"), ""),
        ("u64", &[0x80; 12], range("u64"), ""),
        ("u64", &[0x80], end("u64"), ""),
        ("s16", &[0x80, 0], Problem::Overlong, ""),
        ("s16", &[0xff, 0x7f], Problem::Overlong, ""),
        ("s16", &[0x80, 0x80, 2], range("s16"), ""),
        ("s16", &[0xff, 0xff, 0x7d], range("s16"), ""),
        ("s64", &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1], range("s64"), ""),
        ("s64", &[0xff; 12], range("s64"), ""),
        ("f64", &[0; 7], end("f64"), ""),
        ("char", &[0x80, 0xb0, 3], Problem::Char { code: 0xd800 }, ""),
        ("char", &[0x80, 0x80, 0x44], Problem::Char { code: 0x11_0000 }, ""),
        ("string", &[1, 0xff], Problem::Text, "value 1: the string is not valid UTF-8, at byte 0"),
        ("string", &[3, 0xed, 0xa0, 0x80], Problem::Text, ""),
        ("string", &[0xff, 0xff, 0xff, 0xff, 0xf], end("string"), ""),
        ("list<u8>", &[0xff, 0xff, 0xff, 0xff, 0xf, 0], Problem::Items { items: u32::MAX, left: 1 }, ""),
        ("list<list<u64>>", &[2, 0], Problem::Items { items: 2, left: 1 }, ""),
        ("e", &[3], Problem::Case { case: 3, cases: 3 }, ""),
        ("v", &[2], Problem::Case { case: 2, cases: 2 }, ""),
        ("v", &[1, 1, 0xff], Problem::Text, "value 1, case `t`: the string is not valid UTF-8, at byte 1"),
        ("option<u8>", &[2], Problem::Bool { byte: 2 }, ""),
        ("result<u8, u16>", &[1, 0x80, 0], Problem::Overlong, ""),
        ("nine", &[0, 2], Problem::Flags, "value 1: a bit is set that belongs to no flag, at byte 0"),
        (
            "r",
            &[7, 2, 0, 0, 1, 1, 0x80],
            end("char"),
            "value 1, field `lines`, item 2, element 2, case `some`: the bytes end in the middle of a `char`, at byte 6",
        ),
    ];
    for (ty, bytes, problem, text) in cases {
        let error = decoded(&format!("{declared} f: func(x: {ty});"), bytes).unwrap_err();
        assert_eq!(error.problem(), &problem, "{ty} of {bytes:x?}");
        assert!(text.is_empty() || error.to_string() == text, "{error}");
    }
}

#[test]
fn values_of_other_types_are_not_encoded() {
    let declared = "enum e { a } variant v { n, t(string) } flags g { a } record r { id: u16 }";
    let named = |name: &str| Val::Record(vec![(name.into(), Val::U16(1))]);
    let cases: [(&str, Val, &str); 8] = [
        ("u8", Val::U16(1), "value 1: the value does not fit the type `u8`, at byte 0"),
        ("e", Val::Enum("b".into()), "value 1: the value does not fit the type `enum`, at byte 0"),
        ("v", Val::Variant("x".into(), None), "value 1: the value does not fit the type `variant`, at byte 0"),
        ("v", Val::Variant("t".into(), None), "value 1, case `t`: the value does not fit the type `string`, at byte 1"),
        ("g", Val::Flags(vec!["b".into()]), "value 1: the value does not fit the type `flags`, at byte 0"),
        ("r", named("key"), "value 1: the value does not fit the type `record`, at byte 0"),
        ("r", Val::Record(vec![]), "value 1: the value does not fit the type `record`, at byte 0"),
        (
            "list<r>",
            Val::List(vec![named("id"), Val::U8(1)]),
            "value 1, item 2: the value does not fit the type `record`, at byte 2",
        ),
    ];
    for (ty, value, text) in cases {
        let types = params(&signature(&format!("{declared} f: func(x: {ty});")));
        let mut out = vec![9];
        assert_eq!(encode(&[value], &types, &mut out).unwrap_err().to_string(), text);
        assert_eq!(out, [9], "nothing of a refused message stays");
    }
    let error = encoded("f: func(x: u8);", &[]).unwrap_err();
    assert_eq!(error.problem(), &Problem::Count { values: 0, types: 1 });
}

#[test]
fn a_message_has_a_bound_and_so_have_its_values() {
    let half = Val::String("x".repeat(limits::SEAM_MESSAGE_BYTES_MAX / 2));
    let error = encoded("f: func(x: string, y: string);", &[half.clone(), half.clone()]).unwrap_err();
    assert_eq!(error.problem(), &Problem::TooLarge);
    assert!(encoded("f: func(x: string);", &[half]).is_ok());

    let many = vec![0; limits::SEAM_MESSAGE_BYTES_MAX + 1];
    assert_eq!(decoded("f: func(x: string);", &many).unwrap_err().problem(), &Problem::TooLarge);

    // Each byte of the message is a record, which takes a hundred times as much.
    let items = limits::CODEC_VALUES_BYTES_MAX / size_of::<Val>();
    let mut bytes = Vec::new();
    put_unsigned(&mut bytes, items as u64);
    bytes.resize(bytes.len() + items, 0);
    let error = decoded("record r { a: u8 } f: func(x: list<r>);", &bytes).unwrap_err();
    assert_eq!(error.problem(), &Problem::TooManyValues);
}

#[test]
fn a_digest_depends_on_the_structure_of_a_type_and_on_nothing_else() {
    let of = |interface: &str| digest(&signature(interface));
    let base = of("record r { a: u8, b: string } f: func(x: r, y: list<u32>) -> result<r, string>;");
    let same = of("record other { a: u8, b: string } f: func(p: other, q: list<u32>) -> result<other, string>;");
    assert_eq!(base, same, "names of types and parameters do not count");
    let others = [
        "record r { a: u8, c: string } f: func(x: r, y: list<u32>) -> result<r, string>;",
        "record r { b: string, a: u8 } f: func(x: r, y: list<u32>) -> result<r, string>;",
        "record r { a: u16, b: string } f: func(x: r, y: list<u32>) -> result<r, string>;",
        "record r { a: s8, b: string } f: func(x: r, y: list<u32>) -> result<r, string>;",
        "record r { a: u8, b: string } f: func(x: r, y: list<u64>) -> result<r, string>;",
        "record r { a: u8, b: string } f: func(x: r, y: list<u32>) -> result<r>;",
        "record r { a: u8, b: string } f: func(x: r, y: list<u32>) -> r;",
        "record r { a: u8, b: string } f: func(x: r, y: list<u32>);",
        "record r { a: u8, b: string } f: func(y: list<u32>, x: r) -> result<r, string>;",
        "record r { a: u8, b: string } f: func(x: tuple<r, list<u32>>) -> result<r, string>;",
        "f: func(x: tuple<u8, string>, y: list<u32>) -> result<tuple<u8, string>, string>;",
        "enum r { a, b } f: func(x: r);",
        "enum r { b, a } f: func(x: r);",
        "variant r { a, b(u8) } f: func(x: r);",
        "variant r { a(u8), b } f: func(x: r);",
        "flags r { a, b } f: func(x: r);",
    ];
    let mut seen = vec![base];
    for interface in others {
        let digest = of(interface);
        assert!(!seen.contains(&digest), "{interface}");
        seen.push(digest);
    }
}

/// The cells in backticks of a row of the page, if it has three of them.
fn row(line: &str) -> Option<[&str; 3]> {
    let cells: Vec<&str> = line.strip_prefix("| `")?.strip_suffix("` |")?.split("` | `").collect();
    cells.try_into().ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

#[test]
fn the_page_says_what_the_codec_does() {
    let page = include_str!("../../../../docs/codec.md");
    let declared = page.split("```wit\n").nth(1).unwrap().split("```").next().unwrap();
    // Each row of a table, with the header of its table.
    let mut rows = Vec::new();
    let mut header = "";
    for line in page.lines() {
        match row(line) {
            Some(row) => rows.push((header, row)),
            None if line.starts_with("| ") => header = line,
            None => {}
        }
    }
    let functions: String =
        rows.iter().enumerate().map(|(at, (_, [ty, ..]))| format!("row{at}: func(x: {ty});\n")).collect();
    let call = "call: func(x: tuple<u64, list<line>, option<string>, extras>);\n";
    let mut types = signatures(&format!("{declared}{call}{functions}"));
    let (place, call) = (types.remove(0).1, params(&types.remove(0).1));
    let (mut written, mut refused) = (0, 0);
    for ((header, [ty, second, third]), (_, signature)) in rows.into_iter().zip(&types) {
        let types = params(signature);
        if header == "| type | value | bytes |" {
            let value = Val::from_wave(&types[0], second).unwrap();
            let mut out = Vec::new();
            encode(std::slice::from_ref(&value), &types, &mut out).unwrap();
            assert_eq!(hex(&out), third, "{ty} {second}");
            let back = decode(&bytes(third), &types).unwrap();
            // The order of flags in a `Val` says nothing; as text they are in that of the page.
            assert_eq!(Val::from_wave(&types[0], &back[0].to_wave().unwrap()).unwrap(), value, "{ty} {second}");
            written += 1;
        } else {
            assert_eq!(header, "| type | bytes | error |");
            assert_eq!(decode(&bytes(second), &types).unwrap_err().to_string(), third, "{ty} {second}");
            refused += 1;
        }
    }
    assert!(written > 30 && refused > 10, "{written} and {refused} rows are found");
    let (value, message) = page.split("```text\n").nth(1).unwrap().split_once('\n').unwrap();
    let sent = Val::from_wave(&call[0], value).unwrap();
    let Val::Tuple(sent) = sent else { panic!("{sent:?}") };
    let mut out = Vec::new();
    encode(&sent, &params(&place), &mut out).unwrap();
    assert_eq!(Some(hex(&out).as_str()), message.lines().next());
    assert!(page.replace('\n', "").contains(&canonical_text(&place)), "{}", canonical_text(&place));
    assert!(page.contains(&hex(&digest(&place)).replace(' ', "")));
    assert!(page.contains(&format!("version **{VERSION}**")));
    assert_eq!((limits::SEAM_MESSAGE_BYTES_MAX, limits::SEAM_TYPE_DEPTH_MAX), (16 << 20, 32), "as the page says");
    assert_eq!(limits::CODEC_TYPES_MAX, 10_000, "as the page says");
}

#[test]
fn the_canonical_text_names_every_type() {
    let ty = signature(
        "record r { a-b: bool, c: char } variant v { n, t(f32) } enum e { x, y } flags g { i, j }
         f: func(a: s8, b: u8, c: s16, d: u16, e: s32, f: u32, g: s64, h: u64, i: f64, j: string,
                 k: tuple<r, v, e, g>) -> result<list<option<u8>>>;",
    );
    assert_eq!(
        canonical_text(&ty),
        "func(s8,u8,s16,u16,s32,u32,s64,u64,f64,string,tuple<record{a-b:bool,c:char},variant{n,t(f32)},enum{x,y},\
         flags{i,j}>)->result<list<option<u8>>,_>"
    );
    assert_eq!(canonical_text(&signature("f: func();")), "func()");
}
