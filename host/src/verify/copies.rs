//! The files of a backup, or of one of each host, while the hosts that they were copied from serve or not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use seam_runtime::component::Compiler;
use seam_runtime::serve::Source;
use seam_store::{Config, HostFile, Snapshot, chain};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::Error;
use super::report::{How, Outcome, Part, Report};
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

/// A backup that is verified.
struct Opened {
    name: String,
    folder: PathBuf,
    backup: Backup,
}

/// Verifies the backups in these folders together: one, or one of each of several hosts, which `hosts` are, the
/// manifest as each of them runs it.
///
/// # Errors
/// When one of them is no backup, or the components cannot be loaded.
pub fn verify_backups(
    hosts: &[(Manifest, Components)],
    folders: &[PathBuf],
    compiler: Compiler,
    request: &VerifyRequest,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Report, Error> {
    let Some((first, _)) = hosts.first() else { return Err(Error::NoData { path: String::new() }) };
    let read = |folder: &PathBuf| -> Result<Opened, backup::Error> {
        let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
        Ok(Opened { name, folder: folder.clone(), backup: Backup::read(folder)? })
    };
    let backups: Vec<Opened> = folders.iter().map(read).collect::<Result<_, _>>()?;
    let host_of = |context: &str| {
        let lives_there = |(manifest, _): &&(Manifest, Components)| {
            manifest.context(context).is_some_and(|found| found.settings.at.is_none())
        };
        hosts.iter().find(lives_there)
    };
    let source = |entry: &ContextSettings| match host_of(entry.name.as_str()).or(hosts.first()) {
        Some((manifest, components)) => components.of(entry, &manifest.host.data),
        None => Source::of(entry),
    };
    let declared = offline::declared(first, compiler, &source)?;
    let mut subjects = Vec::new();
    for context in &first.contexts {
        let name = context.settings.name.to_string();
        let mut having = backups.iter().filter(|one| one.has(&name));
        let (in_first, in_second) = (having.next(), having.next());
        let lives = host_of(&name);
        let is_wanted = in_first.is_some() || (lives.is_some() && context.settings.name.variant().is_none());
        if context.settings.store.is_none() || !is_wanted {
            continue;
        }
        let data = lives.map_or(&first.host.data, |(manifest, _)| &manifest.host.data);
        let mut add = |file| {
            subjects.push(Subject {
                file,
                declared: offline::of(&declared, &name),
                context: name.clone(),
                events: (&context.settings).into(),
                promise: None,
                is_elsewhere: false,
            });
        };
        if first.placement.is_copied(&context.settings.name) {
            // Each copy has a file of its own.
            backups.iter().filter(|one| one.has(&name)).for_each(|one| add(file(one, context, data)));
            continue;
        }
        add(match (in_first, in_second) {
            (Some(one), Some(other)) => Err(Fault::Unreadable {
                why: format!("the backups `{}` and `{}` both hold a file of it", one.name, other.name),
                remedy: "name one backup of each host".to_owned(),
            }),
            (Some(one), None) => file(one, context, data),
            (None, _) => Err(missing(&backups, &name, hosts.len() > 1)),
        });
    }
    for file in backups.iter().flat_map(|one| &one.backup.files).filter(|file| first.context(&file.context).is_none()) {
        let why = format!("the manifest has no context `{}`, whose file is in the backup", file.context);
        let fault = || Fault::Unreadable { why: why.clone(), remedy: "name the manifest with `-f`".to_owned() };
        let (context, events, declared) = (file.context.clone(), Events::default(), Ok(Vec::new()));
        subjects.push(Subject { context, file: Err(fault()), declared, events, promise: None, is_elsewhere: false });
    }
    let away = |host: &str| {
        let why = format!("it lives on host `{host}`, of which no backup was named");
        (why, "name a backup of each host: `seam verify --backup NAME --backup NAME`".to_owned())
    };
    subjects.append(&mut offline::elsewhere(first, &subjects, &declared, &away));
    let taken = |one: &Opened| OffsetDateTime::parse(&one.backup.taken, &Rfc3339).ok();
    let last = backups.iter().filter_map(taken).max().unwrap_or_else(OffsetDateTime::now_utc);
    let report = offline::report(subjects, last, request, progress)?;
    Ok(if backups.len() > 1 { apart(report, &backups) } else { report })
}

impl Opened {
    fn has(&self, context: &str) -> bool {
        self.backup.files.iter().any(|file| file.context == context)
    }
}

/// Says when each backup was taken, and of what disagrees between them that this may be the reason.
fn apart(report: Report, backups: &[Opened]) -> Report {
    let part = |one: &Opened| Part { name: one.name.clone(), how: How::Backup, at: one.backup.taken.clone() };
    let mut report = Report::merged([report], backups.iter().map(part).collect());
    for check in &mut report.checks {
        let of = backups.iter().filter(|one| check.contexts.iter().any(|context| one.has(context)));
        let of: Vec<String> = of.map(|one| format!("`{}` at {}", one.name, one.backup.taken)).collect();
        if let (Outcome::Violated { remedy, .. }, 2..) = (&mut check.outcome, of.len()) {
            let apart = format!(
                "the backups are of several moments, {}: what was done between them is in the later one alone, and \
                 would stay so after a restore of both",
                of.join(" and ")
            );
            *remedy = if remedy.is_empty() { apart } else { format!("{remedy}; {apart}") };
        }
    }
    report
}

fn missing(backups: &[Opened], name: &str, are_several: bool) -> Fault {
    let out = backups.iter().any(|one| one.backup.left_out.iter().any(|left_out| left_out == name));
    let why = match (out, backups.len()) {
        (true, _) => format!("`{name}` was out of service when the backup was taken"),
        (false, 1) => format!("the backup holds no file of `{name}`"),
        (false, _) => format!("none of the backups holds a file of `{name}`"),
    };
    let remedy = match are_several && !out {
        true => "name a backup of its host, too: `seam verify --backup NAME --backup NAME`",
        false => "take another backup: `seam backup`",
    };
    Fault::Unreadable { why, remedy: remedy.to_owned() }
}

fn file(Opened { folder, backup, .. }: &Opened, context: &Context, data: &Path) -> Result<Snapshot, Fault> {
    let settings = &context.settings;
    let (name, Some(store)) = (&settings.name, &settings.store) else { return Err(Fault::Absent) };
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
