//! Seeds and live rows: a seed loads once, and overwrites nothing unasked.

use anyhow::Result;
use seam_tests::host::{Host, seam};
use seam_tests::{System, repo};

/// A row of a seed for `catalog`.
fn album(sku: &str, price: u32) -> String {
    format!(
        "{{\"sku\": \"{sku}\", \"artist\": \"A\", \"title\": \"T\", \"year\": 1970, \"genre\": \"Jazz\", \
         \"label\": \"L\", \"price\": {{\"minor-units\": {price}, \"currency\": \"GBP\"}}, \"notes\": \"\", \
         \"discontinued\": false}}\n"
    )
}

/// The catalog of the shop alone, with a seed.
fn system(rows: &str) -> Result<System> {
    let system = System::new()
        .context(
            "catalog",
            &std::fs::read(repo().join("target/components/catalog.wasm"))?,
            "store = true\ncapabilities = [\"clocks\"]",
        )?
        .lines("[[seed]]\ncontext = \"catalog\"\ncall = \"editing.put-albums\"\nfile = \"albums.jsonl\"");
    std::fs::write(system.folder.path().join("albums.jsonl"), rows)?;
    system.write()?;
    Ok(system)
}

/// What `seam ARGS` printed, and whether it ended well.
fn run(system: &System, args: &[&str]) -> Result<(bool, String)> {
    let output = seam(&system.folder.path().join("seam.toml"), args)?;
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    Ok((output.status.success(), text))
}

fn price(system: &System, sku: &str) -> Result<Option<u64>> {
    let (_, text) = run(system, &["call", "catalog", &format!("albums.get-albums([\"{sku}\"])"), "--format", "json"])?;
    let all: serde_json::Value = serde_json::from_str(&text)?;
    let found = all.pointer("/json/ok/0/price/minor-units").or_else(|| all.pointer("/ok/0/price/minor-units"));
    Ok(found.and_then(serde_json::Value::as_u64))
}

fn set_price(system: &System, sku: &str, price: u32) -> Result<()> {
    let album = format!(
        "{{sku: {sku:?}, artist: \"A\", title: \"T\", year: 1970, genre: \"Jazz\", label: \"L\", \
         price: {{minor-units: {price}, currency: \"GBP\"}}, notes: \"\", discontinued: false}}"
    );
    let (ok, text) = run(system, &["call", "catalog", &format!("editing.put-albums([{album}])")])?;
    assert!(ok, "{text}");
    Ok(())
}

#[test]
fn an_edited_seed_overwrites_no_live_row_until_a_command_asks_for_it() -> Result<()> {
    let system = system(&(album("A-1", 100) + &album("A-2", 200)))?;
    let (manifest, data) = (system.folder.path().join("seam.toml"), system.folder.path().join("data"));
    let host = Host::up(&manifest, &data)?;
    set_price(&system, "A-1", 777)?;
    assert_eq!(price(&system, "A-1")?, Some(777));
    assert!(host.stop(std::time::Duration::from_secs(10))?.success());

    let rows = album("A-1", 100) + &album("A-2", 200) + &album("A-3", 300);
    std::fs::write(system.folder.path().join("albums.jsonl"), rows)?;
    let host = Host::up(&manifest, &data)?;
    let said = host.startup.join("\n");
    assert!(said.contains("has changed since its 2 rows were loaded, and is not loaded"), "{said}");
    assert_eq!((price(&system, "A-1")?, price(&system, "A-3")?), (Some(777), None));

    let (ok, text) = run(&system, &["seed"])?;
    assert!(ok && text.contains("`seam seed catalog --again`"), "{text}");
    let (ok, text) = run(&system, &["seed", "catalog", "--again"])?;
    assert!(!ok && text.contains("albums.jsonl: 3 rows through editing.put-albums into catalog"), "{text}");
    assert!(text.contains("overwrites 1 of 2 rows in `albums`, which then has 3"), "{text}");
    assert!(
        text.contains("error: nothing was loaded") && text.contains("seam seed catalog --again --overwrite"),
        "{text}"
    );
    assert_eq!((price(&system, "A-1")?, price(&system, "A-3")?), (Some(777), None), "and nothing is");

    let (ok, text) = run(&system, &["seed", "catalog", "--again", "--overwrite"])?;
    assert!(ok, "{text}");
    assert_eq!((price(&system, "A-1")?, price(&system, "A-3")?), (Some(100), Some(300)));
    let (_, text) = run(&system, &["seed"])?;
    assert!(text.contains("its 3 rows are in catalog already"), "{text}");
    assert!(host.stop(std::time::Duration::from_secs(10))?.success());
    Ok(())
}

#[test]
fn a_seed_that_is_new_is_not_loaded_into_a_context_with_rows_and_one_that_was_cut_off_is() -> Result<()> {
    let system = system(&(album("A-1", 100) + "{\"sku\": 2}\n"))?;
    let path = system.folder.path().join("albums.jsonl");
    let (ok, text) = run(&system, &["seed"])?;
    assert!(!ok && text.contains("albums.jsonl:2: "), "{text}");
    std::fs::write(&path, album("A-1", 100) + &album("A-2", 200))?;
    let (ok, text) = run(&system, &["seed"])?;
    assert!(ok && text.contains("albums.jsonl: 2 rows through"), "a corrected file continues: {text}");
    set_price(&system, "A-2", 222)?;

    std::fs::remove_file(system.folder.path().join("data/stores/seeds.json"))?;
    let (ok, text) = run(&system, &["seed"])?;
    assert!(ok && text.contains("catalog has rows already, so it is not loaded"), "{text}");
    assert_eq!(price(&system, "A-2")?, Some(222), "even when the list of loaded seeds is lost");

    let (ok, text) = run(&system, &["seed", "catlog"])?;
    assert!(!ok && text.contains("did you mean `catalog`?"), "{text}");
    std::fs::write(system.folder.path().join("seam.toml"), {
        let text = std::fs::read_to_string(system.folder.path().join("seam.toml"))?;
        text.replace("editing.put-albums", "editing.put-albmus")
    })?;
    let (ok, text) = run(&system, &["seed", "--again"])?;
    assert!(!ok && text.contains("seam.toml:") && text.contains("put-albmus"), "with the manifest's line: {text}");
    Ok(())
}
