//! A corpus of guests that misbehave, all in one host with a well-behaved neighbour: each is contained, named in the
//! log, and the neighbour's page still answers while it is at it.

use std::time::{Duration, Instant};

use anyhow::Result;
use seam_tests::host::{Host, seam};
use seam_tests::{MEMORY, System, component};

/// What the client gets.
enum Expect {
    /// The guest lost its instance: a neutral error page, and a line of the log with these words.
    Lost(&'static str),
    /// The host said no in a typed error and the guest went on: its body is the error's case.
    Told(&'static str),
    /// It got away with it, because it harmed only itself: status 200.
    Harmless,
    /// Its statement was cut off by the bound on work, or by the call's deadline on a slow machine: `interrupted`, or
    /// status 504.
    CutOff,
    /// It gets done or runs out of time, as the machine is fast: status 200 or 504.
    Bounded,
}
use Expect::{Bounded, CutOff, Harmless, Lost, Told};

struct Guest {
    name: &'static str,
    expect: Expect,
    /// Fields of the module besides memory and imports.
    fields: String,
    /// The body of `handle`; may use the functions `$query`, `$execute`, `$begin`, `$log` and `$reply` (bytes at,
    /// length).
    body: String,
}

fn guest(name: &'static str, expect: Expect, body: &str) -> Guest {
    Guest { name, expect, fields: String::new(), body: body.to_owned() }
}

/// A guest that runs one statement and replies with `ok` or the name of the error's case.
fn sql(name: &'static str, function: &str, statement: &str, expect: Expect) -> Guest {
    let length = statement.len();
    let escaped: String = statement.bytes().map(|b| format!("\\{b:02x}")).collect();
    // The discriminants lie at 1024 and 1028 (`query`) or 1032 (`execute`: its u64 is aligned to 8).
    let case_at = if function == "query" { 1028 } else { 1032 };
    Guest {
        name,
        expect,
        fields: format!("(data (i32.const 2048) \"{escaped}\")"),
        body: format!(
            "(call ${function} (i32.const 2048) (i32.const {length}) (i32.const 0) (i32.const 0) (i32.const 1024))
             (call $report (i32.load8_u (i32.const 1024)) (i32.load8_u (i32.const {case_at})))"
        ),
    }
}

const CASES: [&str; 8] = ["constraint", "busy", "full", "too-large", "denied", "interrupted", "invalid", "unavailable"];

fn wasm(guest: &Guest) -> Vec<u8> {
    let wit = "package t:hostile;
        world hostile {
            import seam:host/store@0.1.0;
            import wasi:logging/logging@0.1.0-draft;
            export seam:host/http-handler@0.1.0;
        }";
    // The names of the cases, 16 bytes each.
    let cases: String = CASES.iter().map(|case| format!("{case}{}", "\\00".repeat(16 - case.len()))).collect();
    let wat = format!(
        r#"(module
            (import "seam:host/store@0.1.0" "query" (func $query (param i32 i32 i32 i32 i32)))
            (import "seam:host/store@0.1.0" "execute" (func $execute (param i32 i32 i32 i32 i32)))
            (import "seam:host/store@0.1.0" "begin" (func $begin (param i32)))
            (import "wasi:logging/logging@0.1.0-draft" "log" (func $log (param i32 i32 i32 i32 i32)))
            {MEMORY}
            (data (i32.const 512) "{cases}")
            (data (i32.const 700) "ok")
            {fields}
            (func $reply (param i32 i32) (result i32)
                (i32.store16 (i32.const 800) (i32.const 200))
                (i32.store (i32.const 804) (i32.const 0)) (i32.store (i32.const 808) (i32.const 0))
                (i32.store (i32.const 812) (local.get 0)) (i32.store (i32.const 816) (local.get 1))
                (i32.const 800))
            (func $report (param $failed i32) (param $case i32) (result i32)
                (if (result i32) (local.get $failed)
                    (then (call $reply (i32.add (i32.const 512) (i32.mul (local.get $case) (i32.const 16))) (i32.const 16)))
                    (else (call $reply (i32.const 700) (i32.const 2)))))
            (func (export "seam:host/http-handler@0.1.0#handle")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                (local $n i32)
                (global.set $top (i32.const 4096))
                {body}))"#,
        fields = guest.fields,
        body = guest.body,
    );
    component(wit, "hostile", &wat).unwrap_or_else(|e| panic!("{}: {e:#}", guest.name))
}

fn corpus() -> Vec<Guest> {
    let mut all = vec![
        guest("endless-loop", Lost("timed out"), "(loop $l (br $l)) unreachable"),
        guest(
            "memory-growth",
            Lost("memory"),
            "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
        ),
        guest("unreachable", Lost("unreachable"), "unreachable"),
        guest("division-by-zero", Lost("divide by zero"), "(i32.div_u (i32.const 1) (i32.const 0))"),
        guest("out-of-bounds", Lost("out of bounds"), "(i32.load (i32.const -4))"),
        guest("gigabyte-answer", Lost("out of bounds"), "(call $reply (i32.const 0) (i32.const 1073741824))"),
        guest(
            "host-calls",
            Bounded,
            "(loop $l
                (global.set $top (i32.const 4096))
                (call $begin (i32.const 1024))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $n) (i32.const 1000000))))
             (call $reply (i32.const 700) (i32.const 2))",
        ),
        guest(
            "log-flood",
            Harmless,
            "(loop $l
                (call $log (i32.const 2) (i32.const 700) (i32.const 2) (i32.const 512) (i32.const 128))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $l (i32.lt_u (local.get $n) (i32.const 100000))))
             (call $reply (i32.const 700) (i32.const 2))",
        ),
        guest(
            "huge-log-line",
            Harmless,
            "(drop (memory.grow (i32.const 200)))
             (call $log (i32.const 2) (i32.const 700) (i32.const 2) (i32.const 65536) (i32.const 12000000))
             (call $reply (i32.const 700) (i32.const 2))",
        ),
        guest("open-on-return", Harmless, "(call $begin (i32.const 1024)) (call $reply (i32.const 700) (i32.const 2))"),
        guest("open-on-trap", Lost("unreachable"), "(call $begin (i32.const 1024)) unreachable"),
        sql("attach", "execute", "ATTACH DATABASE '/etc/passwd' AS stolen", Told("denied")),
        sql("pragma", "query", "PRAGMA journal_mode = DELETE", Told("denied")),
        sql("pragma-function", "query", "SELECT * FROM pragma_database_list", Told("denied")),
        sql("vacuum-into", "execute", "VACUUM INTO 'copy.sqlite'", Told("denied")),
        // These guests have no migrations, so the host keeps no table in their files and `invalid` is that there is
        // none. That it is `denied` where there is one, the store's own tests hold.
        sql("host-table", "execute", "DELETE FROM seam_migrations", Told("invalid")),
        sql("read-host-table", "query", "SELECT * FROM seam_migrations", Told("invalid")),
        sql("schema", "execute", "DELETE FROM sqlite_master", Told("denied")),
        sql("own-commit", "execute", "COMMIT", Told("denied")),
        sql("two-statements", "execute", "DELETE FROM t; DELETE FROM t", Told("invalid")),
        sql(
            "cross-join",
            "query",
            "WITH n(i) AS (VALUES(1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) SELECT count(*) FROM n a, n b, n c, n d, n e, n f, n g, n h, n i, n j, n k",
            CutOff,
        ),
        sql(
            "recursive-cte",
            "query",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
            CutOff,
        ),
        sql("huge-value", "query", "SELECT zeroblob(1000000000)", Told("too-large")),
        sql("load-extension", "query", "SELECT load_extension('/lib/x.so')", Told("denied")),
    ];
    all.push(Guest {
        name: "deep-recursion",
        expect: Lost("stack"),
        fields: "(func $deep (param i64) (result i64) (i64.add (call $deep (local.get 0)) (local.get 0)))".into(),
        body: "(drop (call $deep (i64.const 1))) unreachable".into(),
    });
    all.push(Guest {
        name: "table-growth",
        expect: Lost("table"),
        fields: "(table $t 1 funcref)".into(),
        body:
            "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))) unreachable"
                .into(),
    });
    all.push(Guest {
        name: "bad-utf8",
        expect: Lost("utf-8"),
        fields: "(data (i32.const 2048) \"\\ff\\fe\\ff\\fe\")
                 (data (i32.const 2064) \"\\00\\08\\00\\00\\04\\00\\00\\00\\00\\08\\00\\00\\04\\00\\00\\00\")"
            .into(),
        // One header whose name and value are no UTF-8.
        body: "(drop (call $reply (i32.const 700) (i32.const 2)))
               (i32.store (i32.const 804) (i32.const 2064)) (i32.store (i32.const 808) (i32.const 1)) (i32.const 800)"
            .into(),
    });
    all
}

/// A context whose page says hello.
fn neighbour() -> Vec<u8> {
    let wit = "package t:good; world good { export seam:host/http-handler@0.1.0; }";
    let wat = format!(
        r#"(module {MEMORY} (data (i32.const 700) "hello")
            (func (export "seam:host/http-handler@0.1.0#handle")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                (global.set $top (i32.const 4096))
                (i32.store16 (i32.const 800) (i32.const 200))
                (i32.store (i32.const 812) (i32.const 700)) (i32.store (i32.const 816) (i32.const 5)) (i32.const 800)))"#
    );
    component(wit, "good", &wat).unwrap()
}

#[test]
fn every_hostile_guest_is_contained_and_named_and_its_neighbour_answers() -> Result<()> {
    let corpus = corpus();
    assert!(corpus.len() >= 15);
    let mut system =
        System::new().context("good", &neighbour(), "")?.lines("[[mount]]\npath = \"/good\"\ncontext = \"good\"");
    for guest in &corpus {
        system = system
            .context(guest.name, &wasm(guest), "store = true\nlimits = { timeout_ms = 3000 }")?
            .lines(&format!("[[mount]]\npath = \"/{0}\"\ncontext = \"{0}\"", guest.name));
    }
    let host = Host::up(&system.write()?, &system.folder.path().join("data"))?;
    for guest in &corpus {
        // Both workers get one, and the neighbour is called until they have ended.
        let answers = std::thread::scope(|scope| -> Result<Vec<_>> {
            let hostile: Vec<_> = (0..3).map(|_| scope.spawn(|| host.get(&format!("/{}/", guest.name)))).collect();
            loop {
                let over = hostile.iter().all(|call| call.is_finished());
                let started = Instant::now();
                let good = host.get("/good/")?;
                let waited = started.elapsed();
                assert_eq!((good.status, good.text().as_str()), (200, "hello"), "the neighbour of {}", guest.name);
                assert!(waited < Duration::from_millis(2500), "the neighbour of {} waited {waited:?}", guest.name);
                if over {
                    return hostile.into_iter().map(|call| call.join().unwrap()).collect();
                }
                // The guests are to have the machine, and the log a bounded size.
                std::thread::sleep(Duration::from_millis(10));
            }
        })?;
        for answer in answers {
            let text = answer.text();
            match guest.expect {
                Lost(why) => {
                    assert!(matches!(answer.status, 500..=599), "{}: {} {text}", guest.name, answer.status);
                    assert!(!text.contains("wasm") && !text.contains(guest.name), "{} leaks: {text}", guest.name);
                    host.log_line(&[&format!("\"{}\"", guest.name), why])?;
                }
                Told(case) => assert_eq!((answer.status, text.trim_end_matches('\0')), (200, case), "{}", guest.name),
                CutOff => {
                    let told = answer.status == 200 && text.trim_end_matches('\0') == "interrupted";
                    assert!(told || answer.status == 504, "{}: {} {text}", guest.name, answer.status);
                }
                Bounded => assert!([200, 504].contains(&answer.status), "{}: {} {text}", guest.name, answer.status),
                Harmless => assert_eq!(answer.status, 200, "{}: {text}", guest.name),
            }
        }
    }
    host.log_line(&["\"log-flood\"", "logs too much"])?;
    host.log_line(&["\"open-on-return\"", "transaction"])?;
    let size: u64 = std::fs::read_dir(system.folder.path().join("data/logs"))?
        .map(|entry| Ok(entry?.metadata()?.len()))
        .sum::<std::io::Result<u64>>()?;
    assert!(size < 8 << 20, "the logs of the whole run are {size} bytes");
    assert!(host.stop(Duration::from_secs(20))?.success());
    Ok(())
}

fn refused(system: &System, words: &[&str]) -> Result<()> {
    let started = Instant::now();
    let output = seam(&system.write()?, &["up"])?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(words.iter().all(|word| said.contains(word)), "{words:?} in {said}");
    assert!(said.contains("hint:"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(20));
    Ok(())
}

#[test]
fn a_loop_in_start_keeps_the_component_out() -> Result<()> {
    let wit = "package t:s; world s { export seam:host/http-handler@0.1.0; }";
    let wat = format!(
        r#"(module {MEMORY} (func $start (loop $l (br $l))) (start $start)
            (func (export "seam:host/http-handler@0.1.0#handle")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable))"#
    );
    refused(
        &System::new().context("stuck", &component(wit, "s", &wat)?, "")?,
        &["`stuck` does not start", "out of time"],
    )
}

#[test]
fn an_import_that_the_manifest_does_not_grant_keeps_the_component_out() -> Result<()> {
    let all = corpus();
    let thief = all.iter().find(|g| g.name == "attach").unwrap();
    let system = System::new().context("thief", &wasm(thief), "")?;
    refused(&system, &["`thief` imports `seam:host/store@0.1.0`", "add `store = true`"])?;
    let wit = "package t:u; world u { import t:missing/there; export seam:host/http-handler@0.1.0; }
               package t:missing { interface there { f: func(); } }";
    let wat = format!(
        r#"(module (import "t:missing/there" "f" (func $f)) {MEMORY}
            (func (export "seam:host/http-handler@0.1.0#handle")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (call $f) unreachable))"#
    );
    let system = System::new().context("undeclared", &component(wit, "u", &wat)?, "")?;
    refused(&system, &["`undeclared` imports `t:missing/there`", "the manifest does not allow it"])
}
