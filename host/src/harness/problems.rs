//! What is wrong with the scenarios and contracts of a system, found without running them.

use seam_runtime::component::InterfaceName;
use seam_runtime::serve::LinkedSystem;

use super::check::Checker;
use super::scenario::{self, Scenario};
use super::{Error, Functions, Harness, contracts, exports, files};
use crate::manifest::{Manifest, Problems};

impl Harness {
    /// The problems of each file of scenarios and of each contract.
    pub fn problems(manifest: &Manifest, linked: LinkedSystem) -> Vec<Problems> {
        let mut all = Vec::new();
        let contracts = contracts(manifest).unwrap_or_else(|problems| {
            all.push(problems);
            Vec::new()
        });
        let harness = Self { manifest: manifest.clone(), linked, contracts };
        for spec in harness.linked.specs() {
            let subject = match harness.subject(spec.settings.name.as_str(), None) {
                Ok(subject) => subject,
                Err(Error::Manifest(problems)) => {
                    all.push(problems);
                    continue;
                }
                // Whatever else keeps a context from being tested alone keeps it from starting, which is found there.
                Err(_) => continue,
            };
            let check = |file: &std::path::Path, scenarios: &[Scenario], functions: &Functions| {
                let mut checker = Checker::new(functions);
                scenarios.iter().for_each(|scenario| drop(checker.scenario(scenario)));
                (!checker.problems.is_empty()).then(|| Problems::new(file, checker.problems))
            };
            let folder = manifest.context(subject.name.as_str()).filter(|_| subject.name.variant().is_none());
            for file in folder.map(|context| files(&context.scenarios)).unwrap_or_default() {
                match scenario::suite(&file) {
                    Ok(suite) => all.extend(check(&file, &suite.scenarios, &subject.functions)),
                    Err(problems) => all.push(problems),
                }
            }
            for contract in harness.contracts.iter().filter(|contract| exports(&subject.fixture, contract)) {
                let about = InterfaceName::parse(&contract.interface.value);
                let functions = about.map(|interface| subject.functions.of_contract(&interface));
                let functions = functions.as_ref().unwrap_or(&subject.functions);
                all.extend(check(&contract.file, &contract.scenarios, functions));
            }
        }
        all
    }
}
