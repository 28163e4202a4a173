//! Timers and schedules through the whole host: each due time has its effect once, also when the host is killed.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use seam_tests::host::{Host, seam};
use seam_tests::{news, wait};
use serde_json::Value;

/// A system of one context, `waker`, which publishes alarms to itself. `tests/bench/guests` has its source.
struct Waker {
    folder: tempfile::TempDir,
}

impl Waker {
    /// `due` names the field of the due time, and `lines` come after the context.
    fn new(due: &str, lines: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let component = news::component("waker")?;
        let text = format!(
            "[host]\nlisten = [\"127.0.0.1:0\"]\ndata = \"data\"\n\
             [context.waker]\ncomponent = {component:?}\nstore = true\ncapabilities = [\"clocks\"]\n\
             publishes.\"seambench:shop/alarms\" = {{ due = \"{due}\" }}\n\
             subscribes.\"seambench:shop/alarms\" = {{ batch = 10 }}\n{lines}\n"
        );
        std::fs::write(folder.path().join("seam.toml"), text)?;
        Ok(Self { folder })
    }

    fn manifest(&self) -> PathBuf {
        self.folder.path().join("seam.toml")
    }

    fn up(&self) -> Result<Host> {
        Host::up(&self.manifest(), &self.folder.path().join("data"))
    }

    /// What `seam ARGS` writes, as JSON, and whether it succeeds.
    fn ask(&self, args: &[&str]) -> Result<(Value, bool)> {
        let ended = seam(&self.manifest(), args)?;
        let answer = serde_json::from_slice(&ended.stdout)
            .with_context(|| format!("seam {args:?}: {}", String::from_utf8_lossy(&ended.stderr)))?;
        Ok((answer, ended.status.success()))
    }

    fn call(&self, call: &str) -> Result<Value> {
        let (answer, succeeds) = self.ask(&["call", "waker", call, "--format", "json"])?;
        ensure!(succeeds, "{call}: {answer}");
        answer.get("ok").cloned().with_context(|| format!("{call}: {answer}"))
    }

    /// Alarms that were set, that have come, the most often that one came, and those that came early.
    fn rung(&self) -> Result<[u64; 4]> {
        let rung = self.call("waker.rung()")?;
        let number = |name: &str| rung.get(name).and_then(Value::as_u64).with_context(|| format!("{rung}"));
        Ok([number("set")?, number("alarms")?, number("most")?, number("early")?])
    }

    /// The only schedule.
    fn schedule(&self) -> Result<Value> {
        let (answer, _) = self.ask(&["schedules", "--format", "json"])?;
        answer.pointer("/schedules/0").cloned().with_context(|| format!("no schedule: {answer}"))
    }

    /// While no host runs: the rows of the schedule's function, its runs, and its last due time in seconds since 1970.
    fn ticked(&self) -> Result<(u64, u64, u64)> {
        // A copy: the host takes its file as it left it.
        let copy = tempfile::tempdir()?;
        let stores = self.folder.path().join("data/stores");
        for name in ["waker.db", "waker.db-wal"] {
            if stores.join(name).exists() {
                std::fs::copy(stores.join(name), copy.path().join(name))?;
            }
        }
        let sqlite = rusqlite::Connection::open(copy.path().join("waker.db"))?;
        let sql = "SELECT (SELECT count(*) FROM ticks), runs, at_ms / 1000 FROM seam_schedules";
        let number = |row: &rusqlite::Row<'_>, at| row.get::<_, i64>(at).map(i64::unsigned_abs);
        Ok(sqlite.query_row(sql, [], |row| Ok((number(row, 0)?, number(row, 1)?, number(row, 2)?)))?)
    }
}

#[test]
fn a_timer_comes_once_and_not_early_when_the_host_is_killed_around_its_time() -> Result<()> {
    let waker = Waker::new("due", "")?;
    let mut set = 0;
    for round in 0..4u64 {
        let host = waker.up()?;
        let [.., before, _, _] = waker.rung()?;
        waker.call(&format!("waker.set({}, 50, 1)", 1_000 * (round + 1)))?;
        set += 50;
        if round % 2 == 0 {
            // When some have come; else before that.
            wait::until(wait::TIMEOUT, || {
                let [_, alarms, ..] = waker.rung()?;
                Ok(if alarms > before { Ok(()) } else { Err(format!("{alarms} alarms have come")) })
            })?;
        }
        host.kill()?;
    }
    let _host = waker.up()?;
    waker.call("waker.set(1, 1, 3600)")?;
    wait::until(wait::TIMEOUT, || {
        let [_, alarms, ..] = waker.rung()?;
        Ok(if alarms >= set { Ok(()) } else { Err(format!("{alarms} of {set} alarms have come")) })
    })?;
    let [was_set, alarms, most, early] = waker.rung()?;
    ensure!(
        (was_set, alarms, most, early) == (set + 1, set, 1, 0),
        "{was_set} set, {alarms} came, one {most} times, {early} early"
    );
    let (by_time, _) = waker.ask(&["schedules", "--format", "json"])?;
    ensure!(by_time.pointer("/timers/0/waiting") == Some(&Value::from(1)), "{by_time}");
    Ok(())
}

#[test]
fn each_due_time_has_one_run_when_the_host_is_killed_again_and_again() -> Result<()> {
    let schedule =
        "[[schedule]]\ncontext = \"waker\"\ncall = \"waker.tick\"\ncron = \"* * * * * *\"\nmissed = \"each\"";
    let waker = Waker::new("due", schedule)?;
    let mut first = None;
    for _ in 0..4 {
        let host = waker.up()?;
        let runs = |waker: &Waker| Ok::<_, anyhow::Error>(waker.schedule()?.get("runs").and_then(Value::as_u64));
        let before = runs(&waker)?;
        wait::until(wait::TIMEOUT, || {
            let now = runs(&waker)?;
            Ok(if now > before { Ok(()) } else { Err(format!("{now:?} runs")) })
        })?;
        host.kill()?;
        let (ticks, runs, at) = waker.ticked()?;
        ensure!(ticks == runs, "{ticks} ticks, {runs} runs");
        let (first_runs, first_at) = *first.get_or_insert((runs, at));
        ensure!(runs - first_runs == at - first_at, "{runs} runs up to {at}, {first_runs} up to {first_at}");
    }
    Ok(())
}

#[test]
fn a_schedule_that_fails_leaves_nothing_and_is_visible() -> Result<()> {
    let schedule = "[[schedule]]\ncontext = \"waker\"\ncall = \"waker.fail\"\ncron = \"* * * * * *\"";
    let waker = Waker::new("due", schedule)?;
    let host = waker.up()?;
    wait::until(wait::TIMEOUT, || {
        let (answer, succeeds) = waker.ask(&["schedules", "--format", "json"])?;
        let failed = answer.pointer("/schedules/0/failed").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(if failed.contains("not today") && !succeeds { Ok(()) } else { Err(format!("{answer}")) })
    })?;
    ensure!(waker.call("waker.ticks()")? == 0, "what it wrote stays");
    let metrics = host.get("/metrics")?.text();
    let failing = metrics.lines().find(|line| line.starts_with("seam_schedule_failing")).unwrap_or_default();
    ensure!(failing.contains("waker.fail") && failing.ends_with(" 1"), "{metrics}");
    Ok(())
}

#[test]
fn a_due_time_that_is_none_and_a_function_with_parameters_are_found() -> Result<()> {
    let schedule = "[[schedule]]\ncontext = \"waker\"\ncall = \"waker.take\"\ncron = \"0 3 * * *\"";
    for (due, lines, words) in [
        ("dew", "", "`dew` is no due time of `seambench:shop/alarms@0.1.0.rang`: there is no field `dew`"),
        ("due", schedule, "`waker.take` of `waker` has parameters, and a schedule gives none"),
    ] {
        let waker = Waker::new(due, lines)?;
        let ended = seam(&waker.manifest(), &["check"])?;
        let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        ensure!(!ended.status.success() && said.contains(words) && said.contains("hint:"), "{said}");
    }
    Ok(())
}
