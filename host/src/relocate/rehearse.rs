//! What a move would take on its target, measured without changing anything: for a prediction.
//!
//! What is written goes into a folder of its own beside the files of contexts, which is removed again.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use seam_store::ids::ContextName;
use seam_store::{Config, Database, KeySource, Owner, Settings, chain, private, take_over};
use sha2::{Digest as _, Sha256};

use super::messages::{Pages, Probe, Probed, ProbedPages, ReadPages, json};
use super::{Relocator, arrival};
use crate::forecast::{Snapshot, forecast};
use crate::limits;

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

    /// How long it takes until a page that is written is on the disk, in microseconds, sorted.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn syncs(&self) -> Result<Vec<u64>, String> {
        let path = self.0.join("page");
        let write = || {
            let file = private::file(&path)?;
            let mut times = Vec::new();
            for number in 0..limits::MOVE_REHEARSALS as u64 {
                let started = Instant::now();
                file.write_all_at(&[1; 4096], number * 4096)?;
                file.sync_data()?;
                times.push(us(started));
            }
            times.sort_unstable();
            Ok(times)
        };
        write().map_err(|error: std::io::Error| format!("cannot write `{}`: {error}", path.display()))
    }

    /// The file of a context as it would be opened here, in this folder, under keys of its own.
    fn config(&self, context: &ContextName, settings: &Settings) -> Result<Config, String> {
        let mut config = Config::of(context, &settings.passing(), &self.0);
        if settings.encrypted {
            let path = self.0.join("key");
            // In the form of the keys that the host makes: another one is stretched at each opening, for seconds.
            let key = format!("x'{}'", hex(&rand::random::<[u8; 32]>()));
            private::write(&path, key.as_bytes()).map_err(|error| error.to_string())?;
            config.key = settings.key.clone().or(Some(KeySource::File(path)));
        }
        Ok(config)
    }

    /// How long it takes until a file has another owner and is open, in microseconds, sorted; and the file.
    fn owns(&self, file: &Config) -> Result<(Vec<u64>, Arc<Database>), String> {
        let copy = Config { path: arrival::path(file), ..file.clone() };
        let (mut times, since) = (Vec::new(), Instant::now());
        for token in 1.. {
            let made = Database::open(copy.clone()).map_err(|error| chain(&error))?;
            made.close()?;
            drop(made);
            let started = Instant::now();
            let owner = Owner { host: "rehearsal".to_owned(), token };
            take_over(&copy, &owner).map_err(|error| chain(&error))?;
            std::fs::rename(&copy.path, &file.path).map_err(|error| error.to_string())?;
            let opened = Database::open(file.clone()).map_err(|error| chain(&error))?;
            times.push(us(started));
            let most = Duration::from_millis(limits::MOVE_REHEARSAL_MS_MAX);
            if times.len() >= limits::MOVE_REHEARSALS || since.elapsed() > most {
                times.sort_unstable();
                return Ok((times, opened));
            }
            opened.close()?;
            drop(opened);
            arrival::remove(&file.path);
            arrival::remove(&seam_store::log_of(&file.path));
        }
        Err("nothing was measured".to_owned())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

impl Relocator {
    /// What this host would do for a context that comes from the host `from`.
    pub(super) fn rehearse(&self, from: &str, context: &ContextName, probe: &Probe) -> Probed {
        tokio::task::block_in_place(|| {
            let mut probed = Probed { saved: self.saved(context, probe), ..Probed::default() };
            if let Err(why) = self.measure(from, context, probe, &mut probed) {
                probed.refused.push(why);
            }
            probed
        })
    }

    fn measure(&self, from: &str, context: &ContextName, probe: &Probe, probed: &mut Probed) -> Result<(), String> {
        let config = self.accepts(from, context)?;
        let scratch = Scratch::beside(&config)?;
        if let Err(why) = arrival::room(&arrival::path(&config), probe.file_bytes) {
            probed.refused.push(why);
        }
        probed.sync_us = scratch.syncs()?;
        let entries = self.0.manifest.contexts.iter().map(|entry| &entry.settings);
        let settings = entries.filter(|entry| entry.name == *context).find_map(|entry| entry.store.clone());
        let settings = settings.unwrap_or_else(|| Settings::plain(FILE_MB_MAX));
        let database;
        (probed.own_us, database) = scratch.owns(&scratch.config(context, &settings)?)?;
        for _ in 0..limits::MOVE_REHEARSALS {
            // Linking itself comes before the pause.
            let linked = self.0.registry.link(self.0.registry.specs_with(context, None, 0));
            let linked = linked.map_err(|error| chain(&error))?;
            let started = Instant::now();
            self.0.registry.rehearse(linked, (context, &database)).map_err(|error| chain(&error))?;
            probed.link_us.push(us(started));
        }
        database.close().ok();
        probed.link_us.sort_unstable();
        Ok(())
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
