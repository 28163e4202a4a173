//! `seam split` on the database of another program: what it shows, and that it changes nothing.
//!
//! `SEAM_BLESS=1 cargo test -p seam-tests --test host splitting::` writes what is said now into `tests/golden`.

use std::path::Path;
use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use rusqlite::Connection;
use seam_tests::host::command;
use tempfile::TempDir;

use crate::cli;

/// A shop in one file: a table that two parts of the code use, a key that is not declared, an orphan.
const SHOP: &str = "
    CREATE TABLE artists(id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE albums(id INTEGER PRIMARY KEY, artist_id INTEGER NOT NULL REFERENCES artists, title TEXT, stock INT);
    CREATE TABLE customers(id INTEGER PRIMARY KEY, email TEXT UNIQUE);
    CREATE TABLE invoices(id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers ON DELETE CASCADE);
    CREATE TABLE invoice_lines(
        invoice_id INTEGER REFERENCES invoices, position INT, album_id INT, price INT, PRIMARY KEY (invoice_id, position));
    CREATE TRIGGER sold AFTER INSERT ON invoice_lines BEGIN
        UPDATE albums SET stock = stock - 1 WHERE id = new.album_id;
    END;
    INSERT INTO artists(name) VALUES ('secret artist');
    INSERT INTO albums(artist_id, title, stock) VALUES (1, 'a', 5), (1, 'b', 5), (1, 'c', 5);
    INSERT INTO customers(email) VALUES ('ada@example.com');
    INSERT INTO invoices(customer_id) VALUES (1);
    INSERT INTO invoice_lines VALUES (1, 1, 1, 990), (1, 2, 2, 990), (1, 3, 3, 990), (1, 4, 1, 990), (1, 5, 9, 990);";

const LOG: &str = r#"{"sql": "SELECT title FROM albums WHERE id = 7", "caller": "pages.album"}
{"sql": "SELECT title FROM albums JOIN artists ON artists.id = artist_id", "caller": "pages.list", "count": 40}
{"sql": "UPDATE albums SET title = 'new'", "caller": "pages.edit"}
{"sql": "BEGIN IMMEDIATE", "connection": 1}
{"sql": "INSERT INTO invoices(customer_id) VALUES (1)", "caller": "till.pay", "connection": 1}
{"sql": "INSERT INTO invoice_lines VALUES (1, 2, 3, 4)", "caller": "till.pay", "connection": 1}
{"sql": "COMMIT", "connection": 1}
{"sql": "SELECT title, sum(price) FROM invoice_lines JOIN albums ON albums.id = album_id GROUP BY 1", "caller": "till.best"}
{"sql": "SELECT email FROM customers WHERE email = 'ada@example.com'", "caller": "till.customer", "count": 9}
{"sql": "SELECT * FROM elsewhere"}
not a line of it
"#;

fn shop() -> Result<TempDir> {
    let folder = TempDir::new()?;
    Connection::open(folder.path().join("shop.db"))?.execute_batch(SHOP)?;
    std::fs::write(folder.path().join("log.jsonl"), LOG)?;
    Ok(folder)
}

fn split(folder: &Path, arguments: &[&str]) -> Result<Output> {
    Ok(command()?.arg("split").args(arguments).current_dir(folder).output()?)
}

#[test]
fn a_survey_reads_as_it_should() -> Result<()> {
    let folder = shop()?;
    let output = split(folder.path(), &["survey", "shop.db", "--log", "log.jsonl"])?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout)?;
    // The version of SQLite that the tests have comes and goes.
    let said: String =
        said.lines().map(|line| line.split("; last written").next().unwrap_or(line).to_owned() + "\n").collect();
    cli::compare("split-survey.txt", &said);
    Ok(())
}

#[test]
fn no_value_leaves_a_survey_and_nothing_is_changed() -> Result<()> {
    let folder = shop()?;
    let file = folder.path().join("shop.db");
    let before = std::fs::read(&file)?;
    for format in ["human", "json"] {
        let output = split(folder.path(), &["survey", "shop.db", "--log", "log.jsonl", "--format", format])?;
        let said = String::from_utf8(output.stdout)?;
        ensure!(said.contains("invoice_lines"), "{said}");
        for value in ["secret", "ada@", "990", "'new'"] {
            ensure!(!said.contains(value), "{format}: {value}");
        }
        if format == "json" {
            let survey: serde_json::Value = serde_json::from_str(&said)?;
            let contexts = survey["proposal"]["contexts"].as_array().context("contexts")?;
            ensure!(!contexts.is_empty(), "{survey}");
        }
    }
    assert_eq!(std::fs::read(&file)?, before);
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 2);
    Ok(())
}

#[test]
fn what_cannot_be_surveyed_is_refused_with_a_remedy() -> Result<()> {
    let folder = shop()?;
    for (arguments, expected) in [
        (&["none.db"][..], "error: `none.db`: there is no such file\nhint: give the path of the database's file\n"),
        (&["log.jsonl"], "error: `log.jsonl` is not an SQLite database: its first bytes are others\n"),
        (&["shop.db", "--log", "none.jsonl"], "error: `none.jsonl` cannot be read: No such file"),
    ] {
        let output = split(folder.path(), &[&["survey"], arguments].concat())?;
        let said = String::from_utf8(output.stderr)?;
        assert!(output.status.code() == Some(1) && said.starts_with(expected), "{said}");
    }
    Ok(())
}
