//! The files of hosts that are stopped, with the logs that they left: they are looked at and left as they are. A file
//! that a crash has left in doubt is looked at as the next start makes it (`promises`).

use std::path::PathBuf;

use seam_runtime::component::Compiler;
use seam_runtime::serve::Source;
use seam_store::ids::ContextName;
use seam_store::{Config, Misfit, RegisterError, Settings, Snapshot};

use super::error::Error;
use super::offline::{self, Declared};
use super::report::Report;
use super::subject::{Fault, Subject};
use super::{Progress, VerifyRequest, promises};
use crate::folder;
use crate::manifest::Manifest;
use crate::stopped::{Stopped, Unusable};

/// Why the file of a context is not looked at that lives on the host of this name, and what to do about it.
pub type Away<'a> = dyn Fn(&str) -> (String, String) + 'a;

/// Verifies the files in the data folders of these hosts, which this process has locked; `manifests` has the manifest
/// as each of them runs it. Since all of them are stopped, their files belong together as they are. Their moment is
/// that of the last write: work that a kill has cut off is as old as it was then.
///
/// # Errors
/// When no host has run there, or the components cannot be loaded.
pub fn verify_stopped(
    manifests: &[Manifest],
    away: &Away<'_>,
    compiler: Compiler,
    request: &VerifyRequest,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Report, Error> {
    let opened: Result<Vec<_>, _> =
        manifests.iter().map(|one| Stopped::open(one).map(|stopped| (one, stopped))).collect();
    let opened = opened?;
    let Some((first, _)) = opened.first() else { return Err(Error::NoData { path: String::new() }) };
    let declared = offline::declared(first, compiler, &|entry| {
        let lives_there = |(manifest, _): &&(&Manifest, Stopped)| lives_on(manifest, entry.name.as_str());
        let of = opened.iter().find(lives_there).or(opened.first());
        of.map_or_else(|| Source::of(entry), |(_, stopped)| stopped.sources.of(entry))
    })?;
    let (mut subjects, mut files) = (Vec::new(), Vec::new());
    for (manifest, stopped) in &opened {
        of_host(manifest, stopped, &declared, (&mut subjects, &mut files));
    }
    subjects.append(&mut offline::elsewhere(first, &subjects, &declared, away));
    let copies = tempfile::tempdir().map_err(Error::Temporary)?;
    promises::resolve(&mut subjects, copies.path());
    offline::report(subjects, offline::last_written(&files), request, progress)
}

fn lives_on(manifest: &Manifest, context: &str) -> bool {
    manifest.context(context).is_some_and(|found| found.settings.at.is_none())
}

/// The contexts of one host, and the paths of their files.
fn of_host(
    manifest: &Manifest,
    stopped: &Stopped,
    declared: &Declared,
    (subjects, files): (&mut Vec<Subject>, &mut Vec<PathBuf>),
) {
    let data = &manifest.host.data;
    for context in manifest.here() {
        let (name, Some(store)) = (&context.settings.name, &context.settings.store) else { continue };
        let config = Config::of(name, store, &folder::stores(data));
        // A variant that is not built has neither.
        if name.variant().is_some() && !declared.contains_key(name.as_str()) && !config.path.exists() {
            continue;
        }
        let file = match stopped.file(name, &config) {
            // It is the right file: the checks say what is wrong with it, and what is not.
            Err(error) if error.is_damage() => Snapshot::of_stopped(&config).map_err(|_| error),
            read => read,
        };
        let file = match owned_elsewhere(manifest, name, store, &config) {
            Some(fault) => Err(fault),
            None => file.map_err(|error| fault(name.as_str(), &error)),
        };
        files.push(config.path);
        let declared = offline::of(declared, name.as_str());
        let events = (&context.settings).into();
        let (context, promise, is_elsewhere) = (name.to_string(), None, false);
        subjects.push(Subject { context, file, declared, events, promise, is_elsewhere });
    }
}

/// Whether another host owns the file of a context, by the file itself or by one that moved later: then this one is
/// what it was before.
fn owned_elsewhere(manifest: &Manifest, name: &ContextName, store: &Settings, config: &Config) -> Option<Fault> {
    let owners = manifest.placement.owners_in(&manifest.host.data)?;
    let owner = |config: &Config| seam_store::owner_of(config).ok().flatten().filter(|_| config.path.exists());
    let here = owner(config);
    let token = here.as_ref().map_or(0, |owner| owner.token);
    let damaged = |why: String, host: &str| {
        let remedy = format!("verify host `{host}`: `--as {host}`; its context comes here with `seam absorb {name}`");
        Some(Fault::Damaged { why, remedy })
    };
    if let Some(owner) = here.filter(|owner| !owners.contains(&owner.host)) {
        return damaged(format!("its file belongs to host `{}`, under token {token}", owner.host), &owner.host);
    }
    for host in manifest.placement.hosts.iter().filter(|host| host.data != manifest.host.data) {
        let there = owner(&Config::of(name, store, &folder::stores(&host.data)));
        if let Some(there) = there.filter(|there| there.host == host.name.as_str() && there.token > token) {
            let why = format!(
                "host `{}` has a later file of it, under token {}; this one has {token}",
                host.name, there.token
            );
            return damaged(why, host.name.as_str());
        }
    }
    None
}

fn fault(context: &str, error: &Unusable) -> Fault {
    let (why, remedy) = (error.why(), error.remedy(context));
    match error {
        Unusable::Absent => Fault::Absent,
        Unusable::Unfit(RegisterError::Misfit(Misfit::Unreadable { .. } | Misfit::Open(_)))
        | Unusable::Unreadable(_) => Fault::Unreadable { why, remedy },
        Unusable::Unfit(RegisterError::Misfit(_)) => Fault::Damaged { why, remedy },
        Unusable::Unfit(_) => Fault::Unreadable { why, remedy },
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use seam_store::{Database, Owner, take_over};

    use super::*;

    const MANIFEST: &str = "[host]\ndata = \"run\"\n[hosts.shop]\naddress = \"127.0.0.1:7443\"\ndata = \"run\"\n\
        [hosts.books]\naddress = \"127.0.0.1:7444\"\nlisten = []\ndata = \"books\"\n\
        [placement]\ndefault = \"shop\"\n[context.finance]\ncomponent = \"a.wasm\"\nstore = true\n";

    /// What is wrong with finance's file in `run`, when the files in `run` and in `books` have these owners.
    fn found(run: Option<(&str, u64)>, books: Option<(&str, u64)>) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("seam.toml"), MANIFEST).unwrap();
        let manifest = Manifest::load(&folder.path().join("seam.toml")).unwrap();
        let finance = ContextName::new("finance").unwrap();
        let store = manifest.contexts.first().unwrap().settings.store.clone().unwrap();
        let of = |host: &str| {
            let data = &manifest.placement.host(host).unwrap().data;
            Config::of(&finance, &store, &folder::stores(data))
        };
        for (host, owner) in [("shop", run), ("books", books)] {
            if let Some((owner, token)) = owner {
                drop(Database::open(of(host)).unwrap());
                take_over(&of(host), &Owner { host: owner.to_owned(), token }).unwrap();
            }
        }
        owned_elsewhere(&manifest, &finance, &store, &of("shop")).map(|fault| fault.why().to_owned())
    }

    #[test]
    fn a_file_that_another_host_owns_or_has_a_later_one_of_is_not_sound() {
        assert_eq!(found(Some(("shop", 3)), None), None);
        assert_eq!(found(Some(("shop", 3)), Some(("shop", 3))), None, "what was left there when it came home");
        assert_eq!(found(None, None), None);
        let moved = found(Some(("books", 4)), Some(("books", 4)));
        assert_eq!(moved.as_deref(), Some("its file belongs to host `books`, under token 4"));
        let later = found(Some(("shop", 3)), Some(("books", 4)));
        assert_eq!(later.as_deref(), Some("host `books` has a later file of it, under token 4; this one has 3"));
    }
}
