//! A system whose contexts fit together: compiled and wired, but not started.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use seam_store::HostFile;
use seam_store::clock::Clock;
use seam_store::ids::ContextName;
use wasmtime::Engine;

use super::error::Error;
use super::load::{self, Absent, Source, present, without_broken_variants};
use super::registry::{Parts, Registry};
use crate::component::{Compiler, Component, ContextProblem, ContextSpec, Loader, engine};
use crate::link;
use crate::remote::Carrier;
use crate::run::Metrics;
use crate::settings::{ContextSettings, Recording, SystemSettings};

/// The components of a manifest, compiled and wired. No file of a context has been touched.
pub struct LinkedSystem {
    loader: Loader,
    specs: Vec<ContextSpec>,
    absent: Vec<Absent>,
    /// Contexts whose component cannot be loaded or linked; a placeholder is in its place.
    out: Vec<ContextProblem>,
    recording: Recording,
    clock: Clock,
    restore_points: Option<PathBuf>,
    carrier: Option<Arc<dyn Carrier>>,
    owners: Option<Vec<String>>,
}

impl LinkedSystem {
    /// Loads the components, several at a time, and wires them. Variants that cannot be loaded are left out.
    ///
    /// # Errors
    /// Every problem of every context.
    pub fn load(settings: &SystemSettings, compiler: Compiler, cache: &Path) -> Result<Self, Error> {
        let linked = Self::load_what_can(settings, compiler, cache, &Source::of)?;
        if linked.out.is_empty() { Ok(linked) } else { Err(Error::Problems(linked.out)) }
    }

    /// Like `load`, with each component from where `source` says. A context whose component cannot be loaded or linked
    /// is out of service when the system starts.
    ///
    /// # Errors
    /// Every problem of every context when none can be loaded and linked.
    pub fn load_what_can(
        settings: &SystemSettings,
        compiler: Compiler,
        cache: &Path,
        source: &(dyn Fn(&ContextSettings) -> Source + Sync),
    ) -> Result<Self, Error> {
        let engine = engine::running().map_err(Error::Engine)?;
        let loader = Loader::new(&engine, compiler, cache)?;
        let mut absent = Vec::new();
        let (specs, out) = without_broken_variants(&mut absent, |absent| {
            let (there, missing) = present(&settings.contexts, source);
            let left_out = |name: &ContextName| absent.iter().any(|absent: &Absent| absent.context == *name);
            let there: Vec<_> = there.into_iter().filter(|entry| !left_out(&entry.name)).cloned().collect();
            let missing: Vec<_> = missing.into_iter().filter(|missing| !left_out(&missing.context)).collect();
            absent.extend(missing);
            link_what_can(&loader, load::load_what_can(&loader, &there, source)?)
        })?;
        let recording = settings.recording.clone();
        let (clock, restore_points, carrier, owners) = (Clock::system(), None, None, None);
        Ok(Self { loader, specs, absent, out, recording, clock, restore_points, carrier, owners })
    }

    /// The same system, run by `clock`: for tests that step it.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The same system, which copies each file into this folder before it changes the schema of the file.
    #[must_use]
    pub fn with_restore_points(self, folder: PathBuf) -> Self {
        Self { restore_points: Some(folder), ..self }
    }

    /// The same system, whose contexts on other hosts are called through `carrier`.
    #[must_use]
    pub fn with_carrier(self, carrier: Arc<dyn Carrier>) -> Self {
        Self { carrier: Some(carrier), ..self }
    }

    /// The same system on a host that opens no file which names another owner than one of these; `None`: any file.
    #[must_use]
    pub fn with_owners(self, owners: Option<Vec<String>>) -> Self {
        Self { owners, ..self }
    }

    /// The contexts, in the manifest's order.
    pub fn specs(&self) -> &[ContextSpec] {
        &self.specs
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.loader.engine()
    }

    /// Loads a component from a file that is not part of the system.
    ///
    /// # Errors
    /// When the file cannot be read, is not a component, or does not compile within its bounds.
    pub fn component(&self, file: &Path) -> Result<Component, Error> {
        Ok(self.loader.load(file)?)
    }

    /// The variants that were left out.
    pub fn absent(&self) -> &[Absent] {
        &self.absent
    }

    /// Opens the contexts' files in the folder `databases`, starts an instance of each context, migrates each file to
    /// its component's schema, and publishes all contexts.
    ///
    /// A context whose component, store or start fails is out of service, and the others serve. A file whose migration
    /// failed is as it was. A context that lives on another host has no file here, and nothing of it is started.
    ///
    /// # Errors
    /// When no context of a system with one host can serve, or another problem remains.
    pub fn start(self, databases: &Path, host: Arc<HostFile>, metrics: &Metrics) -> Result<Registry, Error> {
        let Self { loader, specs, mut absent, out, recording, clock, restore_points, carrier, owners } = self;
        let metrics = metrics.clone();
        let registry = Registry::new(Parts { loader, databases, host, metrics, recording, clock, carrier, owners })?;
        // What a variant of a context on another host lacks is known there.
        let lives_here = |name: &str| specs.iter().all(|s| s.settings.name.as_str() != name || s.settings.at.is_none());
        absent.retain(|absent| absent.context.variant().is_none_or(|(context, _)| lives_here(context)));
        registry.check_shares(&absent)?;
        without_broken_variants(&mut absent, |absent| {
            let left_out = |spec: &ContextSpec| absent.iter().any(|absent| absent.context == spec.settings.name);
            let specs = specs.iter().filter(|spec| !left_out(spec)).cloned().collect();
            start_what_can(&registry, specs, out.clone(), restore_points.as_deref())
        })?;
        for Absent { context, why, problems } in &absent {
            match problems.is_empty() {
                true => tracing::info!(target: "up", "`{context}` does not serve: {why}"),
                false => tracing::error!(target: "up", "`{context}` does not serve; the others do: {why}"),
            }
        }
        registry.set_absent(absent);
        Ok(registry)
    }
}

/// Wires `specs`, of which some are placeholders with their `problems`. A context that cannot be wired becomes one too.
///
/// # Errors
/// The problems of variants alone if there are any, and those of all contexts when none is left.
fn link_what_can(
    loader: &Loader,
    (mut specs, problems): (Vec<ContextSpec>, Vec<ContextProblem>),
) -> Result<(Vec<ContextSpec>, Vec<ContextProblem>), Error> {
    let mut out = Vec::new();
    let mut found = problems;
    loop {
        add_to(&mut out, found, &specs)?;
        for spec in &mut specs {
            if out.iter().any(|out| out.context == spec.settings.name) && !spec.component.is_placeholder() {
                spec.component = loader.placeholder()?;
            }
        }
        found = match link::wire(loader.engine(), specs.clone()) {
            Ok(_) => return Ok((specs, out)),
            Err(problems) => problems,
        };
    }
}

/// Adds the problems that were `found` to those of the contexts that are out of service.
///
/// # Errors
/// Those of variants alone if there are any; all, when no context is left of a system with one host, or when one of
/// those had a problem before.
fn add_to(out: &mut Vec<ContextProblem>, found: Vec<ContextProblem>, specs: &[ContextSpec]) -> Result<(), Error> {
    let (variants, contexts): (Vec<_>, Vec<_>) = found.into_iter().partition(|p| p.context.variant().is_some());
    if !variants.is_empty() {
        return Err(Error::Problems(variants));
    }
    let is_out = |out: &[ContextProblem], name: &ContextName| out.iter().any(|out| out.context == *name);
    let again = contexts.iter().any(|problem| is_out(out, &problem.context));
    // What a placeholder lacks is no further problem.
    let others: Vec<_> = contexts.into_iter().filter(|problem| !is_out(out, &problem.context)).collect();
    out.extend(others);
    // A host of several serves without any context: one may move there, and operators ask it what is wrong.
    let alone = specs.iter().all(|spec| spec.settings.at.is_none());
    let mut contexts = specs.iter().map(|spec| &spec.settings.name).filter(|name| name.variant().is_none());
    if again || alone && !specs.is_empty() && contexts.all(|name| is_out(out, name)) {
        return Err(Error::Problems(std::mem::take(out)));
    }
    Ok(())
}

/// Starts and publishes `specs`. The contexts that cannot start are out of service, as those in `out` are already;
/// variants that cannot are reported, so that they are left out. A file is migrated, and copied before, at most once:
/// in the next round it has its schema.
///
/// # Errors
/// The problems of variants alone if there are any, and those of all contexts when none can start.
fn start_what_can(
    registry: &Registry,
    specs: Vec<ContextSpec>,
    mut out: Vec<ContextProblem>,
    restore_points: Option<&Path>,
) -> Result<(), Error> {
    loop {
        let prepared = registry.link(specs.clone()).and_then(|linked| registry.prepare_without(linked, &out, None));
        let problems = match prepared.and_then(|prepared| prepared.migrate(restore_points).map(|()| prepared)) {
            Ok(prepared) => {
                for ContextProblem { context, message, remedy, .. } in &out {
                    tracing::error!(target: "up", %context, hint = remedy, "out of service; the others serve: {message}");
                }
                return registry.publish(prepared);
            }
            Err(Error::Problems(problems)) => problems,
            Err(error) => return Err(error),
        };
        add_to(&mut out, problems, &specs)?;
    }
}
