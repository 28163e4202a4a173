//! Small components for the tests, generated from a WIT interface. Their core code passes values of any type unchanged.

use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Function, Resolve, SizeAlign, WorldItem};

/// Each guest's memory is filled with its junk byte at the start, so that a test can count leaked bytes.
pub const CALLER_JUNK: u8 = 0xAA;
pub const CALLEE_JUNK: u8 = 0xBB;

/// What a component does with the functions of the interface `seam`.
#[derive(Clone, Copy, PartialEq)]
pub enum Role {
    /// Imports and exports all of them, and forwards calls.
    Relay,
    /// Imports the only one; its own export `poke(list<u8>)` calls it with those bytes as parameters, unchecked.
    Poke,
    /// Exports them; each takes a `list<u8>` and returns those bytes as its result, unchecked.
    Answer,
}

/// Sets `$at` to the next free address that is aligned as asked, and to no more: a caller that asks for too little gets
/// an address that the ABI refuses. Counts the calls by their alignment.
const EXACTLY_ALIGNED: &str = r#"
  (if (i32.ne (i32.popcnt (local.get $align)) (i32.const 1)) (then unreachable))
  (global.set $aligns (i64.add (global.get $aligns)
    (i64.shl (i64.const 1) (i64.mul (i64.const 16) (i64.extend_i32_u (i32.ctz (local.get $align)))))))
  (local.set $at (i32.or (local.get $align) (i32.and
    (i32.add (global.get $heap) (i32.sub (i32.shl (local.get $align) (i32.const 1)) (i32.const 1)))
    (i32.sub (i32.const 0) (i32.shl (local.get $align) (i32.const 1))))))"#;

/// Sets `$at` to the next free address that is aligned for every type.
const ALIGNED: &str = "(local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))";

/// `interface` is the body of `interface seam`.
pub fn component(interface: &str, role: Role, junk: u8, encoding: StringEncoding) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let items = match role {
        Role::Relay => {
            "import seam; export seam; export junk: func(byte: u8) -> u32; export aligns: func() -> u64;".to_owned()
        }
        Role::Poke => "import seam; export poke: func(bytes: list<u8>);".to_owned(),
        Role::Answer => "export seam;".to_owned(),
    };
    let wit = format!("package t:t;\ninterface seam {{\n{interface}\n}}\nworld guest {{ {items} }}\n");
    let package = resolve.push_source("seam.wit", &wit).unwrap_or_else(|e| panic!("{e:?}\n{wit}"));
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    let mut sizes = SizeAlign::default();
    sizes.fill(&resolve);
    let all = resolve.worlds[world].imports.values().chain(resolve.worlds[world].exports.values());
    let seam = all.filter_map(|item| if let WorldItem::Interface { id, .. } = item { Some(*id) } else { None }).next();
    let functions: Vec<&Function> = resolve.interfaces[seam.unwrap()].functions.values().collect();
    let mut imports = String::new();
    let mut bodies = String::new();
    for function in functions {
        match role {
            Role::Relay => {
                imports += &import(&resolve, function);
                bodies += &relay(&resolve, &sizes, function);
            }
            Role::Poke => {
                imports += &import(&resolve, function);
                bodies += &poke(&resolve, function);
            }
            Role::Answer => bodies += &answer(&resolve, function),
        }
    }
    let module = format!(
        r#"(module
{imports}
(memory (export "memory") 4 64)
(global $heap (mut i32) (i32.const 1024))
(global $aligns (mut i64) (i64.const 0))
(func $alloc (export "cabi_realloc") (param $old i32) (param $was i32) (param $align i32) (param $size i32) (result i32)
  (local $at i32)
  (if (i32.lt_u (local.get $size) (local.get $was)) (then (return (local.get $old))))
  {place}
  (global.set $heap (i32.add (local.get $at) (local.get $size)))
  (block $fits
    (br_if $fits (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
    (drop (memory.grow (i32.const 32)))
    (memory.fill (i32.const 262144) (i32.const {junk}) (i32.const 2097152)))
  (memory.copy (local.get $at) (local.get $old) (local.get $was))
  (local.get $at))
(func $count (param $byte i32) (result i32) (local $at i32) (local $sum i32)
  (local.set $at (i32.const 1024))
  (loop $next
    (local.set $sum (i32.add (local.get $sum) (i32.eq (i32.load8_u (local.get $at)) (local.get $byte))))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $at) (global.get $heap))))
  (local.get $sum))
(func $begin (memory.fill (i32.const 1024) (i32.const {junk}) (i32.const 261120)))
(start $begin)
{junk_export}
{bodies})"#,
        place = if role == Role::Relay { EXACTLY_ALIGNED } else { ALIGNED },
        junk_export = if role == Role::Relay {
            r#"(export "junk" (func $count)) (func (export "aligns") (result i64) (global.get $aligns))"#
        } else {
            ""
        },
    );
    let mut module = wat::parse_str(&module).unwrap_or_else(|e| panic!("{e}\n{module}"));
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

fn core(ty: &WasmType) -> &'static str {
    match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
    }
}

fn list(kind: &str, types: &[WasmType]) -> String {
    types.iter().map(|ty| format!("({kind} {})", core(ty))).collect::<Vec<_>>().join(" ")
}

fn import(resolve: &Resolve, function: &Function) -> String {
    let signature = resolve.wasm_signature(AbiVariant::GuestImport, function);
    let (name, params, results) =
        (&function.name, list("param", &signature.params), list("result", &signature.results));
    format!("(import \"t:t/seam\" \"{name}\" (func ${name} {params} {results}))\n")
}

fn relay(resolve: &Resolve, sizes: &SizeAlign, function: &Function) -> String {
    let signature = resolve.wasm_signature(AbiVariant::GuestExport, function);
    let (name, params, results) =
        (&function.name, list("param", &signature.params), list("result", &signature.results));
    let args: String = (0..signature.params.len()).map(|i| format!("(local.get {i}) ")).collect();
    let body = if signature.retptr {
        let result = function.result.unwrap();
        let (align, size) = (sizes.align(&result).align_wasm32(), sizes.size(&result).size_wasm32());
        format!(
            "(local $ret i32) (local.set $ret (call $alloc (i32.const 0) (i32.const 0) (i32.const {align}) (i32.const {size})))
             (call ${name} {args} (local.get $ret)) (local.get $ret)"
        )
    } else {
        format!("(call ${name} {args})")
    };
    format!("(func (export \"t:t/seam#{name}\") {params} {results} {body})\n")
}

fn poke(resolve: &Resolve, function: &Function) -> String {
    let signature = resolve.wasm_signature(AbiVariant::GuestImport, function);
    let args = if signature.indirect_params {
        "(local.get $at)".to_owned()
    } else {
        let load = |(i, ty): (usize, &WasmType)| {
            let ty = core(ty);
            format!("({ty}.load (i32.add (local.get $at) (i32.const {})))", i * 8)
        };
        signature.params.iter().enumerate().map(load).collect()
    };
    format!("(func (export \"poke\") (param $at i32) (param i32) (call ${} {args}))\n", function.name)
}

fn answer(resolve: &Resolve, function: &Function) -> String {
    let signature = resolve.wasm_signature(AbiVariant::GuestExport, function);
    let results = list("result", &signature.results);
    let body = if signature.retptr {
        "(local.get 0)".to_owned()
    } else {
        signature.results.iter().map(|ty| format!("({}.load (local.get 0))", core(ty))).collect()
    };
    format!("(func (export \"t:t/seam#{}\") (param i32) (param i32) {results} {body})\n", function.name)
}
