//! What the target of a move does for a prediction: it takes the pause's steps with a file of its own, as often as the
//! source asks, and says why it would not take the context.
//!
//! What is written goes into a folder of its own beside the files of contexts, which is removed again, also when the
//! source falls silent. Invariants: nothing of it serves; no file of a context and no note of this host changes.
//! Not here: when a pause is rehearsed, and what is made of the times (`pause`, on the source).

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use seam_runtime::serve::{Linked, Prepared};
use seam_store::ids::ContextName;
use seam_store::{Config, Database, HostFile, KeySource, Owner, Register, Settings, chain, private, take_over};
use sha2::{Digest as _, Sha256};

use super::arrival::{self, Arrival};
use super::messages::{Begin, Pages, Probe, Probed, ProbedPages, ReadPages, Rehearse, Token, json, parsed, step};
use super::{Rehearsing, Relocator};
use crate::forecast::{Snapshot, forecast};
use crate::homes::Homes;
use crate::limits;
use crate::manifest::Manifest;

/// The size that the file of a rehearsal may grow to.
const FILE_MB_MAX: u64 = 64;

/// A folder that is removed when this is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new folder beside the file of a context.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn beside(config: &Config) -> Result<Self, String> {
        let path = config.path.with_extension(format!("rehearsal-{}", rand::random::<u64>()));
        let made = private::folder(&path);
        made.map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
        Ok(Self(path))
    }

    /// The file of a context as it would be opened here, in this folder, under keys of its own.
    ///
    /// # Errors
    /// When the key cannot be written.
    pub fn config(&self, manifest: &Manifest, context: &ContextName) -> Result<Config, String> {
        let entries = manifest.contexts.iter().map(|entry| &entry.settings);
        let settings = entries.filter(|entry| entry.name == *context).find_map(|entry| entry.store.clone());
        let settings = settings.unwrap_or_else(|| Settings::plain(FILE_MB_MAX));
        let mut config = Config::of(context, &settings.passing(), &self.0);
        if settings.encrypted {
            let path = self.0.join("key");
            // In the form of the keys that the host makes: another one is stretched at each opening, for seconds.
            let key = format!("x'{}'", hex::encode(rand::random::<[u8; 32]>()));
            private::write(&path, key.as_bytes()).map_err(|error| error.to_string())?;
            config.key = settings.key.clone().or(Some(KeySource::File(path)));
        }
        Ok(config)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Removes what rehearsals have left of the file that `config` names, because the host stopped.
pub fn sweep(config: &Config) {
    let Some((folder, name)) = config.path.parent().zip(config.path.file_stem()) else { return };
    let begins = format!("{}.rehearsal-", name.to_string_lossy());
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&begins) {
            std::fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// A pause that is rehearsed here: the files of one rehearsal, which has several passes.
pub struct Rehearsal {
    context: ContextName,
    /// The file as the context would have it here. Closed while it waits to arrive.
    config: Config,
    /// The file as its context makes it, from which each pass gets its own.
    template: PathBuf,
    /// What arrives of the source's pages.
    arrival: Arrival,
    register: Register,
    linked: Option<Linked>,
    /// Of the pass before: what it has started, and its open file.
    left: Option<(Prepared, Arc<Database>)>,
    passes: u64,
    /// Removed last.
    _scratch: Scratch,
}

impl Rehearsal {
    fn new(
        relocator: &Relocator,
        from: &str,
        context: &ContextName,
        Rehearse { attempt, page_bytes }: Rehearse,
    ) -> Result<Self, String> {
        let scratch = Scratch::beside(&relocator.accepts(from, context)?)?;
        let config = scratch.config(&relocator.0.manifest, context)?;
        let host = HostFile::open(&scratch.0).map_err(|error| chain(&error))?;
        let register = Register::open(Arc::new(host)).map_err(|error| chain(&error))?;
        let begin = Begin {
            token: 0,
            attempt,
            page_bytes,
            file_bytes: 0,
            component: String::new(),
            component_bytes: 0,
            tolerated_schema: None,
            keys: Vec::new(),
        };
        let arrival = Arrival::new(begin, &Config { path: scratch.0.join("pages.db"), ..config.clone() })?;
        let rehearsal = Self {
            context: context.clone(),
            template: scratch.0.join("template"),
            config,
            arrival,
            register,
            linked: None,
            left: None,
            passes: 0,
            _scratch: scratch,
        };
        rehearsal.make_template(relocator)?;
        Ok(rehearsal)
    }

    /// A file with all that the context makes in its own.
    fn make_template(&self, relocator: &Relocator) -> Result<(), String> {
        // Its mark names the context that its own name says.
        let database = Database::open(self.config.clone()).map_err(|error| chain(&error))?;
        let lent = (&self.context, &database);
        let prepared = relocator.0.registry.rehearse(self.link(relocator)?, lent).map_err(|error| chain(&error))?;
        let candidates = prepared.candidates.iter();
        // The files of the others stay as they are.
        for candidate in candidates.filter(|candidate| *candidate.generation.context() == self.context) {
            candidate.migrate(None).map_err(|problem| problem.message)?;
        }
        drop(prepared);
        database.close()?;
        drop(database);
        std::fs::rename(&self.config.path, &self.template).map_err(|error| error.to_string())
    }

    fn link(&self, relocator: &Relocator) -> Result<Linked, String> {
        let registry = &relocator.0.registry;
        registry.link(registry.specs_with(&self.context, None, 0)).map_err(|error| chain(&error))
    }

    /// Has the next pass find all as a move finds it.
    fn make_ready(&mut self, relocator: &Relocator) -> Result<(), String> {
        if let Some((prepared, database)) = self.left.take() {
            drop(prepared);
            database.close().ok();
        }
        let failed = |error: std::io::Error| format!("cannot write `{}`: {error}", self.config.path.display());
        for file in [self.config.path.clone(), seam_store::log_of(&self.config.path)] {
            std::fs::remove_file(file).ok();
        }
        let copy = arrival::path(&self.config);
        std::fs::copy(&self.template, &copy).map_err(failed)?;
        // As the copy of a move, it is on the disk before the pause.
        File::open(&copy).and_then(|file| file.sync_all()).map_err(failed)?;
        arrival::reserve(&copy)?;
        if !relocator.0.registry.remembers_store(&self.context) {
            // As on this host: then there is nothing to forget, and no sync for it.
            self.register.forget(&self.context).map_err(|error| chain(&error))?;
        }
        self.linked = Some(self.link(relocator)?);
        self.passes += 1;
        Ok(())
    }

    /// As `Relocator::take_over`.
    fn activate(&mut self, relocator: &Relocator) -> Result<(), String> {
        let inner = &relocator.0;
        drop(Homes::load(&inner.manifest.host.data).map_err(|error| chain(&error))?);
        let path = arrival::path(&self.config);
        arrival::release(&path);
        let copy = Config { path: path.clone(), ..self.config.clone() };
        let owner = Owner { host: inner.this.clone(), token: self.passes };
        take_over(&copy, &owner).map_err(|error| chain(&error))?;
        self.register.forget(&self.context).map_err(|error| chain(&error))?;
        std::fs::rename(&path, &self.config.path).map_err(|error| error.to_string())?;
        arrival::remove(&seam_store::log_of(&path));
        self.register.compare(&self.context, &self.config).map_err(|error| chain(&error))?;
        let database = Database::open(self.config.clone()).map_err(|error| chain(&error))?;
        drop(database.owner());
        self.register.note(&self.context, &database).map_err(|error| chain(&error))?;
        let linked = self.linked.take().ok_or("this pass was not made ready")?;
        let prepared = inner.registry.rehearse(linked, (&self.context, &database)).map_err(|error| chain(&error))?;
        let own = prepared.candidates.iter().find(|candidate| *candidate.generation.context() == self.context);
        own.map_or(Ok(None), |candidate| candidate.migrate(None)).map_err(|problem| problem.message)?;
        self.left = Some((prepared, database));
        Ok(())
    }
}

impl Relocator {
    /// Takes a step of a rehearsal: `name` is that of the step, without `step::REHEARSED`.
    pub(super) async fn rehearsed(
        &self,
        from: &str,
        context: &ContextName,
        name: &str,
        body: &Bytes,
    ) -> Result<Bytes, String> {
        match name {
            step::REHEARSE => self.begin_rehearsal(from, context, parsed(body)?).await.map(|()| Bytes::new()),
            step::PAGES | step::ARRIVE => {
                // A message of pages begins with the attempt.
                let attempt = body.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
                let rehearsing = self.rehearsing(from, context, attempt)?;
                let mut rehearsal = rehearsing.lock().await;
                let sum = tokio::task::block_in_place(|| {
                    let sum = rehearsal.arrival.write(body)?;
                    if name == step::ARRIVE { rehearsal.arrival.sync().map(|()| sum) } else { Ok(sum) }
                })?;
                Ok(Bytes::copy_from_slice(&sum))
            }
            step::ACTIVATE => {
                let Token { attempt, .. } = parsed(body)?;
                let (this, rehearsing) = (self.clone(), self.rehearsing(from, context, attempt)?);
                let work = move || rehearsing.blocking_lock().activate(&this);
                tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())??;
                Ok(Bytes::new())
            }
            step::UNDO => {
                let Token { attempt, .. } = parsed(body)?;
                let rehearsing = self.rehearsing(from, context, attempt)?;
                self.0.rehearsing.lock().remove(&(from.to_owned(), context.clone(), attempt));
                tokio::task::block_in_place(|| drop(rehearsing));
                Ok(Bytes::new())
            }
            other => Err(format!("a rehearsal has no step `{other}`: run the same version of `seam` on both hosts")),
        }
    }

    async fn begin_rehearsal(&self, from: &str, context: &ContextName, rehearse: Rehearse) -> Result<(), String> {
        let key = (from.to_owned(), context.clone(), rehearse.attempt);
        if !self.0.rehearsing.lock().contains_key(&key) {
            let made = tokio::task::block_in_place(|| Rehearsal::new(self, from, context, rehearse))?;
            let mut all = self.0.rehearsing.lock();
            if all.len() >= limits::MOVE_REHEARSING_MAX {
                return Err("other moves are being predicted; try again when they are".to_owned());
            }
            all.insert(key.clone(), Arc::new(tokio::sync::Mutex::new(made)));
            let this = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(limits::MOVE_PREDICT_MS_MAX)).await;
                let forgotten = this.0.rehearsing.lock().remove(&key);
                tokio::task::block_in_place(|| drop(forgotten));
            });
        }
        let rehearsing = self.rehearsing(from, context, rehearse.attempt)?;
        let mut rehearsal = rehearsing.lock().await;
        tokio::task::block_in_place(|| rehearsal.make_ready(self))
    }

    fn rehearsing(&self, from: &str, context: &ContextName, attempt: u64) -> Result<Rehearsing, String> {
        let none = || format!("no rehearsal of a move of `{context}` from host `{from}` goes on here");
        self.0.rehearsing.lock().get(&(from.to_owned(), context.clone(), attempt)).cloned().ok_or_else(none)
    }

    /// What this host would do for a context that comes from the host `from`.
    pub(super) fn rehearse(&self, from: &str, context: &ContextName, probe: &Probe) -> Probed {
        let mut probed = Probed { saved: self.saved(context, probe), ..Probed::default() };
        let room = |config: Config| arrival::room(&arrival::path(&config), probe.file_bytes);
        if let Err(why) = self.accepts(from, context).and_then(room) {
            probed.refused.push(why);
        }
        probed
    }

    /// The calls of this host's contexts that would not cross hosts any more.
    fn saved(&self, context: &ContextName, probe: &Probe) -> Option<crate::forecast::Forecast> {
        let registry = &self.0.registry;
        let snapshot = Snapshot::of(registry, self.0.started.elapsed().as_secs_f64());
        let here = |name: &str| registry.lives_elsewhere(name).is_none();
        let saved = forecast(&snapshot.between(context.as_str(), &here), context.as_str(), probe.way);
        (!saved.edges.is_empty()).then_some(saved)
    }

    /// Writes pages and reads them back, as those of a move.
    pub(super) fn probe_pages(&self, context: &ContextName, message: &[u8]) -> Result<Bytes, String> {
        let config = self.config(context)?;
        tokio::task::block_in_place(|| {
            let scratch = Scratch::beside(&config)?;
            json(&write_and_read(&scratch.0.join("pages"), message)?)
        })
    }
}

fn write_and_read(path: &Path, message: &[u8]) -> Result<ProbedPages, String> {
    let failed = |error: std::io::Error| format!("cannot write `{}`: {error}", path.display());
    let (page_bytes, message) = message.split_first_chunk::<4>().ok_or("the message is cut off")?;
    let page_bytes = u32::from_be_bytes(*page_bytes) as usize;
    let ReadPages { pages, .. } = Pages::read(page_bytes.max(1), message)?;
    private::new_file(path).map_err(failed)?;
    let file = File::options().read(true).write(true).open(path).map_err(failed)?;
    let started = Instant::now();
    for (at, (_, page)) in (0_u64..).zip(&pages) {
        file.write_all_at(page, at * page_bytes as u64).map_err(failed)?;
    }
    let (mut sum, mut there) = (Sha256::new(), vec![0; page_bytes]);
    for at in 0..pages.len() as u64 {
        file.read_exact_at(&mut there, at * page_bytes as u64).map_err(failed)?;
        sum.update(&there);
    }
    let took_us = us(started);
    let syncing = Instant::now();
    file.sync_data().map_err(failed)?;
    Ok(ProbedPages { sum: sum.finalize().into(), took_us, sync_us: us(syncing) })
}

fn us(since: Instant) -> u64 {
    since.elapsed().as_micros() as u64
}
