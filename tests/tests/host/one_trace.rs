//! One request that runs through two hosts has one trace: the lines of both are shown together.

use anyhow::{Context as _, Result, ensure};
use seam_tests::System;
use seam_tests::host::{Host, seam};
use seam_tests::version::{Then, Version, page};
use serde_json::Value;

#[test]
fn the_lines_of_a_request_are_shown_from_both_hosts_by_its_trace() -> Result<()> {
    let port = || -> Result<u16> { Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()) };
    let traps = Version { call: Then::Traps, ..Version::times(2) };
    let system = System::new()
        .context("page", &page()?, "imports = [\"t:numbers/numbers\"]")?
        .context("numbers", &traps.wasm()?, "at = \"books\"")?
        .lines("[[mount]]\npath = \"/\"\ncontext = \"page\"")
        .lines(&format!(
            "[hosts.shop]\naddress = \"127.0.0.1:{}\"\nlisten = [\"127.0.0.1:0\"]\n[hosts.books]\n\
             address = \"127.0.0.1:{}\"\ndata = \"books\"\nlisten = [\"127.0.0.1:0\"]\n[placement]\ndefault = \"shop\"",
            port()?,
            port()?
        ));
    let manifest = system.write()?;
    for arguments in [&["cert", "authority"][..], &["cert", "host", "shop"], &["cert", "host", "books"]] {
        ensure!(seam(&manifest, &[&["--as", "shop"], arguments].concat())?.status.success(), "{arguments:?}");
    }
    let data = |host: &str| system.folder.path().join(if host == "shop" { "data" } else { host });
    let books = Host::up_as(&manifest, &data("books"), "books", &[])?;
    let shop = Host::up_as(&manifest, &data("shop"), "shop", &[])?;
    shop.get("/")?;
    // Both have written their lines.
    let trapped: Value = serde_json::from_str(&books.log_line(&["ERROR", "\"numbers\"", "trace"])?)?;
    let trace = trapped["trace"].as_str().or(trapped["span"]["trace"].as_str()).context("a trace")?.to_owned();
    let id = trace.split('-').find(|part| part.len() == 32).context("an id")?;
    shop.log_line(&["\"access\"", id])?;

    let lines = |more: &[&str]| -> Result<Vec<Value>> {
        let shown = seam(&manifest, &[&["logs", "--trace", &trace, "--format", "json"], more].concat())?;
        ensure!(shown.status.success(), "{shown:?}");
        String::from_utf8(shown.stdout)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    };
    let all = lines(&[])?;
    let of = |host: &str| all.iter().filter(|line| line["on_host"] == host).count();
    ensure!(of("shop") > 0 && of("books") > 0 && of("shop") + of("books") == all.len(), "{all:?}");
    ensure!(all.is_sorted_by_key(|line| line["timestamp"].to_string()), "by their times: {all:?}");
    let alone = lines(&["--as", "books"])?;
    ensure!(alone.len() == of("books") && alone.iter().all(|line| line.get("on_host").is_none()), "{alone:?}");
    let human = seam(&manifest, &["logs", "--trace", &trace])?;
    let human = String::from_utf8(human.stdout)?;
    ensure!(human.contains(" books numbers: ") && human.contains(" shop page: "), "{human}");
    Ok(())
}
