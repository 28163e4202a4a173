//! `seam new` for real: in an empty folder and in a project that has contexts, in each language; what it makes builds,
//! passes its tests, and serves. And docs/new-context.md, command by command.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use seam_tests::host::{Host, binary};
use seam_tests::{repo, wait};

/// An empty folder of that name, except for what a build would otherwise fetch or compile again: tools, dependencies
/// and their versions.
fn empty(name: &str) -> Result<(tempfile::TempDir, PathBuf)> {
    let outer = tempfile::tempdir()?;
    let folder = outer.path().join(name);
    std::fs::create_dir_all(folder.join("target"))?;
    let root = repo().canonicalize()?;
    for shared in [".tools", "target/wasm"] {
        std::fs::create_dir_all(root.join(shared))?;
        symlink(root.join(shared), folder.join(shared))?;
    }
    std::fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok((outer, folder))
}

/// Runs a line of shell in `folder`, with this build's `seam` as `seam`.
fn shell(folder: &Path, line: &str) -> Result<Output> {
    let path = std::env::var("PATH").unwrap_or_default();
    let own = binary()?.parent().context("a folder")?.display().to_string();
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder).env("PATH", format!("{own}:{path}")).env_remove("RUSTC_BOOTSTRAP");
    // Native code is kept between runs, apart from the repository's own.
    command.env("CARGO_TARGET_DIR", repo().canonicalize()?.join("target/tests/new"));
    Ok(command.output()?)
}

/// What it prints to standard output.
fn run(folder: &Path, line: &str) -> Result<String> {
    let output = shell(folder, line)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{line}:\n{said}");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Serves the project on a free port.
fn up(folder: &Path) -> Result<Host> {
    let manifest = folder.join("seam.toml");
    let text = std::fs::read_to_string(&manifest)?.replace("127.0.0.1:8080", "127.0.0.1:0");
    std::fs::write(&manifest, text)?;
    Host::up(&manifest, &folder.join("run"))
}

#[test]
fn a_context_in_rust_builds_passes_its_tests_and_serves_at_the_first_try() -> Result<()> {
    let (_outer, folder) = empty("tea-house")?;
    let made = run(&folder, "seam new guest-book")?;
    ensure!(made.lines().any(|line| line.ends_with("plugins/guest-book/src/lib.rs")), "{made}");
    run(&folder, "seam build")?;
    run(&folder, "seam test guest-book")?;
    ensure!(run(&folder, "seam check")?.contains("no problems"));
    assert_eq!(run(&folder, "seam call guest-book 'entries.add(\"hello\")'")?, "ok(1)");
    let wrong = shell(&folder, "seam call guest-book 'entries.add(\"\")'")?;
    assert_eq!(String::from_utf8_lossy(&wrong.stdout).trim(), "err(invalid(\"text: it is empty\"))");
    ensure!(run(&folder, "cargo test -p guest-book")?.contains("entries_are_numbered_from_1 ... ok"));

    let host = up(&folder)?;
    assert_eq!(run(&folder, "seam call guest-book 'entries.add(\"again\")'")?, "ok(2)");
    ensure!(host.stop(Duration::from_secs(10))?.success());
    Ok(())
}

#[test]
fn a_context_in_javascript_builds_passes_its_tests_and_serves_at_the_first_try() -> Result<()> {
    let (_outer, folder) = empty("tea-house")?;
    run(&folder, "seam new guest-book --lang js")?;
    run(&folder, "seam build")?;
    run(&folder, "seam test guest-book")?;
    assert_eq!(run(&folder, "seam call guest-book 'entries.add(\"hello\")'")?, "ok(1)");
    let wrong = shell(&folder, "seam call guest-book 'entries.add(\"\")'")?;
    assert_eq!(String::from_utf8_lossy(&wrong.stdout).trim(), "err(invalid(\"text: it is empty\"))");
    ensure!(run(&folder, "cd plugins/guest-book && node --test")?.contains("# pass 1"));

    let host = up(&folder)?;
    assert_eq!(run(&folder, "seam call guest-book 'entries.add(\"again\")'")?, "ok(2)");
    ensure!(host.stop(Duration::from_secs(10))?.success());
    Ok(())
}

#[test]
fn a_context_in_python_builds_passes_its_tests_and_serves_at_the_first_try() -> Result<()> {
    let (_outer, folder) = empty("tea-house")?;
    run(&folder, "seam new guest-book --lang python")?;
    run(&folder, "seam build")?;
    run(&folder, "seam test guest-book")?;
    assert_eq!(run(&folder, "seam call guest-book 'entries.add(\"hello\")'")?, "ok(1)");
    let wrong = shell(&folder, "seam call guest-book 'entries.add(\"\")'")?;
    assert_eq!(String::from_utf8_lossy(&wrong.stdout).trim(), "err(invalid(\"text: it is empty\"))");
    let tests = shell(&folder, "python3 -B -m unittest discover plugins/guest-book")?;
    ensure!(tests.status.success() && String::from_utf8_lossy(&tests.stderr).contains("Ran 1 test"), "{tests:?}");

    let host = up(&folder)?;
    assert_eq!(run(&folder, "seam call guest-book 'entries.add(\"again\")'")?, "ok(2)");
    ensure!(host.stop(Duration::from_secs(10))?.success());
    Ok(())
}

/// Two events interfaces with types of their own. What is made publishes one of them and takes the other.
const KETTLE: &str = "package tea-house:kettle@0.2.0;
interface orders {
  enum size { small, large }
  variant how { by-post(string), by-hand }
  record placed { order: u64, tea: string, size: size, notes: list<string>, gift: option<string>, how: how }
  variant failure { unavailable(string) }
  order-placed: func(order: placed, paid: bool) -> result<_, failure>;
}
interface returns {
  record returned { order: u64, why: option<string>, parts: list<u32> }
  variant error { invalid(string), unavailable(string) }
  order-returned: func(returned: returned) -> result<_, error>;
  returned-text: func(number: u64, text: string) -> result<_, error>;
}
";

#[test]
fn publishers_and_subscribers_in_each_language_build_and_pass_their_scenarios() -> Result<()> {
    let (_outer, folder) = empty("tea-house")?;
    std::fs::create_dir_all(folder.join("wit/kettle"))?;
    std::fs::write(folder.join("wit/kettle/kettle.wit"), KETTLE)?;
    run(&folder, "seam new till --publishes kettle/returns")?;
    run(&folder, "seam new guest-book --publishes events --subscribes kettle/orders")?;
    for language in ["rust", "js", "python"] {
        let events = "--publishes kettle/orders --subscribes kettle/returns";
        run(&folder, &format!("seam new {language}-shop --lang {language} {events}"))?;
        // The names of both interfaces are the same, and the first one is new.
        let events = "--publishes events --subscribes guest-book/events";
        run(&folder, &format!("seam new {language}-digest --lang {language} {events}"))?;
    }
    run(&folder, "seam build")?;
    ensure!(run(&folder, "seam check")?.contains("no problems"));
    run(&folder, "seam test")?;
    ensure!(run(&folder, "cargo test -p rust-shop -p guest-book")?.contains("entries_are_numbered_from_1 ... ok"));
    let host = up(&folder)?;
    assert_eq!(run(&folder, "seam call guest-book 'entries.add(\"hello\")'")?, "ok(1)");
    let newest = |context: &str, expect: &str| {
        wait::until(wait::TIMEOUT, || {
            let printed = run(&folder, &format!("seam call {context} 'entries.newest(1)'"))?;
            Ok(if printed == expect { Ok(()) } else { Err(format!("{context}: {printed}")) })
        })
    };
    for language in ["rust", "js", "python"] {
        newest(&format!("{language}-digest"), "ok([{number: 1, text: \"hello\"}])")?;
    }
    // What each shop publishes goes to the guest book.
    for (language, number) in [("rust", 2), ("js", 3), ("python", 4)] {
        assert_eq!(run(&folder, &format!("seam call {language}-shop 'entries.add(\"hello\")'"))?, "ok(1)");
        newest("guest-book", &format!("ok([{{number: {number}, text: \"order-placed\"}}])"))?;
    }
    ensure!(host.stop(Duration::from_secs(10))?.success());
    Ok(())
}

#[test]
fn what_cannot_be_made_is_refused_with_a_remedy_and_leaves_nothing() -> Result<()> {
    let (_outer, folder) = empty("tea-house")?;
    let refused = |line: &str, status: i32, expect: &[&str]| -> Result<()> {
        let output = shell(&folder, line)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{line}: {said}");
        ensure!(expect.iter().all(|words| said.contains(words)), "{line}: {said}");
        Ok(())
    };
    refused("seam new Guestbook", 1, &["`Guestbook` cannot be the name of a context", "hint: "])?;
    refused("seam new guestbook --lang cobol", 2, &["cobol", "rust", "js", "python"])?;
    refused("seam new", 2, &["<NAME>"])?;
    refused(
        "seam new digest --subscribes guestbook/events",
        1,
        &[
            "no interface `tea-house:guestbook/events`",
            "hint: make its publisher first: `seam new PUBLISHER --publishes",
        ],
    )?;
    ensure!(!folder.join("seam.toml").exists() && !folder.join("plugins").exists());
    run(&folder, "seam new guestbook --lang js")?;
    refused("seam new guestbook", 1, &["already has a context `guestbook`", "hint: choose another name"])?;
    std::fs::create_dir_all(folder.join("wit/taken"))?;
    std::fs::write(folder.join("wit/taken/entries.wit"), "mine")?;
    refused("seam new taken", 1, &["wit/taken/entries.wit", "hint: "])?;
    ensure!(!folder.join("plugins/taken").exists() && !folder.join("Cargo.toml").exists());
    Ok(())
}

/// A fenced block of the page: what stands behind its fence, and its lines.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let text: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((kind.to_owned(), text.join("\n") + "\n"));
        }
    }
    blocks
}

/// `sh` blocks are run line by line, and print what stands behind `# `, those that only read sooner or later; `diff`
/// blocks are applied; in between, `console` is `seam up`.
#[test]
fn the_page_about_new_contexts_does_what_it_says() -> Result<()> {
    let (_outer, folder) = empty("tea-house")?;
    let page = std::fs::read_to_string(repo().join("docs/new-context.md"))?;
    let (mut calls, mut host) = (0, None);
    for (kind, text) in blocks(&page) {
        match kind.as_str() {
            "sh" => {
                for line in text.lines() {
                    let (line, expect) = line.split_once(" # ").unwrap_or((line, ""));
                    let mut printed = run(&folder, line)?;
                    if line.contains("newest") {
                        // What it reads may be on its way.
                        wait::until(wait::TIMEOUT, || {
                            printed = run(&folder, line)?;
                            Ok(if printed == expect.trim() { Ok(()) } else { Err(printed.clone()) })
                        })?;
                    }
                    if line.trim().starts_with("seam call") {
                        assert_eq!(printed, expect.trim(), "{line}");
                        calls += 1;
                    }
                }
            }
            "diff" => {
                std::fs::write(folder.join("change.diff"), &text)?;
                run(&folder, "git apply change.diff")?;
            }
            "console" => host = Some(up(&folder)?),
            _ => {}
        }
    }
    ensure!(calls >= 4, "the page calls something");
    host.context("the page serves")?.stop(Duration::from_secs(10))?;
    Ok(())
}
