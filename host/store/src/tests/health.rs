//! Files that are removed or replaced while they are open, and the end of the work with a file.

use std::path::PathBuf;

use super::*;
use crate::log_file::path_of;

fn moved(shop: &Fixture) -> PathBuf {
    shop.folder.path().join("moved")
}

fn is_unavailable<T: std::fmt::Debug>(result: Result<T, Error>, words: &str) {
    assert!(matches!(&result, Err(Error::Unavailable(why)) if why.contains(words)), "{result:?}");
}

#[test]
fn no_commit_is_acknowledged_into_a_file_that_is_gone_and_the_very_file_may_come_back() {
    let shop = shop();
    shop.add("a").unwrap();
    shop.tend();
    assert_eq!((shop.trouble(), shop.items()), (None, 1), "the control");
    let folder = shop.path().parent().unwrap().to_owned();
    std::fs::rename(&folder, moved(&shop)).unwrap();
    is_unavailable(shop.add("b"), "removed or replaced");
    assert!(shop.is_fenced() && matches!(shop.trouble(), Some(Trouble::Gone { .. })), "{:?}", shop.trouble());
    is_unavailable(shop.query("SELECT count(*) FROM item", &[], soon()), "removed or replaced");
    is_unavailable(shop.begin(soon()).map(drop), "removed or replaced");
    // Another file under its name is not the file.
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(moved(&shop).join("shop.db"), shop.path()).unwrap();
    let copy = std::fs::read(shop.path()).unwrap();
    shop.tend();
    is_unavailable(shop.add("c"), "removed or replaced");
    assert!(std::fs::read(shop.path()).unwrap() == copy, "and it is left alone");
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::rename(moved(&shop), &folder).unwrap();
    shop.tend();
    assert_eq!(shop.trouble(), None);
    shop.add("d").unwrap();
    // The outcome of `b` was unknown; it was committed to the file before the look.
    assert!((2..=3).contains(&shop.items()));
}

#[test]
fn a_removed_log_fences_the_file_too() {
    let shop = shop();
    shop.add("a").unwrap();
    std::fs::remove_file(path_of(shop.path())).unwrap();
    is_unavailable(shop.add("b"), "removed or replaced");
    shop.tend();
    assert!(shop.is_fenced(), "looking alone finds it as well");
}

#[test]
fn the_end_of_a_file_that_is_gone_leaves_the_log_of_the_file_in_its_place() {
    let shop = shop();
    shop.add("a").unwrap();
    let (path, log) = (shop.path().to_owned(), path_of(shop.path()));
    std::fs::rename(path.parent().unwrap(), moved(&shop)).unwrap();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "another file").unwrap();
    std::fs::write(&log, "and its log").unwrap();
    let Fixture { database, folder } = shop;
    let why = database.close().unwrap_err();
    assert!(why.contains("removed or replaced"), "{why}");
    drop(database);
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "and its log");
    assert!(path_of(&folder.path().join("moved/shop.db")).exists(), "the file that moved has its own");
}

#[test]
fn a_file_that_is_closed_has_no_log_and_takes_no_more() {
    let shop = shop();
    shop.add("a").unwrap();
    assert!(std::fs::metadata(path_of(shop.path())).unwrap().len() > 0);
    // Other holders of the database do not matter.
    let held = shop.database.clone();
    let idle = shop.begin(soon()).unwrap();
    drop(idle);
    shop.close().unwrap();
    assert!(!path_of(shop.path()).exists());
    is_unavailable(held.execute("DELETE FROM item", &[], soon()), "the host stops");
    is_unavailable(held.query("SELECT 1", &[], soon()), "the host stops");
    assert_eq!(held.trouble(), None);
    let again = Database::open(config(&shop.folder, 64)).unwrap();
    assert_eq!(number_in(&again.query("SELECT count(*) FROM item", &[], soon()).unwrap()), 1);
}

#[test]
fn a_transaction_that_does_not_end_is_why_a_log_is_left() {
    let shop = shop();
    shop.add("a").unwrap();
    let mut tx = shop.begin(soon()).unwrap();
    tx.execute("UPDATE item SET stock = 2", &[], soon()).unwrap();
    let why = shop.close().unwrap_err();
    assert!(why.contains("the writer was not free"), "{why}");
    assert!(std::fs::metadata(path_of(shop.path())).unwrap().len() > 0);
    drop(tx);
}
