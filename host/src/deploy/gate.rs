//! The way through all steps, each timed and told as it is passed.

use std::time::Instant;

use super::history::{Change, Kind};
use super::publish::{Candidate, replaced};
use super::{
    Form, Inner, Outcome, Passed, Refused, Report, Request, Step, Version, capabilities, health, migrations, wit,
};
use crate::context::Part;
use crate::context::component::{self, Artefact};
use crate::manifest::nearest;

/// The steps so far.
struct Walk<'a> {
    tell: &'a mut dyn FnMut(&Passed),
    steps: Vec<Passed>,
    /// What is on the way, once it has been read.
    hash: String,
}

impl Walk<'_> {
    fn step<T>(&mut self, step: Step, run: impl FnOnce() -> Result<(T, Vec<String>), Refused>) -> Result<T, Refused> {
        let started = Instant::now();
        let (value, notes) = run()?;
        let passed = Passed { step, ms: started.elapsed().as_secs_f64() * 1e3, notes };
        (self.tell)(&passed);
        self.steps.push(passed);
        Ok(value)
    }
}

impl Inner {
    pub(super) fn deploy(&self, request: &Request, form: Form, tell: &mut dyn FnMut(&Passed)) -> Report {
        let mut walk = Walk { tell, steps: Vec::new(), hash: String::new() };
        // Before what serves is looked at: another change may be about to end.
        let turn = self.turn(format!("a deploy of `{}`", request.context), request.wait);
        let before = self.registry.parts().into_iter().find(|part| part.entry.name.as_str() == request.context);
        let served = before.as_ref().and_then(|part| self.version(part));
        let passed = match (&turn, &before) {
            (Err(refused), _) => Err(refused.clone()),
            (Ok(_), None) => Err(self.unknown(&request.context)),
            (Ok(_), Some(before)) => self.pass(before, request, form, &mut walk),
        };
        let mut report = Report {
            context: request.context.clone(),
            outcome: Outcome::Live,
            serves: served.clone(),
            before: served,
            steps: walk.steps,
            refused: None,
        };
        match passed {
            Ok(Some(version)) => report.serves = Some(version),
            Ok(None) => report.outcome = Outcome::Unchanged,
            Err(refused) => {
                if let (Ok(_), Some(before)) = (&turn, &before) {
                    self.remember(before, request, form, &walk.hash, &refused);
                }
                report.outcome = Outcome::Refused;
                report.refused = Some(refused);
            }
        }
        report
    }

    /// The version that serves afterwards; `None` when it did before.
    fn pass(
        &self,
        before: &Part,
        request: &Request,
        form: Form,
        walk: &mut Walk<'_>,
    ) -> Result<Option<Version>, Refused> {
        let name = request.context.as_str();
        let artefact = walk.step(Step::Read, || {
            let artefact = Artefact::read(&request.file).map_err(|error| unreadable(&error))?;
            let notes = vec![format!("{} bytes, SHA-256 {}", artefact.bytes.len(), super::short(&artefact.hash))];
            Ok((artefact, notes))
        })?;
        walk.hash.clone_from(&artefact.hash);
        if artefact.hash == before.component.hash {
            return Ok(None);
        }
        let component = walk.step(Step::Compile, || {
            let compiled = self.registry.compile(&artefact);
            Ok((
                compiled.map_err(|error| {
                    Refused::context(Step::Compile, error).or("build it from a source that compiles")
                })?,
                vec![],
            ))
        })?;
        let parts = replaced(self.registry.parts(), name, &component, None);
        walk.step(Step::Wit, || Ok(((), wit::check(before, &component, &parts, &self.mounted)?)))?;
        walk.step(Step::Capabilities, || {
            Ok(((), capabilities::check(&before.component, &component, &request.allow, form)?))
        })?;
        let database = self.registry.live(name).ok().and_then(|live| live.generation().database().cloned());
        let try_on =
            |copy| self.registry.trial(parts.clone(), name, copy).map_err(|error| Refused::context(Step::Start, error));
        let mut trial = walk.step(Step::Start, || Ok((try_on(None)?, vec![])))?;
        let tried = walk.step(Step::Migrations, || {
            let Some(live) = &database else {
                return match trial.migrations.len() {
                    0 => Ok((None, vec!["it has no store".to_owned()])),
                    _ => Err(Refused::at(
                        Step::Migrations,
                        format!("`{name}` has migrations, but the manifest does not grant it a store"),
                        format!("add `store = true` to [context.{name}]"),
                    )),
                };
            };
            let schema = live.schema().map_err(|error| Refused::at(Step::Migrations, error.to_string(), ""))?;
            if form == Form::Quick && trial.migrations.len() == schema as usize && !trial.has_health() {
                return Ok((None, vec![]));
            }
            let tried = migrations::attempt(live, &self.shelf.trial(name), &trial.migrations, None)?;
            let notes = migrations::judge(&tried, &request.allow, form)?;
            Ok((Some(tried), notes))
        })?;
        if let Some(tried) = &tried {
            trial = try_on(Some(tried.copy.clone()))?;
        }
        walk.step(Step::Health, || Ok(((), health::check(&trial)?)))?;
        drop(trial);
        let candidate = Candidate { before, artefact: &artefact, component, tried, form };
        walk.step(Step::Publish, || self.publish(&candidate)).map(Some)
    }

    fn version(&self, part: &Part) -> Option<Version> {
        let live = self.registry.live(part.entry.name.as_str()).ok()?;
        Some(Version { hash: part.component.hash.clone(), generation: Some(live.generation().number) })
    }

    fn unknown(&self, context: &str) -> Refused {
        let known: Vec<String> = self.registry.parts().iter().map(|part| part.entry.name.to_string()).collect();
        let near = nearest(context, known.iter().map(String::as_str));
        let remedy = near.map_or(format!("there are: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
        Refused { step: None, message: format!("there is no context `{context}`"), remedy }
    }

    /// A refusal is history too, unless `publish` has written it down.
    fn remember(&self, before: &Part, request: &Request, form: Form, hash: &str, refused: &Refused) {
        if refused.step == Some(Step::Publish) {
            return;
        }
        let written = self.history.refuse(
            &Change {
                context: before.entry.name.as_str(),
                kind: if form == Form::Full { Kind::Deploy } else { Kind::Quick },
                hash,
                before: &before.component.hash,
                file: &request.file.to_string_lossy(),
                schema: None,
                one_way: false,
                manifest_hash: None,
            },
            &refused.message,
        );
        if let Err(error) = written {
            tracing::warn!("a refused deploy is not in the history: {}", super::chain(&error));
        }
    }
}

impl Refused {
    fn or(mut self, remedy: &str) -> Self {
        if self.remedy.is_empty() {
            remedy.clone_into(&mut self.remedy);
        }
        self
    }
}

fn unreadable(error: &component::Error) -> Refused {
    let remedy = match error {
        component::Error::Read { .. } => "name a file that the host's user can read",
        component::Error::Changing { .. } => "write to another name and rename it when it is whole, or deploy again",
        component::Error::TooLarge { .. } => "build it smaller, without debug information",
        _ => "make a component of it (`wasm-tools component new`)",
    };
    Refused::at(Step::Read, super::chain(error), remedy)
}
