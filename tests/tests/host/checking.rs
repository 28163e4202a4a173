//! `seam check` finds what a start would refuse, and says it in the same words.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use anyhow::Result;
use seam_tests::host::{Host, seam};
use seam_tests::version::{Then, Version};
use seam_tests::{System, component};

/// Rows for a seed of `numbers`.
const SEED: &str = "[[seed]]\ncontext = \"numbers\"\ncall = \"numbers.times\"\nfile = \"rows.jsonl\"";
const WASI: &str = "capabilities = [\"wasi\"]";

/// What a command says on standard error about problems: the lines with `error:` and `hint:`.
fn said(manifest: &Path, command: &str) -> Result<String> {
    let output = seam(manifest, &[command])?;
    assert_eq!(output.status.code(), Some(1), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let folder = format!("{}/", manifest.parent().unwrap().display());
    let problem = |line: &&str| line.contains("error: ") || line.trim_start().starts_with("hint: ");
    Ok(text.lines().filter(problem).collect::<Vec<_>>().join("\n").replace(&folder, ""))
}

/// `check` and `up` say exactly this of a system.
fn check(system: &System, expect: &str) -> Result<()> {
    let manifest = system.write()?;
    assert_eq!(said(&manifest, "check")?, expect, "check");
    assert_eq!(said(&manifest, "up")?, expect, "up");
    Ok(())
}

fn one(wat: &str, lines: &str) -> Result<System> {
    System::new().context("c", &wat::parse_str(wat)?, lines)
}

#[test]
fn imports_without_a_provider_are_named_in_one_line() -> Result<()> {
    let function = "(instance $x (export \"f\" (func (result u32))))";
    let served = "which this host does not offer: it serves WASI 0.2 (0.2.0 to 0.2.12)";
    for (import, line, expect, hint) in [
        (
            "\"wasi:cli/environment@0.9.0\"",
            5,
            format!("`c` imports `wasi:cli/environment@0.9.0`, {served}"),
            "build it for a release of WASI 0.2",
        ),
        (
            "\"wasi:http/types@0.2.0-rc-2023-11-10\"",
            5,
            format!("`c` imports `wasi:http/types@0.2.0-rc-2023-11-10`, {served}"),
            "build it for a release of WASI 0.2",
        ),
        (
            "\"wasi:http/types@0.3.0\"",
            5,
            "`c` is for WASI 0.3 (`wasi:http/types@0.3.0`); this host serves WASI 0.2 (0.2.0 to 0.2.12)".to_owned(),
            "build it for WASI 0.2",
        ),
        (
            "\"wasi:cli/enviroment@0.2.0\"",
            5,
            "`c` imports `wasi:cli/enviroment@0.2.0`, which this host does not offer: its `wasi:cli` has no such interface"
                .to_owned(),
            "did you mean `environment`?",
        ),
        (
            "\"wasi:cli/environment@0.2.0\"",
            5,
            "`c` imports `wasi:cli/environment@0.2.0.f`, and this host's `wasi:cli/environment@0.2.12` has no such function"
                .to_owned(),
            "build it against `wasi:cli/environment@0.2.12`",
        ),
        (
            "\"seam:host/store@0.2.0\"",
            5,
            "`c` imports `seam:host/store@0.2.0`, which this host does not offer: it has version 0.1.0".to_owned(),
            "build it against `seam:host/store@0.1.0`",
        ),
    ] {
        let system = one(&format!("(component (import {import} {function}))"), WASI)?;
        check(&system, &format!("seam.toml:{line}:10: error: {expect}\n  hint: {hint}"))?;
    }
    let bare = one("(component (import \"now\" (func (result u64))))", WASI)?;
    check(
        &bare,
        "seam.toml:6:1: error: `c` imports the function `now`, and this host offers interfaces only\n  hint: put `now` \
         into an interface (`namespace:package/interface`) and import that, or remove it",
    )
}

#[test]
fn components_for_other_hosts_are_named_by_what_they_are_for() -> Result<()> {
    let later =
        "(component (import \"wasi:http/types@0.3.0\" (instance (export \"f\" (func (param \"b\" (stream u8)))))))";
    check(
        &one(later, WASI)?,
        "seam.toml:6:1: error: `c` is for WASI 0.3 (`wasi:http/types@0.3.0`); this host serves WASI 0.2 (0.2.0 to \
         0.2.12)\n  hint: build it for WASI 0.2",
    )?;
    for (module, what, hint) in [
        ("(memory i64 1)", "64-bit memories", "build it for `wasm32`"),
        ("(memory 1 1 shared)", "threads", "build it without the target feature `atomics`"),
    ] {
        check(
            &one(&format!("(component (core module {module}))"), WASI)?,
            &format!("seam.toml:6:1: error: `c` needs {what}, which this host has not\n  hint: {hint}"),
        )?;
    }
    Ok(())
}

#[test]
fn a_deploy_of_such_a_component_is_refused_at_the_step_wit_in_the_same_words() -> Result<()> {
    let system = System::new().context("numbers", &Version::default().wasm()?, WASI)?;
    let manifest = system.write()?;
    let _host = Host::up(&manifest, &system.folder.path().join("data"))?;
    let folder = system.folder.path();
    for (import, expect) in [
        (
            "(import \"now\" (func (result u64)))",
            "`numbers` imports the function `now`, and this host offers interfaces only",
        ),
        (
            "(import \"wasi:http/types@0.3.0\" (instance (export \"f\" (func (param \"b\" (stream u8))))))",
            "`numbers` is for WASI 0.3 (`wasi:http/types@0.3.0`); this host serves WASI 0.2 (0.2.0 to 0.2.12)",
        ),
        (
            "(import \"wasi:http/types@0.3.0\" (instance (export \"f\" (func))))",
            "`numbers` is for WASI 0.3 (`wasi:http/types@0.3.0`); this host serves WASI 0.2 (0.2.0 to 0.2.12)",
        ),
        (
            "(import \"wasi:cli/environment@0.9.0\" (instance (export \"f\" (func))))",
            "`numbers` imports `wasi:cli/environment@0.9.0`, which this host does not offer: it serves WASI 0.2 (0.2.0 to 0.2.12)",
        ),
    ] {
        let next = folder.join("next.wasm");
        std::fs::write(&next, wat::parse_str(format!("(component {import})"))?)?;
        let output = seam(&manifest, &["deploy", "numbers", next.to_str().unwrap(), "--format", "json"])?;
        let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        assert_eq!(report["refused"]["step"], "wit", "{report}");
        assert_eq!(report["refused"]["message"], expect);
    }
    Ok(())
}

#[test]
fn handlers_that_the_host_cannot_call_are_refused() -> Result<()> {
    let wit = "package seam:host@0.9.0; interface health { check: func() -> result<_, string>; }
               world this { export health; }";
    let module = r#"(module (memory (export "memory") 1) (func (export "seam:host/health@0.9.0#check") (result i32) unreachable))"#;
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("host.wit", wit)?;
    let world = resolve.select_world(&[package], Some("this"))?;
    let mut module = wat::parse_str(module)?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, wit_component::StringEncoding::UTF8)?;
    let other = wit_component::ComponentEncoder::default().module(&module)?.encode()?;
    check(
        &System::new().context("c", &other, "")?,
        "seam.toml:6:1: error: `c` exports `seam:host/health@0.9.0`, which this host does not call: it calls version \
         0.1.0\n  hint: build it against `seam:host/health@0.1.0`",
    )
}

#[test]
fn what_the_manifest_asks_of_a_component_is_checked() -> Result<()> {
    let numbers = Version::default().wasm()?;
    let mounted =
        System::new().context("numbers", &numbers, "")?.lines("[[mount]]\npath = \"/\"\ncontext = \"numbers\"");
    check(
        &mounted,
        "seam.toml:11:11: error: `numbers` is mounted, but answers no requests: it exports no HTTP handler\n  hint: \
         export `seam:host/http-handler` or `wasi:http/incoming-handler` from it, or remove its `[[mount]]`",
    )?;
    let seeded = |seed: &str| -> Result<System> {
        let system = System::new().context("numbers", &numbers, "")?.lines(seed);
        std::fs::write(system.folder.path().join("rows.jsonl"), "1\n")?;
        Ok(system)
    };
    check(
        &seeded(SEED)?,
        "seam.toml:9:1: error: `numbers.times` of `numbers` does not take one list\n  hint: name a function that takes \
         one list of rows; this one is times(n: u32) -> result<u32, odd(u32) | unavailable(string)>",
    )?;
    check(
        &seeded(&SEED.replace("times", "timse"))?,
        "seam.toml:9:1: error: `numbers` has no function `numbers.timse` to load the seed with\n  hint: did you mean \
         `numbers.times`?",
    )?;
    let schedule = "[[schedule]]\ncontext = \"numbers\"\ncall = \"numbers.times\"\nevery_s = 30";
    let found = said(&System::new().context("numbers", &numbers, "")?.lines(schedule).write()?, "check")?;
    assert_eq!(
        found,
        "seam.toml:9:1: error: `numbers.times` of `numbers` has parameters, and a schedule gives none\n  hint: name a \
         function without parameters; this one is times(n: u32) -> result<u32, odd(u32) | unavailable(string)>"
    );
    Ok(())
}

#[test]
fn a_missing_file_of_a_seed_is_found() -> Result<()> {
    let system = System::new().context("numbers", &Version::default().wasm()?, "")?.lines(SEED);
    let found = said(&system.write()?, "check")?;
    assert!(found.contains("seam.toml:9:1: error: cannot read the seed `rows.jsonl` of `numbers`"), "{found}");
    Ok(())
}

#[test]
fn a_component_that_does_not_start_is_found() -> Result<()> {
    let check_start = |version: Version, lines: &str, expect: &[&str]| -> Result<()> {
        let system = System::new().context("numbers", &version.wasm()?, lines)?;
        let manifest = system.write()?;
        for command in ["check", "up"] {
            let found = said(&manifest, command)?;
            assert!(expect.iter().all(|expect| found.contains(expect)), "{command}: {expect:?} in {found}");
        }
        Ok(())
    };
    let trap = Version { start: Then::Traps, ..Version::default() };
    check_start(trap, "", &["seam.toml:5:10: error: `numbers` does not start"])?;
    let stored = |migrations: &[&'static str]| Version { migrations: migrations.to_vec(), ..Version::default() };
    let broken = stored(&["CREATE TABLE t (n INTEGER) STRICT", "\nCREATE TABEL u (n INTEGER) STRICT"]);
    check_start(broken, "store = true", &["`numbers` cannot migrate its store: migration 2 (`step`), line 2"])?;
    check_start(stored(&["CREATE TABLE t (n INTEGER) STRICT"]), "", &["store = true"])
}

#[test]
fn a_certificate_that_cannot_serve_is_found() -> Result<()> {
    let system = System::new()
        .context("numbers", &Version::default().wasm()?, "")?
        .lines("[host.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"");
    let manifest = system.write()?;
    for file in ["cert.pem", "key.pem"] {
        std::fs::write(system.folder.path().join(file), "neither a certificate nor a key\n")?;
    }
    for command in ["check", "up"] {
        let found = said(&manifest, command)?;
        assert!(found.contains("cannot read the TLS key `key.pem`"), "{command}: {found}");
    }
    Ok(())
}

#[test]
fn sound_systems_have_no_problems() -> Result<()> {
    let numbers = Version { migrations: vec!["CREATE TABLE t (n INTEGER) STRICT"], ..Version::default() };
    let wit = "package t:numbers@0.1.0; interface numbers {
                   variant error { unavailable(string) } load: func(rows: list<u32>) -> result<_, error>;
               } world this { export numbers; }";
    let wat = format!(
        "(module {} (func (export \"t:numbers/numbers@0.1.0#load\") (param i32 i32) (result i32) unreachable))",
        seam_tests::MEMORY
    );
    let taking = component(wit, "this", &wat)?;
    let seeded = System::new().context("numbers", &taking, "")?.lines(&SEED.replace("times", "load"));
    std::fs::write(seeded.folder.path().join("rows.jsonl"), "")?;
    let clock = "(component (import \"wasi:clocks/wall-clock@0.2.3\" (instance \
                 (type $t (record (field \"seconds\" u64) (field \"nanoseconds\" u32))) \
                 (export \"datetime\" (type $d (eq $t))) (export \"now\" (func (result $d))))))";
    for system in [
        System::new().context("numbers", &numbers.wasm()?, "store = true")?,
        seeded,
        one(clock, "capabilities = [\"clocks\"]")?,
        System::new()
            .context("numbers", &Version::default().wasm()?, "")?
            .context("page", &seam_tests::version::page()?, "imports = [\"t:numbers/numbers@0.1.0\"]")?
            .lines("[[mount]]\npath = \"/\"\ncontext = \"page\""),
    ] {
        let output = seam(&system.write()?, &["check"])?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        system.start()?.unwrap();
    }
    Ok(())
}
