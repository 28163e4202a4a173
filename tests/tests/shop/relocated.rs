//! Finance moves to another host, and back, while records are bought: no request fails, and nothing is lost or done
//! twice, also when a host is killed on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seam::homes;
use seam::manifest::Manifest;
use seam::relocate::Moved;
use seam::remote::{self, Client, ClientConfig, Credentials, Identity, Peer, Step, System};
use seam_store::Owner;
use seam_store::ids::ContextName;
use seam_tests::books::balance;
use seam_tests::host::Host;
use seam_tests::person::Person;
use seam_tests::shop::{BOOKS, SHOP, Shop};
use seam_tests::shopping::{DEMO_PASSWORD, demo_email};
use seam_tests::wait::{TIMEOUT, until};

/// Runs `seam extract` or `seam absorb`.
fn move_finance(shop: &Shop, to: &'static str) -> Result<Moved> {
    let moved = match to {
        BOOKS => shop.seam_as(SHOP, &["extract", "finance", "--to", BOOKS, "--format", "json"])?,
        _ => shop.seam_as(SHOP, &["absorb", "finance", "--format", "json"])?,
    };
    shop.finance_lives_at(to);
    Ok(serde_json::from_str(&moved)?)
}

/// Both hosts, without variables.
fn up(shop: &Shop) -> Result<(Host, Host)> {
    let books = shop.up_as(BOOKS, &[])?;
    Ok((shop.up_as(SHOP, &[])?, books))
}

#[test]
fn finance_moves_and_comes_back_while_records_are_bought_and_no_request_fails() -> Result<()> {
    let shop = Shop::in_one_process()?.with_books_to_come()?;
    let (host, _books) = up(&shop)?;
    let before = balance(&shop)?.orders.len();
    let sku = shop.album("kind of blue", 500)?;
    let (stop, bought) = (AtomicBool::new(false), AtomicUsize::new(0));
    let shopper = |n| -> Result<()> {
        let mut person = Person::signed_in(&host, &demo_email(n), DEMO_PASSWORD)?;
        while !stop.load(Ordering::SeqCst) {
            person.buy(&sku, 1)?;
            bought.fetch_add(1, Ordering::SeqCst);
            person.get("/account/statement")?.must_be(200)?;
        }
        Ok(())
    };
    let moves = std::thread::scope(|scope| {
        let shoppers = [1, 2].map(|n| scope.spawn(move || shopper(n)));
        let more = || {
            let than = bought.load(Ordering::SeqCst) + 2;
            let enough =
                || bought.load(Ordering::SeqCst) > than || shoppers.iter().any(|shopper| shopper.is_finished());
            until(TIMEOUT, || Ok(if enough() { Ok(()) } else { Err("no more records are bought".to_owned()) }))
        };
        let moves = (|| {
            let mut moves = Vec::new();
            for to in [BOOKS, SHOP, BOOKS] {
                more()?;
                moves.push(move_finance(&shop, to)?);
            }
            more()?;
            anyhow::Ok(moves)
        })();
        stop.store(true, Ordering::SeqCst);
        let panicked = |_| anyhow::anyhow!("a shopper panicked");
        let shopped = shoppers.into_iter().try_for_each(|shopper| shopper.join().map_err(panicked)?);
        shopped?;
        moves
    })?;
    let tokens: Vec<u64> = moves.iter().map(|moved| moved.token).collect();
    assert_eq!(tokens, [2, 3, 4]);
    for Moved { from, to, tables, rows, pages, again, late, .. } in &moves {
        ensure!(from != to && *tables > 10 && *rows > 100 && pages + again > 10 && late.is_none(), "{moves:?}");
    }
    let now = balance(&shop)?;
    assert_eq!(now.orders.len(), before + bought.load(Ordering::SeqCst));
    ensure!(!shop.data().join("stores/finance.db").exists(), "the file is gone where it does not belong");
    let seen = shop.seam_as(SHOP, &["contexts"])?;
    ensure!(seen.contains("at books"), "{seen}");
    Ok(())
}

/// The owner that each copy of the file names, of the hosts that may serve it now.
fn owners(shop: &Shop) -> Result<Vec<(&'static str, Option<Owner>)>> {
    let manifest = Manifest::load(&shop.manifest())?;
    let finance = ContextName::new("finance").context("a name")?;
    let mut owners = Vec::new();
    for host in [SHOP, BOOKS] {
        let config = homes::config_of(&manifest.on(host)?, &finance).context("its file")?;
        if config.path.exists() {
            owners.push((host, seam_store::owner_of(&config)?));
        }
    }
    Ok(owners)
}

/// Kills one of the hosts at a point of the move, starts it again, and sees that exactly one host has finance.
fn killed(point: &str, victim: &'static str) -> Result<()> {
    let shop = Shop::in_one_process()?.with_books_to_come()?;
    let (before, sku) = {
        let (host, _books) = up(&shop)?;
        let sku = shop.album("kind of blue", 50)?;
        let mut person = Person::signed_in(&host, &demo_email(1), DEMO_PASSWORD)?;
        person.buy(&sku, 1)?;
        (balance(&shop)?.orders.len(), sku)
    };
    let armed = format!("{point}:kill:1");
    let fault = |host| if host == victim { vec![("SEAM_FAULT", armed.as_str())] } else { Vec::new() };
    let mut books = shop.up_as(BOOKS, &fault(BOOKS))?;
    let mut host = shop.up_as(SHOP, &fault(SHOP))?;
    let said = shop.seam_as(SHOP, &["extract", "finance", "--to", BOOKS, "--format", "json"]);
    let died = if victim == SHOP { &host } else { &books };
    died.dies(Duration::from_secs(60)).with_context(|| format!("{point}: {said:?}"))?;
    match victim {
        SHOP => host = shop.up_as(SHOP, &[])?,
        _ => books = shop.up_as(BOOKS, &[])?,
    }
    // Either the move is undone or it is finished, by itself; then finance answers and records are bought.
    let mut person = Person::signed_in(&host, &demo_email(2), DEMO_PASSWORD)?;
    until(TIMEOUT, || {
        let status = person.get("/account/statement")?.status;
        Ok(if status == 200 { Ok(()) } else { Err(format!("{point}: {status}")) })
    })?;
    person.buy(&sku, 1).context(point.to_owned())?;
    let at = if shop.seam_as(SHOP, &["contexts"])?.contains("at books") { BOOKS } else { SHOP };
    shop.finance_lives_at(at);
    assert_eq!(balance(&shop)?.orders.len(), before + 1, "{point}");
    let arriving = shop.books_data().join("stores/finance.arriving");
    until(TIMEOUT, || Ok(if arriving.exists() { Err(format!("{point}: a copy is left")) } else { Ok(()) }))?;
    host.stop(Duration::from_secs(20))?;
    books.stop(Duration::from_secs(20))?;
    let owners = owners(&shop)?;
    let serving: Vec<_> =
        owners.iter().filter(|(host, owner)| owner.as_ref().is_none_or(|o| o.host == *host)).collect();
    ensure!(serving.len() == 1 && serving[0].0 == at, "{point}: {owners:?}, and it lives at {at}");
    Ok(())
}

#[test]
fn a_source_that_is_killed_on_the_way_leaves_one_owner() -> Result<()> {
    let points = ["before-arrive", "after-arrive", "before-hand-over", "after-hand-over", "handed-over"];
    points.iter().try_for_each(|point| killed(&format!("move.{point}"), SHOP))
}

#[test]
fn a_target_that_is_killed_on_the_way_leaves_one_owner() -> Result<()> {
    ["arrived", "taken-over"].iter().try_for_each(|point| killed(&format!("move.{point}"), BOOKS))
}

#[test]
fn what_cannot_move_is_refused_with_its_reason() -> Result<()> {
    let shop = Shop::in_one_process()?.with_books_to_come()?;
    let (_host, _books) = up(&shop)?;
    for (args, expect) in [
        (vec!["extract", "finance", "--to", "bokks"], "there is no host `bokks`"),
        (vec!["extract", "finanze", "--to", BOOKS], "there is no context `finanze`"),
        (vec!["extract", "finance", "--to", SHOP], "lives on host `shop` already"),
        (vec!["extract", "storefront", "--to", BOOKS], "`storefront` has no file to move"),
        (vec!["extract", "orders", "--to", BOOKS], "`orders`"),
        (vec!["extract", "customer", "--to", BOOKS], "does not name `customer`"),
        (vec!["absorb", "finance"], "`finance` lives on this host"),
    ] {
        let said = shop.seam_as(SHOP, &args).err().with_context(|| format!("{args:?} was done"))?;
        ensure!(said.to_string().contains(expect), "{args:?}: {said}");
    }
    Ok(())
}

/// A host whose certificate names finance, and which does not have it.
#[test]
fn a_host_takes_a_context_from_the_host_where_it_lives_and_from_no_other() -> Result<()> {
    let shop = Shop::in_one_process()?.on_three_hosts()?;
    shop.seam(&["cert", "host", "engines", "--replace", "--contexts", "recommendation,finance"])?;
    let _host = shop.up_alone()?;
    let manifest = Manifest::load(&shop.manifest())?;
    let at = |name: &str| manifest.placement.host(name).with_context(|| format!("host `{name}`"));
    let (metrics, runtime) = (remote::Metrics::new(&prometheus::Registry::new())?, seam::app::runtime()?);
    let system = System { codec: seam_runtime::codec::VERSION, placement: manifest.placement.digest() };
    let peer = Peer { name: SHOP.to_owned(), address: at(SHOP)?.address.clone(), contexts: Vec::new() };
    let config = ClientConfig { system, peers: vec![peer], learned: Arc::new(|_, _, _| {}) };
    runtime.block_on(async {
        let credentials = Credentials::load(&Identity::in_folder("engines", &at("engines")?.certificates))?;
        let engines = Client::start(config, &credentials, &metrics)?;
        let finance = ContextName::new("finance").context("a name")?;
        let begin = r#"{"token": 9, "page_bytes": 4096, "component": "", "component_bytes": 0, "tolerated_schema": null,
                        "keys": []}"#;
        for (name, body, expect) in [
            ("begin", begin, "`finance` lives on host `books`, as far as this host knows"),
            ("pages", "", "no move of `finance` from host `engines`"),
            ("arrive", r#"{"token": 9}"#, "no move of `finance` from host `engines`"),
            ("activate", r#"{"token": 9}"#, "no copy of `finance` with token 9 has arrived here"),
            ("fetch", "", "`finance` lives on host `books`"),
            ("leap", "", "a move has no step `leap`"),
        ] {
            let step = Step { context: finance.clone(), name: name.to_owned() };
            let taken = engines.step(SHOP, &step, body.as_bytes().to_vec().into(), TIMEOUT).await;
            let said = taken.err().with_context(|| format!("`{name}` was done"))?;
            ensure!(said.contains(expect), "{name}: {said}");
        }
        anyhow::Ok(())
    })?;
    ensure!(!shop.data().join("stores/finance.arriving").exists(), "there is a copy");
    Ok(())
}
