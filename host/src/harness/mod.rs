//! The harness: runs one context alone, its neighbours played by stubs, and holds it to its scenarios and to the contracts of its interfaces.
//!
//! Files come in through `scenario`, are held to the types of a component by `check`, and `run` plays them on a `stage`: three times each, on
//! a fresh instance, again on that one, and on one that has run others; a context that keeps something outside its store shows there.
//! `Harness` does that for a whole system; `Actor` is the same stage for tests written in Rust.
//! Not here: how results look on a terminal (`cli`).

pub mod check;
pub mod fixture;
pub mod functions;
pub mod junit;
pub mod passed;
pub mod pattern;
pub mod recorded;
pub mod report;
pub mod rules;
pub mod run;
pub mod scenario;
mod stubs;
mod test_context;

use std::path::{Path, PathBuf};
use std::time::Instant;

pub use test_context::{Actor, Answer, Builder};

use self::check::Checker;
use self::fixture::Stage;
use self::functions::Known;
use self::passed::Green;
use self::report::{Failure, Report, ScenarioReport, SuiteReport};
use self::rules::Rules;
use self::run::{Bench, On, Trouble};
use self::scenario::{Contract, Scenario};
use crate::context::component::{Compiler, Component};
use crate::context::solo::Solo;
use crate::context::{self, Linked};
use crate::ids::ContextName;
use crate::manifest::{Manifest, Problem, Problems, nearest};

/// A system whose contexts can be put on stage.
pub struct Harness {
    manifest: Manifest,
    linked: Linked,
    contracts: Vec<Contract>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Manifest(#[from] Problems),
    #[error(transparent)]
    Contexts(#[from] context::Error),
    #[error("there is no context `{name}`")]
    NoContext { name: String, known: Vec<String> },
    #[error("no contract is about `{interface}`")]
    NoContract { interface: String, known: Vec<String> },
    #[error("{message}")]
    Stage { message: String },
}

impl Error {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::NoContext { name, known } => match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", known.join(", ")),
            },
            Self::NoContract { known, .. } if known.is_empty() => {
                "put one into `wit/PACKAGE/contract/`: `docs/scenarios.md` says how".to_owned()
            }
            Self::NoContract { known, .. } => format!("there are contracts of: {}", known.join(", ")),
            _ => String::new(),
        }
    }
}

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only these contexts; all when there are none.
    pub contexts: Vec<String>,
    /// Only scenarios whose name contains this.
    pub filter: Option<String>,
    /// Also what is unchanged since it last passed.
    pub all: bool,
}

/// One context with all that it is held to.
struct Subject {
    name: ContextName,
    solo: Solo,
    known: Known,
    imported: Rules,
    exported: Rules,
    /// Of everything but the file of scenarios itself.
    fingerprint: String,
}

impl Harness {
    /// Loads the components and the contracts of the system that `manifest` describes.
    ///
    /// # Errors
    /// Everything that keeps them from being one system, or what is wrong with the contracts.
    pub fn open(manifest: Manifest, compiler: Compiler) -> Result<Self, Error> {
        let linked = Linked::load(&manifest.system(), compiler, &manifest.host.data.join("cache"))?;
        let contracts = contracts(&manifest)?;
        Ok(Self { manifest, linked, contracts })
    }

    /// The same for a manifest's file; components are compiled in this process.
    ///
    /// # Errors
    /// As `open`, or what is wrong with the manifest.
    pub fn of(manifest: &Path) -> Result<Self, Error> {
        Self::open(Manifest::load(manifest)?, Compiler::InProcess)
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Puts a context on stage, for a test in Rust.
    ///
    /// # Errors
    /// When there is no such context.
    pub fn stage(&self, context: &str) -> Result<Builder, Error> {
        let subject = self.subject(context, None)?;
        Ok(Builder::new(subject.solo, subject.known, subject.imported, subject.exported))
    }

    /// Runs scenarios and contracts, telling `tell` of each file when it is done.
    ///
    /// # Errors
    /// When a context that was asked for is not there. What is wrong with a file of scenarios is in the report.
    pub fn run(&self, options: &Options, tell: &mut dyn FnMut(&SuiteReport)) -> Result<Report, Error> {
        let started = Instant::now();
        let mut green = Green::load(&self.manifest.host.data);
        let mut suites = Vec::new();
        for name in self.chosen(&options.contexts)? {
            let subject = self.subject(&name, None)?;
            // A variant is held to the interfaces; the scenarios are those of the entry, whose tables it need not have.
            if subject.name.variant().is_none() {
                let folder = self.manifest.context(&name).map(|context| context.scenarios.as_path());
                for file in folder.map(files).unwrap_or_default() {
                    let suite = self.own(&subject, &file, options, &mut green);
                    tell(&suite);
                    suites.push(suite);
                }
            }
            for contract in self.contracts.iter().filter(|contract| exports(&subject.solo, contract)) {
                let suite = self.contract(&subject, contract, options, Some(&mut green));
                tell(&suite);
                suites.push(suite);
            }
        }
        green.save();
        Ok(Report::new(suites, started.elapsed()))
    }

    /// Holds the component in `file` to the contracts of `interface`, in the place of the context that exports it.
    ///
    /// # Errors
    /// When there is no such contract, or the component does not fit.
    pub fn run_contract(
        &self,
        interface: &str,
        file: &Path,
        options: &Options,
        tell: &mut dyn FnMut(&SuiteReport),
    ) -> Result<Report, Error> {
        let started = Instant::now();
        let path = interface.split('@').next().unwrap_or_default();
        let means = |contract: &&Contract| {
            let name = contract.interface.value.as_str();
            name == interface || name.split('@').next() == Some(path) && !interface.contains('@')
        };
        let of_it: Vec<&Contract> = self.contracts.iter().filter(means).collect();
        if of_it.is_empty() {
            let known = self.contracts.iter().map(|contract| contract.interface.value.clone()).collect();
            return Err(Error::NoContract { interface: interface.to_owned(), known });
        }
        let component = self.linked.component(file)?;
        let providers = self.linked.parts().iter().filter(|part| part.entry.name.variant().is_none());
        let provider = providers.into_iter().find(|p| p.component.exports.iter().any(|e| e.name.path == path));
        let provider = provider.ok_or_else(|| Error::Stage {
            message: format!(
                "no context of this system exports `{interface}`, so nothing says what it would be granted"
            ),
        })?;
        let subject = self.subject(provider.entry.name.as_str(), Some(&component))?;
        let mut suites = Vec::new();
        for contract in of_it {
            let mut suite = self.contract(&subject, contract, options, None);
            suite.context = file.display().to_string();
            tell(&suite);
            suites.push(suite);
        }
        Ok(Report::new(suites, started.elapsed()))
    }

    fn chosen(&self, asked: &[String]) -> Result<Vec<String>, Error> {
        let known: Vec<String> = self.linked.parts().iter().map(|part| part.entry.name.to_string()).collect();
        match asked.iter().find(|name| !known.contains(name)) {
            Some(name) => Err(Error::NoContext { name: name.clone(), known }),
            None if asked.is_empty() => Ok(known),
            None => Ok(asked.to_vec()),
        }
    }

    fn subject(&self, name: &str, component: Option<&Component>) -> Result<Subject, Error> {
        self.chosen(&[name.to_owned()])?;
        let solo = self.linked.solo(name, component)?;
        let known = Known::of(&solo.part().component);
        let (mut imported, mut exported) = (Rules::default(), Rules::default());
        let mut told = String::new();
        for contract in &self.contracts {
            let part = &solo.part().component;
            let about = |all: &[context::component::Interface]| all.iter().any(|i| rules::is_about(contract, &i.name));
            let mut of_it = false;
            if about(&part.imports) {
                imported.add(contract, &known.imports, false)?;
                of_it = true;
            }
            if about(&part.exports) {
                exported.add(contract, &known.exports, true)?;
                of_it = true;
            }
            if of_it {
                told.push_str(&std::fs::read_to_string(&contract.file).unwrap_or_default());
            }
        }
        let entry = &solo.part().entry;
        let signatures: Vec<String> =
            known.imports.iter().map(|f| context::link::wit_of(&f.short(), &f.signature)).collect();
        let fingerprint = passed::hash(&[
            &solo.part().component.hash,
            &format!("{:?} {:?} {:?} {:?}", entry.config, entry.capabilities, entry.limits, entry.store),
            &signatures.join("\n"),
            &told,
        ]);
        Ok(Subject { name: entry.name.clone(), solo, known, imported, exported, fingerprint })
    }

    fn own(&self, subject: &Subject, file: &Path, options: &Options, green: &mut Green) -> SuiteReport {
        let mut report = SuiteReport::new(&subject.name, &self.shown(file), None);
        let read = scenario::suite(file);
        let scenarios = match read {
            Ok(suite) => suite.scenarios,
            Err(problems) => return report.with_problems(&problems),
        };
        self.play(subject, file, &scenarios, options, Some(green), &mut report);
        report
    }

    fn contract(
        &self,
        subject: &Subject,
        contract: &Contract,
        options: &Options,
        green: Option<&mut Green>,
    ) -> SuiteReport {
        let interface = Some(contract.interface.value.clone());
        let mut report = SuiteReport::new(&subject.name, &self.shown(&contract.file), interface);
        self.play(subject, &contract.file, &contract.scenarios, options, green, &mut report);
        report
    }

    fn play(
        &self,
        subject: &Subject,
        file: &Path,
        scenarios: &[Scenario],
        options: &Options,
        green: Option<&mut Green>,
        report: &mut SuiteReport,
    ) {
        let key = format!("{} {}", subject.name, report.file);
        let given: Vec<String> =
            scenarios.iter().filter_map(|s| s.given.file.as_deref()).map(passed::of_file).collect();
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let now = passed::hash(&[&subject.fingerprint, &text, &given.join("\n")]);
        if !options.all && options.filter.is_none() && green.as_deref().is_some_and(|green| green.is(&key, &now)) {
            report.unchanged = true;
            report.scenarios = scenarios.iter().map(ScenarioReport::passed).collect();
            return;
        }
        let mut checker = Checker::new(&subject.known);
        let ready: Vec<_> = scenarios.iter().filter_map(|scenario| checker.scenario(scenario)).collect();
        if !checker.problems.is_empty() {
            report.problems.extend(checker.problems);
            return;
        }
        let bench = Bench {
            solo: &subject.solo,
            known: &subject.known,
            imported: &subject.imported,
            exported: &subject.exported,
        };
        let mut others = None;
        for ready in &ready {
            let scenario = &ready.scenario;
            if options.filter.as_ref().is_some_and(|part| !scenario.name.contains(part.as_str())) {
                continue;
            }
            let started = Instant::now();
            let failures = thrice(&bench, ready, &mut others);
            let mut result = ScenarioReport::passed(scenario);
            result.took_ms = started.elapsed().as_secs_f64() * 1e3;
            result.failures = failures;
            report.scenarios.push(result);
        }
        if let Some(green) = green
            && options.filter.is_none()
        {
            green.set(&key, &now, report.passed());
        }
    }

    /// A file's path as a person would write it: from the manifest's folder.
    fn shown(&self, file: &Path) -> String {
        let folder = self.manifest.folder();
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        file.strip_prefix(&folder).unwrap_or(&file).display().to_string()
    }
}

/// On a fresh instance, on the same one again, and on one that has run others, kept in `others`. The first that goes wrong is told.
fn thrice(bench: &Bench<'_>, ready: &check::Ready, others: &mut Option<Stage>) -> Vec<Failure> {
    let told = |found: Vec<Trouble>, on: On| found.into_iter().map(|trouble| Failure::new(trouble, on)).collect();
    let (fresh, found) = bench.run(ready, None);
    let (true, Some(fresh)) = (found.is_empty(), fresh) else { return told(found, On::Fresh) };
    let mut last = None;
    let before = [Some((&fresh, On::Again)), others.as_ref().map(|stage| (stage, On::AfterOthers))];
    for (before, on) in before.into_iter().flatten() {
        let (stage, found) = bench.run(ready, Some(before));
        if !found.is_empty() {
            return told(found, on);
        }
        let Some(stage) = stage else { continue };
        if stage.transcript != fresh.transcript {
            let (a, b) = (fresh.transcript.join("\n"), stage.transcript.join("\n"));
            let what = "it does not answer as on a fresh instance".to_owned();
            let detail = pattern::lines(&a, &b).trim_end().to_owned();
            return told(vec![Trouble { place: ready.scenario.place, what, detail }], on);
        }
        last = Some(stage);
    }
    *others = last;
    Vec::new()
}

fn exports(solo: &Solo, contract: &Contract) -> bool {
    solo.part().component.exports.iter().any(|export| rules::is_about(contract, &export.name))
}

/// The files of scenarios in a folder, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    files
}

/// All contracts beside the interfaces of the manifest's folder.
fn contracts(manifest: &Manifest) -> Result<Vec<Contract>, Error> {
    let Ok(packages) = std::fs::read_dir(manifest.folder().join("wit")) else { return Ok(Vec::new()) };
    let mut folders: Vec<PathBuf> = packages.filter_map(|entry| Some(entry.ok()?.path().join("contract"))).collect();
    folders.sort();
    let mut all = Vec::new();
    for file in folders.iter().flat_map(|folder| files(folder)) {
        let contract = scenario::contract(&file)?;
        let place = contract.interface.place;
        if context::interface::InterfaceName::parse(&contract.interface.value).is_none() {
            let message = format!("`{}` is no name of an interface", contract.interface.value);
            let remedy = "write `namespace:package/interface@version`";
            return Err(Problems::new(&file, vec![Problem::new(place, message, remedy)]).into());
        }
        all.push(contract);
    }
    Ok(all)
}
