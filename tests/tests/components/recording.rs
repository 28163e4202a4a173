//! Calls as the recorder keeps them, from real instances: their values, the calls that they made, and whether they
//! wrote.

use anyhow::Result;
use seam_runtime::run::recorder::{CallData, RecordedCall};
use seam_tests::caller_callee::{asking, numbers};
use seam_tests::{System, call};
use wasmtime::component::Val;

fn system(recording: &str) -> System {
    System::new()
        .context("asking", &asking(), "imports = [\"t:numbers/numbers\"]\nstore = true")
        .unwrap()
        .context("numbers", &numbers(), "")
        .unwrap()
        .lines(recording)
}

/// `function(params) -> results asked ..`
fn text_of(call: &RecordedCall) -> String {
    let outgoing: Vec<String> = call
        .outgoing
        .iter()
        .map(|made| match &made.outcome {
            Ok(results) => format!("{}.{}({:?}) -> {results:?}", made.interface, made.function, made.params),
            Err(failure) => format!("{}({:?}) -> {failure}", made.function, made.params),
        })
        .collect();
    let CallData::Function { function, params, outcome, .. } = &call.data else { panic!("{call:?}") };
    let outcome = match outcome {
        Ok(results) => format!("{results:?}"),
        Err(failure) => failure.to_string(),
    };
    format!("{function}({params:?}) -> {outcome} wrote {} asked {}", call.wrote, outgoing.join("; "))
}

#[test]
fn a_recording_has_each_call_with_its_own_calls_and_its_result() -> Result<()> {
    let system = system("");
    let registry = system.start()?.unwrap();
    let recorder = |name: &str| registry.live(name).unwrap().generation().recorder.clone();
    assert!(recorder("asking").start_log(false) && recorder("numbers").start_log(false));
    for n in [2, 3, 13] {
        call(&registry, "asking", "asking.ask", &[Val::U32(n)], 5_000)?;
    }
    let log = recorder("asking").stop_log().unwrap();
    let texts: Vec<String> = log.calls.iter().map(text_of).collect();
    let first = "t:numbers/numbers@0.1.0.twice([U32(4)]) -> [Result(Ok(Some(U32(8))))]";
    let odd = "Result(Err(Some(Variant(\"odd\", Some(U32(3))))))";
    let away = "Result(Err(Some(Variant(\"unavailable\", Some(String(\"`numbers` failed\"))))))";
    let trapped = texts[2].split("twice([U32(13)]) -> ").nth(1).unwrap().to_owned();
    assert!(trapped.starts_with("`numbers` trapped:"), "{texts:#?}");
    assert_eq!(
        texts,
        [
            format!(
                "ask([U32(2)]) -> [Result(Ok(Some(U32(4))))] wrote false asked {first}; \
                 t:numbers/numbers@0.1.0.twice([U32(2)]) -> [Result(Ok(Some(U32(4))))]"
            ),
            format!(
                "ask([U32(3)]) -> [{odd}] wrote false asked {first}; t:numbers/numbers@0.1.0.twice([U32(3)]) -> [{odd}]"
            ),
            format!("ask([U32(13)]) -> [{away}] wrote false asked {first}; twice([U32(13)]) -> {trapped}"),
        ]
    );
    assert_eq!(recorder("numbers").stop_log().unwrap().calls.len(), 6, "the callee's own recorder has its side");
    Ok(())
}

#[test]
fn calls_that_commit_are_marked_and_calls_that_read_are_not() -> Result<()> {
    let system = system("");
    let registry = system.start()?.unwrap();
    let recorder = registry.live("asking").unwrap().generation().recorder.clone();
    recorder.start_log(false);
    for sql in ["SELECT * FROM t", "INSERT INTO t VALUES (1) RETURNING n", "SELECT n FROM t"] {
        let answer = call(&registry, "asking", "asking.run", &[Val::String(sql.into())], 5_000)?;
        assert_eq!(answer, Val::Result(Ok(Some(Box::new(Val::U32(0))))), "{sql}");
    }
    let wrote: Vec<bool> = recorder.stop_log().unwrap().calls.iter().map(|call| call.wrote).collect();
    assert_eq!(wrote, [false, true, false]);
    let recent = recorder.recent();
    assert!(recent.iter().all(|call| !call.wrote) && recent.len() <= 2, "{recent:?}");
    Ok(())
}

#[test]
fn calls_are_sampled_by_default_unless_the_manifest_says_no() -> Result<()> {
    for (lines, some) in [("", true), ("[recording]\ncalls_per_s = 0", false)] {
        let system = system(lines);
        let registry = system.start()?.unwrap();
        for _ in 0..200 {
            call(&registry, "asking", "asking.ask", &[Val::U32(2)], 5_000)?;
        }
        let kept = registry.live("numbers").unwrap().generation().recorder.recent();
        assert_eq!(!kept.is_empty(), some);
        assert!(kept.len() < 100, "only some of the calls: {}", kept.len());
    }
    Ok(())
}
