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
