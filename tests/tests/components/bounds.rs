//! What the host holds for a guest, beside the guest's own memory, has a bound.

use anyhow::Result;
use seam_tests::{System, call, component};
use wasmtime::component::Val;

const SINK: &str = "interface sink {
     variant error { refused, unavailable(string) }
     take: func(bytes: list<u8>) -> result<u32, error>;
 }";

fn sink() -> Result<Vec<u8>> {
    let wit = format!("package t:sink@0.1.0; {SINK} world this {{ export sink; }}");
    let wat = r#"(module
        (memory (export "memory") 32)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
        (func (export "t:sink/sink@0.1.0#take") (param i32 i32) (result i32) (i32.const 64)))"#;
    component(&wit, "this", wat)
}

/// `source.send(times, bytes)`: sends a list of so many bytes so many times.
fn source() -> Result<Vec<u8>> {
    let wit = format!(
        "package t:source@0.1.0;
         interface source {{
             use t:sink/sink@0.1.0.{{error}};
             send: func(times: u32, bytes: u32) -> result<u32, error>;
         }}
         world this {{ import t:sink/sink@0.1.0; export source; }}
         package t:sink@0.1.0 {{ {SINK} }}"
    );
    let wat = r#"(module (import "t:sink/sink@0.1.0" "take" (func $take (param i32 i32 i32)))
        (memory (export "memory") 32)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "t:source/source@0.1.0#send") (param $times i32) (param $bytes i32) (result i32)
            (loop $again
                (call $take (i32.const 65536) (local.get $bytes) (i32.const 64))
                (local.set $times (i32.sub (local.get $times) (i32.const 1)))
                (br_if $again (i32.gt_s (local.get $times) (i32.const 0))))
            (i32.const 64)))"#;
    component(&wit, "this", wat)
}

/// A list of a megabyte would be 40 MB of values; 16 of them in one call were 640 MB.
#[test]
fn large_messages_are_not_copied_to_be_recorded() -> Result<()> {
    let system = System::new().context("sink", &sink()?, "")?.context(
        "source",
        &source()?,
        "imports = [\"t:sink/sink@0.1.0\"]",
    )?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let recorder = |name: &str| registry.live(name).map(|live| live.generation().recorder.clone());
    for (times, bytes, kept) in [(16, 1 << 20, 0), (3, 100, 3), (8, 100_000, 2)] {
        assert!(recorder("source")?.start_log(false) && recorder("sink")?.start_log(false));
        let sent = call(&registry, "source", "source.send", &[Val::U32(times), Val::U32(bytes)], 20_000)?;
        assert_eq!(sent, Val::Result(Ok(Some(Box::new(Val::U32(0))))), "{times} times {bytes} bytes");
        let logs = ["source", "sink"].map(|name| recorder(name).map(|recorder| recorder.stop_log()));
        let [Ok(Some(of_source)), Ok(Some(of_sink))] = logs else { anyhow::bail!("no log") };
        let call = of_source.calls.first().ok_or_else(|| anyhow::anyhow!("the call itself is small"))?;
        assert_eq!(call.outgoing.len() as u32, kept, "{times} times {bytes} bytes");
        assert_eq!(call.outgoing_complete, kept == times, "and the log says so");
        let fits = bytes < 1 << 20;
        let (calls, dropped) = (of_sink.calls.len() as u32, of_sink.dropped as u32);
        assert_eq!((calls, dropped), if fits { (times, 0) } else { (0, times) }, "{bytes} bytes");
    }
    Ok(())
}

/// A callee says where in its memory the host puts what it is called with. Whatever it says, the host writes nowhere
/// else: the call fails, the caller does not, and other callees are called as before.
#[test]
fn a_callee_that_lies_about_its_memory_harms_only_itself() -> Result<()> {
    const PARAMS: &str = "words: list<string>, numbers: list<u64>";
    let interface = |name: &str| {
        format!(
            "interface {name} {{
                 variant error {{ refused, unavailable(string) }}
                 take: func({PARAMS}) -> result<u32, error>;
             }}"
        )
    };
    // Where the host may put a block: the body of `cabi_realloc`, whose last parameter is the length.
    let places = [
        ("honest", true, "(global.set $top (i32.add (global.get $top) (i32.const 64))) (global.get $top)"),
        (
            "grows",
            true,
            "(drop (memory.grow (i32.const 1))) (i32.mul (i32.sub (memory.size) (i32.const 1)) (i32.const 65536))",
        ),
        ("the-same", true, "(i32.const 1024)"),
        ("nothing", true, "(i32.const 0)"),
        ("far", false, "(i32.const -16)"),
        ("negative", false, "(i32.const 0x80000000)"),
        ("behind", false, "(i32.mul (memory.size) (i32.const 65536))"),
        ("across", false, "(i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4))"),
        ("unaligned", false, "(i32.const 1025)"),
        ("trap", false, "unreachable"),
        ("endless", false, "(loop $l (br $l)) unreachable"),
    ];
    let mut system = System::new();
    let (mut imports, mut packages, mut cores, mut functions) =
        (String::new(), String::new(), String::new(), String::new());
    let mut grants = Vec::new();
    for (name, _, place) in places {
        let wit = format!("package t:{name}@0.1.0; {} world this {{ export sink; }}", interface("sink"));
        let wat = format!(
            r#"(module (memory (export "memory") 2) (global $top (mut i32) (i32.const 4096))
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {place})
                (func (export "t:{name}/sink@0.1.0#take") (param i32 i32 i32 i32) (result i32)
                    (i32.store8 (i32.const 64) (i32.const 0)) (i32.store (i32.const 68) (i32.const 0)) (i32.const 64)))"#
        );
        let limits = "limits = { timeout_ms = 500 }";
        system = system.context(name, &component(&wit, "this", &wat)?, limits)?;
        imports += &format!("import t:{name}/sink@0.1.0; ");
        packages += &format!("package t:{name}@0.1.0 {{ {} }}\n", interface("sink"));
        cores += &format!("(import \"t:{name}/sink@0.1.0\" \"take\" (func ${name} (param i32 i32 i32 i32 i32)))\n");
        // Two words, two numbers; the discriminants of the result are at 2048.
        functions += &format!(
            "(func (export \"t:source/source@0.1.0#to-{name}\") (result i32)
                 (call ${name} (i32.const 64) (i32.const 2) (i32.const 128) (i32.const 2) (i32.const 2048))
                 (i32.store8 (i32.const 3000) (i32.const 0))
                 (i32.store (i32.const 3004) (i32.load8_u (i32.const 2048))) (i32.const 3000))\n"
        );
        grants.push(format!("\"t:{name}/sink@0.1.0\""));
    }
    let exports: String =
        places.iter().map(|(name, ..)| format!("to-{name}: func() -> result<u32, error>;\n")).collect();
    let wit = format!(
        "package t:source@0.1.0;
         interface source {{ variant error {{ refused, unavailable(string) }} {exports} }}
         world this {{ {imports} export source; }}
         {packages}"
    );
    let wat = format!(
        r#"(module {cores} (memory (export "memory") 2)
            (data (i32.const 64) "\50\00\00\00\03\00\00\00\53\00\00\00\04\00\00\00onetwo!")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8192))
            {functions})"#
    );
    let granted = format!("imports = [{}]", grants.join(", "));
    let system = system.context("source", &component(&wit, "this", &wat)?, &granted)?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    for round in 0..2 {
        for (name, arrives, _) in places {
            let failed = call(&registry, "source", &format!("source.to-{name}"), &[], 20_000)?;
            let expect = Val::Result(Ok(Some(Box::new(Val::U32(u32::from(!arrives))))));
            assert_eq!(failed, expect, "{name}, round {round}");
        }
    }
    Ok(())
}
