//! Back to the version that served before, or to an older one.
//!
//! The rows stay: the older version runs on the newer schema, if the deploy which changed it had shown that it can. Else the file goes back
//! to its restore point, which loses whatever was written since; so that wants a yes, unless nothing was.

use std::sync::Arc;
use std::time::Duration;

use super::history::Kind;
use super::migrations::{self, Tried};
use super::publish::{Candidate, Restore, replaced, restore_name};
use super::{Back, Inner, Passed, Refused, Report, Step, Version, chain, gate::Walk, health, short, wit};
use crate::context::Part;
use crate::context::component::Artefact;
use crate::store::{self, Database, Difference, Migration};

/// How the file fits the older version.
struct Way {
    tried: Tried,
    ahead: Option<u32>,
    restore: Option<Restore>,
}

impl Inner {
    pub(super) fn roll_back(&self, request: &Back, tell: &mut dyn FnMut(&Passed)) -> Report {
        let request = &Back { context: self.registry.name_of(&request.context), ..request.clone() };
        self.change((Kind::Rollback, "a rollback"), &request.context, request.wait, tell, |current, walk| {
            self.pass_back(current, request, walk)
        })
    }

    /// The hash of the version that is to serve.
    fn wanted(&self, name: &str, current: &str, to: Option<&str>) -> Result<String, Refused> {
        let refused = |message: String, remedy: String| Refused { step: None, message, remedy };
        let Some(to) = to.map(str::to_ascii_lowercase) else {
            let brought = self.history.bringing(name, current).map_err(|e| Refused::history(&e))?;
            return brought.map(|brought| brought.before).ok_or_else(|| {
                let message = format!("`{name}` serves what it did at first: there is no version before it");
                refused(message, format!("`seam history {name}` tells what was deployed"))
            });
        };
        let mut served = self.history.served(name, &to).map_err(|e| Refused::history(&e))?;
        if current.starts_with(&to) && !served.iter().any(|hash| hash == current) {
            served.push(current.to_owned());
        }
        match served.as_slice() {
            [one] if !to.is_empty() => Ok(one.clone()),
            [] | [_] => Err(refused(
                format!("no version of `{name}` that served has a hash that begins with `{to}`"),
                format!("`seam history {name}` shows them, under HASH and BEFORE"),
            )),
            several => {
                let all: Vec<_> = several.iter().map(|hash| short(hash)).collect();
                let message = format!("`{to}` could be more than one version of `{name}`: {}", all.join(", "));
                Err(refused(message, "write more of it".to_owned()))
            }
        }
    }

    /// The version that serves afterwards; `None` when it did before.
    fn pass_back(&self, current: &Part, request: &Back, walk: &mut Walk<'_>) -> Result<Option<Version>, Refused> {
        let name = request.context.as_str();
        let wanted = self.wanted(name, &current.component.hash, request.to.as_deref())?;
        if wanted == current.component.hash {
            return Ok(None);
        }
        let file = self.shelf.component(&wanted);
        walk.hash.clone_from(&wanted);
        walk.file = file.to_string_lossy().into_owned();
        let artefact = walk.step(Step::Read, || {
            let artefact = Artefact::read(&file).ok().filter(|artefact| artefact.hash == wanted);
            let gone = || {
                let message = format!("the component {} is not kept any more", short(&wanted));
                Refused::at(Step::Read, message, "build it again and deploy it")
            };
            Ok((artefact.ok_or_else(gone)?, vec![format!("SHA-256 {}", short(&wanted))]))
        })?;
        let component = walk.step(Step::Compile, || {
            let compiled = self.registry.compile(&artefact);
            Ok((compiled.map_err(|error| Refused::context(Step::Compile, error))?, vec![]))
        })?;
        let parts = |ahead| replaced(self.registry.parts(), name, &component, ahead);
        walk.step(Step::Wit, || Ok(((), wit::check(current, &component, &parts(None), &self.mounted)?)))?;
        let try_on = |ahead, copy| {
            self.registry.trial(parts(ahead), name, copy).map_err(|error| Refused::context(Step::Start, error))
        };
        let mut trial = walk.step(Step::Start, || Ok((try_on(None, None)?, vec![])))?;
        let database = self.generation(name).and_then(|generation| generation.database().cloned());
        let way = walk.step(Step::Migrations, || match &database {
            None => Ok((None, vec!["it has no store".to_owned()])),
            Some(live) => {
                let newer = self.registry.trial(self.registry.parts(), name, None);
                let newer = newer.map_err(|error| Refused::context(Step::Migrations, error))?.migrations;
                let (way, notes) = self.way(live, &wanted, request, (&trial.migrations, &newer))?;
                Ok((Some(way), notes))
            }
        })?;
        if let Some(way) = &way {
            trial = try_on(way.ahead, Some(way.tried.copy.clone()))?;
        }
        walk.step(Step::Health, || Ok(((), health::check(&trial)?)))?;
        drop(trial);
        let (tried, ahead, restore) = way.map_or((None, None, None), |way| (Some(way.tried), way.ahead, way.restore));
        let candidate = Candidate {
            before: current,
            artefact: &artefact,
            component,
            tried,
            kind: Kind::Rollback,
            ahead,
            restore,
            watch: Duration::ZERO,
        };
        walk.step(Step::Publish, || self.publish(&candidate)).map(|published| Some(published.version))
    }

    /// How the file and the version `wanted`, which has the migrations `own`, come together. `newer` are those of the version that serves now.
    fn way(
        &self,
        live: &Arc<Database>,
        wanted: &str,
        request: &Back,
        (own, newer): (&[Migration], &[Migration]),
    ) -> Result<(Way, Vec<String>), Refused> {
        let name = request.context.as_str();
        let refused = |error: &dyn std::error::Error| Refused::at(Step::Migrations, chain(error), "");
        let schema = live.schema().map_err(|error| refused(&error))?;
        let knows = u32::try_from(own.len()).unwrap_or(u32::MAX);
        let works = knows >= schema || self.history.works_at(name, wanted, schema).map_err(|error| refused(&error))?;
        if !request.restore && works {
            let ahead = (knows < schema).then_some(schema);
            let tried = migrations::attempt(live, &self.shelf.trial(name), own, ahead)?;
            let notes = ahead.map(|schema| format!("the rows stay, at schema {schema}: it was seen to work there"));
            return Ok((Way { tried, ahead, restore: None }, notes.into_iter().collect()));
        }
        let changed = self.history.beyond(name, knows).map_err(|error| refused(&error))?;
        let from = changed.map(|id| self.shelf.restore_point(&restore_name(name, id))).filter(|from| from.is_file());
        let Some(from) = from.filter(|_| knows < schema) else {
            let message = match knows < schema {
                true => format!(
                    "the file is at schema {schema} and it knows {knows}: there is no restore point from before the change"
                ),
                false => "there is no restore point from before the running version's schema".to_owned(),
            };
            return Err(Refused::at(Step::Migrations, message, "deploy a version that knows the schema of the file"));
        };
        let commits = live.statistics().commits;
        let lost = self.lost(live, &from, name, newer)?;
        if !lost.is_empty() && !request.restore {
            return Err(Refused::at(
                Step::Migrations,
                format!(
                    "it was not seen to work at schema {schema}, it knows {knows}, and since the restore point rows were written: {}",
                    shown(&lost)
                ),
                "`--restore` puts the file back and loses them; or deploy a version that works at this schema",
            ));
        }
        let copy = |error: &store::CopyError| refused(error);
        let path = self.shelf.trial(&format!("{name}-before"));
        let restored = Database::open(live.config_at(&from)).map_err(|error| refused(&error))?;
        let copied = restored.copy(&path).map_err(|error| copy(&error))?;
        store::migrate(&copied, own).map_err(|error| refused(&error))?;
        let mut notes = vec![format!("the file goes back from schema {schema} to {knows}")];
        if !lost.is_empty() {
            notes.push(format!("lost: {}", shown(&lost)));
        }
        let tried = Tried { copy: copied, from: schema, to: knows, one_way: None };
        let commits = (!request.restore).then_some(commits);
        Ok((Way { tried, ahead: None, restore: Some(Restore { from, commits }) }, notes))
    }

    /// What is in the file and would not be if nothing had been written since the restore point at `from`.
    fn lost(
        &self,
        live: &Arc<Database>,
        from: &std::path::Path,
        name: &str,
        newer: &[Migration],
    ) -> Result<Vec<Difference>, Refused> {
        let refused = |error: &dyn std::error::Error| Refused::at(Step::Migrations, chain(error), "");
        let path = self.shelf.trial(&format!("{name}-since"));
        let point = Database::open(live.config_at(from)).map_err(|error| refused(&error))?;
        let untouched = point.copy(&path).map_err(|error| refused(&error))?;
        drop(point);
        store::migrate(&untouched, newer).map_err(|error| refused(&error))?;
        live.differences(&untouched).map_err(|error| refused(&error))
    }
}

fn shown(lost: &[Difference]) -> String {
    let one = |difference: &Difference| {
        format!("`{}` has {} rows, {} without them", difference.table, difference.here, difference.there)
    };
    lost.iter().map(one).collect::<Vec<_>>().join(", ")
}
