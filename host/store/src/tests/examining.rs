//! What statements of invariants find in snapshots, and what they may not do.

use super::*;

fn invariant(kind: InvariantKind, sql: &str) -> Invariant {
    Invariant { kind, name: "all-is-well".into(), sentence: "All is well.".into(), sql: sql.into() }
}

fn violations(sql: &str) -> Invariant {
    invariant(InvariantKind::Violations, sql)
}

fn terms() -> Terms {
    Terms { now_s: 1_000, deadline: soon() }
}

/// A shop with items of these names.
fn shop_with(names: &[&str]) -> Fixture {
    let shop = shop();
    for name in names {
        shop.add(name).unwrap();
    }
    shop
}

fn snapshot(shop: &Fixture) -> Snapshot {
    moment(std::slice::from_ref(&shop.database)).unwrap().remove(0)
}

fn find(shop: &Fixture, sql: &str) -> Result<Found, Error> {
    snapshot(shop).violations(&violations(sql), Author::Context, &terms())
}

#[test]
fn the_rows_of_a_statement_are_counted_and_a_few_are_shown() {
    let names: Vec<String> = (10..40).map(|n| format!("n{n}")).collect();
    let shop = shop_with(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let found = find(&shop, "SELECT name, stock, NULL AS more FROM item WHERE stock < :now ORDER BY name; ").unwrap();
    assert_eq!((found.count, found.examples.len()), (30, limits::STORE_VIOLATIONS_SHOWN));
    assert_eq!(found.columns, ["name", "stock", "more"]);
    assert_eq!(found.examples[1], ["n11", "1", "NULL"]);
    let found = find(&shop, "SELECT name FROM item WHERE stock > :now -- none").unwrap();
    assert!(found.count == 0 && found.looked_at_rows && found.examples.is_empty());
    shop.execute("UPDATE item SET name = ?1 WHERE id = 1", &["x".repeat(500).as_str().into()], soon()).unwrap();
    let long = find(&shop, "SELECT name FROM item WHERE id = 1").unwrap();
    assert_eq!(long.examples[0][0].chars().count(), limits::STORE_VIOLATION_CHARS_SHOWN + 3);
}

#[test]
fn a_statement_that_had_no_row_to_look_at_is_known() {
    for (sql, names, looked) in [
        ("SELECT name FROM item WHERE stock < 0", &[][..], false),
        ("SELECT name FROM item WHERE stock < 0", &["a"], true),
        // By an index alone, and beside an empty table.
        ("SELECT name FROM item WHERE name = 'b'", &["a"], true),
        ("SELECT i.name FROM part AS p JOIN item AS i ON i.id = p.item", &["a"], true),
        ("SELECT item FROM part WHERE item < 0", &["a"], false),
        ("SELECT value FROM json_each('[1]') WHERE value > 1", &["a"], false),
        ("SELECT 1 WHERE 0", &["a"], false),
    ] {
        let found = find(&shop_with(names), sql).unwrap();
        assert_eq!((found.count, found.looked_at_rows), (0, looked), "{sql} with {names:?}");
    }
}

#[test]
fn a_statement_reads_its_own_tables_within_its_time() {
    let shop = shop_with(&["a"]);
    for (sql, expect) in [
        ("SELECT identity FROM seam_store", "denied"),
        ("SELECT * FROM pragma_integrity_check", "denied"),
        ("PRAGMA integrity_check", "denied"),
        ("DELETE FROM item RETURNING name", "denied"),
        ("SELECT nothing FROM item", "invalid"),
        ("SELECT name FROM item WHERE id = ?1", "invalid"),
        ("SELECT 1; SELECT 2", "invalid"),
        ("", "denied"),
    ] {
        assert_eq!(case(&find(&shop, sql)), expect, "{sql}");
    }
    let endless =
        violations("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0");
    let snapshot = snapshot(&shop);
    let late = snapshot.violations(&endless, Author::Context, &Terms { now_s: 0, deadline: in_ms(50) });
    assert_eq!(case(&late), "interrupted");
    assert_eq!(shop.items(), 1);
    // The host reads all of it, and the snapshot goes on after all that.
    let identity = violations("SELECT identity, context FROM seam_store");
    let found = snapshot.violations(&identity, Author::Host, &terms()).unwrap();
    assert_eq!((found.count, found.examples[0][1].as_str()), (1, "shop"));
    let sound = violations("SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'");
    assert_eq!(snapshot.violations(&sound, Author::Host, &terms()).unwrap().count, 0);
}

/// The keys that were compared, and those that differ with both amounts; or the side whose total is wrong, and why.
type Compared = Result<(u64, Vec<Vec<String>>), (usize, String)>;

/// Compares two totals over JSON texts of `[key, least, most]`.
fn compare(left: &str, right: &str) -> Compared {
    let (here, there) = (shop_with(&[left]), shop_with(&[right]));
    let snapshots = moment(&[here.database.clone(), there.database.clone()]).unwrap();
    let sql = "SELECT e.value ->> 0 AS key, e.value ->> 1 AS least, coalesce(e.value ->> 2, e.value ->> 1)
               FROM item, json_each(item.name) AS e -- each row";
    let total = invariant(InvariantKind::Total, sql);
    let side = |snapshot| Side { snapshot, invariant: &total, author: Author::Context };
    let sides: Vec<_> = snapshots.iter().map(side).collect();
    let found = disagreements(&sides, &terms()).map_err(|(at, error)| (at, error.to_string()))?;
    assert_eq!(found.count as usize, found.examples.len());
    Ok((found.keys, found.examples))
}

#[test]
fn one_side_of_a_total_comes_sorted_and_added_up_until_it_is_not_wanted() {
    let shop = shop_with(&["b", "B", "a"]);
    let twice = "SELECT name, 1, 2 FROM item UNION ALL SELECT 'b', 1, 2";
    let total = invariant(InvariantKind::Total, twice);
    let read = |most: usize| {
        let mut rows = Vec::new();
        snapshot(&shop).each_amount(&total, &terms(), &mut |key, range| {
            rows.push(format!("{key}: {range}"));
            rows.len() < most
        })?;
        Ok::<_, Error>(rows)
    };
    assert_eq!(read(9).unwrap(), ["B: 1 to 2", "a: 1 to 2", "b: 2 to 4"]);
    assert_eq!(read(1).unwrap(), ["B: 1 to 2"]);
    let wrong = invariant(InvariantKind::Total, "SELECT name, 'x' FROM item");
    assert!(snapshot(&shop).each_amount(&wrong, &terms(), &mut |_, _| true).is_err());
}

#[test]
fn totals_agree_key_by_key_within_their_ranges() {
    for (left, right, keys, wrong) in [
        (r#"[["a", 1], ["b", 2]]"#, r#"[["b", 2], ["a", 1]]"#, 2, &[][..]),
        ("[]", "[]", 0, &[]),
        // A key without a row has 0 of it.
        (r#"[["a", 1], ["b", 0]]"#, r#"[["c", 3]]"#, 3, &[["a", "1", "0"], ["c", "0", "3"]]),
        (r#"[["a", 0, 5]]"#, r#"[]"#, 1, &[]),
        (r#"[["a", 1, 5]]"#, r#"[]"#, 1, &[["a", "1 to 5", "0"]]),
        (r#"[["a", 1, 5]]"#, r#"[["a", 5, 9]]"#, 1, &[]),
        (r#"[["a", 1, 5]]"#, r#"[["a", 6, 9]]"#, 1, &[["a", "1 to 5", "6 to 9"]]),
        // Amounts of one key add up; capital letters sort before the others.
        (r#"[["b", 1], ["B", 7], ["b", 2]]"#, r#"[["b", 3], ["B", 7]]"#, 2, &[]),
    ] {
        let (found, examples) = compare(left, right).unwrap();
        assert_eq!((found, examples.len()), (keys, wrong.len()), "{left} and {right}: {examples:?}");
        assert!(examples.iter().zip(wrong).all(|(a, b)| a == b), "{left} and {right}: {examples:?}");
    }
}

#[test]
fn a_total_of_something_else_names_its_side() {
    for (right, words) in [
        (r#"[[1, 1]]"#, "the key of a total is a text, not 1"),
        (r#"[["a", 1.5]]"#, "the amount of `a` is an integer, not 1.5"),
        (r#"[["a", null]]"#, "the amount of `a` is an integer, not NULL"),
        (r#"[["a", 2, 1]]"#, "the least of `a`, 2, is above its most, 1"),
        (r#"[["a", 9223372036854775807], ["a", 1]]"#, "add up to more than 64 bits"),
    ] {
        let (side, error) = compare(r#"[["a", 1]]"#, right).unwrap_err();
        assert!(side == 1 && error.contains(words), "{right}: {side}, {error}");
    }
}

#[test]
fn what_does_not_fit_the_schema_is_refused_before_it_runs() {
    let shop = shop();
    let total = |sql: &str| invariant(InvariantKind::Total, sql);
    let named = |name: &str, sentence: &str| {
        let mut one = violations("SELECT 1");
        (one.name, one.sentence) = (name.into(), sentence.into());
        one
    };
    let fine = [violations("SELECT name FROM item WHERE stock < :now;\n"), total("SELECT name, stock FROM item")];
    assert!(matches!(shop.accepts_invariants(&fine), Err(InvariantError::Twice { .. })));
    for one in &fine {
        assert_eq!(shop.accepts_invariants(std::slice::from_ref(one)), Ok(()));
    }
    for (wrong, words) in [
        (violations("SELECT gone FROM item"), "does not fit the schema: invalid: no such column: gone"),
        (violations("SELECT identity FROM seam_store"), "belongs to the host"),
        (violations("DELETE FROM item"), "is no SELECT"),
        (violations("SELECT 1; SELECT 2"), "more than one statement"),
        (violations("SELECT :then"), "other parameters than `:now`"),
        (total("SELECT name FROM item"), "has 2 or 3 columns, and this one 1"),
        (named("Stock is fine", "It is."), "is not lower-case words with hyphens"),
        (named("a--b", "It is."), "is not lower-case words with hyphens"),
        (named(&"a".repeat(65), "It is."), "is not lower-case words with hyphens"),
        (named("a", " "), "needs a sentence"),
    ] {
        let error = shop.accepts_invariants(std::slice::from_ref(&wrong)).unwrap_err();
        assert!(error.to_string().contains(words), "{}: {error}", wrong.sql);
        assert!(!error.remedy().is_empty());
    }
    assert!(matches!(
        shop.accepts_invariants(&vec![fine[0].clone(); 101]),
        Err(InvariantError::TooMany { found: 101 })
    ));
}

#[test]
fn a_file_that_no_host_uses_is_read_with_its_log_and_left_as_it_is() {
    let shop = shop_with(&["a", "b"]);
    let copy = shop.folder.path().join("copy.db");
    snapshot(&shop).write(&copy).unwrap();
    let count = violations("SELECT name FROM item");
    let found = |snapshot: &Snapshot| snapshot.violations(&count, Author::Context, &terms()).unwrap().count;
    let before = std::fs::read(&copy).unwrap();
    assert_eq!(found(&Snapshot::of_copy(&Config::plain(copy.clone(), 64)).unwrap()), 2);
    assert_eq!(std::fs::read(&copy).unwrap(), before);

    // A host that was killed leaves a log: its file and log are copied as they lie there.
    let killed = shop.folder.path().join("killed.db");
    for end in ["", "-wal"] {
        let from = format!("{}{end}", shop.path().display());
        std::fs::copy(from, format!("{}{end}", killed.display())).unwrap();
    }
    let wal = format!("{}-wal", killed.display());
    let (file, log) = (std::fs::read(&killed).unwrap(), std::fs::read(&wal).unwrap());
    assert!(!log.is_empty());
    assert_eq!(found(&Snapshot::of_stopped(&Config::plain(killed.clone(), 64)).unwrap()), 2);
    assert_eq!((std::fs::read(&killed).unwrap(), std::fs::read(&wal).unwrap()), (file, log));

    std::fs::write(&copy, "no database, and long enough to be one, if it were one").unwrap();
    assert!(Snapshot::of_copy(&Config::plain(copy, 64)).is_err());
}
