//! The short form of the gate, for `seam dev`: what it refuses, what it only notes, and that all components serve or
//! none.

use anyhow::Result;
use seam::app::App;
use seam::deploy::{ChangeKind, ChangeState, DesiredSystem, Passed, Step, SystemRefusal};
use seam::fit::HostCalls;
use seam::manifest::Manifest;
use seam_runtime::component::Compiler;
use seam_store::InvariantKind;
use seam_store::ids::ContextName;
use seam_tests::version::{Health, Version, asking, with_clock};
use seam_tests::{System, call};
use wasmtime::component::Val;

const TABLE: &str = "CREATE TABLE seen (n INTEGER NOT NULL, old TEXT) STRICT";
const GROWS: &str = "ALTER TABLE seen ADD COLUMN at TEXT";

/// A system in this process whose components the test replaces.
struct Fixture {
    app: App,
    system: System,
}

struct Saved {
    live: Result<Vec<ContextName>, SystemRefusal>,
    steps: Vec<Passed>,
}

impl Fixture {
    fn of(system: System) -> Result<Self> {
        Ok(Self { app: load(&system)?, system })
    }

    /// `numbers`, and `asking`, which asks it.
    fn asked(first: &Version) -> Result<Self> {
        let grants = "store = true\ncapabilities = [\"clocks\"]";
        let system = System::new().context("numbers", &first.wasm()?, grants)?;
        Self::of(system.context("asking", &asking()?, r#"imports = ["t:numbers/numbers"]"#)?)
    }

    fn save(&self, saved: &[(&str, Vec<u8>)]) -> Result<Saved> {
        let mut parts = self.app.registry.specs();
        for (name, wasm) in saved {
            let part = parts.iter_mut().find(|part| part.settings.name.as_str() == *name).unwrap();
            std::fs::write(&part.settings.component, wasm)?;
            part.component = self.app.deployer.component(&part.settings.name, &part.settings.component, &mut |_| {})?;
        }
        let mut steps = Vec::new();
        let wish = DesiredSystem { specs: parts, calls: HostCalls::default() };
        let live = self.app.deployer.quick(&wish, &mut |passed| steps.push(passed.clone()));
        Ok(Saved { live, steps })
    }

    fn says(&self, context: &str, function: &str, expect: u32) -> Result<()> {
        let said = call(&self.app.registry, context, function, &[Val::U32(7)], 5_000)?;
        assert_eq!(said, Val::Result(Ok(Some(Box::new(Val::U32(expect))))));
        Ok(())
    }

    fn schema(&self, context: &str) -> Option<u32> {
        let all = self.app.registry.generations();
        all.iter().find(|one| one.context().as_str() == context)?.database()?.schema().ok()
    }
}

fn load(system: &System) -> Result<App> {
    Ok(App::load(Manifest::load(&system.write()?)?, Compiler::Quick)?)
}

impl Saved {
    fn live(&self, names: &[&str]) {
        let live = self.live.as_ref().map(|live| live.iter().map(ContextName::as_str).collect::<Vec<_>>());
        assert_eq!(live, Ok(names.to_vec()));
    }

    fn refused(&self, step: Step, words: &[&str]) {
        let unfit = self.live.as_ref().unwrap_err();
        assert_eq!(unfit.step, step, "{unfit:?}");
        for word in words {
            assert!(unfit.problems.iter().any(|problem| problem.message.contains(word)), "`{word}` in {unfit:?}");
        }
        assert!(unfit.problems.iter().all(|problem| !problem.remedy.is_empty()), "{unfit:?}");
    }

    fn tells(&self, step: Step, words: &str) {
        let notes: Vec<_> = self.steps.iter().filter(|passed| passed.step == step).flat_map(|p| &p.notes).collect();
        assert!(notes.iter().any(|note| note.contains(words)), "`{words}` in {notes:?}");
    }
}

#[test]
fn a_schema_is_tried_on_a_copy_and_changes_with_a_restore_point() -> Result<()> {
    let first = Version { migrations: vec![TABLE], query: Some("SELECT n, old FROM seen"), ..Version::times(2) };
    let fixture = Fixture::asked(&first)?;
    fixture.says("asking", "asking.ask", 14)?;
    let wrong = Version { migrations: vec![TABLE, "CREATE TABLE seen (n)"], ..Version::times(3) };
    fixture.save(&[("numbers", wrong.wasm()?)])?.refused(Step::Migrations, &["migration 2"]);
    fixture.says("asking", "asking.ask", 14)?;
    assert_eq!(fixture.schema("numbers"), Some(1));

    // A deploy would refuse this without `--allow`.
    let drops = "ALTER TABLE seen DROP COLUMN old";
    let next = Version { migrations: vec![TABLE, drops], ..Version::times(3) };
    let saved = fixture.save(&[("numbers", next.wasm()?)])?;
    saved.live(&["numbers"]);
    saved.tells(Step::Migrations, "irreversible: the running version does not work at the new schema");
    saved.tells(Step::Publish, "schema 1 became 2, with a restore point");
    fixture.says("asking", "asking.ask", 21)?;
    assert_eq!(fixture.schema("numbers"), Some(2));
    let restore = fixture.system.folder.path().join("data/deploy/restore");
    assert_eq!(std::fs::read_dir(restore)?.filter_map(Result::ok).count(), 1);

    // The next host finds it the same.
    let Fixture { app, system } = fixture;
    drop(app);
    let fixture = Fixture::of(system)?;
    fixture.says("asking", "asking.ask", 21)?;
    let history = fixture.app.deployer.history(None)?;
    let told: Vec<_> =
        history.iter().map(|entry| (entry.kind, entry.state, entry.schema_before, entry.schema_after)).collect();
    assert_eq!(told, [(ChangeKind::Quick, ChangeState::Live, Some(1), Some(2))]);
    Ok(())
}

#[test]
fn invariants_that_do_not_fit_the_schema_are_refused() -> Result<()> {
    let seen = (InvariantKind::Violations, "seen-is-positive", "SELECT n FROM seen WHERE n < 0");
    let first = Version { migrations: vec![TABLE], invariants: vec![seen], ..Version::times(2) };
    let fixture = Fixture::asked(&first)?;
    let later = (InvariantKind::Violations, "seen-in-time", "SELECT n FROM seen WHERE at > :now");
    let early = Version { invariants: vec![seen, later], ..first.clone() };
    let words = ["the invariant `seen-in-time` does not fit the schema", "no such column: at"];
    fixture.save(&[("numbers", early.wasm()?)])?.refused(Step::Migrations, &words);
    // With the migration that brings the column, it fits.
    let grown = Version { migrations: vec![TABLE, GROWS], ..early };
    fixture.save(&[("numbers", grown.wasm()?)])?.live(&["numbers"]);
    // The other way round, too: a migration that takes away what a statement reads.
    let drops = "ALTER TABLE seen DROP COLUMN at";
    let shrunk = Version { migrations: vec![TABLE, GROWS, drops], ..grown };
    fixture.save(&[("numbers", shrunk.wasm()?)])?.refused(Step::Migrations, &words);
    assert_eq!(fixture.schema("numbers"), Some(2));
    Ok(())
}

#[test]
fn an_unhealthy_version_is_refused() -> Result<()> {
    let first = Version { migrations: vec![TABLE], ..Version::times(2) };
    let fixture = Fixture::asked(&first)?;
    let ill = Version { health: Some(Health::Ill("no shelf")), ..first.clone() };
    fixture.save(&[("numbers", ill.wasm()?)])?.refused(Step::Health, &["no shelf"]);
    let ill = Version { migrations: vec![TABLE, GROWS], health: Some(Health::Traps), ..first.clone() };
    fixture.save(&[("numbers", ill.wasm()?)])?.refused(Step::Health, &["health check fails"]);
    assert_eq!(fixture.schema("numbers"), Some(1));
    fixture.says("asking", "asking.ask", 14)?;
    let well = Version { factor: 4, health: Some(Health::Well), ..first };
    fixture.save(&[("numbers", well.wasm()?)])?.live(&["numbers"]);
    fixture.says("asking", "asking.ask", 28)
}

#[test]
fn what_a_deploy_needs_allowed_is_noted() -> Result<()> {
    let fixture = Fixture::asked(&Version::times(2))?;
    let saved = fixture.save(&[("numbers", with_clock(3)?)])?;
    saved.live(&["numbers"]);
    saved.tells(Step::Capabilities, "numbers: new: the clock");
    let more = fixture.save(&[("numbers", Version { more: true, ..Version::times(4) }.wasm()?)])?;
    more.live(&["numbers"]);
    more.tells(Step::Wit, "numbers: added: `t:numbers/numbers@0.1.0.minus");
    // No context imports it, but its package is published.
    fixture.save(&[("numbers", Version::times(5).wasm()?)])?.tells(Step::Wit, "which no context imports");
    Ok(())
}

#[test]
fn a_changed_interface_names_the_caller_that_it_breaks_and_changes_nothing() -> Result<()> {
    let fixture = Fixture::asked(&Version::times(2))?;
    let wide = Version { wide: true, ..Version::times(3) };
    fixture.save(&[("numbers", wide.wasm()?)])?.refused(Step::Wit, &["`asking`", "disagree about the type"]);
    fixture.says("asking", "asking.ask", 14)?;
    assert!(fixture.app.deployer.history(None)?.is_empty(), "what was only saved is no history");
    Ok(())
}

#[test]
fn what_was_saved_together_serves_together_or_not_at_all() -> Result<()> {
    let first = Version { migrations: vec![TABLE], ..Version::times(2) };
    let system = System::new().context("one", &first.wasm()?, "store = true")?;
    let fixture = Fixture::of(system.context("two", &first.wasm()?, "store = true")?)?;
    let good = Version { migrations: vec![TABLE, GROWS], ..Version::times(3) };
    let bad = Version { migrations: vec![TABLE, "DROP TABLE missing"], ..Version::times(3) };
    for (one, two) in [(&good, &bad), (&bad, &good)] {
        let saved = fixture.save(&[("one", one.wasm()?), ("two", two.wasm()?)])?;
        saved.refused(Step::Migrations, &["migration 2"]);
        for context in ["one", "two"] {
            assert_eq!(fixture.schema(context), Some(1));
            fixture.says(context, "numbers.times", 14)?;
        }
    }
    let saved = fixture.save(&[("one", good.wasm()?), ("two", good.wasm()?)])?;
    saved.live(&["one", "two"]);
    for context in ["one", "two"] {
        assert_eq!(fixture.schema(context), Some(2));
        fixture.says(context, "numbers.times", 21)?;
    }
    Ok(())
}
