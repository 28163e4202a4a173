//! The shop's own scenarios and contracts: every context passes its own, and every interface has one.

use anyhow::{Result, ensure};
use seam::harness::scenario::{Cell, FailureKind};
use seam::harness::{Harness, Options};
use seam_tests::background::Background;
use seam_tests::person::Person;
use seam_tests::repo;
use seam_tests::shop::Shop;
use seam_tests::shopping::{card, operator, order_number};

#[test]
fn every_context_has_scenarios_and_passes_them_and_its_contracts() -> Result<()> {
    let harness = Harness::of(&repo().join("seam.toml"))?;
    let report = harness.run(&Options { all: true, ..Options::default() }, &mut |_| {})?;
    let failed: Vec<_> = report.suites.iter().filter(|suite| !suite.passed()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    for context in &harness.manifest().contexts {
        // Engines in other languages are built by those who want them.
        if context.settings.name.variant().is_some() && !context.settings.component.is_file() {
            continue;
        }
        let name = context.settings.name.to_string();
        let own = |with_contract: bool| {
            let of_it = report.suites.iter().filter(|s| s.context == name && s.contract.is_some() == with_contract);
            of_it.map(|suite| suite.scenarios.len()).sum::<usize>()
        };
        // A page context offers no interface, and a variant's scenarios are those of its interface.
        let page = context.assets.is_some();
        assert!(own(false) > 0 || context.settings.name.variant().is_some(), "{name} has no scenarios");
        assert!(own(true) > 0 || page, "no contract is about what {name} offers");
    }
    Ok(())
}

#[test]
fn the_example_of_the_docs_runs() -> Result<()> {
    let harness = Harness::of(&repo().join("seam.toml"))?;
    let mut orders = harness
        .fixture("orders")?
        .clock(1_767_225_600)
        .stub("albums.get-albums", "ok([])")
        .failing("payments.authorise-kept", FailureKind::TimedOut)
        .pretend("orders->catalog latency=5ms duplicates=1% seed=7")
        .start()?;
    orders.expect("ordering.get-quote([{sku: \"MC-0001\", copies: 1}])", "ok({gone: [$sku], ...})")?;
    assert_eq!(orders.asked(), ["albums.get-albums([\"MC-0001\"])"]);
    assert_eq!(orders.rows("SELECT count(*) FROM orders")?, [[Cell::Integer(0)]]);
    Ok(())
}

#[test]
fn a_recording_of_each_context_passes_when_it_is_run_again() -> Result<()> {
    // An encrypted file is not copied.
    let shop = Shop::in_the_clear()?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 5)?;
    let folder = tempfile::tempdir()?;
    // Forms hold a digest of the visitor's cookie, and finance checks the card: they need the real values. Not orders:
    // the host performs the steps of its sagas beside the calls, which a recording that is run again does not.
    let recordings = [("catalog", false), ("warehouse", false), ("finance", true), ("storefront", true)];
    let mut running = Vec::new();
    for (context, secrets) in recordings {
        let file = folder.path().join(context).with_extension("toml");
        let file = file.display().to_string();
        let mut args = vec!["record", context, "--output", &file];
        args.extend(secrets.then_some("--secrets"));
        let recording = Background::start(&shop.manifest(), &args)?;
        recording.until(|printed| printed.contains("at most 2000 calls and 32 MiB"))?;
        running.push((context, secrets, file, recording));
    }
    let mut person = Person::new(&host);
    person.get("/search?q=kind%20of%20blue")?.must_be(200)?;
    person.sign_up("Ada Listener", "ada@shop.example", "a long enough secret")?.must_be(200)?;
    person.put_into_cart(&sku, 2)?.must_be(200)?;
    let order = order_number(&person.check_out(card::APPROVED)?.must_be(200)?)?;
    let mut desk = operator(&host)?;
    desk.desk(&order, "ship", &[])?.must_be(200)?;
    person.get(&format!("/orders/{order}"))?.must_say("On its way")?;
    for (context, secrets, file, recording) in running {
        recording.interrupt()?;
        let (status, printed) = recording.end()?;
        let text = std::fs::read_to_string(file)?;
        let passes = status.success() && printed.contains("it passes when it is run again");
        ensure!(passes, "{context}: {printed}\n{text}");
        ensure!(text.contains("[[scenario.when]]") && !text.contains("# Left out"), "{context}: {text}");
        ensure!(secrets || !text.contains("4242"), "{context}: {text}");
    }
    Ok(())
}
