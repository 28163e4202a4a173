//! The files of a backup, while the host that they were copied from serves or not.

use std::path::Path;
use std::sync::Arc;

use seam_runtime::component::Compiler;
use seam_runtime::serve::Source;
use seam_store::{Config, HostFile, Snapshot, chain};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::Error;
use super::report::Report;
use super::subject::{Events, Fault, Subject};
use super::{Progress, VerifyRequest, offline};
use crate::backup::{self, Backup};
use crate::deploy::{self, History};
use crate::folder;
use crate::manifest::{Context, ContextSettings, Manifest};

/// The components that say what holds in the files of a backup.
#[derive(Debug)]
pub enum Components {
    /// The files that the manifest names.
    Manifest,
    /// Those that serve now: by context, the first digits of the hash.
    Serving(Vec<(String, String)>),
    /// Those that a start would serve.
    Deployed(deploy::Sources),
}

impl Components {
    /// Those of the stopped host of `manifest`; the manifest's, if no host has run there.
    ///
    /// # Errors
    /// When the host's file cannot be used.
    pub fn of_stopped(manifest: &Manifest) -> Result<Self, Error> {
        let data = &manifest.host.data;
        if !folder::is_data(data) {
            return Ok(Self::Manifest);
        }
        let history = History::new(Arc::new(HostFile::open(data)?))?;
        Ok(Self::Deployed(deploy::standing(manifest, &history)?))
    }

    fn of(&self, entry: &ContextSettings, data: &Path) -> Source {
        match self {
            Self::Manifest => Source::of(entry),
            Self::Deployed(sources) => sources.of(entry),
            Self::Serving(hashes) => {
                let hash = hashes.iter().find(|(context, _)| context == entry.name.as_str());
                let kept = hash.and_then(|(_, hash)| deploy::kept_component(data, hash));
                kept.map_or_else(|| Source::of(entry), |file| Source { file, ..Source::of(entry) })
            }
        }
    }
}

/// Verifies the backup `name`: one of the data folder's, or a folder.
///
/// # Errors
/// When there is no such backup, or the components cannot be loaded.
pub fn verify_backup(
    manifest: &Manifest,
    compiler: Compiler,
    name: &str,
    components: &Components,
    request: &VerifyRequest,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Report, Error> {
    let data = &manifest.host.data;
    let folder = backup::locate(data, name).ok_or_else(|| Error::NoBackup { name: name.to_owned() })?;
    let backup = Backup::read(&folder).map_err(|error| Error::Backup(Box::new(error)))?;
    let source = |entry: &ContextSettings| components.of(entry, data);
    let mut declared = offline::declared(manifest, compiler, &source)?;
    let mut subjects = Vec::new();
    for context in manifest.here() {
        let name = context.settings.name.to_string();
        let is_in = backup.files.iter().any(|file| file.context == name);
        if context.settings.store.is_none() || (!is_in && context.settings.name.variant().is_some()) {
            continue;
        }
        let file = file(&backup, &folder, context, data, is_in);
        let events = (&context.settings).into();
        subjects.push(Subject {
            file,
            declared: offline::of(&mut declared, &name),
            context: name,
            events,
            promise: None,
        });
    }
    for file in backup.files.iter().filter(|file| manifest.context(&file.context).is_none()) {
        let why = format!("the manifest has no context `{}`, whose file is in the backup", file.context);
        let fault = || Fault::Unreadable { why: why.clone(), remedy: "name the manifest with `-f`".to_owned() };
        let (context, events) = (file.context.clone(), Events::default());
        subjects.push(Subject { context, file: Err(fault()), declared: Ok(Vec::new()), events, promise: None });
    }
    let taken = OffsetDateTime::parse(&backup.taken, &Rfc3339).unwrap_or_else(|_| OffsetDateTime::now_utc());
    offline::report(subjects, taken, request, progress)
}

fn file(backup: &Backup, folder: &Path, context: &Context, data: &Path, is_in: bool) -> Result<Snapshot, Fault> {
    let settings = &context.settings;
    let (name, Some(store)) = (&settings.name, &settings.store) else { return Err(Fault::Absent) };
    if !is_in {
        let out = backup.left_out.iter().any(|left_out| left_out == name.as_str());
        let why = match out {
            true => format!("`{name}` was out of service when the backup was taken"),
            false => format!("the backup holds no file of `{name}`"),
        };
        return Err(Fault::Unreadable { why, remedy: "take another backup: `seam backup`".to_owned() });
    }
    let path = backup::verified(backup, folder, name.as_str()).map_err(|error| {
        let (why, remedy) = (chain(&error), error.remedy());
        match error {
            backup::Error::Read { .. } => Fault::Unreadable { why, remedy },
            _ => Fault::Damaged { why, remedy },
        }
    })?;
    let config = Config { path, ..Config::of(name, store, &folder::stores(data)) };
    Snapshot::of_copy(&config).map_err(|error| Fault::Unreadable { why: chain(&error), remedy: error.remedy() })
}
