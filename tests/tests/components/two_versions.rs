//! Two versions of one interface side by side: each caller gets its own, in links, deploys, calls, scenarios and
//! recordings.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use seam::harness::functions::Functions;
use seam::harness::recorded::{self, Header};
use seam::harness::report::TestReport;
use seam::harness::{Harness, Options};
use seam::invoke;
use seam::manifest::Manifest;
use seam_runtime::component::ContextSpec;
use seam_runtime::run::recorder::CallData;
use seam_runtime::serve::Registry;
use seam_tests::two_versions::{both, new, numbers, old};
use seam_tests::{System, call};
use wasmtime::component::Val;

const OLD_FIRST: [&str; 2] = ["0.1.0", "0.2.0"];
const NEW_FIRST: [&str; 2] = ["0.2.0", "0.1.0"];

/// `numbers` with these versions, and callers of one, of the other, and of both.
fn system(versions: &[&str]) -> Result<System> {
    System::new()
        .context("numbers", &numbers(versions)?, "scenarios = \"of-numbers\"")?
        .context("old", &old()?, "imports = [\"t:numbers/numbers@0.1.0\"]")?
        .context("new", &new()?, "imports = [\"t:numbers/numbers@0.2.0\"]")?
        .context("both", &both()?, "imports = [\"t:numbers/numbers\"]\nscenarios = \"of-both\"")
}

fn started(system: &System) -> Result<Registry> {
    system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))
}

fn ok(value: Val) -> Val {
    Val::Result(Ok(Some(Box::new(value))))
}

fn said(registry: &Registry, context: &str, text: &str) -> Result<String> {
    Ok(invoke::run(registry, context, text, Duration::from_secs(5))?.wave())
}

#[test]
fn each_caller_gets_its_version_in_whatever_order_they_are_exported() -> Result<()> {
    for versions in [OLD_FIRST, NEW_FIRST] {
        let system = system(&versions)?;
        let registry = started(&system)?;
        for (context, text, answer) in [
            ("old", "asking.ask(21)", "ok(42)"),
            ("new", "asking.ask(21)", "ok(1000042)"),
            ("new", "asking.ask3(21)", "ok(63)"),
            ("both", "asking.ask(21)", "ok(1000042)"),
            ("numbers", "t:numbers/numbers@0.2.0.twice(21)", "ok(1000042)"),
            ("numbers", "t:numbers/numbers@0.1.0.twice(21)", "ok(42)"),
            ("numbers", "numbers@0.1.0.twice(21)", "ok(42)"),
            ("numbers", "numbers.thrice(21)", "ok(63)"),
        ] {
            assert_eq!(said(&registry, context, text)?, answer, "{context} {text} {versions:?}");
        }
    }
    Ok(())
}

#[test]
fn a_call_that_two_versions_could_answer_is_asked_to_name_one() -> Result<()> {
    let system = system(&NEW_FIRST)?;
    let registry = started(&system)?;
    let remedy = |text: &str| {
        let error = invoke::run(&registry, "numbers", text, Duration::from_secs(5)).unwrap_err();
        format!("{error}; {}", error.remedy())
    };
    assert_eq!(
        remedy("numbers.twice(1)"),
        "`numbers.twice` is a function of several interfaces of `numbers`; \
         name one of: t:numbers/numbers@0.2.0.twice, t:numbers/numbers@0.1.0.twice"
    );
    let unknown = remedy("numbers@0.3.0.twice(1)");
    assert!(unknown.contains("`numbers` has no function `numbers@0.3.0.twice`"), "{unknown}");
    assert!(unknown.contains("t:numbers/numbers@0.1.0.twice(n: u32) -> "), "{unknown}");
    Ok(())
}

#[test]
fn versions_come_and_go_under_load_and_no_call_is_lost_or_answered_by_the_other() -> Result<()> {
    let all = system(&OLD_FIRST)?;
    let settings = Manifest::load(&all.write()?)?.system().contexts;
    let first = System::new().context("numbers", &numbers(&["0.1.0"])?, "")?.context(
        "old",
        &old()?,
        "imports = [\"t:numbers/numbers@0.1.0\"]",
    )?;
    let registry = started(&first)?;
    let spec = |context: &str, wasm: &[u8]| -> Result<ContextSpec> {
        let file = first.folder.path().join("next.wasm");
        std::fs::write(&file, wasm)?;
        let settings = settings.iter().find(|settings| settings.name.as_str() == context).unwrap().clone();
        Ok(ContextSpec { settings, component: registry.load(&file)?, tolerated_schema: None })
    };
    let publish = |specs: Vec<ContextSpec>| -> Result<()> {
        let prepared = registry.prepare(specs)?;
        prepared.migrate(None)?;
        Ok(registry.publish(prepared)?)
    };
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| -> Result<()> {
        // Set when this block ends early, too, so that the callers end.
        let callers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    while !stop.load(Ordering::SeqCst) {
                        let answer = call(&registry, "old", "asking.ask", &[Val::U32(21)], 5_000)?;
                        anyhow::ensure!(answer == ok(Val::U32(42)), "{answer:?}");
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                    Ok(())
                })
            })
            .collect();
        let more = || {
            let enough = answered.load(Ordering::SeqCst) + 50;
            while answered.load(Ordering::SeqCst) < enough && callers.iter().any(|caller| !caller.is_finished()) {
                std::thread::yield_now();
            }
        };
        let changes = || -> Result<()> {
            more();
            for versions in [NEW_FIRST, OLD_FIRST, NEW_FIRST] {
                publish(vec![spec("numbers", &numbers(&versions)?)?, spec("old", &old()?)?])?;
                more();
            }
            publish(vec![spec("numbers", &numbers(&NEW_FIRST)?)?, spec("old", &old()?)?, spec("new", &new()?)?])?;
            more();
            assert_eq!(said(&registry, "new", "asking.ask(21)")?, "ok(1000042)");
            Ok(())
        };
        let changed = changes();
        stop.store(true, Ordering::SeqCst);
        changed?;
        callers.into_iter().try_for_each(|caller| caller.join().unwrap())
    })?;
    assert!(answered.into_inner() >= 250, "the callers were at work all the time");
    publish(vec![spec("numbers", &numbers(&["0.2.0"])?)?, spec("new", &new()?)?])?;
    assert_eq!(said(&registry, "new", "asking.ask3(21)")?, "ok(63)");
    assert!(registry.live("old").is_err());
    Ok(())
}

#[test]
fn a_version_that_a_caller_needs_cannot_go() -> Result<()> {
    let system = system(&OLD_FIRST)?;
    let registry = started(&system)?;
    let file = system.folder.path().join("next.wasm");
    std::fs::write(&file, numbers(&["0.2.0"])?)?;
    let mut specs = registry.specs();
    specs[0].component = registry.load(&file)?;
    let refused = registry.prepare(specs).err().map(|error| format!("{error:?}")).unwrap_or_default();
    assert!(refused.contains("`old` imports `t:numbers/numbers@0.1.0`, but only other versions exist"), "{refused}");
    Ok(())
}

fn test(system: &System, files: &[(&str, &str)]) -> Result<TestReport> {
    let folder = system.folder.path();
    for (name, text) in files {
        std::fs::create_dir_all(folder.join(name).parent().unwrap())?;
        std::fs::write(folder.join(name), text)?;
    }
    let harness = Harness::of(&system.write()?)?;
    Ok(harness.run(&Options::default(), &mut |_| {})?)
}

fn contract(version: &str, call: &str, then: &str) -> String {
    format!(
        "interface = 't:numbers/numbers@{version}'
         [[rule]]\nfunction = 'numbers.twice'\nwith = '(21)'\nanswers = ['{then}']
         [[scenario]]\nname = 'of {version}'\nwhen = [{{ call = '{call}', then = '{then}' }}]"
    )
}

#[test]
fn scenarios_stubs_and_contracts_know_the_versions_apart() -> Result<()> {
    let system = system(&NEW_FIRST)?;
    let report = test(
        &system,
        &[
            (
                "of-numbers/named.toml",
                "[[scenario]]\nname = 'each version'\nwhen = [
                    { call = 't:numbers/numbers@0.1.0.twice(21)', then = 'ok(42)' },
                    { call = 'numbers@0.2.0.twice(21)', then = 'ok(1000042)' },
                    { call = 'numbers.thrice(1)', then = 'ok(3)' }]",
            ),
            (
                "of-both/stubbed.toml",
                "[[scenario]]\nname = 'each stub'\ngiven.stub = [
                    { function = 'numbers@0.2.0.twice', answer = 'ok(7)' },
                    { function = 't:numbers/numbers@0.1.0.twice', answer = 'ok(6)' }]
                 when = [{ call = 'asking.ask(3)', then = 'ok(7)',
                    asked = ['numbers@0.1.0.twice(3)', 'numbers@0.2.0.twice(3)'] }]",
            ),
            ("wit/old/contract/old.toml", &contract("0.1.0", "numbers.twice(21)", "ok(42)")),
            ("wit/new/contract/new.toml", &contract("0.2.0", "numbers.twice(21)", "ok(1000042)")),
        ],
    )?;
    assert!(report.passed(), "{report:#?}");
    let ran = report.suites.iter().map(|suite| suite.scenarios.len()).sum::<usize>();
    assert_eq!(ran, 4, "{report:#?}");
    let wrong = test(
        &system,
        &[
            ("of-numbers/named.toml", "[[scenario]]\nname = 'which?'\nwhen = [{ call = 'numbers.twice(1)' }]"),
            (
                "of-both/stubbed.toml",
                "[[scenario]]\nname = 'a stub too few'\ngiven.stub = [
                    { function = 'numbers@0.2.0.twice', answer = 'ok(7)' }]\nwhen = [{ call = 'asking.ask(3)' }]",
            ),
            ("wit/new/contract/new.toml", &contract("0.2.0", "numbers.twice(21)", "ok(42)")),
        ],
    )?;
    let shown = format!("{wrong:?}");
    for text in [
        "name one of: t:numbers/numbers@0.2.0.twice, t:numbers/numbers@0.1.0.twice",
        "no stub answers the call t:numbers/numbers@0.1.0.twice(3)",
        "breaks the contract of `t:numbers/numbers@0.2.0`",
    ] {
        assert!(shown.contains(text), "{text} in {wrong:#?}");
    }
    Ok(())
}

#[test]
fn recorded_calls_of_two_versions_pass_when_they_run_again() -> Result<()> {
    let system = system(&NEW_FIRST)?;
    let registry = started(&system)?;
    let contexts = ["numbers", "both"];
    let generation = |context: &str| registry.live(context).map(|live| live.generation().clone());
    for context in contexts {
        assert!(generation(context)?.recorder.start_log(false));
    }
    call(&registry, "both", "asking.ask", &[Val::U32(21)], 5_000)?;
    let mut files = Vec::new();
    for context in contexts {
        let generation = generation(context)?;
        let log = generation.recorder.stop_log().unwrap();
        let functions = &Functions::of(generation.component());
        let recorded = recorded::scenario(&Header { context, name: context, clock_s: 0, file: None, functions }, &log);
        files.push((format!("of-{context}/recorded.toml"), recorded.text));
    }
    let recent = generation("numbers")?.recorder.recent();
    let versions: Vec<String> = recent
        .iter()
        .filter_map(|call| match &call.data {
            CallData::Function { interface, .. } => Some(interface.to_string()),
            CallData::Request { .. } => None,
        })
        .collect();
    assert_eq!(versions, ["t:numbers/numbers@0.1.0", "t:numbers/numbers@0.2.0"]);
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let report = test(&system, &files)?;
    assert!(report.passed() && report.suites.len() == 2, "{report:#?}\n{files:#?}");
    Ok(())
}
