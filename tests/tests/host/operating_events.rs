//! `seam events`, `seam audit` and the metrics of events: a good subscriber, a poisoned one and a stopped one of the
//! same publisher, and what an operator does about them.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use seam_tests::host::{Host, seam};
use seam_tests::news::{self, News};
use seam_tests::{MEMORY, System, component, repo, wait};
use serde_json::Value;

use super::deliveries::has;

/// Takes `seambench:shop/news`, and answers every item with an error.
fn poisoned() -> Result<Vec<u8>> {
    let wit = "package seambench:shop@0.1.0;
        interface news {
            record item { id: u64, key: string, title: string }
            variant error { unavailable(string) }
            arrived: func(item: item) -> result<_, error>;
        }
        world this { export news; }";
    let wat = format!(
        r#"(module {MEMORY} (data (i32.const 64) "no room")
            (func (export "seambench:shop/news@0.1.0#arrived") (param i64 i32 i32 i32 i32) (result i32)
                (global.set $top (i32.const 4096))
                (i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 0))
                (i32.store (i32.const 24) (i32.const 64)) (i32.store (i32.const 28) (i32.const 7))
                (i32.const 16)))"#
    );
    component(wit, "this", &wat)
}

/// What `seam ARGS --format json` prints.
fn json(news: &News, args: &[&str]) -> Result<Value> {
    let all: Vec<&str> = args.iter().copied().chain(["--format", "json"]).collect();
    Ok(serde_json::from_str(&news.seam(&all)?)?)
}

/// The subscription of `subscriber`, once it is as `wanted`.
fn subscription(news: &News, subscriber: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    wait::until(wait::TIMEOUT, || {
        let all = json(news, &["events"])?;
        let found = all.as_array().into_iter().flatten().find(|one| one["subscriber"] == subscriber);
        let found = found.with_context(|| format!("no `{subscriber}` in {all}"))?;
        Ok(if wanted(found) { Ok(found.clone()) } else { Err(found.to_string()) })
    })
}

/// What a command that fails says on standard error.
fn fails(news: &News, args: &[&str], code: i32) -> Result<String> {
    let ended = seam(&news.manifest(), args)?;
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    ensure!(ended.status.code() == Some(code), "seam {args:?}: {:?}: {said}", ended.status);
    Ok(said)
}

/// Moves the file of `context` out of the data folder, or back.
fn move_store(from: &Path, to: &Path, context: &str) -> Result<()> {
    for ending in ["", "-wal", "-shm"] {
        let name = format!("{context}.db{ending}");
        if from.join(&name).exists() {
            std::fs::rename(from.join(&name), to.join(&name))?;
        }
    }
    Ok(())
}

fn metric(host: &Host, line: &str) -> Result<()> {
    wait::until(wait::TIMEOUT, || {
        let page = host.get("/metrics")?.text();
        let events = || page.lines().filter(|line| line.starts_with("seam_event")).collect::<Vec<_>>().join("\n");
        Ok(if page.lines().any(|other| other == line) { Ok(()) } else { Err(format!("no {line} in\n{}", events())) })
    })
}

fn system() -> Result<(News, tempfile::TempDir)> {
    let elsewhere = tempfile::tempdir()?;
    let (bad, taker) = (elsewhere.path().join("poisoned.wasm"), news::component("taker")?);
    std::fs::write(&bad, poisoned()?)?;
    let lines = format!(
        "[context.poisoned]\ncomponent = {bad:?}\nstore = true\n\
         subscribes.\"seambench:shop/news\" = {{ tries = 1 }}\n\
         [context.stopped]\ncomponent = {taker:?}\nstore = true\n\
         subscribes.\"seambench:shop/news\" = {{}}\n"
    );
    Ok((News::new("{ batch = 10 }", &lines)?, elsewhere))
}

#[test]
fn poisoned_and_stopped_subscribers_disturb_no_other_and_are_seen_and_mended() -> Result<()> {
    let (news, elsewhere) = system()?;
    let host = news.up()?;
    news.seam(&["call", "sender", "sender.send(1, 3, 3)"])?;
    has(&news, "taker", 3)?;
    has(&news, "stopped", 3)?;
    subscription(&news, "poisoned", |one| one["dead"] == 3)?;
    drop(host);
    let stores = news.data().join("stores");
    move_store(&stores, elsewhere.path(), "stopped")?;
    let host = news.up()?;
    news.seam(&["call", "sender", "sender.send(10, 4, 4)"])?;
    has(&news, "taker", 7)?;

    let good = subscription(&news, "taker", |one| one["lag"] == 0)?;
    ensure!(good["away"].is_null() && good["dead"] == 0 && good["publisher"] == "sender", "{good}");
    let bad = subscription(&news, "poisoned", |one| one["dead"] == 7)?;
    ensure!(bad["away"].is_null() && bad["lag"] == 0, "{bad}");
    let stopped = subscription(&news, "stopped", |one| !one["away"].is_null())?;
    ensure!(stopped["lag"].is_null() && stopped["away"].to_string().contains("out of service"), "{stopped}");
    let table = news.seam(&["events"])?;
    ensure!(table.starts_with("SUBSCRIBER") && table.lines().count() == 4, "{table}");

    let of = |who: &str| format!("interface=\"seambench:shop/news\",publisher=\"sender\",subscriber=\"{who}\"");
    let of_state = |state: &str| format!("interface=\"seambench:shop/news\",publisher=\"sender\",state=\"{state}\"");
    metric(&host, &format!("seam_event_waiting{{{},subscriber=\"poisoned\"}} 7", of_state("dead")))?;
    metric(&host, &format!("seam_event_away{{{}}} 1", of("stopped")))?;
    metric(&host, &format!("seam_event_away{{{}}} 0", of("taker")))?;
    metric(&host, &format!("seam_event_backlog{{{}}} 0", of("taker")))?;
    metric(&host, &format!("seam_event_delivered_total{{{}}} 4", of("taker")))?;
    metric(&host, &format!("seam_event_dead_letters_total{{{}}} 4", of("poisoned")))?;
    metric(&host, "seam_event_outbox_rows{publisher=\"sender\"} 7")?;
    metric(&host, "seam_event_published_total{publisher=\"sender\"} 4")?;

    let dead = json(&news, &["events", "list", "poisoned", "--dead"])?;
    let positions: Vec<u64> = dead.as_array().into_iter().flatten().filter_map(|one| one["id"].as_u64()).collect();
    let [first, second, ..] = *positions else { anyhow::bail!("no positions in {dead}") };
    ensure!(positions.len() == 7 && dead[0].get("data").is_none(), "{dead}");
    let page = json(&news, &["events", "list", "poisoned", "--from", &second.to_string(), "--count", "1"])?;
    ensure!(page[0]["id"] == second && page.as_array().is_some_and(|page| page.len() == 1), "{page}");
    ensure!(json(&news, &["events", "list", "poisoned", "--waiting"])? == serde_json::json!([]));
    let shown = json(&news, &["events", "show", "poisoned", &first.to_string()])?;
    ensure!(shown["state"] == "dead" && shown["tries"] == 1, "{shown}");
    ensure!(shown["reason"].to_string().contains("no room"), "{shown}");
    ensure!(shown["type"] == "seambench:shop/news.arrived" && shown["subject"] == "key-1", "{shown}");
    ensure!(shown["data"].to_string().contains("Long Player 1"), "{shown}");

    mistakes(&news, first, *positions.last().unwrap_or(&0))?;
    accounted(&news)?;
    subscription(&news, "poisoned", |one| one["dead"] == 7)?;
    ensure!(json(&news, &["audit"])? == serde_json::json!([]), "nothing was changed");

    news.seam(&["events", "discard", "poisoned", &first.to_string(), "--why", "a test order"])?;
    subscription(&news, "poisoned", |one| one["dead"] == 6)?;
    let taker = news::component("taker")?;
    let deploy = ["deploy", "poisoned", &taker.to_string_lossy(), "--allow", "store", "--watch", "0"];
    news.seam(&deploy)?;
    news.seam(&["events", "retry", "poisoned", &second.to_string()])?;
    has(&news, "poisoned", 1)?;
    ensure!(news.seam(&["events", "retry", "poisoned", "--all-dead"])?.contains("5 events"));
    has(&news, "poisoned", 6)?;

    let replay = ["events", "replay", "taker", "--from", "start", "--why", "the report was wrong"];
    let plan = json(&news, &[&replay[..], &["--dry-run"]].concat())?;
    ensure!(plan["events"] == 7 && plan["done"] == false && plan["from"] == first, "{plan}");
    has(&news, "taker", 7)?;
    let done = json(&news, &replay)?;
    ensure!(done["events"] == 7 && done["done"] == true, "{done}");
    wait::until(wait::TIMEOUT, || {
        let taken = news.taken("taker")?;
        Ok(if taken == (7, 2) { Ok(()) } else { Err(format!("{taken:?}")) })
    })?;
    audited(&news)?;

    drop(host);
    move_store(elsewhere.path(), &stores, "stopped")?;
    // Without a host, too.
    audited(&news)?;
    let _host = news.up()?;
    has(&news, "stopped", 7)
}

/// What an operator may get wrong: nothing changes, and the hint says what there is.
fn mistakes(news: &News, first: u64, last: u64) -> Result<()> {
    let (first, future) = (first.to_string(), (last + 1_000).to_string());
    for (args, words) in [
        (vec!["events", "list", "poisend"], vec!["there is no context `poisend`", "did you mean `poisoned`?"]),
        (vec!["events", "list", "sender"], vec!["subscribes to no events", "there are: "]),
        (vec!["events", "show", "poisoned", "1"], vec!["no event of `sender` has the position 1", first.as_str()]),
        (vec!["events", "retry", "poisoned", &future], vec!["is from the future"]),
        (vec!["events", "replay", "taker", "--from", &future], vec!["is from the future"]),
        (vec!["events", "replay", "taker", "--from", "1"], vec!["the first event of `sender` is at", "--from start"]),
        (vec!["events", "retry", "taker", &first], vec!["`taker` has handled the event", "seam events replay taker"]),
        (vec!["events", "discard", "poisoned", &first, "--why", " "], vec!["--why TEXT"]),
        (vec!["events", "list", "taker", "--publisher", "sendr"], vec!["did you mean `sender`?"]),
        (vec!["events", "list", "stopped"], vec!["the file of `stopped` is not open", "out of service"]),
    ] {
        let said = fails(news, &args, 1)?;
        for word in words {
            ensure!(said.contains(word), "{args:?} says {said}, without {word}");
        }
    }
    fails(news, &["events", "discard", "poisoned", &first], 2)?;
    fails(news, &["events", "retry", "poisoned"], 2)?;
    fails(news, &["events", "replay", "taker", "--from", "yesterday"], 2)?;
    Ok(())
}

/// `seam verify` on the running host: what became of the seven events with each subscriber.
fn accounted(news: &News) -> Result<()> {
    let ended = seam(&news.manifest(), &["verify", "--format", "json"])?;
    let report: Value = serde_json::from_slice(&ended.stdout)?;
    let checks = report["checks"].as_array().into_iter().flatten();
    let events: Vec<&Value> = checks.filter(|check| check["kind"] == "events").collect();
    for (subscriber, outcome) in [("taker", "holds"), ("poisoned", "holds"), ("stopped", "unchecked")] {
        let check = events.iter().find(|check| check["contexts"] == serde_json::json!(["sender", subscriber]));
        let check = check.with_context(|| format!("no check of `{subscriber}` in {report}"))?;
        ensure!(check["outcome"] == outcome, "{check}");
        ensure!(outcome != "holds" || check["keys"] == 7, "{check}");
    }
    Ok(())
}

fn audited(news: &News) -> Result<()> {
    let lines = json(news, &["audit"])?;
    let lines: Vec<&Value> = lines.as_array().into_iter().flatten().collect();
    let verbs = [
        "seam events replay taker",
        "seam events retry poisoned --all-dead",
        "seam events retry poisoned",
        "seam events discard poisoned",
    ];
    ensure!(lines.len() == verbs.len(), "{lines:?}");
    for (line, verb) in lines.iter().zip(verbs) {
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        ensure!(text("command").starts_with(verb) && text("outcome").starts_with("done: "), "{line}");
        ensure!(text("time").starts_with("20") && !text("who").is_empty() && text("who") != "unknown", "{line}");
    }
    ensure!(lines.first().is_some_and(|line| line["why"] == "the report was wrong"), "{lines:?}");
    ensure!(lines.last().is_some_and(|line| line["why"] == "a test order"), "{lines:?}");
    let table = news.seam(&["audit", "--count", "1"])?;
    ensure!(table.starts_with("TIME") && table.lines().count() == 2 && !table.contains("Long Player"), "{table}");
    Ok(())
}

/// A component of the package `t:n`, whose interface `news` has two versions.
fn of_versions(imports: Option<&str>, exports: &[&str]) -> Result<Vec<u8>> {
    let this = "package t:n@0.3.0;
        interface go { variant error { unavailable(string) } send: func() -> result<_, error>; }";
    let mut wit = this.to_owned();
    let mut world = String::new();
    let mut wat = format!("(module {MEMORY}\n");
    // Packages of other versions stand nested in the file.
    let mut packages = String::new();
    for version in ["0.1.0", "0.2.0"] {
        packages.push_str(&format!(
            "\npackage t:news@{version} {{ interface news {{
                variant error {{ unavailable(string) }} arrived: func(id: u32) -> result<_, error>; }} }}"
        ));
    }
    if let Some(version) = imports {
        world.push_str(&format!("import t:news/news@{version}; export go;"));
        wat = format!(
            r#"(module (import "t:news/news@{version}" "arrived" (func $arrived (param i32 i32)))
            {MEMORY}
            (func (export "t:n/go@0.3.0#send") (result i32)
                (call $arrived (i32.const 7) (i32.const 16))
                (i32.const 16))"#
        );
    }
    for version in exports {
        world.push_str(&format!("export t:news/news@{version};"));
        // It answers with an error, so that what is delivered waits.
        wat.push_str(&format!(
            r#"(func (export "t:news/news@{version}#arrived") (param i32) (result i32)
                (i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 0))
                (i32.store (i32.const 24) (i32.const 64)) (i32.store (i32.const 28) (i32.const 0))
                (i32.const 16))"#
        ));
    }
    wat.push(')');
    wit.push_str(&format!("\nworld this {{ {world} }}{packages}"));
    component(&wit, "this", &wat)
}

#[test]
fn a_version_that_does_not_take_what_waits_is_refused_by_name_and_number() -> Result<()> {
    let system = System::new()
        .context("sender", &of_versions(Some("0.1.0"), &[])?, "store = true\npublishes.\"t:news/news\" = {}")?
        .context("taker", &of_versions(None, &["0.1.0", "0.2.0"])?, "store = true\nsubscribes.\"t:news/news\" = {}")?;
    let manifest = system.write()?;
    let run = |args: &[&str]| -> Result<(bool, String)> {
        let ended = seam(&manifest, args)?;
        let said = [ended.stdout, ended.stderr].concat();
        Ok((ended.status.success(), String::from_utf8_lossy(&said).into_owned()))
    };
    let _host = Host::up(&manifest, &system.folder.path().join("data"))?;
    for _ in 0..3 {
        let (sent, said) = run(&["call", "sender", "go.send()"])?;
        ensure!(sent, "{said}");
    }
    let file = |name: &str, wasm: Vec<u8>| -> Result<String> {
        let path = system.folder.path().join(name);
        std::fs::write(&path, wasm)?;
        Ok(path.to_string_lossy().into_owned())
    };
    let sender = file("sender2.wasm", of_versions(Some("0.2.0"), &[])?)?;
    let (moved, said) = run(&["deploy", "sender", &sender, "--watch", "0"])?;
    ensure!(moved, "{said}");
    let taker = file("taker2.wasm", of_versions(None, &["0.2.0"])?)?;
    let (passed, said) = run(&["deploy", "taker", &taker, "--watch", "0"])?;
    ensure!(!passed && said.contains("3 of `t:news/news@0.1.0.arrived`"), "{said}");
    ensure!(said.contains("--allow undelivered-events"), "{said}");
    let (passed, said) = run(&["deploy", "taker", &taker, "--watch", "0", "--allow", "undelivered-events"])?;
    ensure!(passed && said.contains("become dead letters"), "{said}");
    Ok(())
}

/// The first block of `docs/events.md` with this word behind its fence.
fn block(page: &str, kind: &str) -> Result<String> {
    let (_, from) = page.split_once(&format!("```{kind}\n")).with_context(|| format!("no {kind}"))?;
    Ok(from.split_once("```").context("no end")?.0.to_owned())
}

/// The manifest of the page, with our components, and then each of its commands with a position that exists.
#[test]
fn the_page_about_events_does_what_it_says() -> Result<()> {
    let page = std::fs::read_to_string(repo().join("docs/events.md"))?;
    let folder = tempfile::tempdir()?;
    std::fs::copy(news::component("sender")?, folder.path().join("orders.wasm"))?;
    std::fs::write(folder.path().join("mail.wasm"), poisoned()?)?;
    let contexts = block(&page, "toml")?.replace("acme:orders/events", "seambench:shop/news");
    ensure!(contexts.contains("key = \"order\""), "{contexts}");
    let contexts = contexts.replace("key = \"order\"", "key = \"key\"");
    let manifest = folder.path().join("seam.toml");
    std::fs::write(&manifest, format!("[host]\nlisten = [\"127.0.0.1:0\"]\ndata = \"data\"\n{contexts}"))?;
    let _host = Host::up(&manifest, &folder.path().join("data"))?;
    let run = |line: &str| -> Result<String> {
        let mut shell = std::process::Command::new("sh");
        let seam = seam_tests::host::binary()?;
        let path = format!("{}:{}", seam.parent().context("a folder")?.display(), std::env::var("PATH")?);
        let ended = shell.args(["-c", line]).current_dir(folder.path()).env("PATH", path).output()?;
        ensure!(ended.status.success(), "{line}: {}", String::from_utf8_lossy(&ended.stderr));
        Ok(String::from_utf8(ended.stdout)?)
    };
    run("seam call orders 'sender.send(1, 3, 1)'")?;
    let position = wait::until(wait::TIMEOUT, || {
        let listed: Value = serde_json::from_str(&run("seam events list mail --format json")?)?;
        Ok(listed[0]["id"].as_u64().ok_or_else(|| listed.to_string()))
    })?;
    let mut commands = 0;
    for block in page.split("```sh\n").skip(1) {
        for line in block.lines().take_while(|line| *line != "```") {
            let command = line.replace("112201764437954561", &position.to_string());
            let printed = run(&command)?;
            ensure!(!line.contains("show") || printed.contains("Long Player 1"), "{line}: {printed}");
            ensure!(!line.contains("retry mail 1") || printed == "1 event is tried now\n", "{line}: {printed}");
            ensure!(!line.contains("--dry-run") || printed.contains("would be delivered again"), "{line}: {printed}");
            commands += 1;
        }
    }
    ensure!(commands >= 10, "the page has commands");
    let audit: Value = serde_json::from_str(&run("seam audit --format json")?)?;
    ensure!(audit.as_array().is_some_and(|lines| lines.len() == 4), "{audit}");
    Ok(())
}
