//! The alignment for which each side's `cabi_realloc` is asked.

use super::*;

/// How often a relay's `cabi_realloc` was asked for an alignment of 1, 2, 4 and 8.
fn aligns(store: &mut Store<Script>, relay: &Instance) -> [u64; 4] {
    let func = relay.get_func(&mut *store, "aligns").unwrap();
    let counts = func.typed::<(), (u64,)>(&*store).unwrap().call(store, ()).unwrap().0;
    [0, 16, 32, 48].map(|shift| counts >> shift & 0xffff)
}

/// Of parameters in the callee, of results in the caller, and of the area for results that each relay asks for itself.
#[test]
fn memory_is_asked_for_with_the_alignment_of_its_type() {
    let interface = "record wide { a: u8, b: u64 }
        f0: func(a: list<u8>, b: list<u16>, c: list<f32>, d: list<s64>, e: string, f: list<wide>, g: list<string>)
            -> list<u16>;
        f1: func(a: list<list<u64>>) -> list<list<u8>>;
        f2: func(a: option<list<u64>>) -> result<list<wide>, string>;";
    let list = |items: Vec<Val>| Val::List(items);
    let wide = || Val::Record(vec![("a".into(), Val::U8(1)), ("b".into(), Val::U64(2))]);
    let text = || Val::String("text".into());
    let calls = [
        (
            "f0",
            vec![
                bytes_val(&[1; 3]),
                list(vec![Val::U16(1)]),
                list(vec![Val::Float32(1.0)]),
                list(vec![Val::S64(1)]),
                text(),
                list(vec![wide()]),
                list(vec![text(), text()]),
            ],
            list(vec![Val::U16(2)]),
            [4, 2, 3, 2],
        ),
        ("f1", vec![list(vec![list(vec![Val::U64(1)])])], list(vec![bytes_val(&[1])]), [1, 0, 3, 1]),
        (
            "f2",
            vec![Val::Option(Some(Box::new(list(vec![Val::U64(1)]))))],
            Val::Result(Ok(Some(Box::new(list(vec![wide()]))))),
            [0, 0, 1, 2],
        ),
    ];
    let (caller, callee) = relays(interface);
    for (name, params, result, counts) in calls {
        let counted = [Transport::AbiCopy, Transport::Val].map(|transport| {
            let script = Script::default();
            *script.returns.lock().unwrap() = vec![result.clone()];
            let mut chain = chain(&caller, &callee, transport, &script, false);
            assert_eq!(chain.call(name, &params, 1).unwrap(), std::slice::from_ref(&result), "{name}");
            let callee = aligns(&mut chain.callee_store.lock().unwrap(), &chain.callee);
            (aligns(&mut chain.store, &chain.caller), callee)
        });
        assert_eq!(counted, [(counts, counts); 2], "{name}");
    }
}
