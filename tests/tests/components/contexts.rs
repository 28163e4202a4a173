//! The shop's own contexts as components in the real host, each on its own file: what they answer through their
//! interfaces.

use anyhow::{Context as _, Result};
use seam_runtime::serve::Registry;
use seam_tests::{System, repo};
use wasmtime::component::Val;

fn start(names: &[&str]) -> Result<(System, Registry)> {
    let system = names.iter().try_fold(System::new(), |system, name| {
        let path = repo().join(format!("target/components/{name}.wasm"));
        let wasm = std::fs::read(&path).with_context(|| format!("`{}`; run `seam build`", path.display()))?;
        system.context(name, &wasm, "store = true\ncapabilities = [\"clocks\"]")
    })?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    Ok((system, registry))
}

fn text(text: &str) -> Val {
    Val::String(text.into())
}

fn list(texts: &[&str]) -> Val {
    Val::List(texts.iter().map(|t| text(t)).collect())
}

fn record(fields: &[(&str, Val)]) -> Val {
    Val::Record(fields.iter().map(|(name, value)| (name.to_string(), value.clone())).collect())
}

fn album(sku: &str, artist: &str, title: &str) -> Val {
    record(&[
        ("sku", text(sku)),
        ("artist", text(artist)),
        ("title", text(title)),
        ("year", Val::U16(1997)),
        ("genre", text("Electronic")),
        ("label", text("One Little Indian")),
        ("price", record(&[("minor-units", Val::U32(1_299)), ("currency", text("GBP"))])),
        ("notes", text("")),
        ("discontinued", Val::Bool(false)),
    ])
}

/// What a function answered, as text: `Debug` of a value says all of it.
fn ask(registry: &Registry, context: &str, function: &str, params: &[Val]) -> String {
    match seam_tests::call(registry, context, function, params, 5_000) {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("failed: {error:#}"),
    }
}

#[test]
fn the_catalog_is_edited_searched_and_browsed() -> Result<()> {
    let (_system, registry) = start(&["catalog"])?;
    let ask = |function: &str, params: &[Val]| ask(&registry, "catalog", function, params);
    let albums = Val::List(vec![album("A-1", "Björk", "Homogenic"), album("A-2", "Sigur Rós", "Von")]);
    for _ in 0..2 {
        assert_eq!(ask("editing.put-albums", std::slice::from_ref(&albums)), "Result(Ok(Some(U32(2))))");
    }
    let paging = record(&[("page", Val::U32(1)), ("size", Val::U32(10))]);
    let found = ask("albums.search", &[text("bjork homo"), paging.clone()]);
    assert!(found.contains("Homogenic") && !found.contains("Von") && found.contains("(\"total\", U32(1))"), "{found}");
    let decade = Val::Option(Some(Box::new(Val::U16(1990))));
    let none = Val::Option(None);
    let filter = record(&[("genre", none.clone()), ("artist", none), ("decade", decade)]);
    let found = ask("albums.browse", &[filter, paging]);
    assert!(found.contains("Homogenic") && found.contains("Von"), "{found}");
    assert_eq!(ask("editing.discontinue", &[text("A-1")]), "Result(Ok(None))");
    let facets = ask("albums.get-facets", &[]);
    assert!(facets.contains("Sigur Rós") && !facets.contains("Björk"), "{facets}");
    let gone = ask("albums.get-albums", &[list(&["A-1", "NEVER"])]);
    assert!(gone.contains("(\"discontinued\", Bool(true))") && gone.contains("Homogenic"), "{gone}");
    let wrong = ask("editing.put-albums", &[Val::List(vec![album("a 1", "x", "y")])]);
    assert!(wrong.contains("invalid") && wrong.contains("row 1, sku"), "{wrong}");
    Ok(())
}

#[test]
fn the_warehouse_counts_and_recommendation_learns() -> Result<()> {
    let (_system, registry) = start(&["warehouse", "recommendation"])?;
    let level = |sku: &str, on_hand: u32| record(&[("sku", text(sku)), ("on-hand", Val::U32(on_hand))]);
    let counted = Val::List(vec![level("A-1", 3), level("A-2", 0)]);
    assert_eq!(ask(&registry, "warehouse", "stock.stocktake", &[counted]), "Result(Ok(Some(U32(2))))");
    let levels = ask(&registry, "warehouse", "stock.levels", &[list(&["A-9", "A-1"])]);
    let expect = Val::Result(Ok(Some(Box::new(Val::List(vec![level("A-9", 0), level("A-1", 3)])))));
    assert_eq!(levels, format!("{expect:?}"));

    let bought = |id: &str, skus: &[&str]| {
        record(&[("id", text(id)), ("customer", text("c")), ("skus", list(skus)), ("at", Val::U64(0))])
    };
    let purchases = Val::List(vec![bought("1", &["A-1", "A-2"]), bought("2", &["A-1", "A-2"]), bought("3", &["A-3"])]);
    let learn = |purchases: &Val| ask(&registry, "recommendation", "engine.learn", std::slice::from_ref(purchases));
    assert_eq!(learn(&purchases), "Result(Ok(Some(U32(3))))");
    assert_eq!(learn(&purchases), "Result(Ok(Some(U32(0))))");
    let suggested = ask(&registry, "recommendation", "engine.suggest", &[list(&["A-1"]), Val::U32(3)]);
    assert!(suggested.contains("A-2") && !["A-1", "A-3"].iter().any(|sku| suggested.contains(sku)), "{suggested}");
    let wrong = ask(&registry, "recommendation", "engine.suggest", &[list(&[]), Val::U32(0)]);
    assert!(wrong.contains("invalid"), "{wrong}");
    Ok(())
}
