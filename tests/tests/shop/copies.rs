//! The storefront and the engine on two hosts each, the rest on a third one, as `docs/copies.md` says.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seam_tests::broker::{Broker, free_port};
use seam_tests::host::{Host, seam};
use seam_tests::person::Person;
use seam_tests::repo;
use seam_tests::shop::Shop;
use seam_tests::shopping::{DEMO_PASSWORD, demo_email};
use seam_tests::wait::{TIMEOUT, until};

/// The blocks of the page in this language, in order.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let start = format!("```{language}\n");
    page.split(&start).skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned())).collect()
}

/// Adds the hosts of the page to the shop's manifest, on free ports; the port of the broker.
fn place(shop: &Shop, hosts: &str) -> Result<u16> {
    let broker = free_port()?;
    let mut hosts = hosts.replace(":4222", &format!(":{broker}"));
    for port in [":7443", ":7445", ":7446"] {
        hosts = hosts.replace(port, &format!(":{}", free_port()?));
    }
    for port in [":8082", ":8083"] {
        hosts = hosts.replace(port, ":0");
    }
    let (mut text, mut new) = (std::fs::read_to_string(shop.manifest())?, String::new());
    for table in hosts.split("\n\n") {
        match table.split_once('\n').filter(|(head, _)| head.starts_with("[context.")) {
            Some((head, at)) => text = text.replace(&format!("{head}\n"), &format!("{head}\n{}\n", at.trim())),
            None => new.push_str(&format!("{table}\n\n")),
        }
    }
    shop.write_manifest(&format!("{text}\n{new}"))?;
    Ok(broker)
}

#[test]
fn the_page_runs_two_copies_of_the_shop_front_and_either_of_them_is_enough() -> Result<()> {
    let page = std::fs::read_to_string(repo().join("docs/copies.md"))?;
    let shop = Shop::in_one_process()?;
    shop.up()?.stop(Duration::from_secs(20))?;
    let port = place(&shop, blocks(&page, "toml").first().context("the hosts")?)?;
    let (mut broker, mut hosts) = (None, Vec::<Host>::new());
    for line in blocks(&page, "sh").iter().flat_map(|block| block.lines()) {
        let words: Vec<&str> = line.split(' ').collect();
        match &words[..] {
            ["nats-server", "-c", file] => {
                let file = shop.data().join(file.strip_prefix("run/").context("below the data folder")?);
                broker = Some(Broker::start(Path::new(env!("CARGO_MANIFEST_DIR")), &file, port)?);
            }
            ["seam", "up", "--as", host] => {
                let data = if *host == "shop" { shop.data() } else { shop.data().join(host) };
                hosts.push(Host::up_as(&shop.manifest(), &data, host, &[])?);
            }
            ["seam", command @ ..] => {
                let done = seam(&shop.manifest(), command)?;
                ensure!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
            }
            _ => anyhow::bail!("`{line}` is no command of the page"),
        }
    }
    let _broker = broker.context("the broker")?;
    let [home, web1, web2] = &hosts[..] else { anyhow::bail!("three hosts") };
    let finds = |host: &Host| {
        until(TIMEOUT, || {
            let page = host.get("/search?q=blue")?.text();
            Ok(if page.contains("Kind of Blue") { Ok(()) } else { Err(page) })
        })
    };
    assert_eq!(home.get("/")?.status, 404, "it has no copy of the storefront");
    finds(web1)?;
    finds(web2)?;
    let sku = shop.album("kind of blue", 50)?;
    let mut person = Person::signed_in(web1, &demo_email(1), DEMO_PASSWORD)?;
    let order = person.buy(&sku, 1)?;
    // The other copy knows the same customer and the same order.
    let mut elsewhere = person.at(web2);
    elsewhere.get(&format!("/orders/{order}"))?.must_be(200)?.must_say(&order)?;
    // Each copy of the engine has learned the order, in a file of its own.
    for host in ["web1", "web2"] {
        until(TIMEOUT, || {
            let shown = seam(&shop.manifest(), &["--as", host, "events", "--format", "json"])?;
            let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
            Ok(if shown.contains("\"lag\": 0") || shown.contains("\"lag\":0") { Ok(()) } else { Err(shown) })
        })?;
    }
    web1.kill()?;
    finds(web2)?;
    Ok(())
}
