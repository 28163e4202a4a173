//! The harness: runs one context alone, with stubs for all others, and checks its scenarios and the contracts of its
//! interfaces.
//!
//! `scenario` reads files, `check` compares them with the types of a component, and `run` runs them.
//! Each scenario runs three times: on a fresh instance, again on that one, and on one that has run others. So a context
//! that keeps state outside its store is found. `Harness` does that for a whole system; `TestContext` is the same for
//! tests written in Rust.
//! Not here: how results look on a terminal (`cli`).

mod answer;
pub mod check;
mod error;
pub mod functions;
pub mod junit;
pub mod passed;
pub mod pattern;
pub mod pretended;
mod problems;
pub mod recorded;
pub mod report;
pub mod rules;
pub mod run;
mod saga_step;
pub mod scenario;
pub mod scenario_run;
mod stubs;
mod test_context;

use std::path::{Path, PathBuf};
use std::time::Instant;

pub use error::Error;
pub use test_context::{CallOutcome, FixtureBuilder, TestContext};

use self::check::Checker;
use self::functions::Functions;
use self::passed::PassedFiles;
use self::pretended::Callees;
use self::report::{FailedCheck, ScenarioReport, SuiteReport, TestReport};
use self::rules::Rules;
use self::run::{Finding, InstanceState, Runner};
use self::scenario::{Contract, Scenario};
use self::scenario_run::ScenarioRun;
use crate::manifest::{Manifest, Problem, Problems};
use seam_runtime::alone::fixture::Fixture;
use seam_runtime::component::{self, Compiler, Component};
use seam_runtime::serve::LinkedSystem;
use seam_store::ids::ContextName;

/// A system whose contexts can be tested one by one.
pub struct Harness {
    manifest: Manifest,
    linked: LinkedSystem,
    contracts: Vec<Contract>,
}

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only these contexts; if empty, all.
    pub contexts: Vec<String>,
    /// Only scenarios whose name contains this.
    pub filter: Option<String>,
    /// Also files that are unchanged since they passed.
    pub all: bool,
}

/// One context with all rules for it.
struct Subject {
    name: ContextName,
    fixture: Fixture,
    functions: Functions,
    imported: Rules,
    exported: Rules,
    /// A hash of all inputs but the scenario file itself.
    fingerprint: String,
}

impl Harness {
    /// Loads the components and the contracts of the system that `manifest` describes.
    ///
    /// # Errors
    /// All problems of the system or of its contracts.
    pub fn open(manifest: Manifest, compiler: Compiler) -> Result<Self, Error> {
        let linked = LinkedSystem::load(&manifest.system(), compiler, &manifest.host.data.join("cache"))?;
        let contracts = contracts(&manifest)?;
        Ok(Self { manifest, linked, contracts })
    }

    /// As `open`, for the manifest at this path. Components are compiled in this process.
    ///
    /// # Errors
    /// As `open`, or the problems of the manifest.
    pub fn of(manifest: &Path) -> Result<Self, Error> {
        Self::open(Manifest::load(manifest)?, Compiler::InProcess)
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Prepares one context for a test in Rust.
    ///
    /// # Errors
    /// When there is no such context.
    pub fn fixture(&self, context: &str) -> Result<FixtureBuilder, Error> {
        let subject = self.subject(context, None)?;
        Ok(FixtureBuilder::new(subject.fixture, subject.functions, subject.imported, subject.exported))
    }

    /// Runs scenarios and contracts, and calls `report` with the result of each file.
    ///
    /// # Errors
    /// When a chosen context does not exist. Problems of scenario files are in the report.
    pub fn run(&self, options: &Options, report: &mut dyn FnMut(&SuiteReport)) -> Result<TestReport, Error> {
        let started = Instant::now();
        let mut passed = PassedFiles::load(&self.manifest.host.data);
        let mut suites = Vec::new();
        for name in self.chosen(&options.contexts)? {
            let subject = self.subject(&name, None)?;
            // A variant must fulfil the contracts. Scenarios are for the entry: a variant may have other tables.
            if subject.name.variant().is_none() {
                let folder = self.manifest.context(&name).map(|context| context.scenarios.as_path());
                for file in folder.map(files).unwrap_or_default() {
                    let suite = self.own(&subject, &file, options, &mut passed);
                    report(&suite);
                    suites.push(suite);
                }
            }
            for contract in self.contracts.iter().filter(|contract| exports(&subject.fixture, contract)) {
                let suite = self.contract(&subject, contract, options, Some(&mut passed));
                report(&suite);
                suites.push(suite);
            }
        }
        passed.save();
        Ok(TestReport::new(suites, started.elapsed()))
    }

    /// Checks the component in `file` against the contracts of `interface`, as if it were the context that exports the
    /// interface.
    ///
    /// # Errors
    /// When there is no such contract, or the component does not fit into the system.
    pub fn run_contract(
        &self,
        interface: &str,
        file: &Path,
        options: &Options,
        report: &mut dyn FnMut(&SuiteReport),
    ) -> Result<TestReport, Error> {
        let started = Instant::now();
        let path = interface.split('@').next().unwrap_or_default();
        let means = |contract: &&Contract| {
            let name = contract.interface.value.as_str();
            name == interface || name.split('@').next() == Some(path) && !interface.contains('@')
        };
        let chosen: Vec<&Contract> = self.contracts.iter().filter(means).collect();
        if chosen.is_empty() {
            let known = self.contracts.iter().map(|contract| contract.interface.value.clone()).collect();
            return Err(Error::NoContract { interface: interface.to_owned(), known });
        }
        let component = self.linked.component(file)?;
        let providers = self.linked.specs().iter().filter(|part| part.settings.name.variant().is_none());
        let provider = providers.into_iter().find(|p| {
            p.component.exports.iter().any(|e| chosen.iter().any(|contract| rules::is_about(contract, &e.name)))
        });
        let provider = provider.ok_or_else(|| Error::Fixture {
            message: format!("no context of this system exports `{interface}`, so its grants are not known"),
        })?;
        let subject = self.subject(provider.settings.name.as_str(), Some(&component))?;
        let mut suites = Vec::new();
        for contract in chosen {
            let mut suite = self.contract(&subject, contract, options, None);
            suite.context = file.display().to_string();
            report(&suite);
            suites.push(suite);
        }
        Ok(TestReport::new(suites, started.elapsed()))
    }

    /// Runs the scenarios of one file against one context.
    ///
    /// # Errors
    /// When there is no such context. Problems of the file are in the report.
    pub fn run_scenarios(&self, context: &str, file: &Path) -> Result<SuiteReport, Error> {
        let mut unused = PassedFiles::load(&self.manifest.host.data);
        Ok(self.own(&self.subject(context, None)?, file, &Options { all: true, ..Options::default() }, &mut unused))
    }

    fn chosen(&self, asked: &[String]) -> Result<Vec<String>, Error> {
        let known: Vec<String> = self.linked.specs().iter().map(|part| part.settings.name.to_string()).collect();
        match asked.iter().find(|name| !known.contains(name)) {
            Some(name) => Err(Error::NoContext { name: name.clone(), known }),
            None if asked.is_empty() => Ok(known),
            None => Ok(asked.to_vec()),
        }
    }

    fn subject(&self, name: &str, component: Option<&Component>) -> Result<Subject, Error> {
        self.chosen(&[name.to_owned()])?;
        let fixture = Fixture::new(&self.linked, name, component)?;
        let mut functions = Functions::of(&fixture.spec().component);
        let context = fixture.spec().settings.name.to_string();
        functions.callees = Callees { context, of: fixture.callees().collect() };
        let (mut imported, mut exported) = (Rules::default(), Rules::default());
        let mut contract_texts = String::new();
        for contract in &self.contracts {
            let part = &fixture.spec().component;
            let about = |all: &[component::Interface]| all.iter().any(|i| rules::is_about(contract, &i.name));
            let mut concerned = false;
            if about(&part.imports) {
                imported.add(contract, &functions.imports, false)?;
                concerned = true;
            }
            if about(&part.exports) {
                exported.add(contract, &functions.exports, true)?;
                concerned = true;
            }
            if concerned {
                contract_texts.push_str(&seam_store::text::read(&contract.file).unwrap_or_default());
            }
        }
        let entry = &fixture.spec().settings;
        let signatures: Vec<String> =
            functions.imports.iter().map(|f| component::wit_of(&f.shown, &f.signature)).collect();
        let fingerprint = passed::hash(&[
            &fixture.spec().component.hash,
            &format!("{:?} {:?} {:?} {:?}", entry.config, entry.capabilities, entry.limits, entry.store),
            &signatures.join("\n"),
            &contract_texts,
        ]);
        Ok(Subject { name: entry.name.clone(), fixture, functions, imported, exported, fingerprint })
    }

    fn own(&self, subject: &Subject, file: &Path, options: &Options, passed: &mut PassedFiles) -> SuiteReport {
        let mut report = SuiteReport::new(&subject.name, &self.shown(file), None);
        let read = scenario::suite(file);
        let scenarios = match read {
            Ok(suite) => suite.scenarios,
            Err(problems) => return report.with_problems(&problems),
        };
        let file = ScenarioFile { path: file, scenarios: &scenarios, functions: &subject.functions };
        self.run_file(subject, &file, options, Some(passed), &mut report);
        report
    }

    fn contract(
        &self,
        subject: &Subject,
        contract: &Contract,
        options: &Options,
        passed: Option<&mut PassedFiles>,
    ) -> SuiteReport {
        let interface = Some(contract.interface.value.clone());
        let mut report = SuiteReport::new(&subject.name, &self.shown(&contract.file), interface);
        let about = component::InterfaceName::parse(&contract.interface.value);
        let functions = about.map(|interface| subject.functions.of_contract(&interface));
        let functions = functions.as_ref().unwrap_or(&subject.functions);
        let file = ScenarioFile { path: &contract.file, scenarios: &contract.scenarios, functions };
        self.run_file(subject, &file, options, passed, &mut report);
        report
    }

    fn run_file(
        &self,
        subject: &Subject,
        file: &ScenarioFile<'_>,
        options: &Options,
        passed: Option<&mut PassedFiles>,
        report: &mut SuiteReport,
    ) {
        let ScenarioFile { path, scenarios, functions } = *file;
        let key = format!("{} {}", subject.name, report.file);
        let given: Vec<String> =
            scenarios.iter().filter_map(|s| s.given.file.as_deref()).map(passed::of_file).collect();
        let text = seam_store::text::read(path).unwrap_or_default();
        let now = passed::hash(&[&subject.fingerprint, &text, &given.join("\n")]);
        if !options.all && options.filter.is_none() && passed.as_deref().is_some_and(|passed| passed.is(&key, &now)) {
            report.unchanged = true;
            report.scenarios = scenarios.iter().map(ScenarioReport::passed).collect();
            return;
        }
        let mut checker = Checker::new(functions);
        let typed: Vec<_> = scenarios.iter().filter_map(|scenario| checker.scenario(scenario)).collect();
        if !checker.problems.is_empty() {
            report.problems.extend(checker.problems);
            return;
        }
        let runner =
            Runner { fixture: &subject.fixture, functions, imported: &subject.imported, exported: &subject.exported };
        let mut others = None;
        for typed in &typed {
            let scenario = &typed.scenario;
            if options.filter.as_ref().is_some_and(|part| !scenario.name.contains(part.as_str())) {
                continue;
            }
            let started = Instant::now();
            let failures = run_on_each_instance(&runner, typed, &mut others);
            let mut result = ScenarioReport::passed(scenario);
            result.took_ms = started.elapsed().as_secs_f64() * 1e3;
            result.failures = failures;
            report.scenarios.push(result);
        }
        if let Some(passed) = passed
            && options.filter.is_none()
        {
            passed.set(&key, &now, report.passed());
        }
    }

    /// A file's path, relative to the manifest's folder.
    fn shown(&self, file: &Path) -> String {
        let folder = self.manifest.folder();
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        file.strip_prefix(&folder).unwrap_or(&file).display().to_string()
    }
}

/// Scenarios that were read from one file.
struct ScenarioFile<'a> {
    path: &'a Path,
    scenarios: &'a [Scenario],
    /// The functions that their calls may mean.
    functions: &'a Functions,
}

/// Runs a scenario on a fresh instance, on the same one again, and on the one in `others`, which has run others. Stops
/// at the first failure.
fn run_on_each_instance(
    runner: &Runner<'_>,
    typed: &check::TypedScenario,
    others: &mut Option<ScenarioRun>,
) -> Vec<FailedCheck> {
    let failed = |found: Vec<Finding>, on: InstanceState| {
        found.into_iter().map(|finding| FailedCheck::new(finding, on)).collect()
    };
    let (fresh, found) = runner.run(typed, None);
    let (true, Some(fresh)) = (found.is_empty(), fresh) else { return failed(found, InstanceState::Fresh) };
    let mut last = None;
    let before = [Some((&fresh, InstanceState::Again)), others.as_ref().map(|run| (run, InstanceState::AfterOthers))];
    for (before, on) in before.into_iter().flatten() {
        let (run, found) = runner.run(typed, Some(before));
        if !found.is_empty() {
            return failed(found, on);
        }
        let Some(run) = run else { continue };
        if run.transcript != fresh.transcript {
            let (a, b) = (fresh.transcript.join("\n"), run.transcript.join("\n"));
            let what = "it answers differently than on a fresh instance".to_owned();
            let detail = pattern::lines(&a, &b).trim_end().to_owned();
            return failed(vec![Finding { place: typed.scenario.place, what, detail }], on);
        }
        last = Some(run);
    }
    *others = last;
    Vec::new()
}

fn exports(fixture: &Fixture, contract: &Contract) -> bool {
    fixture.spec().component.exports.iter().any(|export| rules::is_about(contract, &export.name))
}

/// The scenario files in a folder, sorted by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    files
}

/// All contracts beside the interfaces of the manifest's folder.
fn contracts(manifest: &Manifest) -> Result<Vec<Contract>, Problems> {
    let Ok(packages) = std::fs::read_dir(manifest.folder().join("wit")) else { return Ok(Vec::new()) };
    let mut folders: Vec<PathBuf> = packages.filter_map(|entry| Some(entry.ok()?.path().join("contract"))).collect();
    folders.sort();
    let mut all = Vec::new();
    for file in folders.iter().flat_map(|folder| files(folder)) {
        let contract = scenario::contract(&file)?;
        let place = contract.interface.place;
        if component::InterfaceName::parse(&contract.interface.value).is_none() {
            let message = format!("`{}` is not a valid interface name", contract.interface.value);
            let remedy = "write `namespace:package/interface@version`";
            return Err(Problems::new(&file, vec![Problem::new(place, message, remedy)]));
        }
        all.push(contract);
    }
    Ok(all)
}
