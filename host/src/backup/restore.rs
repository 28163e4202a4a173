//! Puts files of a backup, or a restore point, in the place of contexts' files, while no host runs.
//!
//! Everything is verified and copied beside first. Then each file that is replaced moves, with its log, to the folder
//! `replaced` of the data folder, and the new one takes its name.
//! Invariant: before any file moves, the host's file expects the new ones. So a start after a restore that was cut off
//! takes neither an old file nor a missing one for the context's store.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use seam_store::ids::ContextName;
use seam_store::{Adopted, Config, Database, HostFile, OpenError, Register, chain, private};
use time::OffsetDateTime;

use super::continuous::{self, Destination, Fetched, HistoryError};
use super::error::{Error, lost};
use super::list::{self, Backup, RestorePoint};
use super::take::hash;
use crate::folder::{self, Folder};
use crate::manifest::Manifest;

/// What to put back.
#[derive(Debug, Clone)]
pub enum Source {
    /// The name of a backup or a restore point, or the folder of a backup.
    Named(String),
    /// The newest restore point at this schema or an older one.
    Schema(u32),
    /// The state at this time, in milliseconds since 1970, out of the backup that goes on while the host serves; the
    /// newest one without a time.
    At(Option<u64>),
}

#[derive(Debug, Clone)]
pub struct Request {
    pub source: Source,
    /// By default all that the source holds.
    pub contexts: Vec<String>,
    /// Replace files that are there.
    pub replace: bool,
}

/// A context whose file was restored, or would be.
#[derive(Debug, Clone)]
pub struct Replaced {
    pub context: String,
    /// What the file that was there holds and the new one does not, in words.
    pub lost: String,
    /// Where the file that was there is now; `None` if there was none.
    pub kept: Option<PathBuf>,
}

/// A verified file, and where it goes.
struct Plan {
    from: PathBuf,
    adopted: Adopted,
    /// The copy beside its place.
    staged: PathBuf,
    target: Config,
    replaced: Replaced,
}

/// What a restore tells its caller before anything moves.
pub struct Progress<'a> {
    /// Called for each context.
    pub found: &'a mut dyn FnMut(&Replaced),
    /// Records, in the transaction by which the host's file expects the new files, that the context is restored from
    /// this file.
    pub record: &'a dyn Fn(&Connection, &str, &Path) -> rusqlite::Result<()>,
}

/// Restores what `request` says.
///
/// # Errors
/// When a file does not verify, or would replace one without `replace`; nothing has changed then. When a file cannot be
/// moved: then the contexts whose files were not moved yet are out of service until the restore is repeated.
pub fn restore(
    manifest: &Manifest,
    folder: &Folder,
    request: &Request,
    progress: Progress<'_>,
) -> Result<Vec<Replaced>, Error> {
    let data = folder.path();
    // Lives until its files are copied.
    let scratch = scratch(data)?;
    let sources = match request.source {
        Source::At(at_ms) => fetched(manifest, &request.contexts, at_ms, scratch.path())?
            .into_iter()
            .map(|(context, path, _)| (context, path))
            .collect(),
        _ => sources(manifest, data, request)?,
    };
    let host = HostFile::open(data).map_err(|error| Error::NoRegister { why: chain(&error) })?;
    let register = Register::open(Arc::new(host)).map_err(|error| Error::NoRegister { why: chain(&error) })?;
    let mut plans = Vec::new();
    let staged = sources.into_iter().try_for_each(|(context, from)| {
        plans.push(stage(manifest, data, &context, from, &register)?);
        Ok(())
    });
    let ready = staged.and_then(|()| {
        plans.iter().for_each(|plan| (progress.found)(&plan.replaced));
        let there = plans.iter().filter(|plan| plan.target.path.exists());
        let contexts: Vec<_> = there.map(|plan| plan.replaced.context.clone()).collect();
        if contexts.is_empty() || request.replace { Ok(()) } else { Err(Error::WouldReplace { contexts }) }
    });
    let ready = ready.and_then(|()| {
        let record =
            |transaction: &Connection, plan: &Plan| (progress.record)(transaction, &plan.replaced.context, &plan.from);
        let expected = register.expect(plans.iter().map(|plan| &plan.adopted), |transaction| {
            plans.iter().try_for_each(|plan| record(transaction, plan))
        });
        expected.map_err(|error| Error::NoRegister { why: chain(&error) })
    });
    if let Err(error) = ready {
        plans.iter().for_each(|plan| drop(fs::remove_file(&plan.staged)));
        return Err(error);
    }
    let kept = data.join("replaced").join(stamp());
    plans.into_iter().map(|plan| replace(plan, &kept)).collect()
}

/// The verified source of each context.
fn sources(manifest: &Manifest, data: &Path, request: &Request) -> Result<Vec<(ContextName, PathBuf)>, Error> {
    let named = |context: &str| context_of(manifest, context).map(|(name, _)| name);
    let points = list::restore_points(data);
    let name = match &request.source {
        Source::Schema(schema) => {
            let point = |context: &String| {
                let name = named(context)?;
                let point = points.iter().filter(|point| point.context == *context).find(|point| {
                    let at = config(manifest, context).map(|config| Config { path: point.path.clone(), ..config });
                    at.is_ok_and(|at| seam_store::schema_at(&at).is_ok_and(|found| found <= *schema))
                });
                let none = || Error::NoPoint { context: context.clone(), schema: *schema };
                Ok((name, point.ok_or_else(none)?.path.clone()))
            };
            return request.contexts.iter().map(point).collect();
        }
        Source::Named(name) => name,
        Source::At(_) => return Ok(Vec::new()),
    };
    if let Some(RestorePoint { context, path, .. }) = points.iter().find(|point| point.name == *name) {
        if let Some(other) = request.contexts.iter().find(|other| *other != context) {
            return Err(Error::Foreign { path: path.clone(), context: other.clone(), is: context.clone() });
        }
        return Ok(vec![(named(context)?, path.clone())]);
    }
    let Some(folder) = list::locate(data, name) else {
        let backups = list::backups(&list::folder(data)).into_iter().map(|(name, _)| name);
        let known = backups.chain(points.into_iter().map(|point| point.name)).collect();
        return Err(Error::Unknown { name: name.clone(), known });
    };
    let backup = Backup::read(&folder)?;
    let known = || backup.files.iter().map(|file| file.context.clone()).collect::<Vec<_>>();
    let contexts = if request.contexts.is_empty() { known() } else { request.contexts.clone() };
    let of = |context: &String| {
        if !backup.files.iter().any(|file| file.context == *context) {
            return Err(Error::NotInBackup { context: context.clone(), known: known() });
        }
        Ok((named(context)?, verified(&backup, &folder, context)?))
    };
    contexts.iter().map(of).collect()
}

/// The path of the file of `context`, which is the one that the backup wrote.
///
/// # Errors
/// When it is not, or cannot be read.
pub fn verified(backup: &Backup, folder: &Path, context: &str) -> Result<PathBuf, Error> {
    let Some(file) = backup.files.iter().find(|file| file.context == context) else {
        return Err(Error::NotInBackup { context: context.to_owned(), known: Vec::new() });
    };
    let path = folder.join(&file.name);
    if let Some(path) = logs(&path).into_iter().find(|log| log.exists()) {
        return Err(Error::Beside { path });
    }
    let (found, sha256) = hash(&path)?;
    if sha256 == file.sha256 {
        return Ok(path);
    }
    if let Some(other) = backup.files.iter().find(|other| other.sha256 == sha256) {
        return Err(Error::Foreign { path, context: context.to_owned(), is: other.context.clone() });
    }
    if found != file.bytes {
        return Err(Error::Truncated { path, found, bytes: file.bytes });
    }
    Err(Error::Changed { path })
}

/// A folder for what is fetched, which goes with its owner.
fn scratch(data: &Path) -> Result<tempfile::TempDir, Error> {
    let made = tempfile::Builder::new().prefix(".restore-").tempdir_in(data);
    made.map_err(|source| Error::Write { path: data.to_owned(), source })
}

/// The files of these contexts, or of all, out of the backup that goes on while the host serves.
fn fetched(
    manifest: &Manifest,
    contexts: &[String],
    at_ms: Option<u64>,
    into: &Path,
) -> Result<Vec<(ContextName, PathBuf, Fetched)>, Error> {
    let from = Destination::of(manifest.backup.as_ref().ok_or(Error::NoContinuous)?).map_err(HistoryError::from)?;
    let all = manifest.here().filter(|context| context.settings.store.is_some());
    let all = all.map(|context| context.settings.name.to_string());
    let contexts: Vec<String> = if contexts.is_empty() { all.collect() } else { contexts.to_vec() };
    let fetch = |context: String| {
        let (name, _) = context_of(manifest, &context)?;
        let (path, fetched) = continuous::fetch_now(&from, &context, at_ms, into)?;
        Ok((name, path, fetched))
    };
    contexts.into_iter().map(fetch).collect()
}

/// A context whose file was fetched, and found whole.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Drilled {
    pub context: String,
    /// When its state was taken, in milliseconds since 1970.
    pub at_ms: u64,
    pub bytes: u64,
    /// Deltas that it took.
    pub deltas: usize,
    pub took_ms: u64,
}

/// Fetches the newest state of each context, and verifies it as a restore does. Changes nothing; the host may serve.
/// `found` gets each result.
///
/// # Errors
/// When there is no folder for it.
pub fn drill(manifest: &Manifest, mut found: impl FnMut(&str, Result<Drilled, Error>)) -> Result<(), Error> {
    if manifest.backup.is_none() {
        return Err(Error::NoContinuous);
    }
    let scratch = scratch(&manifest.host.data)?;
    for context in manifest.here().filter(|context| context.settings.store.is_some()) {
        let name = &context.settings.name;
        let started = std::time::Instant::now();
        let drilled = fetched(manifest, &[name.to_string()], None, scratch.path()).and_then(|all| {
            let Some((_, path, Fetched { at_ms, deltas, .. })) = all.into_iter().next() else {
                return Err(Error::NoContinuous);
            };
            let bytes = fs::metadata(&path).map_or(0, |file| file.len());
            let copy = Config { path: path.clone(), ..config(manifest, name.as_str())? };
            let whole = whole(&copy, name, &path).map(drop);
            logs(&path).iter().chain([&path]).for_each(|file| drop(fs::remove_file(file)));
            let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            whole.map(|()| Drilled { context: name.to_string(), at_ms, bytes, deltas, took_ms })
        });
        found(name.as_str(), drilled);
    }
    Ok(())
}

/// Opens the copy of a file that came from `from`, if it is one of the context and nothing of it is damaged.
fn whole(copy: &Config, context: &ContextName, from: &Path) -> Result<Arc<Database>, Error> {
    let damaged = |error: &dyn std::error::Error| Error::Damaged { path: from.to_owned(), why: chain(error) };
    let unusable = |source: OpenError| match source {
        // The file may be whole: its key is missing here.
        OpenError::NoSealKey { .. } | OpenError::Key(_) => Error::Open { context: context.to_string(), source },
        source => damaged(&source),
    };
    seam_store::encrypt_if_clear(copy).map_err(unusable)?;
    seam_store::seal_if_plain(copy).map_err(unusable)?;
    let copy = Database::open(copy.clone()).map_err(unusable)?;
    copy.quick_check().map_err(|error| damaged(&error))?;
    if let Some(why) = copy.verify_seals().map_err(|error| damaged(&error))?.words() {
        return Err(Error::Damaged { path: from.to_owned(), why });
    }
    let mark = copy.mark().map_err(|error| damaged(&error))?;
    let owner = mark.map(|mark| mark.context).filter(|owner| owner != context.as_str());
    // A file from before files were marked has taken the name of the copy.
    if let Some(is) = owner.filter(|owner| !owner.starts_with('.')) {
        return Err(Error::Foreign { path: from.to_owned(), context: context.to_string(), is });
    }
    Ok(copy)
}

/// Copies the source beside its place, checks the copy, and finds out what it would replace.
fn stage(
    manifest: &Manifest,
    data: &Path,
    context: &ContextName,
    from: PathBuf,
    register: &Register,
) -> Result<Plan, Error> {
    let target = config(manifest, context.as_str())?;
    // The next start would encrypt the file that is there, if it fits. That comes before the copy makes the key: once
    // there is one, a file in the clear fits no more.
    if target.key.is_some() && register.compare(context, &target).is_ok() && target.path.is_file() {
        seam_store::encrypt_if_clear(&target).map_err(|source| Error::Open { context: context.to_string(), source })?;
    }
    let staged = folder::stores(data).join(format!(".restore-{context}.db"));
    private::copy(&from, &staged).map_err(|source| Error::Write { path: staged.clone(), source })?;
    let damaged = |error: &dyn std::error::Error| Error::Damaged { path: from.clone(), why: chain(error) };
    let copy = Config { path: staged.clone(), ..target.clone() };
    let looked = (|| {
        let copy = whole(&copy, context, &from)?;
        if !target.path.is_file() {
            return Ok(String::new());
        }
        // A file that does not fit is replaced, and kept, like any other. To open it could mix it with its log.
        let there = register.compare(context, &target).map_err(|error| chain(&error));
        let there = there.and_then(|()| Database::open(target.clone()).map_err(|error| chain(&error)));
        let differences = there.and_then(|there| there.differences(&copy).map_err(|error| chain(&error)));
        Ok(differences.map_or_else(|why| format!("the file there is not compared: {why}"), |found| lost(&found)))
    })();
    let adopted = looked.and_then(|lost| {
        let adopted = Register::adopt(context, &copy).map_err(|error| damaged(&error))?;
        let sync = fs::File::open(&staged).and_then(|file| file.sync_all());
        sync.map(|()| (lost, adopted)).map_err(|source| Error::Write { path: staged.clone(), source })
    });
    if adopted.is_err() {
        fs::remove_file(&staged).ok();
    }
    let (lost, adopted) = adopted?;
    let replaced = Replaced { context: context.to_string(), lost, kept: None };
    Ok(Plan { from, adopted, staged, target, replaced })
}

/// Moves the file that is there, and its log, away, and the new one into its place.
fn replace(plan: Plan, kept: &Path) -> Result<Replaced, Error> {
    let Plan { staged, target, mut replaced, from, .. } = plan;
    let unwritten = |source| Error::Write { path: target.path.clone(), source };
    let old = logs(&target.path).into_iter().chain([target.path.clone()]).filter(|path| path.exists());
    for path in old {
        private::folder(kept).map_err(unwritten)?;
        let to = kept.join(path.file_name().unwrap_or_default());
        fs::rename(&path, &to).map_err(unwritten)?;
        if path == target.path {
            replaced.kept = Some(to);
        }
    }
    fs::rename(&staged, &target.path).map_err(unwritten)?;
    let stores = target.path.parent().unwrap_or(&target.path);
    fs::File::open(stores).and_then(|folder| folder.sync_all()).map_err(unwritten)?;
    // Without the list, the host would take the rows for rows of another origin and load no seed; so it is no loss.
    let seeds = from.with_file_name("seeds.json");
    if seeds.is_file() && !stores.join("seeds.json").exists() {
        private::copy(&seeds, &stores.join("seeds.json")).map_err(unwritten)?;
    }
    Ok(replaced)
}

fn logs(file: &Path) -> [PathBuf; 3] {
    ["-wal", "-shm", "-journal"].map(|end| {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    })
}

fn context_of<'m>(manifest: &'m Manifest, context: &str) -> Result<(ContextName, &'m seam_store::Settings), Error> {
    let stores = manifest.here().filter_map(|c| Some((&c.settings.name, c.settings.store.as_ref()?)));
    let stores: Vec<_> = stores.collect();
    let found = stores.iter().find(|(name, _)| name.as_str() == context);
    let known = || stores.iter().map(|(name, _)| name.to_string()).collect();
    let none = || Error::NoContext { context: context.to_owned(), known: known() };
    found.map(|(name, store)| ((*name).clone(), *store)).ok_or_else(none)
}

fn config(manifest: &Manifest, context: &str) -> Result<Config, Error> {
    let (name, store) = context_of(manifest, context)?;
    Ok(Config::of(&name, store, &folder::stores(&manifest.host.data)))
}

/// The name of a folder for what is replaced now.
fn stamp() -> String {
    let now = OffsetDateTime::now_utc();
    let now = now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
    now.replace(':', "-")
}
