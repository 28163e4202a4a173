//! Scenarios and contracts on a small system: each kind of mistake is reported, and only what changed runs.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use seam::harness::report::{SuiteReport, TestReport};
use seam::harness::scenario::{Cell, FailureKind};
use seam::harness::{Harness, Options, junit};
use seam_tests::background::Background;
use seam_tests::caller_callee::{asking, numbers};
use seam_tests::host::{Host, seam};
use seam_tests::publishing::{PUBLISHES, Reader, publisher};
use seam_tests::{MEMORY, System, component};

/// The two contexts, with these files of scenarios of `asking`.
fn system(files: &[(&str, &str)]) -> System {
    let entry = "imports = [\"t:numbers/numbers\"]\nstore = true\nscenarios = \"scenarios\"";
    let system = System::new().context("asking", &asking(), entry).unwrap().context("numbers", &numbers(), "").unwrap();
    let folder = system.folder.path();
    std::fs::create_dir(folder.join("scenarios")).unwrap();
    std::fs::create_dir_all(folder.join("wit/numbers/contract")).unwrap();
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
    system.write().unwrap();
    system
}

const CONTRACT: &str = "interface = 't:numbers/numbers@0.1.0'
[[rule]]
function = 'numbers.twice'
with = '(4)'
answers = ['ok(8)']
[[scenario]]
name = 'twice is twice'
when = [{ call = 'numbers.twice(10)', then = 'ok(20)' }, { call = 'numbers.twice(3)', then = 'err(odd(3))' }]
";

/// `asking.ask` asks for 4 first, then for what it was asked.
const STUB: &str = "given.stub = [{ function = 'numbers.twice', with = '(4)', answer = 'ok(8)' }, \
                    { function = 'numbers.twice', with = '($n)', answer = 'ok($n)' }]";

fn scenario(name: &str, rest: &str) -> String {
    format!("[[scenario]]\nname = '{name}'\n{rest}\n")
}

fn run(system: &System, options: &Options) -> Result<TestReport> {
    let harness = Harness::of(&system.folder.path().join("seam.toml"))?;
    Ok(harness.run(options, &mut |_| {})?)
}

fn of<'r>(report: &'r TestReport, file: &str) -> &'r SuiteReport {
    report.suites.iter().find(|suite| suite.file.ends_with(file)).unwrap_or_else(|| panic!("{file} in {report:#?}"))
}

#[test]
fn each_kind_of_mistake_is_reported_with_its_line() -> Result<()> {
    // The scenario from line 3 on, then the failure, its detail, and on which instance.
    let cases: &[(&str, &str, &str, &str)] = &[
        (
            "{STUB}\nwhen = [{ call = 'asking.ask(7)', then = 'ok(8)' }]",
            "4:9: asking.ask(7) does not return the expected value",
            "- ok(8)\n+ ok(7)",
            "on a fresh instance",
        ),
        (
            "{STUB}\nwhen = [{ call = 'asking.ask(7)', asked = ['numbers.twice(4)', 'numbers.twice(7)', 'numbers.twice(9)'] }]",
            "4:9: the calls to other contexts differ from `asked`",
            "  numbers.twice(4)\n  numbers.twice(7)\n- numbers.twice(9)",
            "on a fresh instance",
        ),
        (
            "{STUB}\nwhen = [{ call = 'asking.ask(7)' }]\nthen.asked = ['numbers.twice(4)']",
            "1:1: the calls to other contexts differ from `asked`",
            "  numbers.twice(4)\n+ numbers.twice(7)",
            "on a fresh instance",
        ),
        ("when = [{ call = 'asking.ask(7)' }]", "no stub answers the call numbers.twice(4)", "", "on a fresh instance"),
        ("when = [{ call = 'numbers.fall()' }]", "there is no function `numbers.fall`", "", ""),
        (
            "when = [{ call = 'asking.count()', then = 'ok(1)' }]",
            "3:9: asking.count() does not return the expected value",
            "- ok(1)\n+ ok(2)",
            "on an instance that has run the scenario before",
        ),
        (
            "when = [{ call = 'asking.count()', then = 'ok(_)' }]",
            "it answers differently than on a fresh instance",
            "- ok(1)\n+ ok(2)",
            "on an instance that has run the scenario before",
        ),
        (
            "given.stub = [{ function = 'numbers.twice', answer = 'ok(\"four\")' }]\nwhen = [{ call = 'asking.ask(7)' }]",
            "3:58: error: `\"four\"` is not a valid u32",
            "",
            "",
        ),
        (
            "given.stub = [{ function = 'numbers.twice', answer = 'err(even(4))' }]\nwhen = [{ call = 'asking.ask(7)' }]",
            "3:59: error: there is no case `even`",
            "",
            "",
        ),
        (
            "given.stub = [{ function = 'numbers.twice', answer = 'ok(9)' }]\nwhen = [{ call = 'asking.ask(7)' }]",
            "breaks the contract of `t:numbers/numbers@0.1.0` when it answers numbers.twice(4)",
            "",
            "on a fresh instance",
        ),
        (
            "when = [{ call = 'asking.run(\"INSERT INTO t VALUES (1) RETURNING n\")' }]\n\
             then.rows = [{ sql = 'SELECT n FROM t', are = [[1], [2]] }]",
            "4:22: `SELECT n FROM t` does not return the expected rows",
            "  1\n- 2",
            "on a fresh instance",
        ),
        (
            "given.sql = 'INSERT INTO u VALUES (1)'\nwhen = [{ call = 'asking.run(\"x\")' }]",
            "3:13: `given.sql` failed: line 1 of the statements: ",
            "",
            "on a fresh instance",
        ),
        ("when = [{ request = 'GET /' }]", "the context answers no requests", "", ""),
        (
            "given.stub = [{ function = 'numbers.twice', answer = 'ok(8)', times = 1 }, { function = 'numbers.twice', fails = 'trapped' }]\n\
             when = [{ call = 'asking.ask(7)', then = 'ok(_)' }]",
            "4:9: asking.ask(7) does not return the expected value",
            "+ err(unavailable(\"`numbers` failed\"))",
            "on a fresh instance",
        ),
    ];
    for (rest, what, detail, on) in cases {
        let text = scenario("it", &rest.replace("{STUB}", STUB));
        let system = system(&[("scenarios/a.toml", &text), ("wit/numbers/contract/numbers.toml", CONTRACT)]);
        let report = run(&system, &Options::default())?;
        let suite = of(&report, "a.toml");
        assert!(!report.passed() && !suite.passed(), "{text}");
        let problems = suite
            .problems
            .iter()
            .map(|p| format!("{}:{}: error: {} {}", p.place.line, p.place.column, p.message, p.remedy));
        let failures = suite.scenarios.iter().flat_map(|scenario| &scenario.failures);
        let failures = failures.map(|f| format!("{}:{}: {}\n{}\n{}", f.line, f.column, f.what, f.detail, f.on));
        let told: Vec<String> = problems.chain(failures).collect();
        let fits = |told: &String| told.contains(what) && told.contains(detail) && told.contains(on);
        assert!(told.iter().any(fits), "no `{what}` with `{detail}` {on} for\n{text}\nbut\n{}", told.join("\n"));
    }
    Ok(())
}

#[test]
fn a_scenario_gives_events_and_expects_those_that_are_published() -> Result<()> {
    let written = |n: u32| format!("'events.written({n})'");
    let (one, two) = (written(1), written(2));
    for (context, step, what, detail) in [
        ("book", format!("call = 'writing.write(1, 2, 0)', published = [{one}, {two}]"), "", ""),
        ("book", format!("call = 'writing.write(1, 2, 1)', published = [{one}, 'events.written($n)']"), "", ""),
        ("book", "call = 'writing.write(1, 2, 2)', published = []".to_owned(), "", ""),
        (
            "book",
            format!("call = 'writing.write(1, 2, 0)', published = [{one}]"),
            "the published events differ from `published`",
            "  events.written(1)\n+ events.written(2)",
        ),
        (
            "book",
            format!("call = 'writing.write(1, 2, 2)', published = [{one}]"),
            "the published events differ from `published`",
            "- events.written(1)",
        ),
        (
            "book",
            "call = 'writing.write(1, 2, 0)', published = ['events.writen(1)']".to_owned(),
            "events.writen",
            "events.written",
        ),
        ("reader", format!("call = {one}, then = 'ok'"), "", ""),
        ("reader", format!("call = {two}, then = 'ok'"), "does not return the expected value", "+ err(refused(2))"),
    ] {
        let reader = Reader { refuses_from: 2, ..Reader::default() }.component()?;
        let subscribes = "store = true\nsubscribes.\"t:book/events\" = {}";
        let system = System::new().context("book", &publisher()?, PUBLISHES)?.context("reader", &reader, subscribes)?;
        let folder = system.folder.path().join(format!("plugins/{context}/tests/scenarios"));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("a.toml"), scenario("it", &format!("when = [{{ {step} }}]")))?;
        system.write()?;
        let report = run(&system, &Options::default())?;
        let suite = of(&report, "a.toml");
        let failures =
            suite.scenarios.iter().flat_map(|one| &one.failures).map(|f| format!("{}\n{}", f.what, f.detail));
        let problems = suite.problems.iter().map(|problem| format!("{}\n{}", problem.message, problem.remedy));
        let told: Vec<String> = problems.chain(failures).collect();
        match what {
            "" => assert!(suite.passed(), "{context}, {step}: {told:?}"),
            _ => assert!(
                told.iter().any(|told| told.contains(what) && told.contains(detail)),
                "no `{what}` for {context}, {step}: {told:#?}"
            ),
        }
    }
    Ok(())
}

#[test]
fn a_trap_tells_what_the_guest_said_and_where_it_was() -> Result<()> {
    let wit = "package t:loud@0.1.0;
         interface loud {
             variant error { unavailable(string) }
             pay: func() -> result<u32, error>;
         }
         world this { import wasi:logging/logging@0.1.0-draft; export loud; }";
    let message = "panicked at src/lib.rs:7:5: no card";
    let wat = format!(
        r#"(module
            (import "wasi:logging/logging@0.1.0-draft" "log" (func $log (param i32 i32 i32 i32 i32)))
            {MEMORY}
            (data (i32.const 64) "{message}")
            (func $take_the_money
                (call $log (i32.const 5) (i32.const 64) (i32.const 8) (i32.const 64) (i32.const {length}))
                unreachable)
            (func (export "t:loud/loud@0.1.0#pay") (result i32) (call $take_the_money) (i32.const 0)))"#,
        length = message.len()
    );
    let loud = component(wit, "this", &wat)?;
    let system = System::new().context("loud", &loud, "scenarios = \"scenarios\"")?;
    let folder = system.folder.path().join("scenarios");
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("a.toml"), scenario("it pays", "when = [{ call = 'loud.pay()', then = 'ok(1)' }]"))?;
    system.write()?;
    let report = run(&system, &Options::default())?;
    let failure = &of(&report, "a.toml").scenarios[0].failures[0];
    assert!(failure.what.starts_with("loud.pay() failed: `loud` trapped:"), "{failure:?}");
    assert_eq!(failure.detail, format!("{message}\nin take_the_money"), "{failure:?}");
    Ok(())
}

#[test]
fn a_callee_that_traps_is_expected_or_a_failure() -> Result<()> {
    let system = system(&[]);
    let folder = system.folder.path().join("plugins/numbers/tests/scenarios");
    std::fs::create_dir_all(&folder)?;
    let good = scenario(
        "thirteen traps",
        "when = [{ call = 'numbers.twice(13)', fails = 'trapped' }, { call = 'numbers.twice(4)', then = 'ok(8)' }]",
    );
    let bad = scenario("thirteen is fine", "when = [{ call = 'numbers.twice(13)', then = 'ok(26)' }]");
    std::fs::write(folder.join("a.toml"), format!("{good}{bad}"))?;
    let report = run(&system, &Options::default())?;
    let suite = of(&report, "a.toml");
    assert!(suite.scenarios[0].failures.is_empty(), "{suite:#?}");
    let told = &suite.scenarios[1].failures[0].what;
    assert!(told.contains("numbers.twice(13) failed: `numbers` trapped"), "{told}");
    Ok(())
}

#[test]
fn what_passed_is_not_run_again_until_something_of_it_changes() -> Result<()> {
    let one = scenario("one", &format!("{STUB}\nwhen = [{{ call = 'asking.ask(7)', then = 'ok(7)' }}]"));
    let system = system(&[
        ("scenarios/a.toml", &one),
        ("scenarios/b.toml", &one.replace("'one'", "'other'")),
        ("wit/numbers/contract/numbers.toml", CONTRACT),
    ]);
    let ran = |options: &Options| -> Result<Vec<String>> {
        let report = run(&system, options)?;
        assert!(report.passed(), "{report:#?}");
        let name = |suite: &&SuiteReport| !suite.unchanged;
        Ok(report
            .suites
            .iter()
            .filter(name)
            .map(|s| format!("{} {}", s.context, Path::new(&s.file).display()))
            .collect())
    };
    let all = ["asking scenarios/a.toml", "asking scenarios/b.toml", "numbers wit/numbers/contract/numbers.toml"];
    assert_eq!(ran(&Options::default())?, all);
    assert_eq!(ran(&Options::default())?, [""; 0]);
    assert_eq!(ran(&Options { all: true, ..Options::default() })?, all);
    std::fs::write(system.folder.path().join("scenarios/b.toml"), one.replace("'one'", "'another'"))?;
    assert_eq!(ran(&Options::default())?, [all[1]]);
    // A changed contract concerns its callees and its callers.
    std::fs::write(system.folder.path().join("wit/numbers/contract/numbers.toml"), format!("# x\n{CONTRACT}"))?;
    assert_eq!(ran(&Options::default())?, all);
    // A changed component concerns its own.
    let other = component(
        "package t:numbers@0.1.0;
         interface numbers { variant error { odd(u32), unavailable(string) } twice: func(n: u32) -> result<u32, error>; }
         world this { export numbers; }",
        "this",
        &format!(
            r#"(module {MEMORY} (func (export "t:numbers/numbers@0.1.0#twice") (param $n i32) (result i32)
                (if (result i32) (i32.eq (local.get $n) (i32.const 3))
                    (then (i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 0))
                          (i32.store (i32.const 24) (i32.const 3)) (i32.const 16))
                    (else (i32.store (i32.const 16) (i32.const 0))
                          (i32.store (i32.const 20) (i32.mul (local.get $n) (i32.const 2))) (i32.const 16)))))"#
        ),
    )?;
    std::fs::write(system.folder.path().join("numbers.wasm"), other)?;
    assert_eq!(ran(&Options::default())?, [all[2]]);
    Ok(())
}

#[test]
fn an_implementation_that_breaks_a_contract_gets_the_part_that_it_breaks() -> Result<()> {
    let system = system(&[("wit/numbers/contract/numbers.toml", CONTRACT)]);
    let wrong = component(
        "package t:numbers@0.1.0;
         interface numbers { variant error { odd(u32), unavailable(string) } twice: func(n: u32) -> result<u32, error>; }
         world this { export numbers; }",
        "this",
        &format!(
            r#"(module {MEMORY} (func (export "t:numbers/numbers@0.1.0#twice") (param $n i32) (result i32)
                (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.mul (local.get $n) (i32.const 2))) (i32.const 16)))"#
        ),
    )?;
    let manifest = system.folder.path().join("seam.toml");
    std::fs::write(system.folder.path().join("wrong.wasm"), wrong)?;
    let said = |file: &str, interface: &str| -> Result<(i32, String)> {
        let path = system.folder.path().join(file).display().to_string();
        let output = seam(&manifest, &["test", "--contract", interface, &path])?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ok((output.status.code().unwrap_or(-1), said))
    };
    let (code, text) = said("numbers.wasm", "t:numbers/numbers@0.1.0")?;
    assert_eq!(code, 0, "{text}");
    let (code, text) = said("wrong.wasm", "t:numbers/numbers")?;
    assert!(code == 1 && text.contains("FAIL twice is twice") && text.contains("- err(odd(3))"), "{code} {text}");
    let (code, text) = said("numbers.wasm", "t:numbers/letters")?;
    assert!(code == 1 && text.contains("there is no contract for `t:numbers/letters`"), "{code} {text}");
    Ok(())
}

#[test]
fn results_are_json_junit_and_an_exit_code() -> Result<()> {
    let good = scenario("good", &format!("{STUB}\nwhen = [{{ call = 'asking.ask(7)', then = 'ok(7)' }}]"));
    let bad = scenario("bad <&> \"quoted\"", &format!("{STUB}\nwhen = [{{ call = 'asking.ask(7)', then = 'ok(8)' }}]"));
    let system = system(&[("scenarios/a.toml", &good)]);
    let manifest = system.write()?;
    let xml = system.folder.path().join("out.xml").display().to_string();
    let output = seam(&manifest, &["test", "--junit", &xml, "--format", "json"])?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    assert!(output.status.success() && report["suites"][0]["scenarios"][0]["name"] == "good", "{report}");

    std::fs::write(system.folder.path().join("scenarios/a.toml"), format!("{good}{bad}"))?;
    let output = seam(&manifest, &["test", "--junit", &xml])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("  ok   good (") && text.contains("  FAIL bad <&> \"quoted\" (") && text.contains("- ok(8)"),
        "{text}"
    );
    let summary = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(summary.contains("2 scenarios: 1 passed, 1 failed, 0 unchanged"), "{summary}");
    let junit = std::fs::read_to_string(&xml)?;
    let document = roxmltree::Document::parse(&junit)?;
    let cases: Vec<_> = document.descendants().filter(|node| node.has_tag_name("testcase")).collect();
    assert_eq!(cases.len(), 2, "{junit}");
    let failure = cases[1].children().find(|node| node.has_tag_name("failure")).context("a failure")?;
    assert!(
        cases[1].attribute("name") == Some("bad <&> \"quoted\"")
            && failure.text().is_some_and(|t| t.contains("- ok(8)"))
    );

    let output = seam(&manifest, &["test", "--scenario", "no such"])?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && stderr.contains("no scenario's name contains `no such`"), "{stderr}");
    assert_eq!(seam(&manifest, &["test", "--nonsense"])?.status.code(), Some(2));
    let output = seam(&manifest, &["test", "askin"])?;
    assert!(
        output.status.code() == Some(1) && String::from_utf8_lossy(&output.stderr).contains("did you mean `asking`?")
    );
    assert!(junit::xml(&run(&system, &Options::default())?)?.starts_with("<?xml"));
    Ok(())
}

#[test]
fn a_watch_runs_what_changes_and_nothing_else() -> Result<()> {
    let text = |n: u32| scenario("s", &format!("{STUB}\nwhen = [{{ call = 'asking.ask(7)', then = 'ok({n})' }}]"));
    let system = system(&[("scenarios/a.toml", &text(7)), ("scenarios/b.toml", &text(7))]);
    let watch = Background::start(&system.write()?, &["test", "--watch"])?;
    // The two streams come independently; a round ends with both.
    let round = || {
        watch.until(|printed| {
            let results = ["  ok  ", "FAIL ", "unchanged since"].iter().map(|word| printed.matches(word).count());
            printed.contains("waiting for a change") && results.sum::<usize>() >= 2
        })
    };
    let first = round()?;
    assert!(first.contains("2 scenarios: 2 passed"), "{first}");
    std::fs::write(system.folder.path().join("scenarios/b.toml"), text(8))?;
    let second = round()?;
    assert!(second.contains("scenarios/a.toml, unchanged") && second.contains("FAIL s"), "{second}");
    assert_eq!(second.matches("FAIL").count() + second.matches("  ok ").count(), 1, "{second}");
    Ok(())
}

#[test]
fn a_test_in_rust_has_the_same_fixture() -> Result<()> {
    let system = system(&[("wit/numbers/contract/numbers.toml", CONTRACT)]);
    let harness = Harness::of(&system.folder.path().join("seam.toml"))?;
    let mut asking = harness
        .fixture("asking")?
        .clock(1_767_225_600)
        .sql("INSERT INTO t VALUES (1), (2)")
        .stub_for("numbers.twice", "(4)", "ok(8)")
        .stub("numbers.twice", "ok(14)")
        .start()?;
    asking.expect("asking.ask(7)", "ok($n)")?;
    assert_eq!(asking.asked(), ["numbers.twice(4)", "numbers.twice(7)"]);
    asking.expect("asking.ask($n)", "ok($n)")?;
    assert_eq!(asking.asked(), ["numbers.twice(4)", "numbers.twice(14)"]);
    assert_eq!(asking.rows("SELECT max(n) FROM t")?, [[Cell::Integer(2)]]);
    let wrong = asking.expect("asking.ask(7)", "ok(15)").unwrap_err().to_string();
    assert!(wrong.contains("- ok(15)\n+ ok(14)"), "{wrong}");
    let mut away = harness.fixture("asking")?.failing("numbers.twice", FailureKind::TimedOut).start()?;
    away.expect("asking.ask(7)", "err(unavailable(_))")?;
    let mut lying = harness.fixture("asking")?.stub("numbers.twice", "ok(1)").start()?;
    let told = lying.call("asking.ask(7)").unwrap_err().to_string();
    assert!(told.contains("breaks the contract of `t:numbers/numbers@0.1.0`"), "{told}");
    let told = harness.fixture("asking")?.stub("numbers.twice", "ok(no)").start().err().unwrap().to_string();
    assert!(told.contains("`no` is not a valid u32"), "{told}");
    Ok(())
}

#[test]
fn recorded_calls_become_a_scenario_that_passes() -> Result<()> {
    let system = system(&[]);
    let manifest = system.write()?;
    let host = Host::up(&manifest, &system.folder.path().join("data"))?;
    let call = |text: &str| -> Result<()> {
        seam(&manifest, &["call", "asking", text])?;
        Ok(())
    };
    call("asking.run(\"INSERT INTO t VALUES (1) RETURNING n\")")?;
    let recording = Background::start(&manifest, &["record", "asking"])?;
    recording.until(|printed| printed.contains("recording the calls of asking"))?;
    for text in
        ["asking.ask(2)", "asking.ask(3)", "asking.ask(13)", "asking.run(\"INSERT INTO t VALUES (2) RETURNING n\")"]
    {
        call(text)?;
    }
    recording.interrupt()?;
    let (status, printed) = recording.end()?;
    assert!(status.success(), "{printed}");
    assert!(host.stop(Duration::from_secs(10))?.success());
    let text = std::fs::read_to_string(system.folder.path().join("scenarios/recorded.toml"))?;
    assert!(text.contains("call = \"asking.ask(13)\"") || text.contains("call = 'asking.ask(13)'"), "{text}");
    assert!(text.matches("[[scenario.when]]").count() >= 4 && text.contains("fails = \"trapped\""), "{text}");
    // The copy has the row of before, and not that of the recording.
    let rows = "then.rows = [{ sql = 'SELECT n FROM t ORDER BY n', are = [[1], [2]] }]\n";
    let with_rows = text.replacen("given.clock", &format!("{rows}given.clock"), 1);
    std::fs::write(system.folder.path().join("scenarios/recorded.toml"), with_rows)?;
    let report = run(&system, &Options::default())?;
    assert!(report.passed(), "{text}\n{report:#?}");
    Ok(())
}
