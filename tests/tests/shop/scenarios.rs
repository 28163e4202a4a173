//! The shop's own scenarios and contracts: every context passes its own, and every interface has one.

use anyhow::Result;
use seam::harness::scenario::{Cell, FailureKind};
use seam::harness::{Harness, Options};
use seam_tests::repo;

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
        .failing("engine.learn", FailureKind::TimedOut)
        .start()?;
    orders.expect("ordering.get-quote([{sku: \"MC-0001\", copies: 1}])", "ok({gone: [$sku], ...})")?;
    assert_eq!(orders.asked(), ["albums.get-albums([\"MC-0001\"])"]);
    assert_eq!(orders.rows("SELECT count(*) FROM orders")?, [[Cell::Integer(0)]]);
    Ok(())
}
