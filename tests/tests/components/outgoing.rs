//! What a guest may send to other machines: nothing that the manifest does not grant, and nothing at all as a shadow.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anyhow::Result;
use seam::limits;
use seam_tests::host::Host;
use seam_tests::proxy::{SEND, SEND_IMPORTS, proxy, with_wasi};
use seam_tests::variants::{asking, numbers};
use seam_tests::{MEMORY, System, call, wait};
use wasmtime::component::Val;

/// A server that answers every request and counts its connections.
struct Machine {
    address: SocketAddr,
    visits: Arc<AtomicUsize>,
}

impl Machine {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (address, visits) = (listener.local_addr()?, Arc::new(AtomicUsize::new(0)));
        let counted = visits.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                counted.fetch_add(1, SeqCst);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.read(&mut [0; 4096]).and_then(|_| stream.write_all(answer)).ok();
            }
        });
        Ok(Self { address, visits })
    }

    fn visits(&self) -> usize {
        self.visits.load(SeqCst)
    }
}

/// A server whose answers never end.
fn endless() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";
            stream.read(&mut [0; 4096]).and_then(|_| stream.write_all(head)).ok();
            open.push(stream);
        }
    });
    Ok(address)
}

/// `HTTP-request-denied` of WASI's `error-code`, as `$send` returns it.
const DENIED: &str = "00000010";

#[test]
fn a_request_to_a_host_that_is_not_granted_is_refused() -> Result<()> {
    let (machine, other) = (Machine::start()?, Machine::start()?);
    let authority = machine.address.to_string();
    let guest = proxy(
        &authority,
        &format!(
            "(local.set $n (call $send (i32.const 512) (i32.const {})))
             (local.set $stream (call $start (local.get $out)))
             (call $number (local.get $stream) (local.get $n))
             (call $end (local.get $stream))",
            authority.len()
        ),
    )?;
    let clocks = "capabilities = [\"clocks\"]";
    let grant = |granted: &str| format!("{clocks}\noutgoing = [\"{granted}\"]");
    let mount = |name: &str| format!("[[mount]]\npath = \"/{name}\"\ncontext = \"{name}\"");
    let system = System::new()
        .context("none", &guest, clocks)?
        .context("other", &guest, &grant(&other.address.to_string()))?
        .context("granted", &guest, &grant(&authority))?
        .lines(&mount("none"))
        .lines(&mount("other"))
        .lines(&mount("granted"));
    let host = Host::up(&system.write()?, &system.folder.path().join("data"))?;
    for refused in ["none", "other"] {
        assert_eq!(host.get(&format!("/{refused}"))?.text(), DENIED, "{refused}");
        host.log_line(&["refused a request to a host that the manifest does not grant", refused])?;
    }
    assert_eq!(machine.visits(), 0);
    // The control: the same guest, with the grant.
    assert_eq!(host.get("/granted")?.text(), "00000000");
    assert_eq!((machine.visits(), other.visits()), (1, 0));
    Ok(())
}

/// `numbers.times` as `numbers(1)`, after a request to the machine.
fn sending(authority: &str) -> Result<Vec<u8>> {
    sending_and(authority, "", "")
}

/// The same with more imports, and code that follows the request.
fn sending_and(authority: &str, imports: &str, then: &str) -> Result<Vec<u8>> {
    let world = "package t:numbers@0.1.0;
         interface numbers {
             variant error { odd(u32), unavailable(string) }
             times: func(n: u32) -> result<u32, error>;
         }
         world this {
             import wasi:http/types@{v};
             import wasi:http/outgoing-handler@{v};
             import wasi:io/poll@{v};
             import wasi:io/streams@{v};
             export numbers;
         }";
    let length = authority.len();
    let core = format!(
        r#"(module {SEND_IMPORTS} {imports} {MEMORY} (data (i32.const 512) "{authority}") {SEND}
            (func (export "t:numbers/numbers@0.1.0#times") (param $n i32) (result i32)
                (global.set $top (i32.const 4096))
                (drop (call $send (i32.const 512) (i32.const {length})))
                {then}
                (i32.store (i32.const 16) (i32.const 0))
                (i32.store (i32.const 20) (local.get $n))
                (i32.const 16)))"#
    );
    with_wasi(world, &core)
}

#[test]
fn a_shadow_reaches_no_other_machine() -> Result<()> {
    let machine = Machine::start()?;
    let authority = machine.address.to_string();
    let outgoing = format!("outgoing = [\"{authority}\"]");
    let system = System::new()
        .context("numbers", &numbers(1)?, "")?
        .variant("numbers", "sending", Some(&sending(&authority)?), &outgoing)?
        .context("asking", &asking()?, "imports = [\"t:numbers/numbers\"]")?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let route = |changes: &[&str]| {
        let changes: Vec<String> = changes.iter().map(|change| (*change).to_owned()).collect();
        registry.route("numbers", &changes).map(|_| ()).map_err(|error| anyhow::anyhow!("{error:?}"))
    };
    let ask = || call(&registry, "asking", "asking.ask", &[Val::U32(7)], 5_000);
    // The control: in its own right, it reaches the machine.
    route(&["sending=1", "main=0"])?;
    ask()?;
    assert_eq!(machine.visits(), 1);
    route(&["sending=0", "main=1", "shadow=sending"])?;
    for _ in 0..3 {
        ask()?;
    }
    let equal = wait::until(wait::TIMEOUT, || {
        let compared = registry.compare("numbers").map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let beside = compared.variants.into_iter().find(|v| v.name == "sending").and_then(|v| v.beside);
        let equal = beside.as_ref().filter(|b| b.compared >= 3).map(|b| b.equal);
        Ok(equal.ok_or_else(|| format!("{beside:?}")))
    })?;
    assert_eq!((equal, machine.visits()), (3, 1), "the shadow ran, and its requests were refused");
    Ok(())
}

/// The guest waits on a thread of the host, where it cannot be interrupted.
#[test]
fn a_guest_that_waits_for_the_body_of_an_answer_is_cut_off_at_its_deadline() -> Result<()> {
    let authority = endless()?.to_string();
    let imports = r#"
        (import "wasi:http/types@{v}" "[method]incoming-response.consume" (func $consume (param i32 i32)))
        (import "wasi:http/types@{v}" "[method]incoming-body.stream" (func $stream-of (param i32 i32)))
        (import "wasi:io/streams@{v}" "[method]input-stream.blocking-read" (func $read (param i32 i64 i32)))"#;
    let read = "(call $consume (i32.load (i32.const 1224)) (i32.const 1300))
        (call $stream-of (i32.load (i32.const 1304)) (i32.const 1312))
        (call $read (i32.load (i32.const 1316)) (i64.const 9) (i32.const 1328))";
    let system = System::new()
        .context("numbers", &sending_and(&authority, imports, read)?, &format!("outgoing = [\"{authority}\"]"))?
        .context("asking", &asking()?, "imports = [\"t:numbers/numbers\"]")?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let began = Instant::now();
    let answer = call(&registry, "asking", "asking.ask", &[Val::U32(7)], 300);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(200), "it waits: {answer:?} after {took:?}");
    // Far less than the host waits for another machine.
    assert!(took < Duration::from_millis(limits::OUTGOING_SILENCE_MS) / 4, "{answer:?} after {took:?}");
    Ok(())
}
