//! The command line as people see it: whole transcripts, compared as text, and the same answers with and without a
//! running host.
//!
//! `SEAM_BLESS=1 cargo test -p seam-tests --test host cli::` writes what is said now into `tests/golden`; the
//! difference is read in review.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use seam_tests::host::{Host, command, signal};
use seam_tests::{MEMORY, System, component, repo, wait};

/// A context that doubles even numbers, counts rows and falls over.
fn numbers() -> Vec<u8> {
    let wit = "package t:numbers@0.1.0;
        interface numbers {
            variant error { odd(u32), unavailable(string) }
            record row { id: u8, name: string }
            twice: func(n: u32) -> result<u32, error>;
            take: func(rows: list<row>) -> result<u32, error>;
            fall: func() -> result<u32, error>;
        }
        world this { export numbers; }";
    let wat = format!(
        r#"(module {MEMORY}
            (func $ok (param $n i32) (result i32)
                (global.set $top (i32.const 4096))
                (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (local.get $n)) (i32.const 16))
            (func (export "t:numbers/numbers@0.1.0#twice") (param $n i32) (result i32)
                (if (result i32) (i32.and (local.get $n) (i32.const 1))
                    (then (i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 0))
                          (i32.store (i32.const 24) (local.get $n)) (i32.const 16))
                    (else (call $ok (i32.mul (local.get $n) (i32.const 2))))))
            (func (export "t:numbers/numbers@0.1.0#take") (param $at i32) (param $count i32) (result i32)
                (call $ok (local.get $count)))
            (func (export "t:numbers/numbers@0.1.0#fall") (result i32) unreachable))"#
    );
    component(wit, "this", &wat).unwrap()
}

fn system(rows: &str) -> Result<System> {
    let system = System::new()
        .context("numbers", &numbers(), "")?
        .lines("[[seed]]\ncontext = \"numbers\"\ncall = \"numbers.take\"\nfile = \"rows.jsonl\"");
    std::fs::write(system.folder.path().join("rows.jsonl"), rows)?;
    system.write()?;
    Ok(system)
}

const ROWS: &str = "{\"id\": 1, \"name\": \"a\"}\n{\"id\": 2, \"name\": \"b\"}\n";

/// Runs `seam ARGS` in the system's folder: what was asked, what came on each stream, and how it ended.
fn ask(folder: &Path, args: &[&str]) -> Result<String> {
    let output = command()?.args(args).current_dir(folder).env("RUST_LOG", "off").output()?;
    let quoted = |arg: &&str| if arg.contains(['(', ' ']) { format!("'{arg}'") } else { (*arg).to_owned() };
    let mut text = format!("$ seam {}\n", args.iter().map(quoted).collect::<Vec<_>>().join(" "));
    text.push_str(&String::from_utf8_lossy(&output.stdout));
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        writeln!(text, "2> {line}")?;
    }
    if output.status.code() != Some(0) {
        writeln!(text, "exit {}", output.status.code().unwrap_or(-1))?;
    }
    Ok(text)
}

fn transcript(folder: &Path, commands: &[&[&str]]) -> Result<String> {
    let answers: Result<Vec<String>> = commands.iter().map(|args| ask(folder, args)).collect();
    Ok(answers?.join("\n"))
}

pub fn compare(name: &str, said: &str) {
    let path = repo().join("tests/golden").join(name);
    if std::env::var_os("SEAM_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, said).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == said, "not as in {}; it said:\n{said}", path.display());
}

const CALLS: &[&[&str]] = &[
    &["call", "numbers", "numbers.twice(4)"],
    &["call", "numbers", "twice(4)"],
    &["call", "numbers", "t:numbers/numbers@0.1.0.twice(4)", "--format", "json"],
    &["call", "numbers", "numbers.twice(3)"],
    &["call", "numbers", "numbers.twice(3)", "--format", "json"],
    &["call", "numbers", "numbers.take([{id: 1, name: \"a\"}])"],
    &["call", "numbers", "numbers.take([{id: 1, name: \"ä\"}, {id: 300, name: \"b\"}])"],
    &["call", "numbers", "numbers.take([{id: 1}])"],
    &["call", "numbers", "numbers.twice(four)"],
    &["call", "numbers", "numbers.twice(4, 5)"],
    &["call", "numbers", "numbers.twice()"],
    &["call", "numbers", "numbers.twice(4"],
    &["call", "numbers", "numbers.twice"],
    &["call", "numbers", "numbers.twcie(4)"],
    &["call", "number", "numbers.twice(4)"],
    &["call", "numbers", "numbers.fall()"],
];

#[test]
fn calls_read_as_reviewed_and_the_same_with_and_without_a_running_host() -> Result<()> {
    let system = system("")?;
    let folder = system.folder.path();
    let without = transcript(folder, CALLS)?;
    compare("calls.txt", &without);
    let host = Host::up(&system.write()?, &folder.join("data"))?;
    let with = transcript(folder, CALLS)?;
    assert_eq!(with, without);
    assert!(host.stop(Duration::from_secs(10))?.success());
    Ok(())
}

#[test]
fn commands_say_what_they_did_and_what_to_do() -> Result<()> {
    let system = system(ROWS)?;
    let folder = system.folder.path();
    let mut said = transcript(
        folder,
        &[
            &["check"],
            &["check", "--format", "json"],
            &["contexts"],
            &["logs"],
            &["logs", "nubmers"],
            &["build"],
            &["build", "nubmers"],
            &["seed"],
            &["seed"],
            &["seed", "--again"],
            &["seed", "--again", "--overwrite"],
            &["seed", "--overwrite"],
            &["--manifest", "elsewhere/seam.toml", "check"],
            &["chek"],
        ],
    )?;
    std::fs::write(folder.join("rows.jsonl"), format!("{ROWS}{{\"id\": 3, \"nmae\": \"c\"}}\n"))?;
    said.push_str(&format!("\n{}", transcript(folder, &[&["seed"], &["seed", "--again"]])?));
    std::fs::write(folder.join("rows.jsonl"), "{\"id\": 1, \"name\": \"a\",}\n")?;
    said.push_str(&format!("\n{}", ask(folder, &["seed", "--again"])?));
    std::fs::remove_file(folder.join("rows.jsonl"))?;
    said.push_str(&format!("\n{}", ask(folder, &["up"])?));
    std::fs::write(folder.join("numbers.wasm"), b"\0asm\x01\0\0\0")?;
    said.push_str(&format!("\n{}", ask(folder, &["check"])?));
    let manifest = "[host]\nlisten = [\"localhost\"]\n\n[context.numbers]\ncomponnet = \"numbers.wasm\"\nstore = { max_mb = 0 }\n\n\
                    [[mount]]\npath = \"shop\"\ncontext = \"numbres\"\n";
    std::fs::write(folder.join("seam.toml"), manifest)?;
    said.push_str(&format!("\n{}", ask(folder, &["check"])?));
    said.push_str(&format!("\n{}", ask(folder, &["check", "--format", "json"])?));
    compare("commands.txt", &said);
    Ok(())
}

#[test]
fn a_running_host_tells_what_runs_and_keeps_a_second_one_out() -> Result<()> {
    let system = system(ROWS)?;
    let (folder, manifest) = (system.folder.path(), system.write()?);
    let host = Host::up(&manifest, &folder.join("data"))?;
    assert!(host.startup.iter().any(|line| line.contains("rows.jsonl: 2 rows")), "{:?}", host.startup);
    ask(folder, &["call", "numbers", "numbers.twice(4)"])?;
    ask(folder, &["call", "numbers", "numbers.fall()"])?;
    let json = ask(folder, &["contexts", "--format", "json"])?;
    let (_, json) = json.split_once('\n').unwrap();
    let contexts: serde_json::Value = serde_json::from_str(json)?;
    let numbers = &contexts[0];
    assert_eq!(numbers["context"], "numbers");
    assert_eq!(numbers["hash"].as_str().map(str::len), Some(12));
    assert_eq!(numbers["exports"], serde_json::json!(["t:numbers/numbers@0.1.0"]));
    // The two above, and not the seed's.
    assert_eq!((&numbers["calls"], &numbers["errors"]), (&2.into(), &1.into()));
    let table = ask(folder, &["contexts"])?;
    assert!(table.contains("CONTEXT") && table.contains("numbers/numbers@0.1.0"), "{table}");

    let second = ask(folder, &["up"])?;
    assert!(second.contains(&format!("2> error: another host (pid {}) uses the data folder", host.pid())), "{second}");
    assert!(second.ends_with("exit 1\n"), "{second}");
    assert_eq!(ask(folder, &["seed"])?, "$ seam seed\n2> rows.jsonl: its 2 rows are in numbers already\n");

    let socket = std::fs::metadata(folder.join("data/seam.sock"))?;
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&socket.permissions()) & 0o777, 0o600);
    host.log_line(&["numbers", "unreachable"])?;
    let logs = ask(folder, &["logs", "numbers"])?;
    assert!(logs.contains("ERROR numbers: "), "{logs}");
    assert!(host.stop(Duration::from_secs(10))?.success(), "SIGTERM is a way to end well");
    assert!(!folder.join("data/seam.sock").exists());
    assert!(ask(folder, &["logs", "--lines", "1"])?.contains("INFO  up: stopped"));
    Ok(())
}

#[test]
fn a_filter_that_matches_nothing_fails() -> Result<()> {
    let system = system("")?;
    let (folder, manifest) = (system.folder.path(), system.write()?);
    let host = Host::up(&manifest, &folder.join("data"))?;
    assert!(host.stop(Duration::from_secs(10))?.success());
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for (args, why) in [
        (&["logs", "--trace", trace][..], "no line of the log in"),
        (&["logs", "--level", "error"], "no line of the log in"),
        (&["logs", "nubmers"], "there is no context `nubmers`"),
        (&["history", "nubmers"], "did you mean `numbers`?"),
        (&["history", "numbers"], "nothing has been deployed of `numbers` yet"),
        (&["build", "nubmers"], "there is no context `nubmers`"),
        (&["test", "nubmers"], "there is no context `nubmers`"),
        (&["test", "numbers"], "`numbers` has no scenario"),
    ] {
        let said = ask(folder, args)?;
        assert!(said.contains(why) && said.ends_with("exit 1\n"), "{said}");
    }
    // Without a filter, nothing is an answer.
    for args in [&["logs", "--lines", "0"][..], &["history"], &["test"]] {
        let said = ask(folder, args)?;
        assert!(!said.contains("exit "), "{said}");
    }
    Ok(())
}

#[test]
fn a_killed_host_leaves_nothing_in_the_way_of_the_next() -> Result<()> {
    let system = system(ROWS)?;
    let (folder, manifest) = (system.folder.path(), system.write()?);
    let data = folder.join("data");
    Host::up(&manifest, &data)?.kill()?;
    assert!(data.join("seam.sock").exists());
    let answer = ask(folder, &["contexts"])?;
    assert!(answer.contains("2> error: no host is running here"), "{answer}");
    let next = Host::up(&manifest, &data)?;
    assert!(ask(folder, &["contexts"])?.contains("numbers"));
    assert!(next.stop(Duration::from_secs(10))?.success());
    Ok(())
}

#[test]
fn a_second_signal_ends_the_host_at_once() -> Result<()> {
    let wit = "package t:slow@0.1.0; world this { export seam:host/http-handler@0.1.0; }";
    // Answers nothing for as long as it may.
    let wat = format!(
        r#"(module {MEMORY}
            (func (export "seam:host/http-handler@0.1.0#handle")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (loop $on (br $on)) unreachable))"#
    );
    let slow = component(wit, "this", &wat)?;
    let system = System::new()
        .context("slow", &slow, "limits = { timeout_ms = 60000 }")?
        .lines("[[mount]]\npath = \"/\"\ncontext = \"slow\"\n[http]\ndrain_ms = 60000");
    let host = Host::up(&system.write()?, &system.folder.path().join("data"))?;
    let mut stream = std::net::TcpStream::connect(host.url.trim_start_matches("http://"))?;
    std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")?;
    wait::until(Duration::from_secs(10), || {
        let contexts = ask(system.folder.path(), &["contexts", "--format", "json"])?;
        let running = contexts.contains("\"running\": 1");
        Ok(running.then_some(()).ok_or_else(|| format!("the request does not reach the guest: {contexts}")))
    })?;
    signal(host.pid(), "TERM")?;
    host.log_line(&["stopping"])?;
    let status = host.stop(Duration::from_secs(5))?;
    assert_eq!(status.code(), Some(130));
    Ok(())
}

#[test]
fn completions_are_printed_for_every_shell() -> Result<()> {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = ask(Path::new("."), &["completions", shell])?;
        assert!(script.contains("contexts") && !script.contains("exit"), "{shell}: {script}");
    }
    Ok(())
}
