//! Files whose pages are damaged while the host has them, and contexts that only misuse an index.

use std::path::Path;

use super::*;
use crate::ids::ContextName;

const PAGE: usize = 4096;

/// A shop of 500 items with a cover each, closed.
fn stocked() -> TempDir {
    let shop = shop();
    let cover = vec![7_u8; 500];
    let mut tx = shop.begin(soon()).unwrap();
    for i in 0..500 {
        let name = format!("n{i}");
        tx.execute(
            "INSERT INTO item (name, cover) VALUES (?1, ?2)",
            &[name.as_str().into(), Value::Blob(&cover)],
            soon(),
        )
        .unwrap();
    }
    tx.commit().unwrap();
    shop.close().unwrap();
    shop.folder
}

/// Overwrites the header of each leaf of a table that holds `text`.
fn break_leaves(path: &Path, text: &[u8]) {
    let mut bytes = std::fs::read(path).unwrap();
    let holds = |page: &[u8]| page[0] == 13 && page.windows(text.len()).any(|at| at == text);
    let broken = bytes.chunks_mut(PAGE).skip(1).filter(|page| holds(page)).map(|page| page[0] = 0x77).count();
    assert!(broken > 0, "no leaf holds it");
    std::fs::write(path, bytes).unwrap();
}

const COVERS: &[u8] = &[7; 100];

fn is_quarantined(shop: &Database) {
    let trouble = shop.trouble().unwrap();
    assert!(matches!(trouble, Trouble::Damaged { .. }) && shop.is_fenced(), "{trouble:?}");
    assert!(trouble.to_string().contains("shop.db") && trouble.to_string().contains("malformed"), "{trouble}");
    assert!(trouble.remedy().contains("seam restore shop --from"), "{}", trouble.remedy());
    for result in [
        shop.query("SELECT 1", &[], soon()).map(drop),
        shop.begin(soon()).map(drop),
        shop.execute("DELETE FROM item", &[], soon()).map(drop),
    ] {
        assert!(matches!(&result, Err(Error::Unavailable(why)) if why.contains("damaged")), "{result:?}");
    }
}

#[test]
fn a_read_that_finds_the_file_damaged_fences_it_for_good() {
    let folder = stocked();
    break_leaves(&config(&folder, 64).path, COVERS);
    let shop = Database::open(config(&folder, 64)).unwrap();
    assert_eq!(shop.trouble(), None, "no page of it was read");
    let read = shop.query("SELECT sum(length(cover)) FROM item", &[], soon());
    assert_eq!(case(&read), "unavailable");
    is_quarantined(&shop);
    let failures = shop.host_failures();
    shop.tend();
    is_quarantined(&shop);
    assert!(failures > 0);
}

#[test]
fn a_write_that_finds_the_file_damaged_fences_it_and_is_not_acknowledged() {
    let folder = stocked();
    break_leaves(&config(&folder, 64).path, COVERS);
    let shop = Database::open(config(&folder, 64)).unwrap();
    assert_eq!(case(&shop.execute("UPDATE item SET stock = 1", &[], soon())), "unavailable");
    is_quarantined(&shop);
}

/// A transaction that is open while a reader finds the damage does not commit into the file.
#[test]
fn a_transaction_that_was_open_when_the_damage_was_found_is_not_acknowledged() {
    let folder = stocked();
    break_leaves(&config(&folder, 64).path, COVERS);
    let shop = Database::open(config(&folder, 64)).unwrap();
    let mut tx = shop.begin(soon()).unwrap();
    tx.execute("INSERT INTO part (item) VALUES (NULL) ON CONFLICT DO NOTHING", &[], soon()).ok();
    shop.query("SELECT sum(length(cover)) FROM item", &[], soon()).unwrap_err();
    assert_eq!(case(&tx.commit()), "unavailable");
}

#[test]
fn the_hosts_own_questions_find_damage_too() {
    let folder = stocked();
    break_leaves(&config(&folder, 64).path, b"step-1");
    let shop = Database::open(config(&folder, 64)).unwrap();
    assert_eq!(case(&shop.schema()), "unavailable");
    is_quarantined(&shop);
}

/// A context can do this by itself: it must not be able to take itself out of service with it, nor be taken.
#[test]
fn a_context_that_misuses_its_full_text_index_is_not_quarantined() {
    let folder = TempDir::new().unwrap();
    let host = Arc::new(HostFile::open(folder.path()).unwrap());
    let register = Register::open(host).unwrap();
    let name = ContextName::new("shop").unwrap();
    let shop = Database::open(config(&folder, 64)).unwrap();
    migrate(&shop, &[migration(1, SCHEMA)]).unwrap();
    let run = |sql: &str| shop.execute(sql, &[], soon());
    for i in 0..40 {
        run(&format!("INSERT INTO item (id, name) VALUES ({i}, 'some words {i}')")).unwrap();
    }
    // The index loses words that it never had, and keeps those of rows that are gone.
    for i in 0..40 {
        run(&format!("INSERT INTO word (word, rowid, name) VALUES ('delete', {i}, 'other words')")).unwrap();
    }
    run("DELETE FROM item").unwrap();
    let misuses = [
        shop.query("SELECT name FROM word WHERE word MATCH 'some'", &[], soon()).map(drop),
        run("INSERT INTO word (word) VALUES ('integrity-check')").map(drop),
    ];
    let words = misuses.iter().filter(|result| {
        matches!(result, Err(Error::Unavailable(why)) if why.contains("malformed") || why.contains("missing row"))
    });
    assert!(words.count() > 0, "the control: SQLite calls it malformed: {misuses:?}");
    assert_eq!((shop.trouble(), shop.host_failures()), (None, 0));
    shop.quick_check().unwrap();
    register.note(&name, &shop).unwrap();
    shop.close().unwrap();
    drop(shop);
    register.compare(&name, &config(&folder, 64)).unwrap();
}
