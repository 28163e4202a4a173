//! Sagas over two contexts through the whole host: each one ends, and every effect happens once.

use anyhow::{Context as _, Result, ensure};
use seam_store::{SagaDefinition, SagaStep, SagaUndo};
use seam_tests::host::Host;
use seam_tests::trips::{Status, Trips};
use seam_tests::{System, declaring, host, repo, wait};

const ALL: [&str; 4] = ["note 1", "travel 1", "bill 1", "thank 1"];

#[test]
fn a_saga_is_performed_to_its_end_and_undone_when_a_step_is_refused() -> Result<()> {
    let trips = Trips::new()?;
    let _host = trips.up()?;
    trips.book("1", "")?;
    // The client waits for the end, and gets it; on a busy machine, after it has asked again.
    wait::until(wait::TIMEOUT, || {
        let settled = trips.ok("agency", "trips.settle(\"1\", 60000)")?;
        let is_done = settled["state"] == "done" && settled["step"] == "thank";
        Ok(if is_done { Ok(()) } else { Err(settled.to_string()) })
    })?;
    assert_eq!((trips.journal("1")?, trips.rooms()?), (ALL.map(str::to_owned).to_vec(), 1));

    trips.book("full-2", "")?;
    assert_eq!(trips.until("full-2", "undone")?.cause, "the hotel is full");
    assert_eq!((trips.journal("full-2")?, trips.rooms()?), (vec!["note 1".into(), "note:undo 1".into()], 1));

    trips.book("3", "travel=unknown")?;
    assert_eq!(trips.until("3", "undone")?.cause, "travel forgot it");
    // What a step writes is kept with every outcome.
    let undone = ["note 1", "travel 1", "room:undo 1", "note:undo 1"];
    assert_eq!((trips.journal("3")?, trips.rooms()?), (undone.map(str::to_owned).to_vec(), 1));
    ensure!(trips.call("agency", "trips.change-mind(\"4\")")?.get("ok").is_some());
    ensure!(trips.status("4").is_err(), "it was rolled back");
    Ok(())
}

#[test]
fn a_step_that_traps_or_has_no_time_is_tried_again_with_the_same_key() -> Result<()> {
    let trips = Trips::new()?;
    let _host = trips.up()?;
    trips.book("1", "note=trap1 room=later1 travel=trap1")?;
    trips.until("1", "done")?;
    assert_eq!((trips.journal("1")?, trips.rooms()?), (ALL.map(str::to_owned).to_vec(), 1), "what traps wrote nothing");
    // Three tries, each of which traps: it is given up.
    trips.book("2", "note=trap")?;
    ensure!(!trips.until("2", "undone")?.cause.is_empty());
    Ok(())
}

#[test]
fn a_saga_waits_without_a_thread_until_it_is_resumed_given_up_or_its_time_has_come() -> Result<()> {
    let trips = Trips::new()?;
    let host = trips.up()?;
    for id in ["1", "2"] {
        trips.book(id, "travel=wait")?;
        assert_eq!(trips.until(id, "waiting")?.step, "travel");
    }
    trips.book("3", "travel=until")?;
    trips.until("3", "done")?;
    drop(host);
    let _host = trips.up()?;
    assert_eq!(trips.status("1")?.state, "waiting");
    trips.ok("agency", "trips.arrive(\"1\")")?;
    trips.until("1", "done")?;
    assert_eq!(trips.journal("1")?, ["note 1", "arrived 1", "bill 1", "thank 1"]);
    let again = trips.call("agency", "trips.arrive(\"1\")")?;
    ensure!(again.to_string().contains("does not wait"), "{again}");
    trips.ok("agency", "trips.cancel(\"2\")")?;
    assert_eq!(trips.until("2", "undone")?.cause, "cancelled");
    let late = trips.call("agency", "trips.cancel(\"1\")")?;
    ensure!(late.to_string().contains("refused"), "{late}");
    assert_eq!(trips.rooms()?, 2, "those of 1 and 3");
    Ok(())
}

/// A step is in hand when it says so, after it has called and written, and before that commits.
fn killed_at(trips: &Trips, id: &str, plan: &str, step: &str) -> Result<()> {
    let host = trips.up()?;
    trips.book(id, plan)?;
    host.log_line(&[&format!("slow at {step} of {id}")])?;
    host.kill()
}

#[test]
fn a_saga_goes_on_after_a_kill_in_any_step_and_every_effect_is_there_once() -> Result<()> {
    let trips = Trips::new()?;
    let forward = ["note", "room", "travel", "bill", "thank"];
    for step in forward {
        killed_at(&trips, step, &format!("{step}=slow"), step)?;
    }
    for step in ["note:undo", "room:undo"] {
        killed_at(&trips, step, &format!("{step}=slow travel=refuse"), step)?;
    }
    let _host = trips.up()?;
    for step in forward {
        trips.until(step, "done")?;
        assert_eq!(trips.journal(step)?, ALL, "killed in {step}");
    }
    for step in ["note:undo", "room:undo"] {
        let Status { cause, .. } = trips.until(step, "undone")?;
        assert_eq!(cause, "travel does not like it", "killed in {step}");
        assert_eq!(trips.journal(step)?, ["note 1", "travel 1", "room:undo 1", "note:undo 1"], "killed in {step}");
    }
    assert_eq!(trips.rooms()?, forward.len() as u64);
    Ok(())
}

#[test]
fn sagas_in_flight_go_on_with_the_next_version_of_their_context() -> Result<()> {
    let trips = Trips::new()?;
    let _host = trips.up()?;
    let ids: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    // Another version: the same component with a section more, which says nothing.
    let mut bytes = std::fs::read(seam_tests::news::component("agency")?)?;
    for (round, part) in ids.chunks(10).enumerate() {
        for id in part {
            trips.book(id, if id.ends_with('3') { "travel=wait" } else { "room=later1" })?;
        }
        bytes.extend([0, 2, 1, b'a' + round as u8]);
        let other = trips.system.folder.path().join("other.wasm");
        std::fs::write(&other, &bytes)?;
        let ended = host::seam(trips.manifest(), &["deploy", "agency", &other.display().to_string(), "--watch", "0"])?;
        ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    for id in ids.iter().filter(|id| id.ends_with('3')) {
        trips.until(id, "waiting")?;
        trips.ok("agency", &format!("trips.arrive({id:?})"))?;
    }
    for id in &ids {
        trips.until(id, "done")?;
        let journal = trips.journal(id)?;
        ensure!(journal.len() == ALL.len() && journal.iter().all(|line| line.ends_with(" 1")), "{id}: {journal:?}");
    }
    assert_eq!(trips.rooms()?, ids.len() as u64);
    Ok(())
}

#[test]
fn a_version_whose_sagas_cannot_be_performed_is_refused_and_nothing_changes() -> Result<()> {
    let saga = |undo, tries| {
        let step = SagaStep { name: "only".into(), call: None, undo, tries, patience_s: 1 };
        declaring::declaring(&[SagaDefinition { kind: "order".into(), steps: vec![step] }])
    };
    let system = System::new().context("c", &saga(SagaUndo::Own, 3)?, "store = true")?;
    let (manifest, data) = (system.write()?, system.folder.path().join("data"));
    let _host = Host::up(&manifest, &data)?;
    let next = system.folder.path().join("next.wasm");
    std::fs::write(&next, saga(SagaUndo::Own, 0)?)?;
    let refused = host::seam(&manifest, &["deploy", "c", &next.display().to_string()])?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned() + &String::from_utf8_lossy(&refused.stdout);
    ensure!(refused.status.code() == Some(1), "{said}");
    ensure!(said.contains("declares the saga `order` whose step `only` is tried 0 times"), "{said}");
    ensure!(said.contains("let `tries` be at least 1"), "{said}");
    let shown = wait::until(wait::TIMEOUT, || {
        let shown = host::seam(&manifest, &["contexts"])?;
        Ok(if shown.status.success() { Ok(shown) } else { Err("`seam contexts` fails".to_owned()) })
    })?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    ensure!(shown.lines().any(|line| line.starts_with('c') && !line.contains("out of service")), "{shown}");
    Ok(())
}

/// The code blocks of `docs/sagas.md` in this language, before the first page on guarantees.
fn blocks(language: &str) -> Result<Vec<String>> {
    let page = std::fs::read_to_string(repo().join("docs/sagas.md"))?;
    let (declare, _) = page.split_once("## What is guaranteed").context("the section")?;
    let fence = format!("```{language}\n");
    let blocks = declare.split(&fence).skip(1).filter_map(|rest| rest.split("```").next());
    Ok(blocks.map(str::to_owned).collect())
}

#[test]
fn the_page_says_how_a_saga_is_declared_and_what_its_commands_answer() -> Result<()> {
    let source = std::fs::read_to_string(repo().join("tests/bench/guests/agency/src/lib.rs"))?;
    let code = blocks("rust")?;
    ensure!(code.len() == 2, "{code:?}");
    for block in &code {
        ensure!(source.contains(block.as_str()), "the agency's source does not have\n{block}");
    }
    let trips = Trips::new()?;
    let _host = trips.up()?;
    let (commands, answers) = (blocks("sh")?.concat(), blocks("text")?.concat());
    ensure!(commands.lines().count() == 4 && answers.lines().count() == 4, "{commands}{answers}");
    for (command, answer) in commands.lines().zip(answers.lines()) {
        let words = command.strip_prefix("seam call ").context("a command")?;
        let (context, call) = words.split_once(' ').context("a context")?;
        let says = || {
            let ended = host::seam(trips.manifest(), &["call", context, call.trim_matches('\'')])?;
            let said = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
            Ok::<_, anyhow::Error>(if said == answer { Ok(()) } else { Err(format!("{command}: {said}")) })
        };
        // On a busy machine, a call that waits for the saga may come back before its end.
        match command.contains("settle") {
            true => wait::until(wait::TIMEOUT, says)?,
            false => says()?.map_err(anyhow::Error::msg)?,
        }
    }
    Ok(())
}
