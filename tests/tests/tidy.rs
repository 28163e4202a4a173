//! The house stays in order: which way imports point, how files open, how long they are, what is left lying about.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use seam_tests::repo;

/// The host's floors, top first. A module may import what stands below it, and nothing beside or above it.
const FLOORS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["dev"],
    &["app"],
    &["admin"],
    &["seed", "follow", "harness"],
    &["invoke"],
    &["http", "build", "deploy", "watch", "logging", "scaffold"],
    &["json"],
    &["context"],
    &["seam"],
    &["store"],
    &["manifest"],
    &["call"],
    &["folder", "handoff", "ids"],
    &["limits", "did_you_mean", "error_chain"],
];

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", "run", ".git", ".tools", "deps", "node_modules"].contains(&name.as_str()) {
                files(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(String, String)> {
    let root = repo();
    let mut found = Vec::new();
    files(&root, ".rs", &mut found);
    assert!(found.len() > 50, "the sources are found");
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(&path).unwrap())
    };
    found.into_iter().map(read).collect()
}

/// The floor of `host/src/NAME...`, counted from the top.
fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        let Some(inside) = name.strip_prefix("host/src/") else { continue };
        let module = inside.split(['/', '.']).next().unwrap();
        if module == "lib" {
            continue;
        }
        let Some(own) = floor(module) else {
            wrong.push(format!("{name}: `{module}` has no floor in this test"));
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            let mut rest = line.split("//").next().unwrap_or_default();
            while let Some((_, after)) = rest.split_once("crate::") {
                rest = after;
                let used: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let allowed = used == module || floor(&used).is_none_or(|other| other > own);
                if !allowed {
                    wrong.push(format!("{name}:{}: `{module}` imports `{used}`", number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_open_with_what_they_are_and_stay_comfortable() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        if !text.starts_with("//!") {
            wrong.push(format!("{name} does not open with `//!`"));
        }
        let lines = text.lines().count();
        if lines > 500 {
            wrong.push(format!("{name} has {lines} lines: which second thing moved in?"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_unfinished_is_left_lying_about() {
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
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_host_knows_nothing_of_records() {
    let mut wrong = Vec::new();
    for (name, text) in
        sources().into_iter().filter(|(name, _)| name.starts_with("host/src/") && !name.contains("tests"))
    {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in ["album", "musiccorp", "MusicCorp", "storefront"] {
            let used = code.lines().filter(|l| !l.trim_start().starts_with("//")).any(|l| l.contains(word));
            if used {
                wrong.push(format!("{name} says `{word}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn decisions_are_numbered_without_a_gap_and_architecture_is_short() {
    let root = repo();
    let mut found = Vec::new();
    files(&root.join("decisions"), ".md", &mut found);
    let mut numbers: Vec<u32> = found
        .iter()
        .map(|p| p.file_name().unwrap().to_string_lossy()[..4].parse().unwrap_or_else(|_| panic!("{}", p.display())))
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=u32::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
    let architecture = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    assert!(architecture.lines().count() < 250);
}
