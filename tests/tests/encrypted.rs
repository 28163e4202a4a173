//! A context with an encrypted file passes the gate like any other, and nothing of what is in its file is ever on the
//! disk in the clear.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use seam::deploy::{DeployOutcome, DeployReport, Step};
use seam_store::private;
use seam_tests::System;
use seam_tests::host::{Host, seam};
use seam_tests::repo;
use seam_tests::shop::Shop;
use seam_tests::torture::versions::relabelled;
use seam_tests::version::{Health, Then, Version, asking};

/// What is in the file and may be nowhere else. The SQL that writes it does not have its letters.
const SECRET: &str = "the secret of this test";
const TABLE: &str = "CREATE TABLE seen (n INTEGER NOT NULL, old TEXT) STRICT";
const GROWS: &str = "ALTER TABLE seen ADD COLUMN at TEXT";
const DROPS: &str = "ALTER TABLE seen DROP COLUMN n; UPDATE seen SET old = old || old";

/// A statement that writes a row with the secret at each call.
fn writes(columns: &str, values: &str) -> &'static str {
    let letters: Vec<String> = SECRET.chars().map(|letter| u32::from(letter).to_string()).collect();
    let letters = letters.join(", ");
    format!("INSERT INTO seen ({columns}) VALUES ({values}char({letters})) RETURNING old").leak()
}

fn first() -> Version {
    Version { migrations: vec![TABLE], query: Some(writes("n, old", "5, ")), ..Version::times(2) }
}

fn grown() -> Version {
    let health = Some(Health::Well);
    Version { migrations: vec![TABLE, GROWS], query: Some(writes("n, old", "6, ")), health, ..Version::times(3) }
}

fn shrunk() -> Version {
    Version { migrations: vec![TABLE, GROWS, DROPS], query: Some(writes("old", "")), ..Version::times(4) }
}

struct Fixture {
    system: System,
    manifest: PathBuf,
}

impl Fixture {
    fn new(first: &Version) -> Result<Self> {
        let system = System::new()
            .context("numbers", &first.wasm()?, "store = { encrypted = true }")?
            .context("asking", &asking()?, r#"imports = ["t:numbers/numbers"]"#)?
            .lines("[recording]\ncalls_per_s = 10000");
        let manifest = system.write()?;
        Ok(Self { system, manifest })
    }

    fn data(&self) -> PathBuf {
        self.system.folder.path().join("data")
    }

    fn up(&self, fault: &str) -> Result<Host> {
        // Where a library would put its temporary files.
        let temporary = self.data().join("tmp");
        std::fs::create_dir_all(&temporary)?;
        Host::up_with(&self.manifest, &self.data(), &[("TMPDIR", &temporary.to_string_lossy()), ("SEAM_FAULT", fault)])
    }

    fn times(&self) -> Result<String> {
        let output = seam(&self.manifest, &["call", "asking", "asking.ask(7)"])?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    fn deploy(&self, version: &Version, more: &[&str]) -> Result<std::process::Output> {
        let file = self.system.folder.path().join("next.wasm");
        std::fs::write(&file, version.wasm()?)?;
        let file = file.to_string_lossy();
        let args = [&["deploy", "numbers", &file, "--format", "json", "--watch", "0"], more].concat();
        seam(&self.manifest, &args)
    }

    fn report(&self, args: &[&str]) -> Result<DeployReport> {
        let output = seam(&self.manifest, &[args, &["--format", "json"]].concat())?;
        serde_json::from_slice(&output.stdout).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// No file of the data folder has the secret in it, nor is one of the context's an open database.
    fn nothing_in_the_clear(&self, when: &str) -> Result<()> {
        let (mut looked_at, mut of_the_context) = (0, 0);
        for path in files(&self.data())? {
            let bytes = std::fs::read(&path)?;
            looked_at += 1;
            ensure!(!contains(&bytes, SECRET.as_bytes()), "{when}: `{}` has it in the clear", path.display());
            let is_its = |name: &str| name.starts_with("numbers") && !name.ends_with(".key");
            if path.file_name().is_some_and(|name| is_its(&name.to_string_lossy())) {
                of_the_context += 1;
                ensure!(!bytes.starts_with(b"SQLite format 3"), "{when}: `{}` is a database", path.display());
            }
        }
        ensure!(looked_at > 3 && of_the_context > 0, "{when}: {looked_at} and {of_the_context} files");
        Ok(())
    }
}

fn contains(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => all.extend(files(&path)?),
            false if path.is_file() => all.push(path),
            false => {}
        }
    }
    Ok(all)
}

#[test]
fn the_search_for_the_secret_finds_it_where_it_is_not_encrypted() -> Result<()> {
    let fixture = Fixture::new(&first())?;
    let text = std::fs::read_to_string(&fixture.manifest)?.replace("encrypted = true", "encrypted = false");
    std::fs::write(&fixture.manifest, text)?;
    let host = fixture.up("")?;
    assert_eq!(fixture.times()?, "ok(14)");
    assert!(fixture.nothing_in_the_clear("without encryption").is_err());
    drop(host);
    Ok(())
}

#[test]
fn a_version_with_a_new_schema_goes_in_and_back_again() -> Result<()> {
    let fixture = Fixture::new(&first())?;
    let host = fixture.up("")?;
    for _ in 0..5 {
        assert_eq!(fixture.times()?, "ok(14)");
    }
    fixture.nothing_in_the_clear("serving")?;
    let report: DeployReport = serde_json::from_slice(&fixture.deploy(&grown(), &[])?.stdout)?;
    assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
    assert!(fixture.data().join("deploy/restore/numbers-1.db").is_file());
    assert_eq!(fixture.times()?, "ok(21)");
    fixture.nothing_in_the_clear("deployed")?;
    let report: DeployReport =
        serde_json::from_slice(&fixture.deploy(&shrunk(), &["--allow", "irreversible"])?.stdout)?;
    assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
    assert_eq!(fixture.times()?, "ok(28)");
    let refused = fixture.report(&["rollback", "numbers"])?.refused.context("rows were written")?;
    assert!(refused.message.contains("`seen` has "), "{refused:?}");
    fixture.nothing_in_the_clear("refused to go back")?;
    let report = fixture.report(&["rollback", "numbers", "--restore"])?;
    assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
    assert_eq!(fixture.times()?, "ok(21)");
    fixture.nothing_in_the_clear("put back")?;
    drop(host);
    let again = fixture.up("")?;
    assert_eq!(fixture.times()?, "ok(21)", "{}", again.log()?);
    fixture.nothing_in_the_clear("started again")
}

#[test]
fn a_host_killed_in_the_middle_leaves_nothing_in_the_clear_either() -> Result<()> {
    for moment in ["deploy.kept", "deploy.migrated", "deploy.published"] {
        let fixture = Fixture::new(&first())?;
        let host = fixture.up(&format!("{moment}:kill"))?;
        assert_eq!(fixture.times()?, "ok(14)");
        assert!(!fixture.deploy(&grown(), &[])?.status.success(), "{moment}");
        drop(host);
        let trials = std::fs::read_dir(fixture.data().join("deploy/trial"))?.count();
        ensure!(trials > 0, "{moment}: what it was tried on is there still");
        fixture.nothing_in_the_clear(moment)?;
        let _host = fixture.up("")?;
        assert_eq!(fixture.times()?, if moment == "deploy.kept" { "ok(14)" } else { "ok(21)" }, "{moment}");
        fixture.nothing_in_the_clear("started again")?;
    }
    Ok(())
}

#[test]
fn the_values_of_recorded_calls_are_never_shown() -> Result<()> {
    let reads = |version: Version| Version { query: Some("SELECT n, old FROM seen"), ..version };
    let fixture = Fixture::new(&reads(first()))?;
    let _host = fixture.up("")?;
    for _ in 0..40 {
        assert_eq!(fixture.times()?, "ok(14)");
    }
    let output = fixture.deploy(&reads(Version { call: Then::Traps, ..first() }), &[])?;
    let refused = serde_json::from_slice::<DeployReport>(&output.stdout)?.refused.context("it is refused")?;
    assert_eq!(refused.step, Some(Step::Replay));
    assert_eq!(refused.message, "`numbers.times(..)` was answered with `ok` and now fails: it trapped");
    let output = fixture.deploy(&reads(Version { factor: 9, ..first() }), &["--strict"])?;
    let refused = serde_json::from_slice::<DeployReport>(&output.stdout)?.refused.context("it is refused")?;
    assert!(refused.message.contains("`numbers.times(..)`: ok: another value"), "{refused:?}");
    Ok(())
}

/// The shop's own books, with the key that its first start makes.
#[test]
fn the_shops_books_are_deployed_rolled_back_and_tested_alone() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sales = std::fs::read_to_string(shop.data().join("demo/sales.jsonl"))?;
    let sale: serde_json::Value = serde_json::from_str(sales.lines().next().context("a sale")?)?;
    let customer = sale["sale"]["customer"].as_str().context("of a customer")?;
    let clear = |when: &str| -> Result<()> {
        let mut count = 0;
        for path in files(&shop.data())? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with("finance") && !name.ends_with(".key") {
                count += 1;
                let bytes = std::fs::read(&path)?;
                ensure!(
                    !bytes.starts_with(b"SQLite format 3") && !contains(&bytes, customer.as_bytes()),
                    "{when}: {name}"
                );
            }
        }
        ensure!(count > 0, "{when}: no file");
        Ok(())
    };
    clear("seeded")?;
    // The same customer in another context's file, which is not encrypted.
    let others = ["orders.db", "orders.db-wal"].map(|file| std::fs::read(shop.data().join("stores").join(file)));
    ensure!(others.into_iter().flatten().any(|bytes| contains(&bytes, customer.as_bytes())), "it would be found");
    let balance = shop.call("finance", "books.get-trial-balance()")?;
    let next = shop.folder.path().join("finance-next.wasm");
    std::fs::write(&next, relabelled(&std::fs::read(repo().join("target/components/finance.wasm"))?, 1))?;
    let said = shop.seam(&["deploy", "finance", &next.to_string_lossy(), "--watch", "200"])?;
    ensure!(said.contains("finance serves"), "{said}");
    clear("deployed")?;
    shop.seam(&["rollback", "finance"])?;
    clear("rolled back")?;
    ensure!(shop.call("finance", "books.get-trial-balance()")? == balance);
    drop(host);
    let (key, aside) = (shop.data().join("keys/finance.key"), shop.folder.path().join("finance.key"));
    std::fs::rename(&key, &aside)?;
    let keyless = shop.up()?;
    let said = String::from_utf8(seam(&shop.manifest(), &["contexts"])?.stderr)?;
    ensure!(said.contains("finance.key"), "without its key it alone does not serve: {said}");
    ensure!(keyless.get("/")?.status == 200 && !key.exists());
    drop(keyless);
    std::fs::rename(&aside, &key)?;
    let host = shop.up()?;
    ensure!(shop.call("finance", "books.get-trial-balance()")? == balance);
    drop(host);
    // Alone, on files that are made for the scenarios and have no secrets, and need no key.
    let output = seam(&repo().join("seam.toml"), &["test", "finance", "--all"])?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

/// The books move to a host of their own by a backup, and their keys beside it.
#[test]
fn a_store_moves_to_another_host_with_its_keys_and_not_without() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let balance = shop.call("finance", "books.get-trial-balance()")?;
    ensure!(host.stop(Duration::from_secs(20))?.success(), "it stops");
    let backups = shop.folder.path().join("backups");
    let backup = shop.seam(&["backup", &backups.to_string_lossy()])?.trim().to_owned();
    let from_it = ["restore", "finance", "--from", &backup, "--as", "books"];
    let shop = shop.apart()?;
    let refused = |why: &str| -> Result<()> {
        let output = seam(&shop.manifest(), &from_it)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success() && said.contains(why), "{why}: {said}");
        ensure!(!shop.folder.path().join("books/stores/finance.db").exists(), "{why}: it is there");
        Ok(())
    };
    refused("put the key back as")?;
    let (old, new) = (shop.data().join("keys"), shop.folder.path().join("books/keys"));
    private::folder(&new)?;
    private::write(&new.join("finance.key"), format!("x'{}'\n", "5a".repeat(32)).as_bytes())?;
    refused("its key is wrong")?;
    ensure!(!new.join("finance.seal").exists(), "no key of seals is made for a file that cannot be read");
    // As docs/placement.md has it.
    let copied = Command::new("cp").arg("-p").args(files(&old)?).arg(&new).status()?;
    ensure!(copied.success(), "the keys are copied");
    let output = seam(&shop.manifest(), &from_it)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let _hosts = shop.up()?;
    ensure!(shop.call("finance", "books.get-trial-balance()")? == balance, "the same books");
    let moved = std::fs::read(shop.folder.path().join("books/stores/finance.db"))?;
    ensure!(!moved.starts_with(b"SQLite format 3"), "encrypted there, too");
    Ok(())
}
