//! Copies of a file in use: one committed state each, and back again as a whole.

use super::*;

fn tables(database: &Database, other: &Database) -> Vec<(String, u64, u64)> {
    database.differences(other).unwrap().into_iter().map(|d| (d.table, d.here, d.there)).collect()
}

#[test]
fn a_copy_is_what_was_committed_and_a_file_of_its_own() {
    let shop = shop();
    shop.add("a").unwrap();
    let mut open = shop.begin(soon()).unwrap();
    open.execute("INSERT INTO item (name, stock) VALUES ('b', 1)", &[], soon()).unwrap();
    let path = shop.folder.path().join("copy.db");
    let copy = shop.copy(&path).unwrap();
    open.commit().unwrap();
    let items =
        |database: &Arc<Database>| number_in(&database.query("SELECT count(*) FROM item", &[], soon()).unwrap());
    assert_eq!((items(&copy), shop.items()), (1, 2));
    copy.execute("DELETE FROM item", &[], soon()).unwrap();
    assert_eq!((items(&copy), shop.items()), (0, 2));
    assert_eq!(copy.schema().unwrap(), 1);
    assert!(!path.with_extension("partial").exists());
}

#[test]
fn differences_are_listed_by_table_and_do_not_depend_on_the_order_of_rows() {
    let shop = shop();
    for name in ["a", "b"] {
        shop.add(name).unwrap();
    }
    let copy = shop.copy(&shop.folder.path().join("copy.db")).unwrap();
    assert_eq!(tables(&shop, &copy), []);
    copy.execute("DELETE FROM item WHERE name = 'a'", &[], soon()).unwrap();
    copy.execute("INSERT INTO item (id, name, stock) VALUES (1, 'a', 1)", &[], soon()).unwrap();
    assert!(!tables(&shop, &copy).iter().any(|(table, ..)| table == "item"), "the same rows, written later");
    copy.execute("UPDATE item SET stock = 7 WHERE name = 'a'", &[], soon()).unwrap();
    shop.add("c").unwrap();
    assert!(tables(&shop, &copy).contains(&("item".to_owned(), 3, 2)));
}

#[test]
fn a_file_goes_back_to_a_copy_as_one_transaction_for_those_who_have_it_open() {
    let shop = shop();
    shop.add("a").unwrap();
    let point = shop.folder.path().join("point.db");
    drop(shop.copy(&point).unwrap());
    let later = migration(2, "CREATE TABLE more (x INTEGER) STRICT; INSERT INTO more VALUES (1);");
    let list = [migration(1, SCHEMA), later];
    migrate(&shop, &list).unwrap();
    shop.add("b").unwrap();
    assert_eq!((shop.items(), shop.number("SELECT x FROM more")), (2, 1));
    shop.restore(&point, None).unwrap();
    assert_eq!((shop.items(), shop.schema().unwrap()), (1, 1));
    assert!(shop.query("SELECT x FROM more", &[], soon()).is_err(), "older statements are prepared again");
    shop.add("c").unwrap();
    migrate(&shop, &list).unwrap();
    assert_eq!((shop.items(), shop.schema().unwrap()), (2, 2));
}

#[test]
fn a_file_that_was_written_since_the_copy_is_not_restored_unasked() {
    let shop = shop();
    let point = shop.folder.path().join("point.db");
    drop(shop.copy(&point).unwrap());
    let commits = shop.statistics().commits;
    shop.add("a").unwrap();
    assert!(matches!(shop.restore(&point, Some(commits)), Err(CopyError::Written)));
    assert_eq!(shop.items(), 1);
    shop.restore(&point, Some(commits + 1)).unwrap();
    assert_eq!(shop.items(), 0);
}

#[test]
fn statements_that_were_run_are_known_and_can_be_checked_against_another_schema() {
    let shop = shop();
    shop.add("a").unwrap();
    shop.items();
    let copy = shop.copy(&shop.folder.path().join("copy.db")).unwrap();
    // FTS5 has statements of its own, which a context may not run.
    let known: Vec<_> = shop.statements().into_iter().filter(|sql| copy.accepts(sql).is_ok()).collect();
    assert!(known.iter().any(|sql| sql.starts_with("INSERT INTO item")), "{known:?}");
    let drops = "DROP TRIGGER item_in; ALTER TABLE item DROP COLUMN stock;";
    migrate(&copy, &[migration(1, SCHEMA), migration(2, drops)]).unwrap();
    let refused: Vec<_> = known.iter().filter(|sql| copy.accepts(sql).is_err()).collect();
    assert!(matches!(&refused[..], [one] if one.starts_with("INSERT INTO item")), "{refused:?}");
    shop.forget_statements();
    assert!(!shop.statements().iter().any(|sql| known.contains(sql) && sql.contains("item (")));
}

#[test]
fn an_older_component_may_use_a_newer_file_that_it_was_seen_to_work_with() {
    let shop = shop();
    let list = [migration(1, SCHEMA), migration(2, "CREATE TABLE more (x)")];
    migrate(&shop, &list).unwrap();
    let older = &list[..1];
    let under =
        |tolerated_schema| migrate_with(&shop, older, &MigrateOptions { tolerated_schema, restore_point: None });
    assert!(matches!(under(None), Err(MigrateError::Newer { file: 2, component: 1, .. })));
    assert!(matches!(under(Some(1)), Err(MigrateError::Newer { .. })));
    assert_eq!(under(Some(2)).unwrap(), Migrated { from: 2, to: 2 });
}
