//! `[[reconcile]]` on small systems: what is wrong with one is said by `seam check`, at a start and at a deploy; and
//! what contexts disagree on is said in the log and by `seam reconcile`.

use std::path::Path;

use anyhow::{Context as _, Result};
use seam_store::InvariantKind::Total;
use seam_tests::System;
use seam_tests::host::{Host, seam};
use seam_tests::version::Version;

const TABLE: &str = "CREATE TABLE seen (n INTEGER NOT NULL, old TEXT) STRICT";
const ONE: &str = "INSERT INTO seen (n) VALUES (1)";
const TWO: &str = "INSERT INTO seen (n) VALUES (2)";
const SUM: (seam_store::InvariantKind, &str, &str) = (Total, "sum", "SELECT 'all', sum(n) FROM seen");
const EVERY: &str = "[[reconcile]]\ntotal = \"sum\"\nevery = \"10s\"\nafter = \"0s\"";

fn declaring(
    migrations: &[&'static str],
    totals: &[(seam_store::InvariantKind, &'static str, &'static str)],
) -> Version {
    Version { migrations: migrations.to_vec(), invariants: totals.to_vec(), ..Version::default() }
}

/// A system of two contexts.
fn system(one: &Version, two: &Version, lines: &str) -> Result<System> {
    let system = System::new().context("one", &one.wasm()?, "store = true")?;
    Ok(system.context("two", &two.wasm()?, "store = true")?.lines(lines))
}

/// The exit code, what it printed, and what it said.
fn run(manifest: &Path, args: &[&str]) -> Result<(i32, String, String)> {
    let output = seam(manifest, args)?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code().context("an exit code")?, text(&output.stdout), text(&output.stderr)))
}

#[test]
fn a_total_that_cannot_be_compared_and_a_context_that_does_not_mend_are_said_with_their_place() -> Result<()> {
    let (declares, silent) = (declaring(&[TABLE], &[SUM]), declaring(&[TABLE], &[]));
    for (one, two, lines, words) in [
        (
            &declares,
            &declares,
            "[[reconcile]]\ntotal = \"summ\"",
            &["seam.toml:13:1: error: no context declares the total `summ`", "did you mean `sum`?"][..],
        ),
        (
            &declares,
            &silent,
            "[[reconcile]]\ntotal = \"sum\"",
            &["seam.toml:13:1: error: only `one` declares the total `sum`", "hint: declare it in the context"],
        ),
        (
            &declares,
            &declares,
            "[[reconcile]]\ntotal = \"sum\"\nmend = \"two\"",
            &["seam.toml:15:8: error: `two` is to mend `sum`, and does not export `seam:host/reconciliation`"],
        ),
    ] {
        let system = system(one, two, lines)?;
        let manifest = system.write()?;
        let (code, _, said) = run(&manifest, &["check"])?;
        assert!(code == 1 && words.iter().all(|words| said.contains(words)), "{words:?} in {said}");
        // A start says the same, and serves.
        let host = Host::up(&manifest, &system.folder.path().join("data"))?;
        let message = words[0].split("error: ").last().unwrap_or_default();
        let line = host.log_line(&[message])?;
        assert!(line.contains("WARN") && line.contains("hint"), "{line}");
        drop(host);
    }
    let fine = system(&declares, &declares, EVERY)?;
    assert_eq!(run(&fine.write()?, &["check"])?.0, 0);
    Ok(())
}

#[test]
fn what_contexts_disagree_on_is_said_once_and_what_is_not_known_is_no_agreement() -> Result<()> {
    let (one, two) = (declaring(&[TABLE, ONE], &[SUM]), declaring(&[TABLE, TWO], &[SUM]));
    let system = system(&one, &two, EVERY)?;
    let manifest = system.write()?;
    let data = system.folder.path().join("data");
    let host = Host::up(&manifest, &data)?;
    let (code, _, said) = run(&manifest, &["reconcile"])?;
    assert!(code == 2 && said.contains("not looked at since the host started"), "{code}: {said}");
    let (code, printed, said) = run(&manifest, &["reconcile", "run"])?;
    assert!(code == 1 && printed.contains("one 1, two 2"), "{printed}{said}");
    assert!(said.contains("sum: one and two agree on 0 keys and disagree on 1"), "{said}");
    let (code, ..) = run(&manifest, &["reconcile", "run"])?;
    assert_eq!(code, 1);
    let line = host.log_line(&["contexts disagree", "\"all\""])?;
    assert!(line.contains("WARN") && line.contains("no context is named that mends it"), "{line}");
    assert_eq!(host.log()?.matches("contexts disagree").count(), 1, "it is said once, not at each look");
    for (args, words) in [
        (&["reconcile", "mend", "sum", "all", "--yes"][..], "no context is named that mends `sum`"),
        (&["reconcile", "accept", "sum", "all", "--yes"], "what is accepted is alarmed no longer"),
        (&["reconcile", "show", "sum", "none"], "the contexts do not disagree on `none` of `sum`"),
        (&["reconcile", "run", "summ"], "the total `summ` is not reconciled"),
    ] {
        let (code, _, said) = run(&manifest, args)?;
        assert!(code == 1 && said.contains(words) && said.contains("hint: "), "{args:?}: {code} {said}");
    }
    // A version that no longer declares the total would end what is looked at.
    let silent = system.folder.path().join("silent.wasm");
    std::fs::write(&silent, declaring(&[TABLE, TWO], &[]).wasm()?)?;
    let (code, printed, said) = run(&manifest, &["deploy", "two", &silent.to_string_lossy()])?;
    let said = printed + &said;
    assert!(code == 1 && said.contains("it no longer declares the total `sum`, which is reconciled"), "{said}");
    assert!(host.stop(std::time::Duration::from_secs(10))?.success());

    // Without one of the two files, nothing is known: what was found stands, and the command says so.
    std::fs::remove_file(data.join("stores/two.db"))?;
    let host = Host::up(&manifest, &data)?;
    let (code, printed, said) = run(&manifest, &["reconcile", "run"])?;
    assert!(code == 1 && printed.contains("one 1, two 2"), "{printed}{said}");
    assert!(said.contains("warning: sum cannot be looked at") && said.contains("`two`"), "{said}");
    drop(host);
    Ok(())
}

#[test]
fn a_host_without_the_table_says_that_nothing_is_reconciled() -> Result<()> {
    let version = declaring(&[TABLE, ONE], &[SUM]);
    let system = system(&version, &version, "")?;
    let manifest = system.write()?;
    let host = Host::up(&manifest, &system.folder.path().join("data"))?;
    let (code, _, said) = run(&manifest, &["reconcile"])?;
    assert!(code == 2 && said.contains("no total is reconciled: add a `[[reconcile]]`"), "{code}: {said}");
    drop(host);
    Ok(())
}
