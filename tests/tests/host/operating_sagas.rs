//! `seam sagas` against a host with sagas in a file of a context: what it shows, what it refuses, what it changes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use seam_store::{Config, Database, SagaDefinition, SagaState, SagaStep, SagaUndo};
use seam_tests::host::{Host, binary, seam};
use seam_tests::version::Version;
use seam_tests::{System, repo};
use serde_json::Value;

const TABLE: &str = "CREATE TABLE seen (n INTEGER NOT NULL) STRICT";

fn definition() -> SagaDefinition {
    let step = |name: &str| SagaStep { name: name.into(), call: None, undo: SagaUndo::Own, tries: 3, patience_s: 60 };
    SagaDefinition { kind: "order".into(), steps: ["reserve", "authorise", "ship"].map(step).into() }
}

/// A system whose context `orders` has sagas: two are stuck, one waits, one is done. The host does nothing of itself
/// with any of them.
fn system() -> Result<System> {
    let version = Version { migrations: vec![TABLE], ..Version::default() };
    let system = System::new().context("orders", &version.wasm()?, "store = true")?.context(
        "mail",
        &version.wasm()?,
        "store = true",
    )?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    registry.close_stores();
    plant(&system)?;
    Ok(system)
}

/// Puts the sagas into the file of `orders`.
fn plant(system: &System) -> Result<()> {
    let file = system.folder.path().join("data/stores/orders.db");
    let database = Database::open(Config::plain(file, 64))?;
    for (id, state, step, reason) in [
        ("MC-100121", SagaState::Stuck, "authorise", "no answer from finance"),
        ("MC-100122", SagaState::Stuck, "authorise", "no answer from finance"),
        ("MC-100123", SagaState::Waiting, "ship", ""),
        ("MC-100124", SagaState::Done, "ship", ""),
    ] {
        let mut tx = database.begin(Instant::now() + Duration::from_secs(60))?;
        tx.saga_start(&definition(), id, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", 1_000)?;
        let mut saga = tx.saga("order", id)?.context("a saga")?;
        (saga.state, saga.step, saga.reason, saga.due_ms) = (state, step.into(), reason.into(), None);
        saga.reach = vec![step.into()];
        ensure!(tx.saga_save(&saga, &[])?, "it has not changed");
        tx.commit()?;
    }
    database.close().map_err(|why| anyhow::anyhow!("{why}"))
}

struct Desk {
    system: System,
    manifest: std::path::PathBuf,
}

impl Desk {
    fn run(&self, args: &[&str]) -> Result<(i32, String, String)> {
        let ended = seam(&self.manifest, args)?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Ok((ended.status.code().context("an exit code")?, text(&ended.stdout), text(&ended.stderr)))
    }

    fn json(&self, args: &[&str]) -> Result<Value> {
        let args: Vec<&str> = args.iter().copied().chain(["--format", "json"]).collect();
        let (_, printed, said) = self.run(&args)?;
        serde_json::from_str(&printed).with_context(|| format!("{args:?}: {printed}{said}"))
    }

    /// The ids of a list.
    fn ids(&self, args: &[&str]) -> Result<Vec<String>> {
        let list = self.json(args)?;
        let ids = list["sagas"].as_array().into_iter().flatten();
        Ok(ids.filter_map(|saga| saga["id"].as_str().map(str::to_owned)).collect())
    }
}

#[test]
fn sagas_are_listed_shown_and_acted_on_and_mistakes_change_nothing() -> Result<()> {
    let system = system()?;
    let manifest = system.write()?;
    let desk = Desk { system, manifest };
    let _host = Host::up(&desk.manifest, &desk.system.folder.path().join("data"))?;

    assert_eq!(desk.ids(&["sagas"])?, ["MC-100121", "MC-100122", "MC-100123"]);
    assert_eq!(desk.ids(&["sagas", "--state", "done", "--state", "waiting"])?, ["MC-100123", "MC-100124"]);
    assert_eq!(desk.ids(&["sagas", "--state", "any", "--cause", "FINANCE"])?, ["MC-100121", "MC-100122"]);
    assert_eq!(desk.ids(&["sagas", "--context", "mail"])?.len(), 0);
    let groups = desk.json(&["sagas", "--by", "cause", "--state", "stuck"])?;
    ensure!(groups["groups"][0]["sagas"] == 2 && groups["groups"][0]["step"] == "authorise", "{groups}");
    let (code, printed, _) = desk.run(&["sagas", "check"])?;
    ensure!(code == 1 && printed.lines().count() == 3, "{printed}");
    assert_eq!(desk.run(&["sagas", "check", "--context", "mail"])?.0, 0);

    for (args, code, words) in [
        (&["sagas", "show", "orders", "order", "MC-100129"][..], 1, "did you mean `MC-100121`?"),
        (&["sagas", "show", "order", "order", "MC-100121"], 1, "did you mean `orders`?"),
        (&["sagas", "--kind", "odrer"], 1, "did you mean `order`?"),
        (&["sagas", "--state", "stuk"], 2, "stuck"),
        (&["sagas", "--older-than", "soon"], 2, "45m"),
        (&["sagas", "retry", "orders", "order", "MC-100124", "--yes"], 1, "it has ended: it is done"),
        (&["sagas", "resume", "orders", "order", "MC-100121", "--yes"], 1, "it does not wait: it is stuck"),
        (&["sagas", "skip", "orders", "order", "MC-100121", "--yes"], 1, "add `--why TEXT`"),
        (&["sagas", "retry"], 2, "CONTEXT"),
        (&["sagas", "retry", "orders", "order"], 2, "3 values"),
    ] {
        let (ended, printed, said) = desk.run(args)?;
        ensure!(ended == code && said.contains(words), "{args:?}: {ended}: {printed}{said}");
    }
    ensure!(desk.json(&["audit"])? == serde_json::json!([]), "nothing was changed");

    let all = ["sagas", "skip", "--all", "--state", "stuck", "--why", "the bank has it by telephone"];
    let plan = desk.json(&all)?;
    ensure!(plan["done"] == false && plan["acts"].as_array().map(Vec::len) == Some(2), "{plan}");
    let as_of = plan["as_of"].as_str().context("a time")?;
    let done = desk.json(&[&all[..], &["--yes", "--as-of", as_of]].concat())?;
    ensure!(done["done"] == true && done["acts"].as_array().map(Vec::len) == Some(2), "{done}");
    for id in ["MC-100121", "MC-100122"] {
        let shown = desk.json(&["sagas", "show", "orders", "order", id])?;
        let line = &shown["timeline"][0];
        ensure!(line["answer"] == "skip: the bank has it by telephone" && !line["by"].is_null(), "{shown}");
        let why = shown["steps_unknown"].as_str().unwrap_or_default();
        ensure!(why.contains("no sagas of the kind `order`"), "the version declares none: {shown}");
    }
    let audit = desk.json(&["audit"])?;
    ensure!(audit[0]["command"] == "seam sagas skip --all --state stuck", "{audit}");
    ensure!(audit[0]["outcome"].as_str().is_some_and(|outcome| outcome.starts_with("done: 2 sagas")), "{audit}");
    Ok(())
}

/// Every file of a stopped host, with what is in it.
fn files(system: &System) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(system.folder.path().join("data/stores"))? {
        let path = entry?.path();
        // SQLite's index of a log, which it makes for each reader.
        if !path.to_string_lossy().ends_with("-shm") {
            files.push((path.display().to_string(), std::fs::read(&path)?));
        }
    }
    files.sort();
    Ok(files)
}

#[test]
fn the_sagas_of_a_stopped_host_are_shown_from_its_files_and_not_acted_on() -> Result<()> {
    let system = System::new().context("orders", &declares(&["reserve", "authorise", "ship"])?, "store = true")?;
    let manifest = system.write()?;
    let desk = Desk { system, manifest };
    // No host has run here.
    let (code, _, said) = desk.run(&["sagas"])?;
    ensure!(code == 1 && said.contains("seam up"), "{said}");
    let registry = desk.system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    registry.close_stores();
    plant(&desk.system)?;
    drop(Host::up(&desk.manifest, &desk.system.folder.path().join("data"))?);
    let before = files(&desk.system)?;

    let (code, printed, said) = desk.run(&["sagas"])?;
    ensure!(code == 0 && said.contains("the host is stopped"), "{said}");
    ensure!(printed.lines().count() == 4 && printed.contains("MC-100123"), "{printed}");
    assert_eq!(desk.ids(&["sagas", "--state", "any", "--cause", "FINANCE"])?, ["MC-100121", "MC-100122"]);
    let groups = desk.json(&["sagas", "--by", "cause", "--state", "stuck"])?;
    ensure!(groups["groups"][0]["sagas"] == 2, "{groups}");
    let (code, printed, _) = desk.run(&["sagas", "check"])?;
    ensure!(code == 1 && printed.lines().count() == 3, "{printed}");
    let (code, _, said) = desk.run(&["sagas", "show", "orders", "order", "MC-100129"])?;
    ensure!(code == 1 && said.contains("did you mean `MC-100121`?"), "{said}");
    let shown = desk.json(&["sagas", "show", "orders", "order", "MC-100123"])?;
    let step = |number: usize| (shown["steps"][number]["name"].clone(), shown["steps"][number]["state"].clone());
    ensure!(step(0) == ("reserve".into(), "done".into()) && step(2) == ("ship".into(), "now".into()), "{shown}");
    for action in ["retry", "undo"] {
        let acted = ["sagas", action, "orders", "order", "MC-100121", "--yes", "--why", "it is back"];
        let (code, printed, said) = desk.run(&acted)?;
        ensure!(code == 1 && said.contains("nothing was changed") && said.contains("seam up"), "{printed}{said}");
    }
    ensure!(files(&desk.system)? == before, "the files are as they were");
    ensure!(desk.json(&["audit"])? == serde_json::json!([]));

    // A file that a start would not use is none whose sagas are known.
    std::fs::remove_file(desk.system.folder.path().join("data/stores/orders.db"))?;
    let (code, _, said) = desk.run(&["sagas", "check"])?;
    ensure!(code == 2 && said.contains("the sagas of `orders` cannot be read"), "{said}");
    Ok(())
}

/// Each command of the section for operators, in its order.
#[test]
fn the_page_about_sagas_does_what_it_says_to_operators() -> Result<()> {
    let system = system()?;
    let manifest = system.write()?;
    let _host = Host::up(&manifest, &system.folder.path().join("data"))?;
    let page = std::fs::read_to_string(repo().join("docs/sagas.md"))?;
    let (_, page) = page.split_once("## Operating\n").context("the section")?;
    let (page, _) = page.split_once("\n## ").context("the next section")?;
    let seam = binary()?;
    let path = format!("{}:{}", seam.parent().context("a folder")?.display(), std::env::var("PATH")?);
    let mut commands = 0;
    for line in page.split("```sh\n").skip(1).flat_map(|block| block.lines().take_while(|line| *line != "```")) {
        let mut shell = std::process::Command::new("sh");
        let ended = shell.args(["-c", line]).current_dir(system.folder.path()).env("PATH", &path).output()?;
        let printed = String::from_utf8_lossy(&ended.stdout);
        let said = String::from_utf8_lossy(&ended.stderr);
        let expect = i32::from(line.contains("check"));
        ensure!(ended.status.code() == Some(expect), "{line}: {:?}: {printed}{said}", ended.status);
        ensure!(
            !line.contains("MC-100121") || line.contains("--yes") || printed.contains("MC-100121"),
            "{line}: {printed}"
        );
        ensure!(!line.contains("--yes") || printed.starts_with("1 saga was acted on"), "{line}: {printed}");
        commands += 1;
    }
    ensure!(commands >= 12, "{commands} commands");
    let audit: Value =
        serde_json::from_slice(&seam_tests::host::seam(&manifest, &["audit", "--format", "json"])?.stdout)?;
    ensure!(audit.as_array().is_some_and(|lines| lines.len() == 2), "{audit}");
    Ok(())
}

/// Versions of a context that declare these steps of the kind `order`; none of them has a step that calls.
fn declares(steps: &[&str]) -> Result<Vec<u8>> {
    let step =
        |name: &&str| SagaStep { name: (*name).into(), call: None, undo: SagaUndo::Own, tries: 3, patience_s: 60 };
    let kind = "order".into();
    seam_tests::declaring::declaring(&[SagaDefinition { kind, steps: steps.iter().map(step).collect() }])
}

#[test]
fn a_version_that_cannot_carry_on_the_sagas_in_process_is_refused_by_name_and_number() -> Result<()> {
    let system = System::new().context("orders", &declares(&["reserve", "authorise", "ship"])?, "store = true")?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    registry.close_stores();
    plant(&system)?;
    let manifest = system.write()?;
    let _host = Host::up(&manifest, &system.folder.path().join("data"))?;
    let deploy = |steps: &[&str], more: &[&str]| -> Result<(bool, String)> {
        let file = system.folder.path().join("next.wasm");
        std::fs::write(&file, declares(steps)?)?;
        let file = file.to_string_lossy().into_owned();
        let ended = seam(&manifest, &[&["deploy", "orders", &file, "--watch", "0"], more].concat())?;
        Ok((ended.status.success(), String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned()))
    };
    let (passed, said) = deploy(&["reserve", "pay", "ship"], &[])?;
    ensure!(!passed && said.contains("3 sagas of the kind `order`: step 2 is `pay`, and was `authorise`"), "{said}");
    ensure!(said.contains("--allow unfinished-sagas"), "{said}");
    let (passed, said) = deploy(&["reserve", "authorise"], &[])?;
    ensure!(!passed && said.contains("1 saga of the kind `order`: the step `ship` is missing"), "{said}");
    // What comes after them may change.
    let (passed, said) = deploy(&["reserve", "authorise", "ship", "thank"], &[])?;
    ensure!(passed, "{said}");
    let shown = seam(&manifest, &["sagas", "show", "orders", "order", "MC-100121"])?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let step = |name: &str| shown.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    ensure!(step("authorise").contains(" now ") && step("authorise").contains("0 of 3"), "{shown}");
    ensure!(step("reserve").contains(" done ") && step("thank").contains(" to come "), "{shown}");
    let (passed, said) = deploy(&["reserve", "pay"], &["--allow", "unfinished-sagas"])?;
    ensure!(passed && said.contains("sagas that it cannot carry on are stuck: 3 sagas"), "{said}");
    Ok(())
}
