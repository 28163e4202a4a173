//! Components of the `wasi:http/proxy` world, as other toolchains make them, run unchanged and are contained like all
//! others.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use seam::app::{App, runtime};
use seam::deploy::{DeployOutcome, DeployReport};
use seam::manifest::Manifest;
use seam_runtime::component::Compiler;
use seam_runtime::serve::Registry;
use seam_tests::host::{Host, seam};
use seam_tests::proxy::{proxy, wasi_wit};
use seam_tests::{MEMORY, System, repo, wait};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// The first letter below the mount decides: `h` greets with the path it got, `s` sends in two pieces with a quarter of
/// a second between them, `t` traps, `l` loops, `n` ends without an answer, `e` answers with an error, `f` with the
/// status 500, `o` traps in the middle of its answer.
fn guest() -> Result<Vec<u8>> {
    guest_that("")
}

/// The same, after it has done something else with `$letter`.
fn guest_that(first: &str) -> Result<Vec<u8>> {
    let mut resolve = wit_parser::Resolve::default();
    let (wasi, _) = resolve.push_dir(wasi_wit()?)?;
    let http = resolve.packages[wasi].name.clone();
    let version =
        resolve.package_names.keys().find(|name| name.namespace == "wasi" && name.name == "http").context(http)?;
    let v = version.version.clone().context("a version")?;
    let wit = format!(
        "package t:third-party;
         world proxy {{
             import wasi:http/types@{v};
             import wasi:io/streams@{v};
             import wasi:io/poll@{v};
             import wasi:clocks/monotonic-clock@{v};
             export wasi:http/incoming-handler@{v};
         }}"
    );
    let package = resolve.push_str("test.wit", &wit)?;
    let world = resolve.select_world(&[package], Some("proxy"))?;
    let wat = format!(
        r#"(module
            (import "wasi:http/types@{v}" "[method]incoming-request.path-with-query" (func $path (param i32 i32)))
            (import "wasi:http/types@{v}" "[constructor]fields" (func $fields (result i32)))
            (import "wasi:http/types@{v}" "[method]fields.append" (func $append (param i32 i32 i32 i32 i32 i32)))
            (import "wasi:http/types@{v}" "[constructor]outgoing-response" (func $response (param i32) (result i32)))
            (import "wasi:http/types@{v}" "[method]outgoing-response.set-status-code" (func $status (param i32 i32) (result i32)))
            (import "wasi:http/types@{v}" "[method]outgoing-response.body" (func $body (param i32 i32)))
            (import "wasi:http/types@{v}" "[method]outgoing-body.write" (func $write (param i32 i32)))
            (import "wasi:http/types@{v}" "[static]outgoing-body.finish" (func $finish (param i32 i32 i32 i32)))
            (import "wasi:http/types@{v}" "[static]response-outparam.set"
                (func $set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
            (import "wasi:io/streams@{v}" "[method]output-stream.blocking-write-and-flush"
                (func $send (param i32 i32 i32 i32)))
            (import "wasi:io/streams@{v}" "[resource-drop]output-stream" (func $drop-stream (param i32)))
            (import "wasi:clocks/monotonic-clock@{v}" "subscribe-duration" (func $timer (param i64) (result i32)))
            (import "wasi:io/poll@{v}" "[method]pollable.block" (func $wait (param i32)))
            {MEMORY}
            (data (i32.const 512) "content-typetext/plain")
            (func (export "wasi:http/incoming-handler@{v}#handle") (param $request i32) (param $out i32)
                (local $letter i32) (local $headers i32) (local $response i32) (local $body i32) (local $stream i32)
                (call $path (local.get $request) (i32.const 1024))
                (local.set $letter (i32.load8_u offset=1 (i32.load (i32.const 1028))))
                {first}
                (if (i32.eq (local.get $letter) (i32.const 116)) (then unreachable))
                (if (i32.eq (local.get $letter) (i32.const 101)) (then
                    ;; `err(internal-error(none))`, the last case.
                    (call $set (local.get $out) (i32.const 1) (i32.const 38)
                        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
                    (return)))
                (if (i32.eq (local.get $letter) (i32.const 110)) (then return))
                (if (i32.eq (local.get $letter) (i32.const 108)) (then (loop $forever (br $forever))))
                (local.set $headers (call $fields))
                (call $append (local.get $headers) (i32.const 512) (i32.const 12) (i32.const 524) (i32.const 10) (i32.const 1040))
                (local.set $response (call $response (local.get $headers)))
                (if (i32.eq (local.get $letter) (i32.const 102)) (then
                    (drop (call $status (local.get $response) (i32.const 500)))))
                (call $body (local.get $response) (i32.const 1040))
                (local.set $body (i32.load (i32.const 1044)))
                (call $write (local.get $body) (i32.const 1040))
                (local.set $stream (i32.load (i32.const 1044)))
                (call $set (local.get $out) (i32.const 0) (local.get $response)
                    (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
                (call $send (local.get $stream) (i32.load (i32.const 1028)) (i32.load (i32.const 1032)) (i32.const 1040))
                (if (i32.eq (local.get $letter) (i32.const 111)) (then unreachable))
                (if (i32.eq (local.get $letter) (i32.const 115)) (then
                    (call $wait (call $timer (i64.const 250000000)))
                    (call $send (local.get $stream) (i32.load (i32.const 1028)) (i32.load (i32.const 1032)) (i32.const 1040))
                    ;; As the libraries of other languages do, it traps when the stream is closed.
                    (if (i32.load8_u (i32.const 1040)) (then unreachable))))
                (call $drop-stream (local.get $stream))
                (call $finish (local.get $body) (i32.const 0) (i32.const 0) (i32.const 1040))))"#
    );
    let mut module = wat::parse_str(wat)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().validate(true).module(&module)?.encode().context("encoding")
}

/// A synchronous guest of a toolchain that brings WASI: it waits for a minute below `/long`, and for a moment
/// elsewhere.
fn waiter() -> Result<Vec<u8>> {
    let mut resolve = wit_parser::Resolve::default();
    let (wasi, _) = resolve.push_dir(wasi_wit()?)?;
    let http = resolve.packages[wasi].name.clone();
    let io = resolve.package_names.keys().find(|name| name.namespace == "wasi" && name.name == "io").context(http)?;
    let v = io.version.clone().context("a version")?;
    resolve.push_dir(repo().join("wit/host"))?;
    let wit = format!(
        "package t:waiter;
         world waiter {{
             import wasi:io/poll@{v};
             import wasi:clocks/monotonic-clock@{v};
             export seam:host/http-handler@0.1.0;
         }}"
    );
    let package = resolve.push_str("test.wit", &wit)?;
    let world = resolve.select_world(&[package], Some("waiter"))?;
    let wat = format!(
        r#"(module
            (import "wasi:clocks/monotonic-clock@{v}" "subscribe-duration" (func $timer (param i64) (result i32)))
            (import "wasi:io/poll@{v}" "[method]pollable.block" (func $wait (param i32)))
            (import "wasi:io/poll@{v}" "[resource-drop]pollable" (func $drop (param i32)))
            {MEMORY}
            (func (export "seam:host/http-handler@0.1.0#handle")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (local $pollable i32)
                (local.set $pollable (call $timer (select (i64.const 60000000000) (i64.const 1000000)
                    (i32.eq (i32.load8_u offset=1 (local.get 2)) (i32.const 108)))))
                (call $wait (local.get $pollable))
                (call $drop (local.get $pollable))
                (i32.store16 (i32.const 512) (i32.const 204))
                (i32.store (i32.const 520) (i32.const 0))
                (i32.store (i32.const 528) (i32.const 0))
                (i32.const 512)))"#
    );
    let mut module = wat::parse_str(wat)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().validate(true).module(&module)?.encode().context("encoding")
}

/// The system served from this process.
struct Served {
    address: SocketAddr,
    registry: Registry,
    _runtime: tokio::runtime::Runtime,
    _system: System,
}

impl Served {
    fn start() -> Result<Self> {
        Self::start_with(&guest()?, 1_000)
    }

    fn start_with(guest: &[u8], timeout_ms: u32) -> Result<Self> {
        let lines = format!("capabilities = [\"clocks\"]\nlimits = {{ timeout_ms = {timeout_ms} }}");
        let system = System::new()
            .context("third-party", guest, &lines)?
            .lines("[[mount]]\npath = \"/other\"\ncontext = \"third-party\"");
        let app = App::load(Manifest::load(&system.write()?)?, Compiler::InProcess)?;
        let runtime = runtime()?;
        let server = {
            let _inside = runtime.enter();
            app.bind()?
        };
        let address = *server.addresses().first().context("an address")?;
        runtime.spawn(server.run(std::future::pending()));
        Ok(Self { address, registry: app.registry.clone(), _runtime: runtime, _system: system })
    }

    fn ask(&self, path: &str) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes())?;
        Ok(stream)
    }

    /// The whole answer, head and body.
    fn get(&self, path: &str) -> Result<String> {
        let mut text = String::new();
        self.ask(path)?.read_to_string(&mut text)?;
        Ok(text)
    }

    fn greets(&self) -> Result<bool> {
        let text = self.get("/other/hello?a=b")?;
        Ok(text.starts_with("HTTP/1.1 200 ") && text.contains("\r\n\r\nA\r\n/hello?a=b\r\n0\r\n"))
    }
}

#[test]
fn a_third_party_component_answers_and_its_failures_are_contained() -> Result<()> {
    let host = Served::start()?;
    let greeting = host.get("/other/hello?a=b")?;
    assert!(host.greets()?, "{greeting}");
    assert!(
        greeting.contains("\r\ncontent-type: text/plain\r\n") && greeting.contains("\r\ntraceparent: 00-"),
        "{greeting}"
    );
    for (path, status) in [("/other/trap", 500), ("/other/nothing", 500), ("/other/error", 500), ("/other/loop", 504)] {
        let started = Instant::now();
        let answer = host.get(path)?;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        assert!(answer.contains("\r\ncontent-type: text/plain; charset=utf-8\r\n"), "{path}: {answer}");
        assert!(answer.contains("\r\ntraceparent: 00-") && !answer.contains("third-party"), "{path}: {answer}");
        assert!(started.elapsed() < Duration::from_secs(4), "{path}");
        assert!(host.greets()?, "after {path}");
        let live = host.registry.live("third-party")?;
        wait::until(wait::TIMEOUT, || {
            let running = live.generation().occupancy().0;
            Ok((running == 0).then_some(()).ok_or_else(|| format!("{running} places are taken after {path}")))
        })?;
    }
    Ok(())
}

#[test]
fn each_piece_that_a_guest_writes_is_sent_at_once_and_a_truncated_answer_is_recognisable() -> Result<()> {
    let host = Served::start()?;
    let mut stream = host.ask("/other/slow")?;
    let (mut all, mut first) = (Vec::new(), None);
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            break;
        }
        all.extend_from_slice(&piece[..read]);
        if first.is_none() && all.windows(5).any(|five| five == b"/slow") {
            first = Some(Instant::now());
        }
    }
    let text = String::from_utf8(all)?;
    assert_eq!(text.matches("/slow").count(), 2, "{text}");
    assert!(first.unwrap().elapsed() > Duration::from_millis(150), "both pieces came together");
    assert!(text.ends_with("0\r\n\r\n"), "{text}");
    let mut text = String::new();
    // A reset is as good a sign as a missing last chunk.
    let _ = host.ask("/other/oops")?.read_to_string(&mut text);
    assert!(!text.ends_with("0\r\n\r\n"), "{text}");
    assert!(host.greets()?);
    Ok(())
}

#[test]
fn a_client_that_hangs_up_does_not_stop_the_guest_nor_its_neighbours() -> Result<()> {
    let host = Served::start()?;
    for _ in 0..20 {
        drop(host.ask("/other/slow")?);
    }
    assert!(host.greets()?);
    Ok(())
}

/// Its guest writes two pieces; the second failed when the host had dropped the stream.
#[test]
fn what_a_client_does_not_read_is_no_fault_of_the_guest() -> Result<()> {
    let system = System::new()
        .context("third-party", &guest()?, "capabilities = [\"clocks\"]\nlimits = { timeout_ms = 1000 }")?
        .lines("[[mount]]\npath = \"/\"\ncontext = \"third-party\"");
    let host = Host::up(&system.write()?, &system.folder.path().join("data"))?;
    let address = host.url.trim_start_matches("http://").to_owned();
    for method in ["HEAD", "GET"] {
        for _ in 0..4 {
            let mut stream = TcpStream::connect(&address)?;
            stream.write_all(format!("{method} /slow HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes())?;
            let mut start = [0; 12];
            stream.read_exact(&mut start)?;
            assert_eq!(&start, b"HTTP/1.1 200", "{method}");
        }
    }
    let calls = |line: &str| {
        let text = host.get("/metrics").map(|page| page.text()).unwrap_or_default();
        text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse::<u64>().ok())
    };
    let count = "seam_call_duration_seconds_count{context=\"third-party\"}";
    let until = Instant::now() + Duration::from_secs(10);
    while calls(count) < Some(8) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(calls(count), Some(8));
    assert_eq!(calls("seam_call_failures_total{context=\"third-party\",kind=\"trapped\"}"), Some(0));
    assert_eq!(calls("seam_call_failures_total{context=\"third-party\",kind=\"timed-out\"}"), Some(0));
    Ok(())
}

/// A client may write the header itself, in several lines, or name it in `Connection` to have it removed.
#[test]
fn a_guest_gets_the_forwarded_header_of_the_host_alone() -> Result<()> {
    let guest = proxy(
        "forwarded",
        "(call $get (call $headers (local.get $request)) (i32.const 512) (i32.const 9) (i32.const 1100))
         (local.set $n (i32.load (i32.const 1100)))
         (local.set $stream (call $start (local.get $out)))
         (call $number (local.get $stream) (i32.load (i32.const 1104)))
         (call $put (local.get $stream) (i32.load (local.get $n)) (i32.load offset=4 (local.get $n)))
         (call $end (local.get $stream))",
    )?;
    let host = Served::start_with(&guest, 1_000)?;
    for fields in [
        "",
        "forwarded: for=203.0.113.9;proto=https\r\n",
        "Forwarded: for=203.0.113.9\r\nFORWARDED: for=203.0.113.8\r\n",
        "x-forwarded-for: 203.0.113.9\r\n",
        "connection: forwarded\r\nforwarded: for=203.0.113.9\r\n",
    ] {
        let mut stream = TcpStream::connect(host.address)?;
        stream.write_all(format!("GET /other/x HTTP/1.1\r\nhost: a\r\n{fields}\r\n").as_bytes())?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut text = String::new();
        while !text.ends_with("\r\n0\r\n\r\n") {
            let mut piece = [0; 1024];
            let read = stream.read(&mut piece)?;
            anyhow::ensure!(read > 0, "{fields}: {text}");
            text.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
        assert!(text.contains("00000001") && text.contains("for=127.0.0.1;proto=http"), "{fields}: {text}");
        assert!(!text.contains("203.0.113"), "{fields}: {text}");
    }
    Ok(())
}

#[test]
fn a_guest_that_waits_through_wasi_waits_no_longer_than_it_may() -> Result<()> {
    let host = Served::start_with(&waiter()?, 1_000)?;
    let short = host.get("/other/short")?;
    assert!(short.starts_with("HTTP/1.1 204 "), "{short}");
    let started = Instant::now();
    let long = host.get("/other/long")?;
    assert!(long.starts_with("HTTP/1.1 504 "), "{long}");
    assert!(started.elapsed() < Duration::from_secs(10), "it slept on");
    assert!(host.get("/other/short")?.starts_with("HTTP/1.1 204 "));
    Ok(())
}

/// Both kinds of guests wait in the host, where no epoch tick reaches them.
#[test]
fn a_guest_that_waits_is_cut_off_when_the_drain_time_of_its_version_is_over() -> Result<()> {
    let minute = Duration::from_secs(60);
    let waits =
        "(if (i32.eq (local.get $letter) (i32.const 108)) (then (call $wait (call $timer (i64.const 60000000000)))))";
    for guest in [waiter()?, guest_that(waits)?] {
        let host = Served::start_with(&guest, 120_000)?;
        let began = Instant::now();
        let mut waiting = host.ask("/other/long")?;
        let live = host.registry.live("third-party")?;
        wait::until(wait::TIMEOUT, || {
            let running = live.generation().occupancy().0;
            Ok((running == 1).then_some(()).ok_or_else(|| format!("{running} calls run")))
        })?;
        live.generation().cut_off();
        let mut answer = String::new();
        waiting.read_to_string(&mut answer)?;
        assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
        assert!(began.elapsed() < minute, "it waited on");
        assert_eq!(live.generation().occupancy().0, 0);
    }
    Ok(())
}

/// Requests are not run again here: their answers may be on their way already. Elsewhere the host holds an answer until
/// it is whole.
#[test]
fn a_version_whose_answers_turn_bad_is_rolled_back() -> Result<()> {
    let system = System::new()
        .context("third-party", &guest()?, "capabilities = [\"clocks\"]\nlimits = { timeout_ms = 1000 }")?
        .lines("[[mount]]\npath = \"/\"\ncontext = \"third-party\"");
    let manifest = system.write()?;
    let host = Host::up(&manifest, &system.folder.path().join("data"))?;
    let next = system.folder.path().join("next.wasm");
    for letter in ['t', 'n', 'e', 'f', 'l'] {
        for _ in 0..20 {
            assert_eq!(host.get("/hello")?.text(), "/hello");
        }
        std::fs::write(&next, guest_that(&format!("(local.set $letter (i32.const {}))", u32::from(letter)))?)?;
        let stop = AtomicBool::new(false);
        let report: DeployReport = std::thread::scope(|scope| -> Result<DeployReport> {
            let deploy = scope.spawn(|| -> Result<DeployReport> {
                let deploy = ["deploy", "third-party", &next.to_string_lossy(), "--format", "json", "--watch", "10000"];
                let output = seam(&manifest, &deploy);
                stop.store(true, Relaxed);
                Ok(serde_json::from_slice(&output?.stdout)?)
            });
            while !stop.load(Relaxed) {
                host.get("/hello").ok();
            }
            deploy.join().unwrap()
        })?;
        assert_eq!(report.outcome, DeployOutcome::RolledBack, "{letter}: {report:?}");
        assert_eq!(host.get("/hello")?.text(), "/hello", "{letter}");
    }
    Ok(())
}
