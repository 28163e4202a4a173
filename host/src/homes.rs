//! What a host knows of contexts that have moved since the manifest placed them: `homes.json` in its data folder.
//!
//! A move is decided by the context's file, whose last commit at the old host names the new one. This file remembers
//! what was decided, so that a host need not ask after a restart, and which moves were under way when it stopped.
//! Invariant: it is replaced as a whole, and on the disk when `change` returns.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use seam_runtime::settings::ContextSettings;
use seam_store::ids::ContextName;
use seam_store::{Config, OpenError, private};
use serde::{Deserialize, Serialize};

use crate::folder;
use crate::manifest::{HostName, Manifest};

/// The host that a context has moved to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Home {
    pub host: String,
    /// Of the file's owner: higher with each move.
    pub token: u64,
}

/// A move that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Pending {
    /// The file may have been handed over: it says so itself.
    Leaving(Home),
    /// All of the file is here, and the host that it comes from knows whether it was handed over.
    Arriving {
        from: String,
        token: u64,
        /// Of this move alone.
        #[serde(default)]
        attempt: u64,
        /// SHA-256 of the component that is to serve it.
        component: String,
        /// See `ContextSpec`.
        tolerated_schema: Option<u32>,
    },
}

/// By the name of the context.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Homes {
    #[serde(default)]
    pub homes: BTreeMap<String, Home>,
    #[serde(default)]
    pub pending: BTreeMap<String, Pending>,
    /// The contexts that an operator has taken here from a host that was lost, which is still to be told: that host,
    /// and the token.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub taken: BTreeMap<String, Home>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read or write `{}`, which says where contexts live", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("`{}`, which says where contexts live, is damaged", path.display())]
    Damaged { path: PathBuf, source: serde_json::Error },
    #[error("cannot see whether the file of `{context}` was handed over")]
    Store { context: String, source: OpenError },
}

impl Error {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::File { .. } => "check the data folder and its disk".to_owned(),
            Self::Damaged { .. } => {
                "write it again from what `seam contexts` says on the other hosts, as `{\"homes\": {\"CONTEXT\": \
                 {\"host\": \"NAME\", \"token\": N}}}`; without the file, the manifest alone says where contexts live"
                    .to_owned()
            }
            Self::Store { .. } => "repair the file, or restore it from a backup".to_owned(),
        }
    }
}

impl Homes {
    /// What the host with this data folder knows; nothing if no context has moved.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn load(data: &Path) -> Result<Self, Error> {
        let path = path(data);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|source| Error::Damaged { path, source }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(Error::File { path, source }),
        }
    }

    /// Changes what the host knows, for good.
    ///
    /// # Errors
    /// When the file cannot be read or written. It is as it was then.
    pub fn change(data: &Path, change: impl FnOnce(&mut Self)) -> Result<(), Error> {
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock();
        let mut homes = Self::load(data)?;
        change(&mut homes);
        let path = path(data);
        let written = || {
            let partial = path.with_extension("partial");
            let mut file = private::file(&partial)?;
            let bytes = serde_json::to_vec_pretty(&homes)?;
            if let Err(error) = file.write_all(&bytes).and_then(|()| file.sync_all()) {
                std::fs::remove_file(&partial).ok();
                return Err(error);
            }
            std::fs::rename(&partial, &path)?;
            std::fs::File::open(data)?.sync_all()
        };
        written().map_err(|source| Error::File { path: path.clone(), source })
    }

    fn onto(&self, manifest: Manifest, this: &HostName) -> Manifest {
        let moved = self.homes.iter().filter_map(|(name, home)| Some((ContextName::new(name)?, home)));
        moved.fold(manifest, |manifest, (context, home)| manifest.moved(&context, &home.host, home.token, this))
    }

    /// Notes where a context lives, unless a later move is known.
    pub fn set(&mut self, context: &ContextName, home: Home) {
        if self.homes.get(context.as_str()).is_none_or(|known| known.token < home.token) {
            self.homes.insert(context.to_string(), home);
        }
    }
}

fn path(data: &Path) -> PathBuf {
    data.join("homes.json")
}

/// The manifest as its host runs it, with each context on the host to which it has moved, as far as the host knows.
///
/// # Errors
/// When what the host knows cannot be read.
pub fn apply(manifest: Manifest) -> Result<Manifest, Error> {
    let Some(this) = manifest.placement.this.clone() else { return Ok(manifest) };
    let known = Homes::load(&manifest.host.data)?;
    Ok(known.onto(manifest, &this))
}

/// The manifest of the whole system, with each context on the host to which it has moved, as far as the hosts know
/// whose data folders are on this machine.
///
/// # Errors
/// When what one of them knows cannot be read.
pub fn known_here(manifest: Manifest) -> Result<Manifest, Error> {
    let mut all = Homes::default();
    for host in &manifest.placement.hosts {
        for (context, home) in Homes::load(&host.data)?.homes {
            if let Some(context) = ContextName::new(&context) {
                all.set(&context, home);
            }
        }
    }
    // As none of them: only where contexts live is asked.
    let Some(first) = manifest.placement.hosts.first().map(|host| host.name.clone()) else { return Ok(manifest) };
    Ok(all.onto(manifest, &first))
}

/// The manifest as its host runs it, with each context on the host to which it has moved. A move that a crash stopped
/// is decided by the file of its context.
///
/// # Errors
/// When what the host knows cannot be read, or a file does not say whether it was handed over.
pub fn settle(manifest: Manifest) -> Result<Manifest, Error> {
    let Some(this) = manifest.placement.this.clone() else { return Ok(manifest) };
    let data = manifest.host.data.clone();
    let known = Homes::load(&data)?;
    let mut decided = known.clone();
    for (context, pending) in &known.pending {
        let Pending::Leaving(home) = pending else { continue };
        decided.pending.remove(context);
        let Some(context) = ContextName::new(context) else { continue };
        if is_owned_by(&manifest, &context, home)? {
            tracing::warn!(
                target: "up", %context, host = home.host, token = home.token,
                "the host stopped while the context moved; its file was handed over, so it lives there"
            );
            decided.set(&context, home.clone());
        } else {
            tracing::warn!(target: "up", %context, host = home.host, "the host stopped while the context moved; it lives here");
        }
    }
    if decided != known {
        let now = decided.clone();
        Homes::change(&data, |homes| *homes = now)?;
    }
    Ok(decided.onto(manifest, &this))
}

fn is_owned_by(manifest: &Manifest, context: &ContextName, home: &Home) -> Result<bool, Error> {
    let Some(config) = config_of(manifest, context).filter(|config| config.path.exists()) else { return Ok(false) };
    let owner = seam_store::owner_of(&config);
    let owner = owner.map_err(|source| Error::Store { context: context.to_string(), source })?;
    Ok(owner.is_some_and(|owner| owner.host == home.host && owner.token == home.token))
}

/// What the file of a context is opened with; `None` if the manifest grants it none.
pub fn config_of(manifest: &Manifest, context: &ContextName) -> Option<Config> {
    let is_it = |settings: &&ContextSettings| settings.name == *context;
    let settings = manifest.contexts.iter().map(|context| &context.settings).find(is_it)?;
    Some(Config::of(context, settings.store.as_ref()?, &folder::stores(&manifest.host.data)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use seam_store::{Database, Owner, take_over};

    use super::*;

    const MANIFEST: &str = "[hosts.shop]\naddress = \"127.0.0.1:7443\"\ndata = \"run\"\n\
        [hosts.books]\naddress = \"127.0.0.1:7444\"\nlisten = []\ndata = \"books\"\n[placement]\ndefault = \"shop\"\n\
        [context.finance]\ncomponent = \"a.wasm\"\nstore = true\n";

    fn home(host: &str, token: u64) -> Home {
        Home { host: host.to_owned(), token }
    }

    /// A system in a folder of its own, as the host `shop` runs it, whose finance has a file that `owner` owns.
    fn shop(owner: Option<(&str, u64)>) -> (tempfile::TempDir, Manifest, ContextName) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("seam.toml");
        std::fs::write(&file, MANIFEST).unwrap();
        let manifest = Manifest::load(&file).unwrap().on("shop").unwrap();
        let finance = ContextName::new("finance").unwrap();
        private::folder(&manifest.host.data).unwrap();
        if let Some((host, token)) = owner {
            let config = config_of(&manifest, &finance).unwrap();
            drop(Database::open(config.clone()).unwrap());
            take_over(&config, &Owner { host: host.to_owned(), token }).unwrap();
        }
        (folder, manifest, finance)
    }

    fn lives_at(manifest: &Manifest, context: &ContextName) -> (Option<String>, u64) {
        let settings = &manifest.contexts.iter().find(|entry| entry.settings.name == *context).unwrap().settings;
        assert_eq!(manifest.placement.lives_here(context), settings.at.is_none());
        (settings.at.clone(), settings.token)
    }

    #[test]
    fn a_later_move_outweighs_the_manifest_and_an_earlier_one() {
        let (_folder, manifest, finance) = shop(None);
        let digest = manifest.placement.digest();
        let data = manifest.host.data.clone();
        assert_eq!(lives_at(&apply(manifest.clone()).unwrap(), &finance), (None, 0));
        Homes::change(&data, |homes| homes.set(&finance, home("books", 4))).unwrap();
        Homes::change(&data, |homes| homes.set(&finance, home("shop", 3))).unwrap();
        let moved = apply(manifest.clone()).unwrap();
        assert_eq!(lives_at(&moved, &finance), (Some("books".to_owned()), 4));
        assert_eq!(moved.placement.digest(), digest, "the hosts still agree");
        Homes::change(&data, |homes| homes.set(&finance, home("shop", 5))).unwrap();
        assert_eq!(lives_at(&apply(manifest).unwrap(), &finance), (None, 5));
    }

    #[test]
    fn after_a_crash_the_file_says_whether_it_was_handed_over() {
        for (owner, expect) in [
            (Some(("books", 2)), Some("books")),
            (Some(("shop", 1)), None),
            // An earlier visit there.
            (Some(("books", 1)), None),
            (None, None),
        ] {
            let (_folder, manifest, finance) = shop(owner);
            let data = manifest.host.data.clone();
            let leaving = Pending::Leaving(home("books", 2));
            Homes::change(&data, |homes| drop(homes.pending.insert("finance".to_owned(), leaving))).unwrap();
            let settled = settle(manifest).unwrap();
            assert_eq!(lives_at(&settled, &finance).0.as_deref(), expect, "{owner:?}");
            assert!(Homes::load(&data).unwrap().pending.is_empty(), "{owner:?}: it is decided once");
        }
    }

    #[test]
    fn a_context_that_has_not_arrived_for_certain_lives_where_it_was_and_is_not_forgotten() {
        let (_folder, manifest, finance) = shop(None);
        let data = manifest.host.data.clone();
        let (from, component) = ("books".to_owned(), "ab".to_owned());
        let arriving = Pending::Arriving { from, token: 3, attempt: 1, component, tolerated_schema: None };
        Homes::change(&data, |homes| {
            homes.set(&finance, home("books", 2));
            homes.pending.insert("finance".to_owned(), arriving.clone());
        })
        .unwrap();
        assert_eq!(lives_at(&settle(manifest).unwrap(), &finance), (Some("books".to_owned()), 2));
        assert_eq!(Homes::load(&data).unwrap().pending["finance"], arriving);
    }

    #[test]
    fn a_damaged_file_is_an_error_with_a_way_out_and_is_not_overwritten() {
        let (_folder, manifest, finance) = shop(None);
        let path = path(&manifest.host.data);
        for damaged in ["{", "{\"homes\": {\"finance\": {\"host\": \"books\"}}}", "{\"house\": 1}"] {
            std::fs::write(&path, damaged).unwrap();
            let error = apply(manifest.clone()).unwrap_err();
            assert!(error.to_string().contains("homes.json") && error.remedy().contains("seam contexts"), "{error}");
            assert!(Homes::change(&manifest.host.data, |homes| homes.set(&finance, home("books", 2))).is_err());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
        }
    }
}
