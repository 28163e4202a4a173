//! A total whose contexts live on two hosts: found on the host that compares, known by the other one, and not known
//! while the other side cannot be asked.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use seam_store::InvariantKind::Total;
use seam_tests::System;
use seam_tests::host::{Host, seam};
use seam_tests::placed::Placed;
use seam_tests::version::Version;
use seam_tests::wait::{TIMEOUT, until};

const TABLE: &str = "CREATE TABLE seen (n INTEGER NOT NULL, old TEXT) STRICT";
const ONE: &str = "INSERT INTO seen (n) VALUES (1)";

/// Says that `all` is as much as what these statements have written.
fn declaring(migrations: &[&'static str]) -> Version {
    let invariants = vec![(Total, "sum", "SELECT 'all', sum(n) FROM seen")];
    Version { migrations: migrations.to_vec(), invariants, ..Version::default() }
}

/// `one` lives on the host `shop`, `two` on `books`.
struct Two {
    system: System,
    manifest: PathBuf,
}

impl Two {
    fn new() -> Result<Self> {
        let two = declaring(&[TABLE, "INSERT INTO seen (n) VALUES (2)"]);
        let system = System::new()
            .context("one", &declaring(&[TABLE, ONE]).wasm()?, "store = true")?
            .context("two", &two.wasm()?, "store = true\nat = \"books\"")?
            .lines("[[reconcile]]\ntotal = \"sum\"\nafter = \"0s\"");
        let Placed { system, manifest } = Placed::new(system, &["shop", "books"])?;
        Ok(Self { system, manifest })
    }

    fn up(&self, host: &str) -> Result<Host> {
        let data = self.system.folder.path().join(if host == "shop" { "data" } else { host });
        Host::up_as(&self.manifest, &data, host, &[])
    }

    /// The exit code, and what it printed and said.
    fn run(&self, host: &str, args: &[&str]) -> Result<(i32, String)> {
        let output = seam(&self.manifest, &[args, &["--as", host]].concat())?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stdout) + &text(&output.stderr);
        Ok((output.status.code().context("an exit code")?, said))
    }

    /// As `says`, of `seam verify` without a host.
    fn verifies(&self, more: &[&str], expect: i32, words: &[&str]) -> Result<()> {
        let output = seam(&self.manifest, &[&["verify"], more].concat())?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let code = output.status.code();
        let missing = words.iter().find(|words| !said.contains(**words));
        ensure!(code == Some(expect) && missing.is_none(), "{more:?} ended with {code:?}, without {missing:?}: {said}");
        Ok(())
    }

    /// Runs it, and sees that it ends so and says this.
    fn says(&self, host: &str, args: &[&str], expect: i32, words: &[&str]) -> Result<()> {
        let (code, said) = self.run(host, args)?;
        let all = words.iter().all(|words| said.contains(words));
        ensure!(code == expect && all, "{host}: {args:?} ended with {code}, not {expect} and {words:?}: {said}");
        Ok(())
    }
}

#[test]
fn contexts_of_two_hosts_are_compared_by_one_of_them_and_not_known_while_the_other_is_gone() -> Result<()> {
    let two = Two::new()?;
    two.says("shop", &["check"], 0, &[])?;
    let (books, shop) = (two.up("books")?, two.up("shop")?);
    two.says("shop", &["reconcile", "run"], 1, &["one 1, two 2", "one and two agree on 0 keys and disagree on 1"])?;
    shop.log_line(&["WARN", "contexts disagree", "\"all\""])?;
    let elsewhere = "sum: host `shop` looks at it";
    two.says("books", &["reconcile"], 0, &[elsewhere])?;
    two.says("books", &["reconcile", "run", "sum"], 1, &["host `shop` looks at the total `sum`", "--as shop"])?;
    // Each host verifies what its contexts have to do with.
    for host in ["shop", "books"] {
        two.says(host, &["verify"], 1, &["sum of one and two: violated", "all: one 1, two 2"])?;
    }

    // What cannot be asked is not known: what was found stands, and no more is said to be wrong.
    assert!(books.stop(Duration::from_secs(10))?.success());
    let away = "host `books` gives no amounts: `two` is not available";
    two.says("shop", &["reconcile", "run"], 1, &["one 1, two 2", "sum cannot be looked at", away])?;
    two.says("shop", &["verify"], 2, &["sum of one and two", "not checked", away])?;
    shop.log_line(&["WARN", "the total cannot be reconciled", away])?;
    let metrics = shop.get("/metrics")?.text();
    for line in ["seam_reconcile_failing{total=\"sum\"} 1", "seam_disagreements{state=\"open\",total=\"sum\"} 1"] {
        assert!(metrics.contains(line), "no `{line}` in:\n{metrics}");
    }

    // The other host comes back with another version, which agrees.
    let next = [TABLE, "INSERT INTO seen (n) VALUES (2)", "UPDATE seen SET n = 1"];
    std::fs::write(two.system.folder.path().join("two.wasm"), declaring(&next).wasm()?)?;
    let books = two.up("books")?;
    // It is tried again some seconds after it could not be reached.
    until(TIMEOUT, || {
        let (code, said) = two.run("shop", &["reconcile", "run"])?;
        let agree = code == 0 && said.contains("one and two agree on 1 keys and disagree on 0");
        Ok(if agree { Ok(()) } else { Err(said) })
    })?;
    two.says("shop", &["verify"], 0, &[])?;
    let metrics = shop.get("/metrics")?.text();
    assert!(metrics.contains("seam_reconcile_failing{total=\"sum\"} 0"), "{metrics}");
    drop((books, shop));
    Ok(())
}

#[test]
fn what_is_accepted_stays_so_when_another_host_becomes_the_one_that_compares() -> Result<()> {
    let two = Two::new()?;
    for host in ["shop", "books"] {
        two.says("shop", &["cert", "host", host, "--contexts", "one,two", "--replace"], 0, &[])?;
    }
    let (_books, _shop) = (two.up("books")?, two.up("shop")?);
    two.says("shop", &["reconcile", "run"], 1, &["one 1, two 2"])?;
    two.says("shop", &["reconcile", "accept", "sum", "all", "--why", "kept for the fair", "--yes"], 0, &[])?;
    two.says("shop", &["reconcile"], 0, &["accepted"])?;
    two.says("books", &["absorb", "one"], 0, &[])?;
    two.says("shop", &["reconcile"], 0, &["sum: host `books` looks at it"])?;
    two.says("books", &["reconcile", "run"], 0, &["one 1, two 2", "accepted"])?;
    two.says("books", &["reconcile", "show", "sum", "all"], 0, &["kept for the fair"])?;
    Ok(())
}

#[test]
fn one_command_compares_the_files_of_stopped_hosts_and_backups_of_several() -> Result<()> {
    let two = Two::new()?;
    let (books, shop) = (two.up("books")?, two.up("shop")?);
    // Of both hosts, while they run.
    two.verifies(&[], 1, &["sum of one and two: violated", "all: one 1, two 2", "host `shop` as it was at"])?;
    for host in ["shop", "books"] {
        let into = two.system.folder.path().join(format!("copies-{host}")).display().to_string();
        two.says(host, &["backup", &into], 0, &[])?;
    }
    assert!(books.stop(Duration::from_secs(10))?.success());
    let away = ["sum of one and two: not checked", "host `books` gives no amounts", "host `books`, which is stopped"];
    two.verifies(&[], 2, &away)?;
    assert!(shop.stop(Duration::from_secs(10))?.success());
    two.verifies(&[], 1, &["sum of one and two: violated", "all: one 1, two 2", "host `shop`, which is stopped"])?;
    two.verifies(&["--as", "shop"], 2, &["sum of one and two: not checked", "it lives on host `books`"])?;
    two.verifies(&["--context", "tow"], 2, &["there is no context `tow`", "did you mean `two`?"])?;

    let backup = |host: &str| -> Result<String> {
        let folder = two.system.folder.path().join(format!("copies-{host}"));
        let mut names = std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.path().display().to_string()));
        names.next().context("a backup")?
    };
    let (of_shop, of_books) = (backup("shop")?, backup("books")?);
    let said = ["sum of one and two: violated", "all: one 1, two 2", "the backups are of several moments"];
    two.verifies(&["--backup", &of_shop, "--backup", &of_books], 1, &said)?;
    two.verifies(&["--backup", &of_shop], 2, &["the backup holds no file of `two`", "name a backup of its host, too"])?;
    std::fs::remove_dir_all(two.system.folder.path().join("books"))?;
    let gone = ["host-is-here of two: not checked", "has no files in", "run `seam verify --as books` on its machine"];
    two.verifies(&[], 2, &gone)?;
    Ok(())
}
