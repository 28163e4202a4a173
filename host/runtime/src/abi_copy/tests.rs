//! `Val` is the oracle: the fast path must carry, refuse and change the same values.
//!
//! Each test chains two components, each with its own `Store`: the host calls the caller, the caller calls the callee,
//! and the callee calls the host. The call from caller to callee uses either `abi_copy` or `Val`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alignment;
mod encoded;

use std::sync::{Arc, Mutex};

use wasmtime::component::{Component, Func, Instance, Linker, Val};
use wasmtime::{Result, Store};
use wit_component::StringEncoding;

use super::{Fault, Reply, invoke_encoded, limits, link, supports};
use crate::codec::{self, FunctionLayout, Problem};
use crate::samples::{CALLEE_JUNK, CALLER_JUNK, ENGINE, Role, SEAM, Seed, Types, component, functions, value};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Transport {
    AbiCopy,
    Val,
    /// As if the callee were on another host.
    Encoded,
}

/// The arguments and results of the host function at the end of the chain.
#[derive(Default, Clone)]
struct Script {
    received: Arc<Mutex<Vec<Val>>>,
    returns: Arc<Mutex<Vec<Val>>>,
    /// The parameters and results of the last `abi_copy` call, as `values` reads them from the messages.
    read: Arc<Mutex<(Vec<Val>, Vec<Val>)>>,
}

fn load(interface: &str, role: Role, junk: u8, encoding: StringEncoding) -> Component {
    Component::new(&ENGINE, component(interface, role, junk, encoding)).unwrap()
}

fn export(store: &mut Store<Script>, instance: &Instance, name: &str) -> Func {
    let interface = instance.get_export_index(&mut *store, None, SEAM).unwrap();
    let index = instance.get_export_index(&mut *store, Some(&interface), name).unwrap();
    instance.get_func(&mut *store, index).unwrap()
}

/// Starts a callee; `script` answers its own import, if it has one.
fn start_callee(callee: &Component, script: &Script) -> (Store<Script>, Instance) {
    let mut linker = Linker::<Script>::new(&ENGINE);
    let imports = functions(callee, true);
    if !imports.is_empty() {
        let mut seam = linker.instance(SEAM).unwrap();
        for (name, _) in imports {
            seam.func_new(&name, |store, _, params, results| {
                *store.data().received.lock().unwrap() = params.to_vec();
                results.clone_from_slice(&store.data().returns.lock().unwrap());
                Ok(())
            })
            .unwrap();
        }
    }
    let mut store = Store::new(&ENGINE, script.clone());
    let instance = linker.instantiate(&mut store, callee).unwrap();
    (store, instance)
}

struct Chain {
    store: Store<Script>,
    caller: Instance,
    callee_store: Arc<Mutex<Store<Script>>>,
    callee: Instance,
}

/// Links every function that `caller` imports to the callee's. If `contained`, `AbiCopy` turns a failure of the callee
/// into an `unavailable` reply.
fn chain(caller: &Component, callee: &Component, transport: Transport, script: &Script, contained: bool) -> Chain {
    let (mut callee_store, callee) = start_callee(callee, script);
    let functions: Vec<_> = functions(caller, true)
        .into_iter()
        .map(|(name, ty)| (export(&mut callee_store, &callee, &name), name, ty))
        .collect();
    let callee_store = Arc::new(Mutex::new(callee_store));
    let mut linker = Linker::<Script>::new(&ENGINE);
    let mut seam = linker.instance(SEAM).unwrap();
    for (func, name, ty) in functions {
        let store = callee_store.clone();
        match transport {
            Transport::AbiCopy => {
                let params: Vec<_> = ty.params().map(|(_, ty)| ty).collect();
                let results: Vec<_> = ty.results().collect();
                let read = script.read.clone();
                link(&mut seam, &name, &ty, move |_, args| match args.invoke(&func, &mut *store.lock().unwrap()) {
                    Err(e) if contained => Ok(Reply::unavailable(format!("{e:#}"))),
                    Ok(reply) => {
                        *read.lock().unwrap() = (args.values(&params).unwrap(), reply.values(&results).unwrap());
                        Ok(reply)
                    }
                    outcome => outcome,
                })
                .unwrap()
            }
            Transport::Encoded => {
                let layout = FunctionLayout::of(&ty).unwrap();
                link(&mut seam, &name, &ty, move |_, args| {
                    let mut bytes = Vec::new();
                    args.encode(&layout, &mut bytes)?;
                    let reply = invoke_encoded(&layout, &bytes, &func, &mut *store.lock().unwrap())?;
                    bytes.clear();
                    reply.encode(&layout, &mut bytes)?;
                    Ok(Reply::decode(&layout, &bytes)?)
                })
                .unwrap()
            }
            Transport::Val => seam
                .func_new(&name, move |_, _, params, results| func.call(&mut *store.lock().unwrap(), params, results))
                .unwrap(),
        }
    }
    let mut store = Store::new(&ENGINE, script.clone());
    let caller = linker.instantiate(&mut store, caller).unwrap();
    Chain { store, caller, callee_store, callee }
}

impl Chain {
    fn call(&mut self, name: &str, params: &[Val], results: usize) -> Result<Vec<Val>> {
        let func = export(&mut self.store, &self.caller, name);
        let mut out = vec![Val::Bool(false); results];
        func.call(&mut self.store, params, &mut out)?;
        Ok(out)
    }

    fn poke(&mut self, bytes: &[u8]) -> Result<()> {
        let func = self.caller.get_func(&mut self.store, "poke").unwrap();
        func.call(&mut self.store, &[bytes_val(bytes)], &mut [])
    }

    /// The number of bytes in the caller's memory that equal `byte`.
    fn count(&mut self, byte: u8) -> u32 {
        let func = self.caller.get_func(&mut self.store, "junk").unwrap();
        func.typed::<(u8,), (u32,)>(&self.store).unwrap().call(&mut self.store, (byte,)).unwrap().0
    }
}

fn bytes_val(bytes: &[u8]) -> Val {
    Val::List(bytes.iter().map(|byte| Val::U8(*byte)).collect())
}

fn relays(interface: &str) -> (Component, Component) {
    let utf8 = StringEncoding::UTF8;
    (load(interface, Role::Relay, CALLER_JUNK, utf8), load(interface, Role::Relay, CALLEE_JUNK, utf8))
}

/// Sends `rounds` random values of every function's types there and back, over every transport, and compares them.
fn round_trip(caller: &Component, callee: &Component, seed: &mut Seed, rounds: usize, context: &str) {
    let script = Script::default();
    let mut fast = chain(caller, callee, Transport::AbiCopy, &script, false);
    let mut oracle = chain(caller, callee, Transport::Val, &script, false);
    let mut encoded = chain(caller, callee, Transport::Encoded, &script, false);
    for (name, ty) in functions(caller, true) {
        assert!(supports(&ty), "{context}");
        for _ in 0..rounds {
            let params: Vec<Val> = ty.params().map(|(_, ty)| value(&ty, seed)).collect();
            let results: Vec<Val> = ty.results().map(|ty| value(&ty, seed)).collect();
            script.returns.lock().unwrap().clone_from(&results);
            for chain in [&mut oracle, &mut encoded, &mut fast] {
                script.received.lock().unwrap().clear();
                let returned =
                    chain.call(&name, &params, results.len()).unwrap_or_else(|e| panic!("{e:?}\n{name} {context}"));
                assert_eq!(*script.received.lock().unwrap(), params, "parameters of {name} {context}");
                assert_eq!(returned, results, "results of {name} {context}");
            }
            assert_eq!(*script.read.lock().unwrap(), (params, results), "{name} as read from the image {context}");
        }
    }
}

#[test]
fn random_values_of_random_types_arrive_as_they_do_through_val() {
    for number in 0..24 {
        let mut seed = Seed(number);
        let interface = Types::interface(&mut seed, 6);
        let (caller, callee) = relays(&interface);
        round_trip(&caller, &callee, &mut seed, 8, &format!("seed {number}\n{interface}"));
    }
}

#[test]
fn strings_arrive_whatever_encoding_either_side_uses() {
    use StringEncoding::{CompactUTF16, UTF8, UTF16};
    let interface = "record r { a: string, b: list<tuple<string, u8>> }
        f0: func(a: string, b: option<string>, c: list<string>) -> string;
        f1: func(a: result<u64, string>, b: r) -> result<r, string>;";
    let mut seed = Seed(7);
    for caller_encoding in [UTF8, UTF16, CompactUTF16] {
        for callee_encoding in [UTF8, UTF16, CompactUTF16] {
            let caller = load(interface, Role::Relay, CALLER_JUNK, caller_encoding);
            let callee = load(interface, Role::Relay, CALLEE_JUNK, callee_encoding);
            round_trip(&caller, &callee, &mut seed, 25, &format!("{caller_encoding} to {callee_encoding}"));
        }
    }
}

#[test]
fn many_parameters_and_large_values_cross() {
    let params: Vec<String> = (0..40).map(|i| format!("p{i}: {}", ["u8", "string", "f64"][i % 3])).collect();
    let interface = format!("f0: func({}) -> list<u8>;\nf1: func(a: list<u8>) -> string;", params.join(", "));
    let (caller, callee) = relays(&interface);
    round_trip(&caller, &callee, &mut Seed(1), 10, "40 parameters");

    let script = Script::default();
    let mut fast = chain(&caller, &callee, Transport::AbiCopy, &script, false);
    let long = "ü".repeat(500_000);
    *script.returns.lock().unwrap() = vec![Val::String(long.clone())];
    assert_eq!(fast.call("f1", &[bytes_val(&[7; 1_000_000])], 1).unwrap(), [Val::String(long)]);
    assert_eq!(*script.received.lock().unwrap(), [bytes_val(&[7; 1_000_000])]);
}

#[test]
fn bytes_outside_of_a_value_stay_in_the_callee() {
    let interface = "record padded { a: u8, b: u64, c: u16 }
        variant wide { none, small(u8), large(tuple<u64, u64, string>) }
        flags few { x, y, z }
        f0: func() -> list<padded>;
        f1: func() -> tuple<u8, wide, list<wide>, option<u64>, u8>;
        f2: func() -> result<list<option<padded>>, wide>;
        f3: func() -> tuple<u64, few>;";
    let record = |n: u8| {
        let fields = [("a", Val::U8(n)), ("b", Val::U64(1)), ("c", Val::U16(2))];
        Val::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let none = || Val::Variant("none".into(), None);
    let small = || Val::Variant("small".into(), Some(Box::new(Val::U8(1))));
    let answers = [
        Val::List(vec![record(1), record(2)]),
        Val::Tuple(vec![Val::U8(1), none(), Val::List(vec![small(), none()]), Val::Option(None), Val::U8(3)]),
        Val::Result(Ok(Some(Box::new(Val::List(vec![Val::Option(None), Val::Option(Some(Box::new(record(3))))]))))),
        Val::Tuple(vec![Val::U64(1), Val::Flags(vec!["x".into()])]),
    ];
    let (caller, callee) = relays(interface);
    let script = Script::default();
    for (i, answer) in answers.into_iter().enumerate() {
        let mut fast = chain(&caller, &callee, Transport::AbiCopy, &script, false);
        *script.returns.lock().unwrap() = vec![answer.clone()];
        assert_eq!(fast.call(&format!("f{i}"), &[], 1).unwrap(), [answer]);
        assert_eq!(fast.count(CALLEE_JUNK), 0, "f{i}");
    }
}

#[test]
fn the_host_answers_for_a_callee_that_fails() {
    let interface = "variant gone { unavailable(string), other }
        enum many { a, b }
        variant error { not-found(u64), db(tuple<u64, string>), unavailable(string), other }
        record item { id: u64, title: string }
        f0: func(id: u32) -> result<item, error>;
        f1: func(id: u32) -> result<_, error>;
        f2: func(id: list<string>) -> result<list<item>, gone>;
        f3: func(id: u32) -> result<_, many>;
        f4: func(id: u32) -> list<u8>;";
    let (caller, callee) = relays(interface);
    let script = Script::default();
    for (name, param) in [("f0", Val::U32(1)), ("f1", Val::U32(1)), ("f2", Val::List(vec![Val::String("x".into())]))] {
        let mut fast = chain(&caller, &callee, Transport::AbiCopy, &script, true);
        // The result has a wrong type: the callee's own call of the host fails and traps the callee.
        *script.returns.lock().unwrap() = vec![Val::U8(1)];
        let returned = fast.call(name, std::slice::from_ref(&param), 1).unwrap();
        let [Val::Result(Err(Some(error)))] = &returned[..] else { panic!("{returned:?}") };
        let Val::Variant(case, Some(text)) = &**error else { panic!("{error:?}") };
        assert_eq!(case, "unavailable");
        assert!(matches!(&**text, Val::String(text) if text.contains("type mismatch")), "{text:?}");
        // The caller stays usable after its callee failed.
        assert!(fast.call(name, &[param], 1).is_ok());
    }
    for name in ["f3", "f4"] {
        let mut fast = chain(&caller, &callee, Transport::AbiCopy, &script, true);
        let error = fast.call(name, &[Val::U32(1)], 1).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Fault::NoUnavailable), "{error:?}");
    }
}

/// Bytes that a hostile guest might choose: many of their words are plausible pointers, lengths and discriminants.
fn hostile_bytes(seed: &mut Seed, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 4);
    while bytes.len() < len {
        let word = match seed.below(10) {
            0..=2 => 0,
            3 | 4 => seed.below(4) as u32,
            5 | 6 => 1024 + seed.below(64) as u32 * 4,
            7 => 1024 + seed.below(4096) as u32,
            8 => u32::from_le_bytes(*b"abcd"),
            _ => seed.next() as u32,
        };
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

/// Checks that both transports carry the same values or both refuse. Only size limits may stop just one of them.
fn agree(fast: &Result<Vec<Val>>, oracle: &Result<Vec<Val>>, context: &str) -> bool {
    let by_size = |e: &wasmtime::Error| {
        e.downcast_ref() == Some(&Fault::TooLarge)
            || e.downcast_ref().map(codec::Error::problem) == Some(&Problem::TooLarge)
            || format!("{e:?}").contains("too much data is being fast")
    };
    match (fast, oracle) {
        (Ok(fast), Ok(oracle)) => assert_eq!(fast, oracle, "{context}"),
        (Err(_), Err(_)) => {}
        (Err(e), Ok(_)) | (Ok(_), Err(e)) => assert!(by_size(e), "{fast:?}\n{oracle:?}\n{context}"),
    }
    fast.is_ok()
}

#[test]
fn malformed_parameters_and_results_are_refused_exactly_where_val_refuses_them() {
    let (mut carried, mut refused) = (0, 0);
    for number in 0..32 {
        let mut seed = Seed(number + 1000);
        let mut types = Types::default();
        let ty = types.arbitrary(&mut seed, 3);
        let spill = if number % 2 == 0 {
            ""
        } else {
            ", pad: tuple<u64, u64, u64, u64, u64, u64, u64, u64>, pad2: tuple<u64, u64, u64, u64, u64, u64, u64, u64>"
        };
        let utf8 = StringEncoding::UTF8;
        let with_param = format!("{}f0: func(x: {ty}{spill});", types.declared);
        let with_result = format!("{}f0: func(x: list<u8>) -> {ty};", types.declared);
        let injector = load(&with_param, Role::Poke, CALLER_JUNK, utf8);
        let receiver = load(&with_param, Role::Relay, CALLEE_JUNK, utf8);
        let requester = load(&with_result, Role::Relay, CALLER_JUNK, utf8);
        let injecting_callee = load(&with_result, Role::Answer, CALLEE_JUNK, utf8);
        for round in 0..12 {
            let bytes = hostile_bytes(&mut seed, 2048);
            let context = format!("seed {number} round {round}: {with_param}");
            let run = |transport| {
                let script = Script::default();
                let mut chain = chain(&injector, &receiver, transport, &script, false);
                chain.store.set_hostcall_fuel(1 << 22);
                let outcome = chain.poke(&bytes);
                outcome.map(|()| std::mem::take(&mut *script.received.lock().unwrap()))
            };
            let oracle = run(Transport::Val);
            let param_ok = agree(&run(Transport::AbiCopy), &oracle, &context);
            agree(&run(Transport::Encoded), &oracle, &context);
            let run = |transport| {
                chain(&requester, &injecting_callee, transport, &Script::default(), false).call(
                    "f0",
                    &[bytes_val(&bytes)],
                    1,
                )
            };
            let oracle = run(Transport::Val);
            let result_ok = agree(&run(Transport::AbiCopy), &oracle, &context);
            agree(&run(Transport::Encoded), &oracle, &context);
            carried += usize::from(param_ok) + usize::from(result_ok);
            refused += usize::from(!param_ok) + usize::from(!result_ok);
        }
    }
    assert!(carried > 50 && refused > 50, "{carried} carried, {refused} refused: the test needs both");
}

/// Each case is one malformed message, given by the words that the guest passes.
#[test]
fn each_malformed_message_has_its_own_fault() {
    let spill =
        "pad: tuple<u64, u64, u64, u64, u64, u64, u64, u64>, pad2: tuple<u64, u64, u64, u64, u64, u64, u64, u64>";
    let far = 0xFFFF_FFF0;
    let oob = |pointer, bytes| Fault::OutOfBounds { pointer, bytes };
    let cases: [(&str, [u64; 4], Fault); 14] = [
        ("x: string", [far, 1, 0, 0], oob(far as u32, 1)),
        ("x: string", [1024, far, 0, 0], oob(1024, far)),
        ("x: list<u64>", [1024, 0x2000_0001, 0, 0], oob(1024, 0x1_0000_0008)),
        ("x: list<u32>", [1026, 1, 0, 0], Fault::Unaligned { pointer: 1026, align: 4 }),
        ("x: string", [262_140, 1, 0, 0], Fault::Text),
        ("x: char", [0xD800, 0, 0, 0], Fault::Char(0xD800)),
        ("x: e", [3, 0, 0, 0], Fault::Case { discriminant: 3, cases: 3 }),
        ("x: option<string>", [2, 0, 0, 0], Fault::Case { discriminant: 2, cases: 2 }),
        ("x: option<string>", [1, far, 1, 0], oob(far as u32, 1)),
        ("x: result<u64, list<u16>>", [1, 1025, 1, 0], Fault::Unaligned { pointer: 1025, align: 2 }),
        ("x: v", [1, 1024, far, 0], oob(1024, far)),
        ("x: v", [9, 0, 0, 0], Fault::Case { discriminant: 9, cases: 2 }),
        ("x: v", [0, 0x11_0000, 0, 0], Fault::Char(0x11_0000)),
        ("x: result<string, u8>, SPILL", [7, 0, 0, 0], Fault::Case { discriminant: 7, cases: 2 }),
    ];
    for (params, words, fault) in cases {
        let params = params.replace("SPILL", spill);
        let interface = format!("enum e {{ a, b, c }} variant v {{ c(char), s(string) }} f0: func({params});");
        let injector = load(&interface, Role::Poke, 0xFF, StringEncoding::UTF8);
        let receiver = load(&interface, Role::Relay, CALLEE_JUNK, StringEncoding::UTF8);
        let mut chain = chain(&injector, &receiver, Transport::AbiCopy, &Script::default(), false);
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        bytes.resize(512, 0);
        let error = chain.poke(&bytes).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&fault), "{interface}: {error:?}");
    }
}

#[test]
fn a_message_over_the_limit_is_an_error() {
    // Every element points to the same 64 KiB; only their sum exceeds the limit.
    let interface = "f0: func(x: list<list<u8>>);";
    let injector = load(interface, Role::Poke, CALLER_JUNK, StringEncoding::UTF8);
    let receiver = load(interface, Role::Relay, CALLEE_JUNK, StringEncoding::UTF8);
    let elements = limits::SEAM_MESSAGE_BYTES_MAX / 65536;
    for (elements, fits) in [(elements / 2, true), (elements, false)] {
        let mut chain = chain(&injector, &receiver, Transport::AbiCopy, &Script::default(), false);
        let mut bytes: Vec<u8> = [1024 + 16, elements as u64].into_iter().flat_map(u64::to_le_bytes).collect();
        for _ in 0..elements {
            bytes.extend(1024_u32.to_le_bytes());
            bytes.extend(65536_u32.to_le_bytes());
        }
        let outcome = chain.poke(&bytes);
        match outcome {
            // The message is too large for the callee's memory, but the fast path accepted it.
            Err(e) if fits => assert_ne!(e.downcast_ref(), Some(&Fault::TooLarge), "{e:?}"),
            Err(e) => assert_eq!(e.downcast_ref(), Some(&Fault::TooLarge), "{e:?}"),
            Ok(()) => assert!(fits),
        }
    }
}

#[test]
fn link_refuses_types_that_cannot_cross() {
    let deep = |depth: usize| format!(r#"(param "x" {}u8{})"#, "(list ".repeat(depth), ")".repeat(depth));
    let cases = [
        (deep(limits::SEAM_TYPE_DEPTH_MAX - 1), true),
        (deep(limits::SEAM_TYPE_DEPTH_MAX), false),
        (r#"(param "x" (borrow $r))"#.to_owned(), false),
        (r#"(result (list (own $r)))"#.to_owned(), false),
        (r#"(param "x" (tuple u8 (option (result string (error u64))))) (result (list f32))"#.to_owned(), true),
    ];
    for (signature, supported) in cases {
        let instance = format!(r#"(export "r" (type $r (sub resource))) (export "f0" (func {signature}))"#);
        let component = Component::new(&ENGINE, format!(r#"(component (import "{SEAM}" (instance {instance})))"#));
        let component = component.unwrap();
        let (name, ty) = functions(&component, true).into_iter().find(|(name, _)| name == "f0").unwrap();
        assert_eq!(supports(&ty), supported, "{signature}");
        let mut linker = Linker::<Script>::new(&ENGINE);
        let mut seam = linker.instance(SEAM).unwrap();
        let linked = link(&mut seam, &name, &ty, |_, _| Ok(Reply::unavailable("")));
        assert_eq!(linked.is_ok(), supported, "{signature}");
    }
}
