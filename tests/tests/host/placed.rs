//! Systems whose contexts live on several hosts: what each host starts of them, and what commands say.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use anyhow::{Result, ensure};
use seam::app::App;
use seam::backup;
use seam::check;
use seam::deploy::DeployRequest;
use seam::http;
use seam::manifest::Manifest;
use seam_runtime::component::Compiler;
use seam_tests::caller_callee::{asking, numbers};
use seam_tests::host::{Host, seam};
use seam_tests::placed::certificates;
use seam_tests::version::Version;
use seam_tests::{System, call, unavailable};
use wasmtime::component::Val;

const HOSTS: &str = "[hosts.shop]\naddress = \"127.0.0.1:7443\"\n\
                     [hosts.books]\naddress = \"127.0.0.1:7444\"\ndata = \"books\"\n\
                     [placement]\ndefault = \"shop\"";

/// `asking` lives on `shop` and calls `numbers`, which lives on `books` beside `clock`, which the host calls by time.
fn system() -> Result<System> {
    let clock = Version { other: true, ticks: true, ..Version::times(2) };
    let system = System::new()
        .context("asking", &asking(), "store = true\nimports = [\"t:numbers/numbers\"]")?
        .context("numbers", &numbers(), "at = \"books\"\nstore = true")?
        .context("clock", &clock.wasm()?, "at = \"books\"")?;
    Ok(system
        .lines(HOSTS)
        .lines("[[schedule]]\ncontext = \"clock\"\ncall = \"digits.tick\"\nevery_s = 3600")
        .lines("[[seed]]\ncontext = \"numbers\"\ncall = \"numbers.twice\"\nfile = \"none.jsonl\""))
}

fn load(system: &System, host: &str) -> Result<App> {
    Ok(App::load(Manifest::load(&system.write()?)?.on(host)?, Compiler::InProcess)?)
}

fn files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder.join("stores")).into_iter().flatten().flatten();
    let mut names: Vec<_> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.ends_with(".db"));
    names.sort();
    names
}

fn names(app: &App) -> Vec<String> {
    app.registry.generations().iter().map(|generation| generation.context().to_string()).collect()
}

#[test]
fn two_hosts_of_one_manifest_start_side_by_side_each_with_its_own_contexts_and_files() -> Result<()> {
    let system = system()?;
    let (shop, books) = (load(&system, "shop")?, load(&system, "books")?);
    assert_eq!((names(&shop), names(&books)), (vec!["asking".into()], vec!["numbers".into(), "clock".into()]));
    let folder = system.folder.path();
    assert_eq!(
        (files(&folder.join("data")), files(&folder.join("books"))),
        (vec!["asking.db".into()], vec!["numbers.db".into()])
    );
    for app in [&shop, &books] {
        assert_eq!(app.registry.out_of_service(), []);
    }
    // What the host does by itself is done where the context lives.
    assert_eq!((shop.schedules.statuses().len(), books.schedules.statuses().len()), (0, 1));
    let (into, taken) = backup::take(&shop.registry, &folder.join("data"), &backup::folder(&folder.join("data")))?;
    ensure!(into.is_dir());
    assert_eq!((taken.files.len(), taken.left_out.len()), (1, 0));

    // Calls in one host are as ever; nothing carries one to the other.
    let twice = call(&books.registry, "numbers", "numbers.twice", &[Val::U32(4)], 5_000)?;
    assert_eq!(twice, Val::Result(Ok(Some(Box::new(Val::U32(8))))));
    let asked = call(&shop.registry, "asking", "asking.ask", &[Val::U32(2)], 5_000)?;
    let why = unavailable(&asked).unwrap_or_default();
    assert!(why.contains("`numbers` is not available"), "{asked:?}");
    Ok(())
}

#[test]
fn a_host_whose_only_context_cannot_start_serves_and_says_why() -> Result<()> {
    let lives = "at = \"books\"\nstore = true";
    let asks = "imports = [\"t:numbers/numbers\"]";
    let system = System::new().context("asking", &asking(), asks)?.context("numbers", &numbers(), lives)?;
    let system = system.lines(HOSTS);
    drop(load(&system, "books")?);
    std::fs::write(system.folder.path().join("books/stores/numbers.db"), [7; 8192])?;
    assert_eq!(load(&system, "books")?.registry.out_of_service().len(), 1);
    Ok(())
}

#[test]
fn a_context_is_deployed_where_it_lives() -> Result<()> {
    let system = system()?;
    let file = system.folder.path().join("next.wasm");
    std::fs::write(&file, Version { other: true, ticks: true, ..Version::times(3) }.wasm()?)?;
    let request = DeployRequest { watch_ms: 0, ..DeployRequest::new("clock", file) };
    let refused = load(&system, "shop")?.deployer.deploy(&request, &mut |_| {}).refused.unwrap();
    assert_eq!(refused.message, "`clock` lives on host `books`, and is changed there");
    assert_eq!(refused.remedy, "run it for that host: `--as books`");
    let books = load(&system, "books")?;
    let report = books.deployer.deploy(&request, &mut |_| {});
    assert!(report.refused.is_none(), "{:?}", report.refused);
    let times = call(&books.registry, "clock", "digits.times", &[Val::U32(5)], 5_000)?;
    assert_eq!(times, Val::Result(Ok(Some(Box::new(Val::U32(15))))));
    Ok(())
}

#[test]
fn a_mount_and_a_feed_are_there_on_the_host_of_their_context_alone() -> Result<()> {
    let system = System::new()
        .context("front", &numbers(), "")?
        .context("news", &numbers(), "at = \"books\"\nstore = true\npublishes.\"t:n/events\" = {}")?
        .lines(HOSTS)
        .lines("[[mount]]\npath = \"/\"\ncontext = \"front\"\n[[mount]]\npath = \"/news\"\ncontext = \"news\"")
        .lines(&format!("[[feed]]\ncontext = \"news\"\ntokens.a.sha256 = \"{}\"", "0".repeat(64)));
    let manifest = Manifest::load(&system.write()?)?;
    let served = |manifest: &Manifest| {
        let config = http::Config::from_manifest(manifest);
        let paths: Vec<String> = config.mounts.iter().map(|mount| mount.path.clone()).collect();
        (paths, config.feeds.len())
    };
    assert_eq!(served(&manifest), (vec!["/".into(), "/news".into()], 1));
    assert_eq!(served(&manifest.on("shop")?), (vec!["/".into()], 0));
    assert_eq!(served(&manifest.on("books")?), (vec!["/news".into()], 1));
    Ok(())
}

#[test]
fn commands_ask_which_host_is_meant() -> Result<()> {
    let system = system()?;
    let manifest = system.write()?;
    for arguments in [
        &["up"][..],
        &["contexts"],
        &["events"],
        &["logs"],
        &["verify"],
        &["backup"],
        &["route"],
        &["schedules"],
        &["moves"],
        &["pretend"],
        &["pretend", "*->numbers", "latency=1ms"],
    ] {
        let output = seam(&manifest, arguments)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("names several hosts"), "{arguments:?}: {said}");
        assert!(said.contains("hint: add `--as shop` or `--as books`; or `--together`"), "{arguments:?}: {said}");
    }
    let said = seam(&manifest, &["contexts", "--as", "bokks"])?;
    assert!(String::from_utf8_lossy(&said.stderr).contains("did you mean `books`?"));
    assert_eq!(files(&system.folder.path().join("data")), [""; 0], "nothing was started");
    // What is about one context is meant for its host; but not before that has files here.
    let arguments = ["call", "numbers", "numbers.twice(4)"];
    let said = String::from_utf8(seam(&manifest, &arguments)?.stderr)?;
    ensure!(said.contains("`numbers` lives on host `books`, which has no files in"), "{said}");
    ensure!(said.contains("hint: run the command on the machine of that host, 127.0.0.1:7444"), "{said}");
    ensure!(!system.folder.path().join("books").exists(), "nothing was made");
    // Without a running host, a call is made in this process.
    let call = |host: &[&str]| -> Result<String> {
        let output = seam(&manifest, &[&["call", "numbers", "numbers.twice(4)"], host].concat())?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    assert_eq!(call(&["--as", "books"])?, "ok(8)");
    assert_eq!(files(&system.folder.path().join("books")), ["numbers.db"]);
    assert_eq!(call(&[])?, "ok(8)");
    assert_eq!(call(&["--together"])?, "ok(8)");
    let said = String::from_utf8(seam(&manifest, &["restore", "numbers", "asking", "--from", "none"])?.stderr)?;
    ensure!(said.contains("`numbers` lives on host `books`, and `asking` on another one"), "{said}");
    let said = String::from_utf8(seam(&manifest, &["restore", "numbers", "clock", "--from", "none"])?.stderr)?;
    ensure!(said.contains("`none`") && !said.contains("lives on"), "both live on one host: {said}");
    let said = String::from_utf8(seam(&manifest, &["pretend", "numbers->asking", "latency=1ms"])?.stderr)?;
    ensure!(said.contains("books"), "that of the caller: {said}");
    let said = String::from_utf8(seam(&manifest, &["logs", "nombers"])?.stderr)?;
    ensure!(said.contains("there is no context `nombers`"), "{said}");
    Ok(())
}

#[test]
fn a_running_host_shows_which_contexts_live_elsewhere() -> Result<()> {
    let system = system()?;
    let manifest = system.write()?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    std::fs::write(&manifest, std::fs::read_to_string(&manifest)?.replace(":7443", &format!(":{port}")))?;
    let data = system.folder.path().join("data");
    let said = Host::up_as(&manifest, &data, "shop", &[]).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(said.contains("hint: make it: `seam cert authority`"), "without a certificate: {said}");
    certificates(&manifest, "shop", &["shop"])?;
    let host = Host::up_as(&manifest, &data, "shop", &[])?;
    let served =
        host.startup.iter().any(|line| line.contains("host `shop`: 1 context serves, 2 on other hosts, on http://"));
    assert!(served, "{:?}", host.startup);
    let shown = seam(&manifest, &["contexts", "--as", "shop"])?;
    let shown = String::from_utf8(shown.stdout)?;
    let row = |name: &str| {
        let line = shown.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        (row("numbers")[1..3].join(" "), row("asking")[1].clone()),
        ("at books".to_owned(), "1".to_owned()),
        "{shown}"
    );
    Ok(())
}

#[test]
fn cycles_and_types_are_checked_across_hosts_for_the_whole_and_for_each_host() -> Result<()> {
    let system = system()?;
    // Another interface of the same name: it has no `twice`.
    std::fs::write(system.folder.path().join("numbers.wasm"), Version::times(2).wasm()?)?;
    let manifest = Manifest::load(&system.write()?)?;
    for manifest in [manifest.clone(), manifest.on("shop")?, manifest.on("books")?] {
        let found = check::problems(&manifest, Compiler::InProcess)?.problems;
        let named = found.iter().any(|problem| problem.message.contains("imports `t:numbers/numbers@0.1.0.twice`"));
        assert!(named, "{found:?}");
    }
    Ok(())
}
