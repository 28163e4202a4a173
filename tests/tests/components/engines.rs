//! One suite for every engine of the recommendation context, whatever language it is written in: what the interface
//! promises.
//!
//! Nothing here knows how an engine works things out; where an order is expected, any engine worth its name finds the
//! same. Each case runs in the real sandbox on a fresh file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use seam_tests::engines::{ENGINES, Running};
use seam_tests::repo;

/// Runs `case` with each engine.
fn each(case: impl Fn(&Running, &str) -> Result<()>) -> Result<()> {
    let running = Running::start(&ENGINES, 64)?;
    ENGINES.iter().try_for_each(|engine| case(&running, engine).with_context(|| format!("the engine in {engine}")))
}

/// (id, customer, skus)
type Bought = (String, String, Vec<String>);

/// A call of `learn` in WAVE: (id, customer, skus), all at one moment.
fn learn<S: AsRef<str>>(purchases: &[(S, S, Vec<S>)]) -> String {
    let mut text = "engine.learn([".to_owned();
    for (id, customer, skus) in purchases {
        let skus: Vec<_> = skus.iter().map(AsRef::as_ref).collect();
        let (id, customer) = (id.as_ref(), customer.as_ref());
        write!(text, "{{id: {id:?}, customer: {customer:?}, skus: {skus:?}, at: 1750000000}},").unwrap();
    }
    text.push_str("])");
    text
}

/// Twelve customers: A and B go together, so do C and D; HIT is what most of them have, and E only one.
fn history() -> String {
    learn(&[
        ("1", "ann", vec!["A", "B"]),
        ("2", "ben", vec!["A", "B", "HIT"]),
        ("3", "cid", vec!["B", "A"]),
        ("4", "dan", vec!["C", "D"]),
        ("5", "eve", vec!["C", "D", "HIT"]),
        ("6", "fay", vec!["HIT"]),
        ("7", "gus", vec!["HIT"]),
        ("8", "hal", vec!["HIT"]),
        ("9", "ida", vec!["HIT"]),
        ("10", "jon", vec!["HIT"]),
        ("11", "kim", vec!["E"]),
        ("12", "lea", vec!["C"]),
    ])
}

fn skus(suggestions: &[(String, f64)]) -> Vec<&str> {
    suggestions.iter().map(|(sku, _)| sku.as_str()).collect()
}

/// What is pure in an engine is tested in its own language, where that takes milliseconds.
#[test]
fn the_parts_without_a_host_pass_the_tests_in_their_own_languages() -> Result<()> {
    let run = |program: &str, args: &[&str], folder: &str| {
        let folder = repo().join("plugins").join(folder);
        let output = Command::new(program).args(args).current_dir(&folder).output();
        let output = output.with_context(|| format!("{program}; `seam doctor` says what installs it"))?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{}:\n{said}", folder.display());
        anyhow::Ok(said)
    };
    for folder in ["sdk-js", "recommendation-js"] {
        let said = run("node", &["--test"], folder)?;
        ensure!(said.contains("# pass ") && !said.contains("# pass 0"), "{folder} has no tests:\n{said}");
    }
    for folder in ["sdk-python", "recommendation-python"] {
        let said = run("python3", &["-B", "-m", "unittest", "discover"], folder)?;
        ensure!(said.contains("Ran ") && !said.contains("Ran 0"), "{folder} has no tests:\n{said}");
    }
    Ok(())
}

#[test]
fn an_engine_without_purchases_suggests_nothing() -> Result<()> {
    each(|engines, engine| {
        assert_eq!(engines.suggest(engine, &["A"], 5)?, []);
        assert_eq!(engines.suggest(engine, &[], 50)?, []);
        assert_eq!(engines.ask(engine, "engine.learn([])")?, "ok(0)");
        Ok(())
    })
}

#[test]
fn albums_bought_together_come_before_popular_ones() -> Result<()> {
    each(|engines, engine| {
        assert_eq!(engines.ask(engine, &history())?, "ok(12)");
        for (seed, beside) in [("A", "B"), ("B", "A"), ("C", "D"), ("D", "C")] {
            assert_eq!(skus(&engines.suggest(engine, &[seed], 1)?), [beside], "beside {seed}");
        }
        let of_two: BTreeSet<_> = engines.suggest(engine, &["A", "C"], 2)?.into_iter().map(|(sku, _)| sku).collect();
        assert_eq!(of_two, BTreeSet::from(["B".into(), "D".into()]), "each seed has its say");
        Ok(())
    })
}

#[test]
fn popular_albums_stand_alone_and_fill_no_list() -> Result<()> {
    each(|engines, engine| {
        assert_eq!(engines.ask(engine, &history())?, "ok(12)");
        // HIT 7, A, B and C 3, D 2, E 1. Equal ones in the order of their SKUs.
        assert_eq!(skus(&engines.suggest(engine, &[], 50)?), ["HIT", "A", "B", "C", "D", "E"]);
        assert_eq!(skus(&engines.suggest(engine, &[], 2)?), ["HIT", "A"]);
        assert_eq!(engines.suggest(engine, &["NEVER-SEEN"], 3)?, []);
        assert_eq!(engines.suggest(engine, &["E"], 50)?, [], "nothing was bought with it");
        Ok(())
    })
}

#[test]
fn a_purchase_counts_once_and_an_album_in_it_once() -> Result<()> {
    each(|engines, engine| {
        assert_eq!(engines.ask(engine, &history())?, "ok(12)");
        let before = engines.suggest(engine, &["A"], 50)?;
        assert_eq!(engines.ask(engine, &history())?, "ok(0)");
        let known = learn(&[("1", "bob", vec!["X", "Y"]), ("1", "ann", vec!["A", "E"])]);
        assert_eq!(engines.ask(engine, &known)?, "ok(0)");
        assert_eq!(engines.suggest(engine, &["A"], 50)?, before);
        let twice = learn(&[("20", "mia", vec!["X", "X", "X"]), ("20", "mia", vec!["Y"]), ("21", "ned", vec!["Y"])]);
        assert_eq!(engines.ask(engine, &twice)?, "ok(2)");
        let popular = engines.suggest(engine, &[], 50)?;
        assert_eq!(skus(&popular)[5..], ["E", "X", "Y"], "once each: {popular:?}");
        Ok(())
    })
}

#[test]
fn wrong_arguments_are_named_and_nothing_is_learned_from_them() -> Result<()> {
    let list = |sku: &str, count: usize| vec![sku.to_owned(); count];
    let long = "X".repeat(33);
    let row = |id: &str, skus: Vec<String>| {
        learn(&[("ok".to_owned(), "ann".to_owned(), vec!["A".into()]), (id.to_owned(), "ben".to_owned(), skus)])
    };
    let many = |count: usize| -> String {
        learn(&(0..count).map(|i| (format!("{i}"), format!("{i}"), vec!["A".to_owned()])).collect::<Vec<_>>())
    };
    // 41 purchases of 50 albums have 50,225 pairs.
    let pairs = |count: usize| -> String {
        let skus = |i: usize| (0..50).map(|n| format!("A{}", (i + n) % 60)).collect::<Vec<_>>();
        learn(&(0..count).map(|i| (format!("p{i}"), format!("{i}"), skus(i))).collect::<Vec<_>>())
    };
    let wrong = [
        (r#"engine.suggest(["a"], 5)"#.to_owned(), "SKU number 1"),
        (r#"engine.suggest(["A", ""], 5)"#.to_owned(), "SKU number 2"),
        (r#"engine.suggest(["A B"], 5)"#.to_owned(), "SKU number 1"),
        (r#"engine.suggest(["Ä"], 5)"#.to_owned(), "SKU number 1"),
        (r#"engine.suggest(["A\n"], 5)"#.to_owned(), "SKU number 1"),
        (format!("engine.suggest([{long:?}], 5)"), "SKU number 1"),
        (r#"engine.suggest(["A"], 0)"#.to_owned(), "0 suggestions"),
        (r#"engine.suggest([], 51)"#.to_owned(), "51 suggestions"),
        (r#"engine.suggest([], 4294967295)"#.to_owned(), "4294967295 suggestions"),
        (format!("engine.suggest({:?}, 5)", list("A", 51)), "51 SKUs"),
        (row("", list("A", 1)), "row 2, id"),
        (row(&"é".repeat(65), list("A", 1)), "row 2, id"),
        (row("a\tb", list("A", 1)), "row 2, id"),
        (row("a\u{85}b", list("A", 1)), "row 2, id"),
        (row("2", vec![]), "row 2, skus"),
        (row("2", list("A", 51)), "row 2, skus"),
        (row("2", vec!["A".into(), "b".into()]), "row 2, skus, number 2"),
        (row("ok", list("b", 1)), "row 2, skus, number 1"),
        (many(1_001), "1001 purchases"),
        (pairs(41), "50225 pairs"),
    ];
    each(|engines, engine| {
        for (call, expect) in &wrong {
            let said = engines.ask(engine, call)?;
            ensure!(said.starts_with("err(invalid(\"") && said.contains(expect), "{call:.200} says {said}");
        }
        assert_eq!(engines.suggest(engine, &[], 50)?, [], "all or none");
        // The most of everything is right.
        assert_eq!(engines.ask(engine, &row(&"é".repeat(64), list(&"X".repeat(32), 50)))?, "ok(2)");
        assert_eq!(engines.ask(engine, &pairs(40))?, "ok(40)");
        let basket: Vec<_> = (0..50).map(|n| format!("A{n}")).collect();
        let basket: Vec<_> = basket.iter().map(String::as_str).collect();
        let suggested = engines.suggest(engine, &basket, 50)?;
        assert_eq!(suggested.len(), 10, "all that were bought with these: {suggested:?}");
        Ok(())
    })
}

/// A shop's worth of purchases from a seed: tastes, a few hits, a long tail.
struct Shop(u64);

impl Shop {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn purchases(&mut self, count: usize) -> Vec<Bought> {
        (0..count)
            .map(|i| {
                let taste = self.below(8);
                let skus = (0..1 + self.below(4)).map(|_| match self.below(4) {
                    0 => format!("HIT-{}", self.below(3)),
                    _ => format!("T{taste}-{}", self.below(5) * self.below(6)),
                });
                let skus = skus.collect();
                (format!("order-{i}"), format!("customer-{}", self.below(300)), skus)
            })
            .collect()
    }
}

#[test]
fn a_thousand_purchases_at_once_make_answers_that_keep_to_the_interface() -> Result<()> {
    let mut shop = Shop(2026);
    let purchases = shop.purchases(1_000);
    let albums: BTreeSet<_> = purchases.iter().flat_map(|(_, _, skus)| skus.clone()).collect();
    let albums: Vec<_> = albums.iter().map(String::as_str).collect();
    let questions: Vec<(Vec<&str>, u32)> = (0..60)
        .map(|i| {
            let seeds = (0..[1, 1, 2, 5, 50][i % 5]).map(|_| albums[shop.below(albums.len() as u64) as usize]);
            (seeds.collect(), [1, 6, 12, 50][i % 4])
        })
        .collect();
    each(|engines, engine| {
        assert_eq!(engines.ask(engine, &learn(&purchases))?, "ok(1000)");
        for (seeds, count) in &questions {
            let suggested = engines.suggest(engine, seeds, *count)?;
            let known: BTreeSet<_> = seeds.iter().copied().collect();
            let others = albums.len() - known.len();
            assert!((1..=others.min(*count as usize)).contains(&suggested.len()), "{seeds:?}, {count}");
            let distinct: BTreeSet<_> = skus(&suggested).into_iter().collect();
            assert_eq!(distinct.len(), suggested.len(), "twice the same: {suggested:?}");
            assert!(distinct.is_disjoint(&known), "a seed in {suggested:?}");
            assert!(distinct.iter().all(|sku| albums.contains(sku)), "never seen: {suggested:?}");
            assert!(suggested.iter().all(|(_, score)| score.is_finite() && *score > 0.0), "{suggested:?}");
            assert!(suggested.is_sorted_by(|a, b| a.1 >= b.1), "{suggested:?}");
        }
        // Who likes one taste is shown that taste.
        for taste in 0..8 {
            let suggested = engines.suggest(engine, &[&format!("T{taste}-0")], 4)?;
            let fitting = skus(&suggested).iter().filter(|sku| sku.starts_with(&format!("T{taste}-"))).count();
            assert!(fitting >= 3, "taste {taste}: {suggested:?}");
        }
        Ok(())
    })
}

/// The demo shop's two years of purchases, in batches for `learn`, and its albums.
fn demo() -> Result<(Vec<Bought>, Vec<String>)> {
    let folder = tempfile::tempdir()?;
    let mut make = Command::new(seam_tests::host::binary()?.with_file_name("shop-data"));
    let made = make.current_dir(repo()).arg("demo").arg("--out").arg(folder.path()).output()?;
    ensure!(made.status.success(), "shop-data: {}", String::from_utf8_lossy(&made.stderr));
    let rows = |file: &str| -> Result<Vec<serde_json::Value>> {
        let text = std::fs::read_to_string(folder.path().join(file))?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let purchase = |row: &serde_json::Value| {
        let skus = row["skus"].as_array().unwrap().iter().map(text).collect();
        (text(&row["id"]), text(&row["customer"]), skus)
    };
    let purchases = rows("purchases.jsonl")?.iter().map(purchase).collect();
    Ok((purchases, rows("albums.jsonl")?.iter().map(|album| text(&album["sku"])).collect()))
}

#[test]
fn an_engine_learns_from_orders_as_from_purchases() -> Result<()> {
    each(|engines, engine| {
        let placed = |number: &str, customer: &str, skus: &[&str]| {
            let order = format!("{{number: {number:?}, customer: {customer:?}, skus: {skus:?}, at: 1750000000}}");
            engines.ask(engine, &format!("events.order-placed({order})"))
        };
        for (number, customer) in [("MC-1", "ann"), ("MC-2", "ben"), ("MC-2", "ben"), ("MC-3", "cid")] {
            assert_eq!(placed(number, customer, &["A", "B"])?, "ok");
        }
        assert_eq!(placed("MC-4", "dan", &["C", "D"])?, "ok");
        assert_eq!(skus(&engines.suggest(engine, &["A"], 1)?), ["B"]);
        let refused = placed("MC-5", "eve", &["a"])?;
        ensure!(refused.starts_with("err(invalid("), "{refused}");
        assert_eq!(engines.ask(engine, &learn(&[("MC-1", "ann", vec!["A", "B"])]))?, "ok(0)", "it is known");
        Ok(())
    })
}

/// Every 13th album page of the demo shop: the places are filled, and no album stands on more than a quarter of them.
#[test]
fn no_bestseller_stands_beside_every_album_of_the_demo_shop() -> Result<()> {
    let (purchases, albums) = demo()?;
    let pages: Vec<_> = albums.iter().step_by(13).map(String::as_str).collect();
    assert_eq!(pages.len(), 41);
    each(|engines, engine| {
        for batch in purchases.chunks(1_000) {
            assert_eq!(engines.ask(engine, &learn(batch))?, format!("ok({})", batch.len()));
        }
        let mut shown = BTreeMap::<String, usize>::new();
        for page in &pages {
            for (sku, _) in engines.suggest(engine, &[page], 6)? {
                *shown.entry(sku).or_default() += 1;
            }
        }
        let places: usize = shown.values().sum();
        ensure!(places * 10 >= pages.len() * 6 * 9, "{places} of {} places are filled", pages.len() * 6);
        let most = shown.iter().max_by_key(|(_, pages)| **pages);
        ensure!(most.is_some_and(|(_, on)| on * 4 <= pages.len()), "{most:?} of {} pages", pages.len());
        Ok(())
    })
}

#[test]
fn the_same_history_gives_the_same_answers_in_any_instance() -> Result<()> {
    let purchases = Shop(7).purchases(400);
    let ask = |engines: &Running, engine: &str| -> Result<Vec<_>> {
        purchases.chunks(150).try_for_each(|batch| {
            engines.ask(engine, &learn(batch)).map(|learned| assert_eq!(learned, format!("ok({})", batch.len())))
        })?;
        (0..10).map(|i| engines.suggest(engine, &[&format!("T{}-0", i % 8)], 12)).collect()
    };
    let (one, other) = (Running::start(&ENGINES, 64)?, Running::start(&ENGINES, 64)?);
    for engine in ENGINES {
        let first = ask(&one, engine)?;
        assert_eq!(first, ask(&other, engine)?, "{engine}, another file");
        let again: Vec<_> =
            (0..10).map(|i| one.suggest(engine, &[&format!("T{}-0", i % 8)], 12)).collect::<Result<_>>()?;
        assert_eq!(first, again, "{engine}, asked again");
    }
    Ok(())
}

#[test]
fn a_full_store_makes_learning_unavailable_and_nothing_else() -> Result<()> {
    let engines = Running::start(&ENGINES, 1)?;
    for engine in ENGINES {
        assert_eq!(engines.ask(engine, &history())?, "ok(12)");
        let mut batches = 0;
        let refused = loop {
            ensure!(batches < 50, "{engine} never fills its file");
            let sku = |i: usize, n: usize| format!("{batches:-<10}{:->10}{n:->12}", i * 7 % 100);
            let purchase = |i| (format!("{batches}-{i}"), format!("{i}"), (0..10).map(|n| sku(i, n)).collect());
            let batch: Vec<_> = (0..200).map(purchase).collect();
            let said = engines.ask(engine, &learn(&batch))?;
            if said != "ok(200)" {
                break said;
            }
            batches += 1;
        };
        ensure!(refused.starts_with("err(unavailable(\"") && refused.contains("full"), "{engine} says {refused}");
        assert_eq!(skus(&engines.suggest(engine, &["A"], 1)?), ["B"], "{engine} still answers");
    }
    Ok(())
}

/// Some milliseconds on a quiet machine. A busy one has its bound here, and an engine that reads all purchases for each
/// question has not.
#[test]
fn a_call_of_each_engine_takes_a_fraction_of_what_it_may() -> Result<()> {
    let purchases = Shop(3).purchases(1_000);
    each(|engines, engine| {
        assert_eq!(engines.ask(engine, &learn(&purchases))?, "ok(1000)");
        engines.suggest(engine, &["T1-0"], 6)?;
        let started = std::time::Instant::now();
        for i in 0..20 {
            engines.suggest(engine, &[&format!("T{}-0", i % 8)], 6)?;
        }
        let each = started.elapsed() / 20;
        ensure!(each.as_millis() < 500, "a suggestion takes {each:?}");
        Ok(())
    })
}
