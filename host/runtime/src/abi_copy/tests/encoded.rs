//! Messages as the bytes of `codec`: `codec`'s own way through `Val` is the oracle.

use std::env;

use wasmtime::AsContextMut;
use wasmtime::component::types::{ComponentFunc, Type};

use super::*;
use crate::abi_copy::image::{Image, PointerLocation};
use crate::abi_copy::{ReplyBody, decode, encode, invoke_encoded_async, values};
use crate::samples::{params, signature, signatures};

fn results(ty: &ComponentFunc) -> Vec<Type> {
    ty.results().collect()
}

/// One function, and both ways to read and write its messages.
struct Ways {
    ty: ComponentFunc,
    layout: FunctionLayout,
    params: Vec<Type>,
    results: Vec<Type>,
}

impl Ways {
    fn of(ty: ComponentFunc) -> Self {
        let (layout, params, results) = (FunctionLayout::of(&ty).unwrap(), params(&ty), results(&ty));
        Self { ty, layout, params, results }
    }

    /// Reads parameters and results in both ways, which must agree on the values, on the error, and on the bytes that
    /// the values become again. Returns whether the bytes are accepted as parameters and as results.
    fn agree(&self, bytes: &[u8], context: &dyn Fn() -> String) -> [bool; 2] {
        let image = decode::params(&self.layout, bytes).map(|(slots, image)| {
            let mut again = Vec::new();
            encode::params(&self.layout, &slots, &image, &mut again).unwrap();
            assert!(image.size() <= limits::SEAM_MESSAGE_BYTES_MAX);
            (values::params(&self.params, &slots, &image).unwrap(), again)
        });
        let reply = Reply::decode(&self.layout, bytes).map(|reply| {
            let mut again = Vec::new();
            reply.encode(&self.layout, &mut again).unwrap();
            let values = reply.values(&self.results).unwrap();
            assert_eq!(reply.is_err(), matches!(values[..], [Val::Result(Err(_))]), "{}", context());
            (values, again)
        });
        [(image, &self.params), (reply, &self.results)].map(|(read, types)| match (read, codec::decode(bytes, types)) {
            (Ok((values, again)), Ok(oracle)) => {
                assert_eq!(values, oracle, "{}", context());
                assert_eq!(again, bytes, "{}", context());
                let mut by_oracle = Vec::new();
                codec::encode(&oracle, types, &mut by_oracle).unwrap();
                assert_eq!(by_oracle, bytes, "{}", context());
                true
            }
            (Err(error), Err(oracle)) => {
                assert!(
                    error == oracle || [&error, &oracle].into_iter().any(by_size),
                    "{error}\n{oracle}\n{}",
                    context()
                );
                false
            }
            // Only a bound of its own may stop one of them alone.
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => {
                assert!(by_size(&error), "{error}\n{}", context());
                false
            }
        })
    }
}

fn by_size(error: &codec::Error) -> bool {
    matches!(error.problem(), Problem::TooLarge | Problem::TooManyValues)
}

/// The encoding of a random value, somewhat damaged, or random bytes.
fn damaged(types: &[Type], seed: &mut Seed) -> Vec<u8> {
    let mut bytes = Vec::new();
    if seed.below(8) == 0 {
        let len = seed.below(40);
        bytes.extend((0..len).map(|_| seed.next() as u8 & if seed.below(2) == 0 { 3 } else { 0xff }));
        return bytes;
    }
    let values: Vec<Val> = types.iter().map(|ty| value(ty, seed)).collect();
    codec::encode(&values, types, &mut bytes).unwrap();
    for _ in 0..seed.below(3) {
        let at = seed.below(bytes.len() + 1);
        match seed.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, seed.next() as u8),
            2 if at < bytes.len() => bytes[at] ^= 1 << seed.below(8),
            3 if at < bytes.len() => bytes[at] = [0, 1, 2, 0x7f, 0x80, 0xff][seed.below(6)],
            // An overlong number.
            4 if at < bytes.len() => {
                bytes[at] |= 0x80;
                bytes.insert(at + 1, 0);
            }
            // A huge number.
            _ => drop(bytes.splice(at..at, [0xff; 4])),
        }
    }
    bytes
}

fn variable(name: &str) -> Option<u64> {
    env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().unwrap())
}

/// `just fuzz-codec 10000` tries more seeds, and `just fuzz-codec 1 SEED` one of them.
#[test]
fn both_ways_accept_and_refuse_the_same_bytes() {
    let (first, seeds) = (variable("SEAM_CODEC_SEED").unwrap_or(1), variable("SEAM_CODEC_SEEDS").unwrap_or(60));
    let (mut accepted, mut refused) = (0, 0);
    for number in first..first + seeds {
        println!("SEAM_CODEC_SEED={number}");
        let mut seed = Seed(number);
        let interface = Types::interface(&mut seed, 4);
        for (name, ty) in signatures(&interface) {
            let ways = Ways::of(ty);
            for _ in 0..40 {
                let types = if seed.below(2) == 0 { &ways.params } else { &ways.results };
                let bytes = damaged(types, &mut seed);
                let context = || format!("SEAM_CODEC_SEED={number}, {name} of\n{interface}\n{bytes:02x?}");
                for one in ways.agree(&bytes, &context) {
                    *(if one { &mut accepted } else { &mut refused }) += 1;
                }
            }
        }
    }
    println!("{accepted} accepted, {refused} refused");
    assert!(seeds < 10 || accepted > 500 && refused > 500, "{accepted} accepted, {refused} refused: both are needed");
}

/// A few bytes of a message may stand for many in memory.
#[test]
fn no_more_is_allocated_than_a_message_may_take() {
    let interface = "record r { a: option<tuple<u64, u64, u64, u64, u64, u64, u64, u64>>, b: list<u8> }
        f: func(x: list<r>) -> list<list<u8>>;";
    let ways = Ways::of(signature(interface));
    let items = limits::SEAM_MESSAGE_BYTES_MAX / 80;
    let mut bytes = Vec::new();
    codec::put_unsigned(&mut bytes, items as u64);
    bytes.resize(bytes.len() + 2 * items, 0);
    let error = decode::params(&ways.layout, &bytes).err().unwrap();
    assert_eq!((error.problem(), error.byte()), (&Problem::TooLarge, 3), "before the first item is read");

    // Each empty list needs an entry in the index of blocks.
    let error = Reply::decode(&ways.layout, &bytes).err().unwrap();
    assert_eq!(error.problem(), &Problem::Trailing { bytes: items });
    let items = 2 * items;
    let mut bytes = Vec::new();
    codec::put_unsigned(&mut bytes, 2 * items as u64);
    bytes.resize(bytes.len() + 2 * items, 0);
    let error = Reply::decode(&ways.layout, &bytes).err().unwrap();
    assert_eq!(error.problem(), &Problem::TooLarge);
}

/// In memory each of these cases takes one byte, in a message two.
#[test]
fn a_reply_that_grows_over_the_bound_is_not_sent() {
    let names: Vec<String> = (0..200).map(|i| format!("e{i}")).collect();
    let ways = Ways::of(signature(&format!("enum e {{ {} }} f: func() -> list<e>;", names.join(", "))));
    let reply = |items: usize| {
        let mut image = Image::default();
        image.push(PointerLocation::Root, &((items as u64) << 32).to_le_bytes(), 4).unwrap();
        image.push(PointerLocation::Block { index: 0, at: 0 }, &vec![199; items], 1).unwrap();
        Reply(ReplyBody::Memory { image, rejected: false })
    };
    let mut bytes = vec![7];
    let error = reply(limits::SEAM_MESSAGE_BYTES_MAX / 2).encode(&ways.layout, &mut bytes).unwrap_err();
    assert_eq!((error.problem(), bytes), (&Problem::TooLarge, vec![7]));
    let (fits, mut bytes) = (limits::SEAM_MESSAGE_BYTES_MAX / 2 - 2, Vec::new());
    reply(fits).encode(&ways.layout, &mut bytes).unwrap();
    assert_eq!(bytes.len(), limits::SEAM_MESSAGE_BYTES_MAX);
    assert!(Reply::decode(&ways.layout, &bytes).is_ok());
}

#[test]
fn a_reply_of_the_host_is_encoded_as_the_error_of_the_caller() {
    let declared = "variant error { not-found(u64), unavailable(string), other } enum many { a }
        variant bare { unavailable }";
    for (result, sendable) in [
        ("result<u64, error>", true),
        ("result<_, error>", true),
        ("result<u64, many>", false),
        ("result<u64, bare>", false),
        ("result<u64>", false),
        ("error", false),
    ] {
        let ways = Ways::of(signature(&format!("{declared} f: func() -> {result};")));
        let (reply, mut bytes) = (Reply::unavailable("no\u{fc}"), vec![7]);
        match reply.encode(&ways.layout, &mut bytes) {
            Ok(()) => {
                let mut oracle = vec![7];
                codec::encode(&reply.values(&ways.results).unwrap(), &ways.results, &mut oracle).unwrap();
                assert!(sendable, "{result}");
                assert_eq!(bytes, oracle, "{result}");
            }
            Err(error) => {
                assert!(!sendable, "{result}");
                assert_eq!((error.problem(), &bytes[..]), (&Problem::NoUnavailable, &[7][..]), "{result}");
            }
        }
    }
}

#[test]
fn a_layout_has_the_bounds_of_a_link() {
    let nested = |depth: usize| format!("f: func(x: {}u8{});", "list<".repeat(depth), ">".repeat(depth));
    let deepest = limits::SEAM_TYPE_DEPTH_MAX - 1;
    for (interface, problem) in [
        (nested(deepest), None),
        (nested(deepest + 1), Some(Problem::Depth)),
        (
            format!("f: func(x: tuple<{}>);", vec!["u8"; limits::CODEC_TYPES_MAX].join(", ")),
            Some(Problem::TooManyTypes),
        ),
    ] {
        let refused = FunctionLayout::of(&signature(&interface)).err();
        assert_eq!(refused.as_ref().map(codec::Error::problem), problem.as_ref());
    }
}

/// The callee gets what the `Val` way gives it, also on a fiber.
#[test]
fn a_function_is_called_with_bytes_also_without_holding_a_thread() {
    let interface = "record r { a: u8, b: string } f: func(x: r, y: list<s16>) -> result<list<r>, string>;";
    let (ways, callee) =
        (Ways::of(signature(interface)), load(interface, Role::Relay, CALLEE_JUNK, StringEncoding::UTF16));
    let mut seed = Seed(5);
    for _ in 0..20 {
        let sent: Vec<Val> = ways.params.iter().map(|ty| value(ty, &mut seed)).collect();
        let returned: Vec<Val> = ways.results.iter().map(|ty| value(ty, &mut seed)).collect();
        let script = Script::default();
        script.returns.lock().unwrap().clone_from(&returned);
        let (mut store, instance) = start_callee(&callee, &script);
        let func = export(&mut store, &instance, "f");
        let mut bytes = Vec::new();
        codec::encode(&sent, &ways.params, &mut bytes).unwrap();
        let reply = invoke_encoded(&ways.layout, &bytes, &func, &mut store).unwrap();
        assert_eq!(*script.received.lock().unwrap(), sent);
        assert_eq!(reply.values(&ways.results).unwrap(), returned);

        let call = invoke_encoded_async(&ways.layout, &bytes, &func, store.as_context_mut());
        let reply = futures::executor::block_on(call).unwrap();
        assert_eq!(reply.values(&ways.results).unwrap(), returned);

        script.received.lock().unwrap().clear();
        bytes.push(0);
        let error = invoke_encoded(&ways.layout, &bytes, &func, &mut store).err().unwrap();
        assert_eq!(error.downcast_ref().map(codec::Error::problem), Some(&Problem::Trailing { bytes: 1 }));
        assert_eq!(script.received.lock().unwrap().len(), 0, "the callee was not called");
    }
    assert_eq!(codec::digest(&ways.ty), codec::digest(&signature(interface)));
}
