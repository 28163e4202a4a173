//! Calls within one process that are pretended to cross hosts, between real components: `Registry::pretend`, which
//! `seam pretend` asks for.

use anyhow::{Result, ensure};
use seam::harness::Harness;
use seam_runtime::pretend::{PretenceStatus, parse};
use seam_runtime::serve::{PretendRejected, Registry};
use seam_tests::caller_callee::{asking, numbers};
use seam_tests::host::{Host, seam};
use seam_tests::wait::TIMEOUT;
use seam_tests::{System, call, unavailable};
use wasmtime::component::Val;

/// As long as a call may take that is answered.
const MS: u64 = 60_000;
/// As long as one that is not.
const SHORT_MS: u64 = 1_000;

const ENTRY: &str = "imports = [\"t:numbers/numbers\"]\nstore = true\nscenarios = \"scenarios\"";

/// `asking` asks `numbers`; `other` does, too.
fn system() -> Result<System> {
    System::new().context("numbers", &numbers(), "")?.context("asking", &asking(), ENTRY)?.context(
        "other",
        &asking(),
        "imports = [\"t:numbers/numbers\"]\nstore = true",
    )
}

fn started(system: &System) -> Result<Registry> {
    system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))
}

fn pretend(registry: &Registry, text: &str) -> Result<Vec<PretenceStatus>, PretendRejected> {
    registry.pretend(&parse(text).unwrap(), || 7)
}

fn ask(registry: &Registry, context: &str, n: u32, ms: u64) -> Result<Val> {
    call(registry, context, "asking.ask", &[Val::U32(n)], ms)
}

fn ok(n: u32) -> Val {
    Val::Result(Ok(Some(Box::new(Val::U32(n)))))
}

fn edges(all: &[PretenceStatus]) -> Vec<String> {
    all.iter().map(|one| format!("{}->{} {} seed={}", one.caller, one.callee, one.terms, one.seed)).collect()
}

#[test]
fn a_caller_gets_the_same_values_errors_and_failures_over_a_pretended_edge() -> Result<()> {
    let system = system()?;
    let registry = started(&system)?;
    let all = || [4, 5, 13, 6].map(|n| ask(&registry, "asking", n, MS).unwrap());
    let before = all();
    pretend(&registry, "asking->numbers latency=1ms jitter=1ms duplicates=100%")?;
    assert_eq!(all(), before, "a value, an error of its own, a trap");
    let numbers = registry.live("numbers")?.generation().metrics.calls();
    assert_eq!(numbers, 8 + 16, "each is performed twice");
    Ok(())
}

#[test]
fn a_lost_call_is_unavailable_to_its_caller_alone_until_the_pretence_ends() -> Result<()> {
    let system = system()?;
    let registry = started(&system)?;
    pretend(&registry, "asking->numbers loss=100%")?;
    let silent = ask(&registry, "asking", 4, SHORT_MS)?;
    assert_eq!(unavailable(&silent), Some("`numbers` did not answer in time"));
    assert_eq!(ask(&registry, "other", 4, MS)?, ok(8));
    let ended = pretend(&registry, "*->numbers off")?;
    let lost: Vec<bool> = ended.iter().map(|one| one.lost_requests + one.lost_answers > 0).collect();
    assert_eq!(lost, [true]);
    assert_eq!(ask(&registry, "asking", 4, MS)?, ok(8));
    assert_eq!(registry.pretences(), []);
    Ok(())
}

#[test]
fn a_pretence_outlives_a_deploy_and_stars_stand_for_every_edge_there_is() -> Result<()> {
    let system = system()?;
    let registry = started(&system)?;
    let both = ["asking->numbers latency=0ms seed=7", "other->numbers latency=0ms seed=7"];
    assert_eq!(edges(&pretend(&registry, "*->numbers latency=0ms")?), both);
    let only = "other->numbers latency=0ms loss=100% seed=9";
    assert_eq!(edges(&pretend(&registry, "other->* loss=100% seed=9")?), [only]);
    assert_eq!(edges(&registry.pretences()), [both[0], only]);
    let mut specs = registry.specs();
    specs[0].settings.config.insert("version".to_owned(), "2".to_owned());
    let prepared = registry.prepare(specs)?;
    prepared.migrate(None)?;
    registry.publish(prepared)?;
    assert_eq!(registry.live("numbers")?.generation().number, 2);
    assert_eq!(ask(&registry, "asking", 4, MS)?, ok(8));
    let calls: Vec<u64> = registry.pretences().iter().map(|one| one.calls).collect();
    assert_eq!(calls, [2, 0], "`ask` asks twice");
    assert_eq!(edges(&pretend(&registry, "off")?), [both[0], only]);
    assert_eq!(pretend(&registry, "off")?, [], "off is off");
    Ok(())
}

#[test]
fn an_edge_that_is_not_there_is_refused_with_those_that_are() -> Result<()> {
    let system = system()?;
    let registry = started(&system)?;
    for (order, message, remedy) in [
        ("askin->numbers loss=1%", "there is no context `askin`", "did you mean `asking`?"),
        ("asking->bank loss=1%", "there is no context `bank`", "there are: numbers, asking, other"),
        (
            "numbers->asking loss=1%",
            "there is no edge `numbers->asking`: no such call is made within this process",
            "there are none",
        ),
        ("asking->other loss=1%", "there is no edge `asking->other`", "there are: asking->numbers"),
        ("numbers->* loss=1%", "there is no edge `numbers->*`", "there are none"),
        ("asking->numbers@js loss=1%", "`numbers@js` is a variant of `numbers`", "name the context"),
        ("asking->numbers off", "nothing is pretended on `asking->numbers`", "there are none"),
    ] {
        let rejected = pretend(&registry, order).expect_err(order);
        let (says, hint) = (rejected.to_string(), rejected.remedy());
        assert!(says.starts_with(message) && hint.starts_with(remedy), "{order}: {says}; {hint}");
    }
    assert_eq!(registry.pretences(), []);
    Ok(())
}

#[test]
fn calls_of_a_context_on_another_host_cross_hosts_as_it_is() -> Result<()> {
    let system = system()?;
    let apart = system.start_apart(&["numbers"])?;
    let rejected = pretend(&apart.here, "asking->numbers loss=1%").unwrap_err();
    assert!(matches!(&rejected, PretendRejected::Elsewhere { context, .. } if context == "numbers"), "{rejected}");
    assert!(matches!(pretend(&apart.here, "*->* loss=1%"), Err(PretendRejected::NoEdge { .. })));
    Ok(())
}

#[test]
fn the_command_pretends_on_a_running_host_shows_it_and_a_restart_forgets_it() -> Result<()> {
    let system = system()?;
    let (manifest, data) = (system.write()?, system.folder.path().join("data"));
    let host = Host::up(&manifest, &data)?;
    let run = |args: &[&str]| -> Result<(String, String, bool)> {
        let output = seam(&manifest, args)?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((text(output.stdout), text(output.stderr), output.status.success()))
    };
    let set = run(&["pretend", "asking->numbers", "latency=1ms", "duplicates=100%", "seed=3"])?;
    ensure!(set.2 && set.0.contains("asking->numbers  latency=1ms duplicates=100%     3      0"), "{set:?}");
    let said = host.log_line(&["calls of `asking` to `numbers` are pretended to cross hosts"])?;
    ensure!(said.to_uppercase().contains("WARN"), "{said}");
    ensure!(run(&["call", "asking", "asking.ask(4)"])?.0 == "ok(8)\n", "the call");
    let listed = run(&["pretend"])?;
    let counted = ["asking->numbers", "latency=1ms", "duplicates=100%", "3", "2", "0", "0", "2", "0"];
    ensure!(listed.0.lines().nth(1).unwrap_or("").split_whitespace().eq(counted), "{listed:?}");
    let contexts = run(&["contexts"])?.1;
    ensure!(contexts.contains("asking->numbers latency=1ms duplicates=100%"), "{contexts}");
    let metrics = host.get("/metrics")?.text();
    let metric = "seam_pretended_total{callee=\"numbers\",context=\"asking\",what=\"repeated\"} 2";
    ensure!(metrics.contains(metric), "{metrics}");
    let wrong = run(&["pretend", "asking->numbers", "latency=5"])?;
    let expect =
        "error: `5` is no time for `latency`\n  asking->numbers latency=5\n                  ^^^^^^^^^\nhint: ";
    ensure!(!wrong.2 && wrong.1.starts_with(expect), "{}", wrong.1);
    let audit = run(&["audit"])?.0;
    ensure!(audit.contains("seam pretend 'asking->numbers' ") && audit.contains("done: 1 edges, seed 3"), "{audit}");
    host.stop(TIMEOUT)?;
    let _host = Host::up(&manifest, &data)?;
    let after = run(&["pretend"])?;
    ensure!(after.2 && after.0.is_empty() && after.1 == "nothing is pretended\n", "{after:?}");
    Ok(())
}

#[test]
fn a_test_in_rust_pretends_with_a_seed() -> Result<()> {
    let system = system()?;
    let harness = Harness::of(&system.write()?)?;
    let fixture = |order: &str| -> Result<_> {
        Ok(harness.fixture("asking")?.stub("numbers.twice", "ok(8)").pretend(order).start()?)
    };
    let mut lost = fixture("asking->numbers loss=100%")?;
    lost.expect("asking.ask(4)", "err(unavailable(\"`numbers` did not answer in time\"))")?;
    let mut twice = fixture("*->numbers duplicates=100%")?;
    twice.expect("asking.ask(4)", "ok(8)")?;
    assert_eq!(twice.asked().len(), 4, "each of the two calls is performed twice");
    let answers = |order: &str| -> Result<Vec<String>> {
        let mut context = fixture(order)?;
        (0..20).map(|_| Ok(format!("{:?}", context.call("asking.ask(4)")?.outcome()))).collect()
    };
    let some = answers("asking->numbers loss=30% seed=1")?;
    assert_eq!(some, answers("asking->numbers loss=30% seed=1")?);
    assert_ne!(some, answers("asking->numbers loss=30% seed=2")?);
    Ok(())
}

#[test]
fn a_scenario_pretends_on_its_own_clock_and_says_what_is_wrong_with_an_order() -> Result<()> {
    let system = system()?;
    std::fs::create_dir(system.folder.path().join("scenarios"))?;
    let stub = "given.stub = [{ function = 'numbers.twice', answer = 'ok(8)' }]";
    let of = |pretend: &str, then: &str| {
        format!("[[scenario]]\nname = 'it'\n{stub}\ngiven.pretend = ['{pretend}']\nwhen = [{{ {then} }}]\n")
    };
    let run = |text: &str| -> Result<Vec<String>> {
        let file = system.folder.path().join("scenarios/a.toml");
        std::fs::write(&file, text)?;
        let report = Harness::of(&system.write()?)?.run_scenarios("asking", &file)?;
        let problems = report.problems.iter().map(|p| format!("{}:{}: {}", p.place.line, p.place.column, p.message));
        Ok(problems.chain(report.scenarios.iter().flat_map(|one| &one.failures).map(|f| f.what.clone())).collect())
    };
    let ask = "call = 'asking.ask(4)', timeout_ms = 1000, ";
    for (order, then) in [
        ("asking->numbers latency=400ms", "then = 'ok(8)', asked = ['numbers.twice(4)', 'numbers.twice(4)']"),
        // The first call takes most of the time.
        (
            "asking->numbers latency=600ms",
            "then = 'err(unavailable(_))', asked = ['numbers.twice(4)', 'numbers.twice(4)']",
        ),
        ("asking->numbers loss=100%", "then = 'err(unavailable(_))'"),
        ("asking->* duplicates=100%", "then = 'ok(8)'"),
    ] {
        assert_eq!(run(&of(order, &format!("{ask}{then}")))?, [""; 0], "{order}");
    }
    for (order, what) in [
        ("asking->numbers latency=5", "4:35: `5` is no time for `latency`"),
        ("asking->bank loss=1%", "4:19: the context makes no call of the edge `asking->bank`"),
        ("off", "4:19: nothing ends here"),
    ] {
        assert_eq!(run(&of(order, &format!("{ask}then = 'ok(8)'")))?, [what]);
    }
    Ok(())
}
