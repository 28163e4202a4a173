//! The quick form of the gate, for whoever edits and looks: the same steps for all contexts that changed together, as one system.
//!
//! What a deploy wants a yes for is told and not refused: who edits the callers as well, changes an interface in one go. No recorded calls
//! are replayed and nothing is watched. A file is copied only where something could happen to it: where its schema changes, or to ask
//! the version how it is.
//! Invariants: all of it serves, or nothing does; a file changes its schema only after that worked on a copy, and with a restore point.
//! The way back is the editor: what serves is what the manifest names, and no other component is kept.

use std::sync::Arc;

use super::history::{Change, Kind};
use super::migrations::Tried;
use super::publish::restore_name;
use super::{Form, Inner, Passed, Refused, Step, capabilities, chain, gate::Walk, health, migrations, wit};
use crate::context::link::{self, Problem};
use crate::context::{self, Fresh, Generation, Part, Prepared};
use crate::ids::ContextName;
use crate::limits;

/// A system as somebody wants it.
pub struct Wish {
    /// All of its contexts, those that serve already among them.
    pub parts: Vec<Part>,
    /// Contexts that are to serve HTTP.
    pub mounted: Vec<ContextName>,
}

/// Why a system does not serve: everything that one step found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} problem(s) at the step `{}`", .problems.len(), .step.name())]
pub struct Unfit {
    pub step: Step,
    pub problems: Vec<Problem>,
}

/// A version on its way.
struct New<'a> {
    generation: Arc<Generation>,
    /// What serves now, if anything.
    before: Option<&'a Part>,
    tried: Option<Tried>,
    /// Its line in the history, when that was begun before anything changed.
    begun: Option<i64>,
}

impl Inner {
    pub(super) fn quick(&self, wish: &Wish, tell: &mut dyn FnMut(&Passed)) -> Result<Vec<ContextName>, Unfit> {
        // Whoever waits is not refused.
        let _turn = self.turn("what somebody saved".to_owned(), true).ok();
        let mut walk = Walk::new(tell);
        let serving = self.registry.parts();
        let before = |name: &ContextName| serving.iter().find(|part| part.entry.name == *name);
        let known = wish.parts.iter().filter_map(|part| Some((before(&part.entry.name)?, part)));
        let changed: Vec<_> = known.filter(|(was, is)| was.component.hash != is.component.hash).collect();
        walk.step(Step::Wit, || Ok(((), fit(&changed, wish)?)))?;
        walk.step(Step::Capabilities, || reach(&changed))?;
        let prepared = walk.step(Step::Start, || match self.registry.prepare(wish.parts.clone()) {
            Ok(prepared) => Ok((prepared, Vec::new())),
            Err(error) => Err(Unfit::of(Step::Start, wish, error)),
        })?;
        let new = |fresh: &Fresh| {
            let generation = fresh.generation.clone();
            New { before: before(generation.context()), generation, tried: None, begun: None }
        };
        let mut all: Vec<New<'_>> = prepared.fresh().iter().map(new).collect();
        walk.step(Step::Migrations, || {
            let with_migrations = all.iter_mut().zip(prepared.fresh());
            each(Step::Migrations, with_migrations, |(new, fresh)| (new.name(), self.try_schema(new, fresh)))
        })?;
        walk.step(Step::Health, || each(Step::Health, &all, |new| (new.name(), self.ask(new, wish))))?;
        walk.step(Step::Publish, || self.let_in(prepared, &mut all))?;
        Ok(all.iter().map(New::name).collect())
    }

    /// Where the schema changes, that is tried on a copy. Else the file is only held to the migrations that it has.
    fn try_schema(&self, new: &mut New<'_>, fresh: &Fresh) -> Result<Vec<String>, Problem> {
        let refused = |refused| about(&new.generation, refused);
        let live = new.generation.database();
        let schema = |live: &Arc<crate::store::Database>| live.schema().ok().map(|schema| schema as usize);
        let Some(live) = live.filter(|live| schema(live) != Some(fresh.migrations.len())) else {
            return fresh.migrate(None).map(|_| Vec::new());
        };
        let (path, ahead) = (self.shelf.trial(new.name().as_str()), new.generation.part().ahead);
        let tried = migrations::attempt(live, &path, &fresh.migrations, ahead).map_err(refused)?;
        let notes = migrations::judge(&tried, &[], Form::Quick).map_err(refused)?;
        new.tried = Some(tried);
        Ok(notes)
    }

    /// Asks the version how it is, if it can be asked.
    fn ask(&self, new: &New<'_>, wish: &Wish) -> Result<Vec<String>, Problem> {
        let generation = &new.generation;
        if !generation.component().exports.iter().any(|export| export.name.path == link::HEALTH) {
            return Ok(Vec::new());
        }
        let refused = |refused| about(generation, refused);
        let copy = match (&new.tried, generation.database()) {
            (Some(tried), _) => Some(tried.copy.clone()),
            (None, None) => None,
            (None, Some(live)) => {
                let now = live.statistics();
                if (now.file_bytes + now.wal_bytes) >> 20 > limits::DEPLOY_QUICK_COPY_MB_MAX {
                    return Ok(vec!["not asked how it is: its file is too large to be copied each time".to_owned()]);
                }
                let copied = live.copy(&self.shelf.trial(new.name().as_str()));
                let failed =
                    |error| Refused::at(Step::Health, chain(&error), "see that the data folder can be written");
                Some(copied.map_err(|error| refused(failed(error)))?)
            }
        };
        let trial = self.registry.trial(wish.parts.clone(), new.name().as_str(), copy);
        let trial = trial.map_err(|error| refused(Refused::context(Step::Health, error)))?;
        health::check(&trial).map_err(refused)?;
        Ok(Vec::new())
    }

    /// Changes the schemas, and publishes.
    fn let_in(&self, prepared: Prepared, all: &mut [New<'_>]) -> Result<((), Vec<String>), Unfit> {
        for new in all.iter_mut().filter(|new| new.tried.is_some()) {
            // A host that is killed from here on looks for it at its next start.
            self.keep(new.generation.part()).ok();
            match self.history.begin(&new.change()) {
                Ok(id) => new.begun = Some(id),
                Err(error) => return Err(Unfit::one(Step::Publish, about(&new.generation, Refused::history(&error)))),
            }
        }
        match self.swap_all(prepared, all) {
            Ok(notes) => {
                self.serve(all);
                Ok(((), notes))
            }
            Err(problem) => {
                for (new, id) in all.iter().filter_map(|new| Some((new, new.begun?))) {
                    if let Err(error) = self.stays(new.name().as_str(), new.tried.as_ref(), id, &problem.message) {
                        tracing::warn!("{}", chain(&error));
                    }
                }
                Err(Unfit::one(Step::Publish, problem))
            }
        }
    }

    fn swap_all(&self, prepared: Prepared, all: &[New<'_>]) -> Result<Vec<String>, Problem> {
        let mut notes = Vec::new();
        for (new, fresh) in all.iter().zip(prepared.fresh()) {
            let Some(id) = new.begun else { continue };
            let restore_point = self.shelf.restore_point(&restore_name(new.name().as_str(), id));
            let migrated = fresh.migrate(Some(restore_point.as_path()))?;
            if let Some(migrated) = migrated.filter(|migrated| migrated.from != migrated.to) {
                let (name, from, to) = (new.name(), migrated.from, migrated.to);
                notes.push(format!("{name}: schema {from} became {to}, with a restore point"));
            }
        }
        let failed = |error: context::Error| {
            let name = all.first().map(New::name);
            let remedy = "save it again".to_owned();
            name.map(|context| Problem { context, part: String::new(), message: chain(&error), remedy })
        };
        match prepared.publish().map_err(failed) {
            // Without a new version nothing was lost.
            Ok(()) | Err(None) => Ok(notes),
            Err(Some(problem)) => Err(problem),
        }
    }

    /// Writes down what serves: it does so by now, so what cannot be written is a gap in the history and no more.
    fn serve(&self, all: &[New<'_>]) {
        for database in all.iter().filter_map(|new| new.generation.database()) {
            database.forget_statements();
        }
        let lines: Vec<_> = all.iter().filter(|new| new.is_news()).map(|new| (new.change(), new.begun)).collect();
        if !lines.is_empty()
            && let Err(error) = self.history.follow_manifest(&lines)
        {
            tracing::warn!("what was saved serves and is not in the history: {}", chain(&error));
        }
        if all.iter().any(|new| new.begun.is_some()) {
            self.tidy();
        }
    }
}

impl New<'_> {
    fn name(&self) -> ContextName {
        self.generation.context().clone()
    }

    /// Whether it is another component, and not only another entry of the manifest.
    fn is_news(&self) -> bool {
        self.before.is_none_or(|before| before.component.hash != self.generation.component().hash)
    }

    fn change(&self) -> Change<'_> {
        let part = self.generation.part();
        Change {
            context: part.entry.name.as_str(),
            kind: Kind::Quick,
            hash: &part.component.hash,
            before: self.before.map_or("", |before| before.component.hash.as_str()),
            file: part.entry.component.to_str().unwrap_or_default(),
            schema: self.tried.as_ref().map(|tried| (tried.from, tried.to)),
            one_way: self.tried.as_ref().is_some_and(|tried| tried.one_way.is_some()),
            manifest_hash: Some(&part.component.hash),
        }
    }
}

impl Unfit {
    fn one(step: Step, problem: Problem) -> Self {
        Self { step, problems: vec![problem] }
    }

    fn of(step: Step, wish: &Wish, error: context::Error) -> Self {
        match error {
            context::Error::Problems(problems) => Self { step, problems },
            other => {
                let (message, remedy) = (chain(&other), "see the log".to_owned());
                let first = wish.parts.first().map(|part| part.entry.name.clone());
                let problem = first.map(|context| Problem { context, part: String::new(), message, remedy });
                Self { step, problems: problem.into_iter().collect() }
            }
        }
    }
}

/// Whether the contexts are one system; what changes for callers.
fn fit(changed: &[(&Part, &Part)], wish: &Wish) -> Result<Vec<String>, Unfit> {
    let parts: Vec<_> = wish.parts.iter().map(|part| (&part.entry, &part.component)).collect();
    link::plan(&parts).map_err(|problems| Unfit { step: Step::Wit, problems })?;
    let compared = changed.iter().flat_map(|(was, is)| {
        let notes = wit::compare(was, &is.component, &wish.parts, &wish.mounted);
        of(&is.entry.name, notes.unwrap_or_else(|refused| vec![refused.message]))
    });
    Ok(compared.collect())
}

/// What the new versions could reach that those which serve cannot.
fn reach(changed: &[(&Part, &Part)]) -> Result<((), Vec<String>), Unfit> {
    let mut notes = Vec::new();
    for (was, is) in changed {
        // Nothing wants a yes here.
        let new = capabilities::check(&was.component, &is.component, &[], Form::Quick).unwrap_or_default();
        notes.extend(of(&is.entry.name, new));
    }
    Ok(((), notes))
}

/// Lets all of them be checked; everything that is wrong, or all there is to know.
fn each<T>(
    step: Step,
    all: impl IntoIterator<Item = T>,
    mut check: impl FnMut(T) -> (ContextName, Result<Vec<String>, Problem>),
) -> Result<((), Vec<String>), Unfit> {
    let (mut notes, mut problems) = (Vec::new(), Vec::new());
    for one in all {
        match check(one) {
            (name, Ok(new)) => notes.extend(of(&name, new)),
            (_, Err(problem)) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(((), notes)) } else { Err(Unfit { step, problems }) }
}

fn of(name: &ContextName, notes: Vec<String>) -> impl Iterator<Item = String> + use<> {
    let name = name.clone();
    notes.into_iter().map(move |note| format!("{name}: {note}"))
}

fn about(generation: &Generation, refused: Refused) -> Problem {
    let Refused { message, remedy, .. } = refused;
    Problem { context: generation.context().clone(), part: String::new(), message, remedy }
}
