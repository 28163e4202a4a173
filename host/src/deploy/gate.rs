//! The way through all steps, each timed and told as it is passed.

use std::path::Path;
use std::time::{Duration, Instant};

use super::history::{Change, Kind};
use super::migrations::Tried;
use super::publish::{Candidate, replaced};
use super::replay::{self, Replayed, Sides};
use super::{
    Form, Inner, Outcome, Passed, Refused, Report, Request, Step, Version, capabilities, health, migrations, wit,
};
use crate::context::component::{self, Artefact, Component};
use crate::context::{Generation, Part, Trial};
use crate::manifest::nearest;

/// The steps so far.
pub(super) struct Walk<'a> {
    tell: &'a mut dyn FnMut(&Passed),
    steps: Vec<Passed>,
    /// What is on the way, once it has been read, and from where.
    pub hash: String,
    pub file: String,
}

impl<'a> Walk<'a> {
    pub fn new(tell: &'a mut dyn FnMut(&Passed)) -> Self {
        Self { tell, steps: Vec::new(), hash: String::new(), file: String::new() }
    }

    pub fn step<T, E>(&mut self, step: Step, run: impl FnOnce() -> Result<(T, Vec<String>), E>) -> Result<T, E> {
        let started = Instant::now();
        let (value, notes) = run()?;
        let passed = Passed { step, ms: started.elapsed().as_secs_f64() * 1e3, notes };
        (self.tell)(&passed);
        self.steps.push(passed);
        Ok(value)
    }
}

impl Inner {
    pub(super) fn deploy(&self, request: &Request, tell: &mut dyn FnMut(&Passed)) -> Report {
        let request = &Request { context: self.registry.name_of(&request.context), ..request.clone() };
        self.change((Kind::Deploy, "a deploy"), &request.context, request.wait, tell, |before, walk| {
            self.pass(before, request, walk)
        })
    }

    /// Makes one change of `context`, by the way through its steps that `pass` is, when it is its turn.
    pub(super) fn change(
        &self,
        (kind, what): (Kind, &str),
        context: &str,
        wait: bool,
        tell: &mut dyn FnMut(&Passed),
        pass: impl FnOnce(&Part, &mut Walk<'_>) -> Result<Option<Version>, Refused>,
    ) -> Report {
        let mut walk = Walk::new(tell);
        // Before what serves is looked at: another change may be about to end.
        let turn = self.turn(format!("{what} of `{context}`"), wait);
        let before = self.generation(context).map(|generation| generation.part().clone());
        let served = self.version(context);
        let passed = match (&turn, &before) {
            (Err(refused), _) => Err(refused.clone()),
            (Ok(_), None) => Err(self.unknown(context)),
            (Ok(_), Some(before)) => pass(before, &mut walk),
        };
        let mut report = Report {
            context: context.to_owned(),
            outcome: Outcome::Live,
            serves: served.clone(),
            before: served,
            steps: Vec::new(),
            refused: None,
        };
        match passed {
            Ok(Some(version)) => report.serves = Some(version),
            Ok(None) => report.outcome = Outcome::Unchanged,
            Err(refused) => {
                if let (Ok(_), Some(before)) = (&turn, &before) {
                    self.remember(before, kind, &walk, &refused);
                }
                report.outcome = match refused.step {
                    Some(Step::Watch) => Outcome::RolledBack,
                    _ => Outcome::Refused,
                };
                report.refused = Some(refused);
                report.serves = self.version(context);
            }
        }
        report.steps = walk.steps;
        report
    }

    /// The version that serves afterwards; `None` when it did before.
    fn pass(&self, before: &Part, request: &Request, walk: &mut Walk<'_>) -> Result<Option<Version>, Refused> {
        let name = request.context.as_str();
        let artefact = self.read(&request.file, walk)?;
        if artefact.hash == before.component.hash {
            return Ok(None);
        }
        let component = self.compile(&artefact, walk)?;
        let parts = replaced(self.registry.parts(), name, &component, None);
        walk.step(Step::Wit, || Ok(((), wit::check(before, &component, &parts, &self.mounted)?)))?;
        walk.step(Step::Capabilities, || {
            Ok(((), capabilities::check(&before.component, &component, &request.allow, Form::Full)?))
        })?;
        let database = self.generation(name).and_then(|generation| generation.database().cloned());
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
            let tried = migrations::attempt(live, &self.shelf.trial(name), &trial.migrations, None)?;
            let notes = migrations::judge(&tried, &request.allow, Form::Full)?;
            Ok((Some(tried), notes))
        })?;
        if let Some(tried) = &tried {
            trial = try_on(Some(tried.copy.clone()))?;
        }
        walk.step(Step::Health, || Ok(((), health::check(&trial)?)))?;
        let mut tried = tried;
        walk.step(Step::Replay, || Ok(((), self.replay(request, &trial, tried.as_mut())?)))?;
        drop(trial);
        // What cannot be undone by itself is not on probation.
        let one_way = tried.as_ref().is_some_and(|tried| tried.one_way.is_some());
        let watch = Duration::from_millis(if one_way { 0 } else { request.watch_ms });
        let candidate = Candidate {
            before,
            artefact: &artefact,
            component,
            tried,
            kind: Kind::Deploy,
            ahead: None,
            restore: None,
            watch,
        };
        let published = walk.step(Step::Publish, || self.publish(&candidate))?;
        let version = published.version.clone();
        if !watch.is_zero() {
            walk.step(Step::Watch, || Ok(((), self.watch(&candidate, published)?)))?;
        }
        Ok(Some(version))
    }

    pub(super) fn read(&self, file: &Path, walk: &mut Walk<'_>) -> Result<Artefact, Refused> {
        walk.file = file.to_string_lossy().into_owned();
        let artefact = walk.step(Step::Read, || {
            let artefact = Artefact::read(file).map_err(|error| unreadable(&error))?;
            let notes = vec![format!("{} bytes, SHA-256 {}", artefact.bytes.len(), super::short(&artefact.hash))];
            Ok((artefact, notes))
        })?;
        walk.hash.clone_from(&artefact.hash);
        Ok(artefact)
    }

    pub(super) fn compile(&self, artefact: &Artefact, walk: &mut Walk<'_>) -> Result<Component, Refused> {
        walk.step(Step::Compile, || {
            let refused = |error| Refused::context(Step::Compile, error).or("build it from a source that compiles");
            Ok((self.registry.compile(artefact).map_err(refused)?, vec![]))
        })
    }

    /// Asks the running version and the new one what others asked lately.
    fn replay(&self, request: &Request, new: &Trial, mut tried: Option<&mut Tried>) -> Result<Vec<String>, Refused> {
        let name = request.context.as_str();
        let Some(running) = self.generation(name) else { return Ok(Vec::new()) };
        let broken = |message: String| Refused::at(Step::Replay, message, "see the log");
        let on = |database| {
            self.registry.trial(self.registry.parts(), name, database).map_err(|e| Refused::context(Step::Replay, e))
        };
        let changed = tried.as_ref().is_some_and(|tried| tried.from != tried.to);
        let migrated = tried.as_ref().map(|tried| tried.copy.clone());
        let before = match running.database() {
            Some(live) if changed => {
                let path = self.shelf.trial(&format!("{name}-before"));
                Some(live.copy(&path).map_err(|error| broken(super::chain(&error)))?)
            }
            _ => migrated.clone(),
        };
        let old = on(before)?;
        let old_there = if changed { Some(on(migrated)?) } else { None };
        let secret = running.part().entry.store.as_ref().is_some_and(|store| store.encryption.applies());
        let sides = Sides { old: &old, new, old_there: old_there.as_ref(), recorder: &running.recorder, secret };
        let Replayed { mut notes, one_way } = replay::run(&sides, request.strict)?;
        if let (Some(tried), Some(why)) = (tried.as_mut(), one_way)
            && tried.one_way.is_none()
        {
            tried.one_way = Some(why);
            notes.extend(migrations::one_way(Step::Replay, tried, &request.allow, Form::Full)?);
        }
        Ok(notes)
    }

    /// The version of exactly this context or variant that serves now.
    pub(super) fn generation(&self, context: &str) -> Option<std::sync::Arc<Generation>> {
        self.registry.generations().into_iter().find(|generation| generation.context().as_str() == context)
    }

    fn version(&self, context: &str) -> Option<Version> {
        let generation = self.generation(context)?;
        Some(Version { hash: generation.component().hash.clone(), generation: Some(generation.number) })
    }

    fn unknown(&self, context: &str) -> Refused {
        if let Some(refused) = self.registry.not_loaded(context) {
            return Refused { step: None, message: refused.to_string(), remedy: refused.remedy() };
        }
        let known: Vec<String> = self.registry.parts().iter().map(|part| part.entry.name.to_string()).collect();
        let near = nearest(context, known.iter().map(String::as_str));
        let remedy = near.map_or(format!("there are: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
        Refused { step: None, message: format!("there is no context `{context}`"), remedy }
    }

    /// A refusal is history too, unless `publish` has written it down.
    fn remember(&self, before: &Part, kind: Kind, walk: &Walk<'_>, refused: &Refused) {
        if matches!(refused.step, Some(Step::Publish | Step::Watch)) {
            return;
        }
        let written = self.history.refuse(
            &Change {
                context: before.entry.name.as_str(),
                kind,
                hash: &walk.hash,
                before: &before.component.hash,
                file: &walk.file,
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
    pub(super) fn or(mut self, remedy: &str) -> Self {
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
