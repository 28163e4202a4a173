//! A catalogue of mistakes: `seam check` finds each, with its place and its remedy, and a start agrees.
//!
//! `SEAM_BLESS=1 cargo test -p seam-tests --test host mistakes::` writes what is said now into
//! `tests/golden/mistakes.txt`; the difference is read in review.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use seam::app::{self, App};
use seam::check;
use seam::folder::Folder;
use seam::manifest::{Manifest, Problem, Problems, located};
use seam::seed::{self, Seeds};
use seam_runtime::component::Compiler;
use seam_runtime::serve::Error;

use super::cli::compare;
use super::mistakes_made::{self, Mistake};

/// What a start does with a system.
enum Start {
    /// It ends, or it takes a context out of service.
    Refused(Vec<Problem>),
    Serves,
}

fn start(path: &Path) -> Result<Start> {
    let manifest = match Manifest::load(path) {
        Ok(manifest) => manifest,
        Err(problems) => return Ok(Start::Refused(problems.all().to_vec())),
    };
    let folder = Folder::lock(&manifest.host.data)?;
    let app = match App::load(manifest.clone(), Compiler::InProcess) {
        Ok(app) => app,
        Err(app::Error::Contexts(Error::Problems(found))) => {
            return Ok(Start::Refused(found.iter().map(|problem| located(&manifest.contexts, problem)).collect()));
        }
        Err(other) => return Err(other.into()),
    };
    let out: Vec<Problem> = app
        .registry
        .generations()
        .iter()
        .filter_map(|generation| generation.out_of_service().map(|problem| located(&manifest.contexts, &problem)))
        .collect();
    if !out.is_empty() {
        return Ok(Start::Refused(out));
    }
    match seed::run(&app.registry, &Seeds::of(&manifest), &folder, &Default::default(), &mut |_| {}) {
        Ok(()) => Ok(Start::Serves),
        Err(seed::Error::Misfit { place, message, remedy, .. }) => {
            Ok(Start::Refused(vec![Problem::new(place, message, remedy)]))
        }
        Err(other) => Err(other.into()),
    }
}

fn found(path: &Path) -> Result<Vec<Problem>> {
    match Manifest::load(path) {
        Ok(manifest) => Ok(check::problems(&manifest, Compiler::InProcess)?.problems),
        Err(problems) => Ok(problems.all().to_vec()),
    }
}

/// The problems as the command shows them, with paths from the system's folder.
fn shown(path: &Path, problems: &[Problem]) -> String {
    let folder = path.parent().unwrap();
    let real = folder.canonicalize().unwrap();
    let text = Problems::new(path, problems.to_vec()).to_string();
    text.replace(&format!("{}/", real.display()), "").replace(&format!("{}/", folder.display()), "")
}

#[test]
fn every_mistake_is_found_with_its_place_and_its_remedy_and_a_start_agrees() -> Result<()> {
    let mut said = String::new();
    let all = mistakes_made::all()?;
    assert!(all.len() >= 60, "{}", all.len());
    for Mistake { name, system, starts } in all {
        let path = system.write()?;
        let problems = found(&path)?;
        let text = shown(&path, &problems);
        assert!(!problems.is_empty(), "{name}: nothing is found");
        for problem in &problems {
            assert!(!problem.remedy.is_empty(), "{name}: no remedy: {text}");
            let whole_file = problem.file.is_some() || problem.message.contains("has no context");
            assert!(problem.place.line > 0 || whole_file, "{name}: no line: {text}");
        }
        let started = match start(&path)? {
            Start::Serves => {
                assert!(starts, "{name}: a start serves it, although check says: {text}");
                "serves"
            }
            Start::Refused(refused) => {
                assert!(!starts, "{name}: a start refuses it: {}", shown(&path, &refused));
                for problem in &refused {
                    let said = problems.iter().any(|p| (p.place, &p.message) == (problem.place, &problem.message));
                    assert!(said, "{name}: a start says `{}`, check says: {text}", problem.message);
                }
                "refuses"
            }
        };
        writeln!(said, "# {name}; a start {started} it\n{text}\n")?;
    }
    compare("mistakes.txt", &said);
    Ok(())
}

#[test]
fn sound_systems_have_no_mistake_and_start() -> Result<()> {
    for (name, system) in mistakes_made::sound()? {
        let path = system.write()?;
        let problems = found(&path)?;
        assert!(problems.is_empty(), "{name}: {}", shown(&path, &problems));
        assert!(matches!(start(&path)?, Start::Serves), "{name}");
        let again = found(&path)?;
        assert!(again.is_empty(), "{name}, after a start: {}", shown(&path, &again));
    }
    Ok(())
}
