//! `seam verify` on small systems: what it says when there is nothing to check, when it cannot check, and when contexts
//! do not agree.

use std::path::Path;

use anyhow::{Context as _, Result};
use seam::verify::{Outcome, Report, Verdict};
use seam_store::InvariantKind::{Total, Violations};
use seam_tests::System;
use seam_tests::host::seam;
use seam_tests::version::Version;

const TABLE: &str = "CREATE TABLE seen (n INTEGER NOT NULL, old TEXT) STRICT";

fn declaring(
    migrations: &[&'static str],
    invariants: &[(seam_store::InvariantKind, &'static str, &'static str)],
) -> Version {
    Version { migrations: migrations.to_vec(), invariants: invariants.to_vec(), ..Version::default() }
}

/// A system whose files are there: it has started once.
fn system(contexts: &[(&str, &Version)]) -> Result<System> {
    let add =
        |system: System, (name, version): &(&str, &Version)| system.context(name, &version.wasm()?, "store = true");
    let system = contexts.iter().try_fold(System::new(), add)?;
    system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    Ok(system)
}

/// The exit code, what it printed, and what it said.
fn run(manifest: &Path, args: &[&str]) -> Result<(i32, String, String)> {
    let output = seam(manifest, args)?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code().context("an exit code")?, text(&output.stdout), text(&output.stderr)))
}

fn report(manifest: &Path) -> Result<(i32, Report)> {
    let (code, printed, said) = run(manifest, &["verify", "--format", "json"])?;
    Ok((code, serde_json::from_str(&printed).with_context(|| said)?))
}

fn outcome<'r>(report: &'r Report, name: &str) -> Result<&'r Outcome> {
    let check = report.checks.iter().find(|check| check.name == name);
    Ok(&check.with_context(|| format!("no check `{name}`: {report:?}"))?.outcome)
}

#[test]
fn a_verification_that_looked_at_nothing_says_so() -> Result<()> {
    let nowhere = System::new().context("numbers", &Version::default().wasm()?, "store = true")?;
    let (code, _, said) = run(&nowhere.write()?, &["verify"])?;
    assert!(code == 2 && said.contains("no host has run here"), "{said}");

    let mute = system(&[("numbers", &declaring(&[TABLE], &[]))])?;
    let (code, printed, said) = run(&mute.write()?, &["verify"])?;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("nothing was verified") && printed.contains("file-is-sound"), "{printed}{said}");

    let empty = [(Violations, "seen-is-positive", "SELECT n FROM seen WHERE n < 0")];
    let empty = system(&[("numbers", &declaring(&[TABLE], &empty))])?;
    let (code, report) = report(&empty.write()?)?;
    assert_eq!((code, report.verdict), (2, Verdict::Nothing));
    assert!(matches!(outcome(&report, "seen-is-positive")?, Outcome::Empty { .. }));
    Ok(())
}

#[test]
fn a_violation_a_disagreement_and_a_statement_that_fails_are_three_things() -> Result<()> {
    let filled = [TABLE, "INSERT INTO seen (n, old) VALUES (1, 'a'), (-2, 'b'), (-3, 'c')"];
    let rows = (Violations, "seen-is-positive", "SELECT old, n FROM seen WHERE n < 0 ORDER BY n DESC");
    let total = (Total, "sum", "SELECT 'all', sum(n) FROM seen");
    let late = (Violations, "seen-soon", "SELECT n FROM seen WHERE abs(n) > :now");
    let (one, two) = (declaring(&filled, &[rows, total, late]), declaring(&filled, &[total]));
    let manifest = system(&[("one", &one), ("two", &two)])?;
    let path = manifest.write()?;
    let (code, printed, said) = run(&path, &["verify"])?;
    assert_eq!(code, 1, "{said}");
    for words in ["seen-is-positive of one: violated", "b: n -2", "c: n -3", "agree on 1"] {
        assert!(printed.contains(words), "`{words}` in {printed}");
    }
    assert!(said.contains("1 violated"), "{said}");
    // Only what a context takes part in.
    let (code, printed, _) = run(&path, &["verify", "--context", "two"])?;
    assert!(code == 0 && printed.contains("one, two") && !printed.contains("seen-is-positive"), "{printed}");
    let (code, _, said) = run(&path, &["verify", "--context", "tow"])?;
    assert!(code == 2 && said.contains("did you mean `two`?"), "{said}");

    // The two no longer agree; and one of them counts with something else than integers.
    let file = rusqlite::Connection::open(manifest.folder.path().join("data/stores/two.db"))?;
    file.execute("UPDATE seen SET n = 7 WHERE old = 'b'", [])?;
    drop(file);
    let (code, found) = report(&path)?;
    assert_eq!((code, found.verdict), (1, Verdict::Violated));
    let Outcome::Violated { count, columns, examples, .. } = outcome(&found, "sum")? else {
        anyhow::bail!("{found:?}");
    };
    assert_eq!((*count, columns.join(" "), examples[0].join(" ")), (1, "key one two".into(), "all -4 5".into()));

    let real = declaring(&filled, &[(Total, "sum", "SELECT 'all', avg(n) FROM seen"), rows]);
    std::fs::write(manifest.folder.path().join("two.wasm"), real.wasm()?)?;
    let (_, found) = report(&path)?;
    let Outcome::Unchecked { why, .. } = outcome(&found, "sum")? else { anyhow::bail!("{found:?}") };
    assert!(why.contains("the statement of `two`: ") && why.contains("is an integer, not 1.6"), "{why}");
    Ok(())
}

#[test]
fn what_cannot_be_checked_is_not_reported_as_sound() -> Result<()> {
    let rows = (Violations, "seen-is-positive", "SELECT n FROM seen WHERE n < 0");
    let filled = [TABLE, "INSERT INTO seen (n) VALUES (1)"];
    let numbers = system(&[("numbers", &declaring(&filled, &[rows]))])?;
    let path = numbers.write()?;
    assert_eq!(report(&path)?.0, 0);
    // A component of a later schema than the file's, with a statement for it.
    let later = (Violations, "seen-in-time", "SELECT n FROM seen WHERE at > :now");
    let grows = "ALTER TABLE seen ADD COLUMN at TEXT";
    let newer = declaring(&[filled[0], filled[1], grows], &[rows, later]);
    std::fs::write(numbers.folder.path().join("numbers.wasm"), newer.wasm()?)?;
    let (code, found) = report(&path)?;
    assert_eq!((code, found.verdict), (2, Verdict::Unchecked), "{found:?}");
    assert!(matches!(outcome(&found, "seen-is-positive")?, Outcome::Holds { .. }));
    let Outcome::Unchecked { why, remedy } = outcome(&found, "seen-in-time")? else { anyhow::bail!("{found:?}") };
    assert!(why.contains("no such column: at") && remedy.contains("another schema"), "{why}: {remedy}");
    // A component that cannot be loaded says nothing, and that is said.
    std::fs::write(numbers.folder.path().join("numbers.wasm"), "no component")?;
    assert_eq!(run(&path, &["verify"])?.0, 2);
    // The file is gone: a violation.
    std::fs::write(numbers.folder.path().join("numbers.wasm"), newer.wasm()?)?;
    std::fs::remove_file(numbers.folder.path().join("data/stores/numbers.db"))?;
    let (code, found) = report(&path)?;
    assert_eq!((code, found.verdict), (1, Verdict::Violated), "{found:?}");
    assert!(matches!(outcome(&found, "file-is-there")?, Outcome::Violated { .. }));
    Ok(())
}

#[test]
fn seam_test_refuses_a_component_whose_invariants_do_not_fit_its_schema() -> Result<()> {
    let scenario = "[[scenario]]\nname = \"a\"\nwhen = [{ call = 'numbers.times(2)', then = 'ok(4)' }]\n";
    let with = |sql: &'static str| -> Result<(i32, String, String)> {
        let version = declaring(&[TABLE], &[(Violations, "seen-is-positive", sql)]);
        let system = System::new();
        let system = system.context("numbers", &version.wasm()?, "store = true\nscenarios = \"scenarios\"")?;
        std::fs::create_dir(system.folder.path().join("scenarios"))?;
        std::fs::write(system.folder.path().join("scenarios/a.toml"), scenario)?;
        run(&system.write()?, &["test"])
    };
    let (code, printed, said) = with("SELECT n FROM seen WHERE n < 0")?;
    assert_eq!(code, 0, "{printed}{said}");
    let (code, printed, said) = with("SELECT m FROM seen")?;
    let all = printed + &said;
    assert!(code == 1 && all.contains("`seen-is-positive` does not fit the schema"), "{all}");
    Ok(())
}

/// An event that the subscriber's file has set aside, and that the publisher's file no longer has, as after a file was
/// put back without the others.
#[test]
fn an_event_that_only_one_of_two_files_knows_is_a_violation() -> Result<()> {
    use seam_tests::publishing::{How, PUBLISHES, Reader, got, publisher, write};
    let lines = "store = true\nsubscribes.\"t:book/events\" = { tries = 1 }";
    let reader = Reader { traps_on: 2, ..Reader::default() };
    let system =
        System::new().context("book", &publisher()?, PUBLISHES)?.context("reader", &reader.component()?, lines)?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let deliveries = seam::delivery::Deliveries::start(registry.clone(), seam::delivery::Tallies::default());
    write(&registry, 1, 3, How::Together)?;
    seam_tests::wait::until(seam_tests::wait::TIMEOUT, || {
        let numbers = got(&registry, "reader")?;
        Ok(if numbers == [1, 3] { Ok(()) } else { Err(format!("{numbers:?}")) })
    })?;
    drop(deliveries);
    registry.close_stores();
    let path = system.write()?;
    let (_, found) = report(&path)?;
    assert_eq!(outcome(&found, "t:book/events")?, &Outcome::Holds { keys: Some(3) });
    let file = rusqlite::Connection::open(system.folder.path().join("data/stores/book.db"))?;
    assert_eq!(file.execute("DELETE FROM seam_outbox WHERE data LIKE '%2%' AND interface <> ''", [])?, 1);
    drop(file);
    let (code, found) = report(&path)?;
    assert_eq!((code, found.verdict), (1, Verdict::Violated));
    let Outcome::Violated { count: 1, examples, .. } = outcome(&found, "t:book/events")? else {
        anyhow::bail!("{found:?}");
    };
    assert!(examples[0][0].contains("the publisher does not have it"), "{examples:?}");
    Ok(())
}
