//! What the host keeps from other users of the machine: all that it writes, what the compiling child gets, and what
//! reaches a terminal.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seam_store::visible::is_unsafe;
use seam_tests::System;
use seam_tests::background::Background;
use seam_tests::host::{Host, binary, command, seam};
use seam_tests::version::{Version, asking};
use seam_tests::wait::{TIMEOUT, until};

const TABLE: &str = "CREATE TABLE seen (n INTEGER NOT NULL, old TEXT) STRICT";
const GROWS: &str = "ALTER TABLE seen ADD COLUMN at TEXT";

fn first() -> Version {
    Version { migrations: vec![TABLE], query: Some("SELECT n, old FROM seen"), ..Version::times(2) }
}

fn system() -> Result<System> {
    System::new().context("numbers", &first().wasm()?, "store = true")?.context(
        "asking",
        &asking()?,
        r#"imports = ["t:numbers/numbers"]"#,
    )
}

/// Everything below `folder` that a user other than the owner has a right to.
fn exposed(folder: &Path) -> Result<Vec<(PathBuf, u32)>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        let mut look = |path: &Path| -> Result<bool> {
            // A host at work removes files meanwhile.
            let Ok(meta) = fs::symlink_metadata(path) else { return Ok(false) };
            if meta.mode() & 0o077 != 0 {
                found.push((path.to_owned(), meta.mode() & 0o7777));
            }
            Ok(meta.is_dir())
        };
        look(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if look(&path)? {
                folders.push(path);
            }
        }
    }
    Ok(found)
}

#[test]
fn nothing_that_a_whole_session_writes_can_be_read_by_others() -> Result<()> {
    let system = system()?;
    let (manifest, folder) = (system.write()?, system.folder.path());
    let data = folder.join("data");
    let done = |args: &[&str]| -> Result<String> {
        let output = seam(&manifest, args)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{args:?}: {said}");
        Ok(said)
    };
    let host = Host::up(&manifest, &data)?;
    let recording = folder.join("recordings/it.toml");
    let recorder = Background::start(&manifest, &["record", "numbers", "--output", &recording.to_string_lossy()])?;
    recorder.until(|printed| printed.contains("a copy of the whole store of `numbers`"))?;
    done(&["call", "asking", "asking.ask(7)"])?;
    recorder.interrupt()?;
    let (ended, printed) = recorder.end()?;
    ensure!(ended.success() && printed.contains("it holds values of real calls"), "{printed}");
    let next = folder.join("next.wasm");
    fs::write(&next, Version { migrations: vec![TABLE, GROWS], ..first() }.wasm()?)?;
    done(&["deploy", "numbers", &next.to_string_lossy(), "--watch", "0"])?;
    done(&["rollback", "numbers"])?;
    done(&["backup"])?;
    done(&["route"])?;
    assert_eq!(exposed(&data)?, [], "while it serves");
    assert!(host.stop(Duration::from_secs(10))?.success());
    // The commands that work without a host write as well.
    done(&["backup"])?;
    done(&["check"])?;
    assert_eq!(exposed(&data)?, [], "afterwards");
    // There was something to find.
    for part in ["host.db", "lock", "stores/numbers.db", "cache/key", "deploy/restore", "backups", "logs"] {
        assert!(data.join(part).exists(), "{part}");
    }
    let text = fs::read_to_string(&recording)?;
    assert!(text.contains("# `it.sqlite` is the whole store of `numbers`"), "{text}");
    for file in ["it.toml", "it.sqlite"] {
        assert_eq!(fs::metadata(folder.join("recordings").join(file))?.mode() & 0o777, 0o600, "{file}");
    }
    assert_eq!(fs::read_to_string(folder.join("recordings/.gitignore"))?, "/it.sqlite\n/it.toml\n");
    Ok(())
}

#[test]
fn a_data_folder_that_others_may_write_to_is_neither_used_nor_found_without_problems() -> Result<()> {
    let system = system()?;
    let manifest = system.write()?;
    let data = system.folder.path().join("data");
    let host = Host::up(&manifest, &data)?;
    assert!(host.stop(Duration::from_secs(10))?.success());
    fs::set_permissions(&data, fs::Permissions::from_mode(0o777))?;
    for args in [&["check"][..], &["up"], &["backup"], &["call", "numbers", "numbers.times(4)"]] {
        let output = seam(&manifest, args)?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("other users may write to it (mode 0777)"), "{args:?}: {said}");
        assert!(said.contains(&format!("hint: if you trust what is there, run `chmod -R go-rwx {}`", data.display())));
    }
    // What others could only read is mended, and the log says so.
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755))?;
    let host = Host::up(&manifest, &data)?;
    host.log_line(&["other users could read these in the data folder"])?;
    assert_eq!(exposed(&data)?, []);
    Ok(())
}

#[test]
fn a_tls_key_that_every_user_may_read_is_a_problem_and_keeps_the_host_from_serving() -> Result<()> {
    let system = system()?;
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let (certificate, key) = (system.folder.path().join("cert.pem"), system.folder.path().join("key.pem"));
    fs::write(&certificate, own.cert.pem())?;
    fs::write(&key, own.signing_key.serialize_pem())?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644))?;
    let manifest = system.write()?;
    let text = fs::read_to_string(&manifest)?;
    let tls = "[host]\ntls = { certificate = \"cert.pem\", key = \"key.pem\" }\n";
    fs::write(&manifest, text.replacen("[host]\n", tls, 1))?;
    for args in [["check"], ["up"]] {
        let output = seam(&manifest, &args)?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains(&format!("run `chmod o= {}`", key.display())), "{args:?}: {said}");
        assert!(said.contains("hint: let the host read it, by its user or its group, and no other user"), "{said}");
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640))?;
    let output = seam(&manifest, &["check"])?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn the_compiling_child_gains_no_rights_and_has_no_file_of_its_parent() -> Result<()> {
    // The shell leaves it two open files, as something that starts a host might.
    let mut child = Command::new("sh")
        .args(["-c", "exec 7</dev/null 9>/dev/null; exec \"$0\" compile-component"])
        .arg(binary()?)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let process = PathBuf::from(format!("/proc/{}", child.id()));
    let looked = until(TIMEOUT, || {
        let status = fs::read_to_string(process.join("status"))?;
        let entries = fs::read_dir(process.join("fd"))?.flatten();
        let mut open: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        open.sort();
        let closed = status.lines().any(|line| line == "NoNewPrivs:\t1") && open == ["0", "1", "2"];
        Ok(if closed { Ok(()) } else { Err(format!("{open:?} {status}")) })
    });
    // It waits for the component until then.
    child.stdin.take().context("its standard input")?.write_all(b"no component")?;
    assert!(!child.wait()?.success());
    looked
}

#[test]
fn what_others_wrote_does_not_control_the_terminal() -> Result<()> {
    let system = system()?;
    let manifest = system.write()?;
    // An operator may have it from a log or a request.
    let evil = "a\u{1b}]0;title\u{7}\u{202e}b\u{9b}2J";
    for args in [
        &["call", evil, "numbers.times(4)"][..],
        &["call", "numbers", evil],
        &["logs", evil],
        &["history", evil],
        &["seed", evil],
        &["deploy", "numbers", evil],
    ] {
        let output = command()?.arg("-f").arg(&manifest).args(args).output()?;
        for stream in [&output.stdout, &output.stderr] {
            let said = std::str::from_utf8(stream)?;
            assert!(!said.chars().any(is_unsafe), "{args:?}: {said:?}");
        }
        assert!(!output.status.success());
    }
    let said = seam(&manifest, &["call", evil, "numbers.times(4)"])?.stderr;
    assert!(String::from_utf8(said)?.contains(r"`a\u{1b}]0;title\u{7}\u{202e}b\u{9b}2J`"), "and nothing is hidden");
    Ok(())
}
