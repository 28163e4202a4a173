//! `seam cert`, with the commands of docs/remote-calls.md.

use std::path::Path;
use std::process::Output;

use anyhow::Result;
use seam_tests::host::command;
use seam_tests::repo;

/// Runs `seam ARGS` in a folder without a manifest, for the authority in `certificates`.
fn seam(folder: &Path, args: &[&str]) -> Result<Output> {
    let authority: &[&str] = if args.contains(&"show") { &[] } else { &["--folder", "certificates"] };
    Ok(command()?.args(args).args(authority).current_dir(folder).output()?)
}

#[test]
fn the_commands_of_the_page_make_certificates_that_are_shown_and_revoked() -> Result<()> {
    let page = std::fs::read_to_string(repo().join("docs/remote-calls.md"))?;
    let folder = tempfile::tempdir()?;
    let commands: Vec<Vec<&str>> = page
        .lines()
        .filter_map(|line| line.strip_prefix("seam "))
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(commands.len(), 3, "{commands:?}");
    for command in &commands {
        let output = seam(folder.path(), command)?;
        assert!(output.status.success(), "{command:?}: {output:?}");
    }
    for command in &commands {
        let output = seam(folder.path(), command)?;
        let text = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("is there already\nhint: add `--replace`"), "{text}");
    }
    let show = |file: &str| -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&seam(folder.path(), &["cert", "show", file, "--format", "json"])?.stdout)?)
    };
    let books = show("certificates/books/certificate.pem")?;
    assert_eq!((books[0]["host"].as_str(), books[0]["state"].as_str()), (Some("books"), Some("valid")), "{books}");
    assert_eq!(books[0]["contexts"], serde_json::json!(["finance"]));
    assert_eq!(show("certificates/authority.pem")?[0]["is_authority"], true);
    let revoke = ["cert", "revoke", "certificates/books/certificate.pem"];
    assert!(seam(folder.path(), &revoke)?.status.success());
    for file in ["certificates/revoked.pem", "certificates/shop/revoked.pem"] {
        assert_eq!(show(file)?[0]["serials"], serde_json::json!([books[0]["serial"]]), "{file}");
    }
    let key = show("certificates/books/key.pem");
    assert!(key.is_err(), "a key is not shown");
    Ok(())
}
