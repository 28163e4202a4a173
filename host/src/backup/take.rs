//! Takes a backup: of a running system, or of the files of one that is stopped.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_runtime::guest::transactions::Transactions;
use seam_runtime::serve::Registry;
use seam_store::{Config, Database, HostFile, Register, chain, moment, private};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::Error;
use super::list::{Backup, File};
use crate::manifest::Manifest;
use crate::{folder, limits};

/// Takes a backup of the running system into a new folder in `into`. Returns the folder and its list. Commits wait for
/// the moment, not for the copies.
///
/// # Errors
/// When a file cannot be copied. No folder is left behind then.
pub fn take(registry: &Registry, data: &Path, into: &Path) -> Result<(PathBuf, Backup), Error> {
    let of = |generation: &Arc<seam_runtime::run::Generation>| {
        Some((generation.context().to_string(), generation.database()?.clone()))
    };
    let has_file = |generation: &&Arc<seam_runtime::run::Generation>| generation.spec().settings.store.is_some();
    let generations = registry.generations();
    let closed = generations.iter().filter(|generation| generation.database().is_none()).filter(has_file);
    let left_out = closed.map(|generation| generation.context().to_string()).collect();
    backup(generations.iter().filter_map(of).collect(), left_out, data, into, Some(registry.transactions()))
}

/// As `take`, of the manifest's contexts while no host runs.
///
/// # Errors
/// As `take`, and when a file cannot be opened or does not fit what the host remembers of it.
pub fn take_of(manifest: &Manifest, into: &Path) -> Result<(PathBuf, Backup), Error> {
    let data = &manifest.host.data;
    let unopened = |error: &dyn std::error::Error| Error::NoRegister { why: chain(error) };
    let host = HostFile::open(data).map_err(|error| unopened(&error))?;
    let register = Register::open(Arc::new(host)).map_err(|error| unopened(&error))?;
    let mut databases = Vec::new();
    for context in manifest.here() {
        let (name, Some(store)) = (&context.settings.name, &context.settings.store) else { continue };
        let config = Config::of(name, store, &folder::stores(data));
        let misfit = |source| Error::Misfit { context: name.to_string(), source };
        register.compare(name, &config).map_err(misfit)?;
        if config.path.is_file() {
            let open = Database::open(config).map_err(|source| Error::Open { context: name.to_string(), source })?;
            databases.push((name.to_string(), open));
        }
    }
    backup(databases, Vec::new(), data, into, None)
}

fn backup(
    databases: Vec<(String, Arc<Database>)>,
    left_out: Vec<String>,
    data: &Path,
    into: &Path,
    transactions: Option<&Arc<Transactions>>,
) -> Result<(PathBuf, Backup), Error> {
    let now = OffsetDateTime::now_utc();
    let taken = now.format(&Rfc3339).unwrap_or_default();
    // Colons are no part of a name on every file system that a backup may be copied to.
    let second = taken.get(..19).unwrap_or("backup").replace(':', "-");
    let mut names = (1..100).map(|n| if n == 1 { second.clone() } else { format!("{second}-{n}") });
    let name = names.find(|name| !into.join(name).exists()).unwrap_or_else(|| second.clone());
    let (partial, path) = (into.join(format!("{name}.partial")), into.join(&name));
    let unwritten = |path: &Path, source| Error::Write { path: path.to_owned(), source };
    private::folder(into).map_err(|error| unwritten(into, error))?;
    fs::remove_dir_all(&partial).ok();
    private::folder(&partial).map_err(|error| unwritten(&partial, error))?;
    let written = write(&databases, left_out, data, &partial, taken, transactions).and_then(|list| {
        fs::rename(&partial, &path).and_then(|()| fs::File::open(into)?.sync_all()).map_err(|e| unwritten(&path, e))?;
        Ok(list)
    });
    if written.is_err() {
        fs::remove_dir_all(&partial).ok();
    }
    Ok((path, written?))
}

fn write(
    databases: &[(String, Arc<Database>)],
    left_out: Vec<String>,
    data: &Path,
    to: &Path,
    taken: String,
    transactions: Option<&Arc<Transactions>>,
) -> Result<Backup, Error> {
    let all: Vec<_> = databases.iter().map(|(_, database)| database.clone()).collect();
    // A transaction over several files that waits for a file held by the moment would hold another one.
    let deadline = Instant::now() + Duration::from_millis(limits::MOMENT_TURN_MS);
    let turn = transactions.and_then(|transactions| transactions.turn(deadline));
    let started = Instant::now();
    let copying = |context: &str, source| Error::Copy { context: context.to_owned(), source };
    let snapshots = moment(&all).map_err(|source| copying("a context", source))?;
    drop(turn);
    let held_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut files = Vec::new();
    // Each snapshot ends with its copy, so that the write-ahead log can be cut again.
    for ((context, _), snapshot) in databases.iter().zip(snapshots) {
        let name = format!("{context}.db");
        let path = to.join(&name);
        snapshot.write(&path).map_err(|source| copying(context, source))?;
        let schema = snapshot.schema().map_err(|error| copying(context, error.into()))?;
        let (bytes, sha256) = hash(&path)?;
        files.push(File { context: context.clone(), name, bytes, sha256, schema });
    }
    let unwritten = |path: &Path, source| Error::Write { path: path.to_owned(), source };
    let seeds = folder::stores(data).join("seeds.json");
    if seeds.is_file() {
        let copy = to.join("seeds.json");
        private::copy(&seeds, &copy).map_err(|source| unwritten(&copy, source))?;
    }
    let list = Backup { format: 1, taken, held_ms, files, left_out };
    let path = to.join(Backup::FILE);
    let text = serde_json::to_string_pretty(&list).unwrap_or_default();
    let written = private::file(&path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| fs::File::open(to)?.sync_all()).map_err(|source| unwritten(&path, source))?;
    Ok(list)
}

/// How many bytes a file has, and their SHA-256 in hex. Never for a file that the host has open: closing it would end
/// the process's locks on it.
pub(super) fn hash(path: &Path) -> Result<(u64, String), Error> {
    let mut hash = Sha256::new();
    let read = fs::File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut hash));
    let bytes = read.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    Ok((bytes, format!("{:x}", hash.finalize())))
}
