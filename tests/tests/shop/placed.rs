//! The shop on two hosts, by the page that says how: `docs/placement.md`.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seam::check;
use seam::manifest::Manifest;
use seam_runtime::component::Compiler;
use seam_tests::host::Host;
use seam_tests::repo;
use seam_tests::shop::Shop;
use seam_tests::wait::{TIMEOUT, until};

/// The blocks of the page in this language, in order.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let start = format!("```{language}\n");
    page.split(&start).skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned())).collect()
}

/// Adds the hosts of the page to the shop's manifest, on free ports.
fn place(shop: &Shop, hosts: &str) -> Result<()> {
    let mut new = String::new();
    for table in hosts.split_inclusive("\n\n") {
        match table.split_once('\n').filter(|(head, _)| head.starts_with("[context.")) {
            Some((head, at)) => shop.edit(&format!("{head}\n"), &format!("{head}\n{}\n", at.trim()))?,
            None => new.push_str(table),
        }
    }
    let text = std::fs::read_to_string(shop.manifest())?;
    let port = || -> Result<u16> { Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()) };
    let (one, other) = (port()?, port()?);
    let new = new.replace("127.0.0.1:7443", &format!("127.0.0.1:{one}"));
    let new = new.replace("127.0.0.1:7444", &format!("127.0.0.1:{other}")).replace("127.0.0.1:8081", "127.0.0.1:0");
    shop.write_manifest(&format!("{text}\n{new}"))
}

/// What a command of the page says, word by word.
fn words(line: &str, backup: &str) -> Result<Vec<String>> {
    let line = line.strip_prefix("seam ").with_context(|| format!("`{line}` is no command of the host"))?;
    let quoted = line.split('\'').enumerate().flat_map(|(at, part)| match at % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
        _ => vec![part.to_owned()],
    });
    Ok(quoted.map(|word| word.replace("NAME", backup)).collect())
}

/// What `seam check` finds: problems, but for components that are not where they were built, and warnings.
fn checked(shop: &Shop) -> Result<(Vec<String>, Vec<String>)> {
    let found = check::problems(&Manifest::load(&shop.manifest())?, Compiler::InProcess)?;
    let problems = found.problems.into_iter().map(|problem| problem.message);
    Ok((problems.filter(|message| !message.contains("older than its sources")).collect(), found.warnings))
}

#[test]
fn a_check_names_the_functions_whose_lists_would_cross_hosts() -> Result<()> {
    let shop = Shop::in_one_process()?;
    let text = std::fs::read_to_string(shop.manifest())?;
    let placed = |names: &[&str]| -> Result<Vec<String>> {
        let head = |name: &str| format!("[context.{name}]\n");
        let at = |text: String, name: &&str| text.replace(&head(name), &format!("{}at = \"other\"\n", head(name)));
        let text = names.iter().fold(text.clone(), at);
        let hosts = "[hosts.shop]\naddress = \"127.0.0.1:7443\"\n[hosts.other]\naddress = \"127.0.0.1:7444\"\n\
                     data = \"run/other\"\n[placement]\ndefault = \"shop\"\n";
        shop.write_manifest(&format!("{text}\n{hosts}"))?;
        let (problems, warnings) = checked(&shop)?;
        ensure!(problems.is_empty(), "{problems:?}");
        Ok(warnings)
    };
    assert_eq!(placed(&["catalog"])?, [""; 0], "its pages are as long as their callers want");
    let carries = |callee: &str, interface: &str, lists: &str| {
        format!(
            "`storefront` calls `{callee}` on another host through `musiccorp:{interface}@0.1.0`, of which these carry a \
             list, and each call sends all of it: {lists}"
        )
    };
    let expect = [
        carries("finance", "finance/books", "`get-refunds` (`list<{at, amount, reason, ..}>`)"),
        carries("orders", "orders/desk", "`get-authors` (`list<{by, ended-by}>`)"),
        carries(
            "orders",
            "orders/ordering",
            "`get-quote` (`list<{sku, copies}>`), `request-return` (`list<{sku, copies}>`)",
        ),
        carries("warehouse", "warehouse/stock", "`stocktake-by` (`list<{sku, on-hand}>`)"),
    ];
    assert_eq!(placed(&["customer", "storefront"])?, expect);
    Ok(())
}

#[test]
fn the_page_moves_two_contexts_with_their_files_and_each_of_its_commands_works() -> Result<()> {
    let page = std::fs::read_to_string(repo().join("docs/placement.md"))?;
    let shop = Shop::in_one_process()?;
    shop.up()?.stop(Duration::from_secs(20))?;
    // The commands run in the folder of this test: they name the shop's.
    let backups = shop.folder.path().join("backups");
    let hosts = blocks(&page, "toml").into_iter().next().context("the hosts")?;
    let (mut running, mut seen, mut asked) = (Vec::<Host>::new(), Vec::new(), false);
    for line in blocks(&page, "sh").iter().flat_map(|block| block.lines()) {
        let taken = std::fs::read_dir(&backups).into_iter().flatten().flatten().next();
        let taken = taken.map(|entry| entry.file_name().to_string_lossy().into_owned()).unwrap_or_default();
        let words = words(line, &taken)?;
        let words: Vec<String> = words
            .iter()
            .map(|word| match word.strip_prefix("backups") {
                Some(rest) => format!("{}{rest}", backups.display()),
                None => word.clone(),
            })
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match &words[..] {
            ["up", "--as", host] => {
                let data = shop.data().join(if *host == "shop" { "" } else { host });
                running.push(Host::up_as(&shop.manifest(), &data, host, &[])?);
            }
            // All contexts in one process, before any moves.
            ["up"] => running.push(shop.up()?),
            ["check"] => {
                running.clear();
                place(&shop, &hosts)?;
                assert_eq!(checked(&shop)?.0, [""; 0]);
            }
            ["pretend", "storefront->catalog", "latency=5ms", ..] => {
                seen.push((line.to_owned(), shop.seam(&words)?));
                let host = running.first().context("a host")?;
                // A call may be lost.
                until(TIMEOUT, || {
                    let page = host.get("/search?q=blue")?.text();
                    Ok(if page.contains("Kind of Blue") { Ok(()) } else { Err(page) })
                })?;
            }
            // The files of a stopped shop.
            [.., "--together"] => {
                if let Some(host) = running.first() {
                    until(TIMEOUT, || {
                        let page = host.get("/search?q=blue")?.text();
                        Ok(if page.contains("Kind of Blue") { Ok(()) } else { Err(page) })
                    })?;
                    asked = true;
                }
                running.clear();
                seen.push((line.to_owned(), shop.seam(&words)?));
            }
            words => seen.push((line.to_owned(), shop.seam(words).with_context(|| line.to_owned())?)),
        }
    }
    ensure!(asked, "the shop showed records of the other host");
    let said = |start: &str| seen.iter().find(|(line, _)| line.starts_with(start)).map(|(_, said)| said.as_str());
    let pretended = seen.iter().find(|(line, _)| line == "seam pretend").context("what is pretended")?;
    let is_edge = |line: &&str| line.starts_with("storefront->catalog ") && line.contains(" latency=5ms jitter=2ms ");
    let calls = pretended.1.lines().find(is_edge);
    ensure!(calls.is_some(), "{}", pretended.1);
    let contexts = said("seam contexts --as shop").context("the contexts")?;
    let at = contexts.lines().filter(|line| line.contains(" at records ")).filter_map(|line| line.split(' ').next());
    ensure!(at.collect::<Vec<_>>() == ["catalog", "customer"], "{contexts}");
    let facets = said("seam call").context("the call")?;
    ensure!(facets.contains("rock") || facets.contains("genre"), "the albums came along: {facets}");
    Ok(())
}
