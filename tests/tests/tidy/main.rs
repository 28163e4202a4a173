//! The repository stays in order: which way imports point, how files open, how long files and lines are, which words
//! they use.
//!
//! It reads sources only, and links none of them.

mod language;
mod modules;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use modules::Crate;

/// A crate whose modules lie on floors, top first. A module may import what stands below it, and nothing beside or
/// above it.
struct Floors {
    /// The folder of its sources.
    root: &'static str,
    floors: &'static [&'static [&'static str]],
}

const FLOORS: &[Floors] = &[
    Floors {
        root: "host/src/",
        floors: &[
            &["main"],
            &["cli"],
            &["dev"],
            &["app"],
            &["admin", "check"],
            // For tests.
            &["simulation"],
            &["standby"],
            &["harness", "reconcile", "relocate"],
            &["forecast"],
            &["seed", "delivery", "sagas", "schedule", "timers", "transactions", "verify"],
            &["invoke", "stopped"],
            &["http", "backup", "build", "deploy", "remote", "watch", "logging", "scaffold"],
            &["certificate", "fit", "homes"],
            &["manifest"],
            &["folder", "audit", "cron", "listener", "pause"],
            &["refused", "times"],
            // `killing` is for tests.
            &["limits", "killing"],
        ],
    },
    Floors {
        root: "host/runtime/src/",
        floors: &[
            &["alone"],
            &["serve"],
            &["pretend", "route"],
            &["remote", "run"],
            &["link"],
            &["abi_copy", "component"],
            &["guest"],
            &["two_phase"],
            &["call", "codec", "json", "settings"],
            &["buffered_http", "did_you_mean", "interface_name"],
            &["limits"],
        ],
    },
    Floors {
        root: "host/split/src/",
        floors: &[
            &["survey"],
            &["proposal"],
            &["tangle"],
            &["references"],
            &["statement", "difficulty", "rows"],
            &["blank", "file"],
            &["schema", "words"],
            &["name", "limits"],
        ],
    },
    Floors {
        root: "host/store/src/",
        floors: &[
            &["acceptances", "accounts", "event_tables", "migrate", "promises", "register"],
            &["examine", "handover", "tables"],
            &["moment"],
            &[
                "compare",
                "copy",
                "feed",
                "follow",
                "inbox",
                "inspect",
                "invariant",
                "saga",
                "schedules",
                "timers",
                "two_phase",
            ],
            &["outbox", "schema"],
            &["database"],
            &["transaction"],
            &["writer", "readers"],
            &["encrypting"],
            &["sealing", "votes"],
            &["look"],
            &["open", "host", "health"],
            &["connection", "full_text"],
            &["tails"],
            &["log_file", "mark", "bounded", "owner"],
            &["confine", "functions", "program", "redo", "row_seals", "sql", "statistics", "vfs"],
            &["bond"],
            &["copies"],
            &["bell", "callable", "host_table", "lane", "rows", "config", "page_seals"],
            &["seal"],
            &["key", "blocking", "fault", "oneshot", "damage", "term"],
            &["error", "clock", "ids", "ltx", "private", "text", "visible"],
            &["limits"],
        ],
    },
];

/// Crates whose folders may hold no circle of files, beside those in `FLOORS`.
const CRATES: &[&str] = &[
    "data/generate/src/",
    "plugins/catalog/src/",
    "plugins/customer/src/",
    "plugins/finance/src/",
    "plugins/orders/src/",
    "plugins/recommendation/src/",
    "plugins/sdk/src/",
    "plugins/storefront/src/",
    "plugins/warehouse/src/",
    "tests/src/",
    "tests/bench/src/",
    "tests/mutants/src/",
];

/// Folders that hold what was built, fetched or written by a run.
const IGNORED: [&str; 8] = ["target", "run", ".git", ".tools", "deps", "node_modules", "__pycache__", ".venv"];

fn repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if entry.file_type().unwrap().is_dir() {
            if !IGNORED.contains(&name.as_str()) {
                files(&path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

/// Names from the repository's folder on and texts, sorted, of the files with these endings.
fn texts(endings: &[&str]) -> Vec<(String, String)> {
    let root = repo();
    let mut found = Vec::new();
    files(&root, endings, &mut found);
    found.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, text)
    };
    found.into_iter().map(read).collect()
}

fn sources() -> Vec<(String, String)> {
    let sources = texts(&[".rs"]);
    assert!(sources.len() > 50, "the sources are found");
    sources
}

/// Fails with one line for each that is wrong.
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{} in all:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn imports_point_down() {
    let sources = sources();
    let mut wrong = Vec::new();
    for Floors { root, floors } in FLOORS {
        let floor = |module: &str| floors.iter().position(|floor| floor.contains(&module));
        let modules = Crate::read(root, &sources);
        assert!(modules.uses().len() > 10, "{root}: the sources are read");
        for (name, module) in modules.top() {
            if floor(module).is_none() {
                wrong.push(format!("{name}: `{module}` has no floor in this test"));
            }
        }
        for one in modules.uses() {
            let (Some(from), Some(to)) = (one.from.first(), one.to.first()) else { continue };
            if from != to && floor(to) <= floor(from) {
                wrong.push(format!("{}: `{from}` imports `{to}`", one.at));
            }
        }
    }
    none(&wrong);
}

#[test]
fn no_files_of_a_folder_import_each_other_in_a_circle() {
    let sources = sources();
    let roots = FLOORS.iter().map(|crate_| crate_.root).chain(CRATES.iter().copied());
    let circles = |root: &str| modules::circles(root, &Crate::read(root, &sources).uses());
    none(&roots.flat_map(circles).collect::<Vec<_>>());
}

#[test]
fn files_open_with_what_they_are_and_stay_short() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        if !text.starts_with("//!") {
            wrong.push(format!("{name} does not open with `//!`"));
        }
        let lines = text.lines().count();
        if lines > 500 {
            wrong.push(format!("{name} has {lines} lines: split it by subject"));
        }
    }
    none(&wrong);
}

#[test]
fn nothing_unfinished_is_left() {
    // In two halves, so that this file does not find itself.
    let marks = [("FIX", "ME"), ("XX", "X:"), ("to", "do!("), ("unimple", "mented!("), ("HA", "CK:"), ("dbg", "!(")];
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        for (a, b) in marks {
            if text.contains(&format!("{a}{b}")) {
                wrong.push(format!("{name}: {a}{b}"));
            }
        }
        let todo = concat!("TO", "DO");
        for line in text.lines().filter(|l| l.contains(todo)) {
            if !["hardening:", "correctness:"].iter().any(|kind| line.contains(&format!("{todo}-{kind}"))) {
                wrong.push(format!("{name}: {todo} without its kind"));
            }
        }
    }
    none(&wrong);
}

/// The texts in quotation marks that come directly after each `before` in `text`.
fn quoted_after<'t>(text: &'t str, before: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(before).skip(1).filter_map(|rest| rest.strip_prefix('"')?.split('"').next())
}

#[test]
fn every_fault_point_of_the_code_is_in_the_list_that_torture_goes_through() {
    const LISTS: &str = "host/store/src/fault.rs";
    let sources = sources();
    let (mut points, mut fallible, mut protections) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let is_host = |name: &str| name.starts_with("host/") && name != LISTS && !name.contains("tests");
    for (name, text) in sources.iter().filter(|(name, _)| is_host(name)) {
        assert!(!text.contains("\"SEAM_FAULT\""), "{name}: only `{LISTS}` knows the variable");
        points.extend(quoted_after(text, "fault::point("));
        fallible.extend(quoted_after(text, "fault::fails("));
        protections.extend(quoted_after(text, "fault::without("));
    }
    points.extend(fallible.iter().copied());
    let (_, lists) = sources.iter().find(|(name, _)| name == LISTS).unwrap();
    let list = |name: &str| -> BTreeSet<&str> {
        let (_, rest) = lists.split_once(&format!("pub const {name}: &[&str] = &[")).unwrap();
        rest.split("];").next().unwrap().split('"').skip(1).step_by(2).collect()
    };
    assert_eq!(list("POINTS"), points);
    assert_eq!(list("FALLIBLE"), fallible);
    assert_eq!(list("PROTECTIONS"), protections);
    // In a release, no variable leads to any of them.
    let code = lists.split("mod armed {").next().unwrap();
    assert!(!code.contains("std::env"), "the variables are read in `armed` alone");
    assert!(lists.contains("#[cfg(debug_assertions)]\nmod armed {"));
}

#[test]
fn the_host_knows_nothing_of_records() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        if !name.starts_with("host/") || name.starts_with("host/examples/") || name.contains("tests") {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in ["album", "musiccorp", "MusicCorp", "storefront"] {
            let used = code.lines().filter(|l| !l.trim_start().starts_with("//")).any(|l| l.contains(word));
            if used {
                wrong.push(format!("{name} says `{word}`"));
            }
        }
    }
    none(&wrong);
}

#[test]
fn decisions_are_numbered_without_a_gap_and_the_architecture_is_short() {
    let root = repo();
    let mut found = Vec::new();
    files(&root.join("decisions"), &[".md"], &mut found);
    let number = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().get(..4)?.parse().ok();
    let mut numbers: Vec<u32> = found.iter().filter_map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=u32::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
    let architecture = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    assert!(architecture.lines().count() < 250);
}
