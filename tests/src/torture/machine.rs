//! A machine whose power a test cuts, whose disk it fills, and whose clock it sets: a library (`machine.c`) that is
//! loaded before the system's own. It also leads connections to ports of this machine elsewhere (`ways`).
//!
//! The library keeps beside each store's file a copy as the disk has it: what was written goes there with the sync
//! after it. A power cut is a kill, and then the copies in the place of the files; or, torn, a mixture: of what was not
//! synced, each sector is there or not, by chance, as disks may have it. On a full disk (the user's quota is used up),
//! no file of the data folder gets longer; what rewrites a part of one succeeds.
//! Not here: syncs that fail (`failing_sync`).

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rand::RngExt;
use rand::rngs::StdRng;

/// What a disk writes as a whole.
const SECTOR: usize = 512;

pub struct Machine {
    library: PathBuf,
    /// The data folder of the host.
    data: PathBuf,
    /// What the disk has of it.
    disk: PathBuf,
    /// What the test says while the host runs: two numbers.
    said: PathBuf,
}

/// Where the two stand: the seconds that the time of day is ahead, and whether the disk is full.
const AHEAD_S: u64 = 0;
const IS_FULL: u64 = 8;

impl Machine {
    /// Compiles the library into `folder`, for a host with this data folder.
    ///
    /// # Errors
    /// When there is no C compiler.
    pub fn new(folder: &Path, data: &Path) -> Result<Self> {
        let (source, library) = (folder.join("machine.c"), folder.join("machine.so"));
        fs::write(&source, include_str!("machine.c"))?;
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-pthread", "-o"]).arg(&library).arg(&source).arg("-ldl");
        let output = compiler.output().context("cc")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let machine =
            Self { library, data: data.canonicalize()?, disk: folder.join("disk"), said: folder.join("machine") };
        machine.set_clock(0)?;
        machine.set_full(false)?;
        Ok(machine)
    }

    /// The variables of a host on it.
    ///
    /// # Errors
    /// When a path is no text.
    pub fn variables(&self) -> Result<Vec<(&'static str, String)>> {
        let text = |path: &Path| Ok::<_, anyhow::Error>(path.to_str().context("a path that is text")?.to_owned());
        Ok(vec![
            ("LD_PRELOAD", text(&self.library)?),
            ("SEAM_TEST_POWER_DATA", text(&self.data)?),
            ("SEAM_TEST_POWER_DISK", text(&self.disk)?),
            ("SEAM_TEST_MACHINE", text(&self.said)?),
        ])
    }

    /// The variables of a host on it whose disk does not fail.
    ///
    /// # Errors
    /// As `variables`.
    pub fn with_a_good_disk(&self) -> Result<Vec<(&'static str, String)>> {
        let of_the_disk = ["SEAM_TEST_POWER_DATA", "SEAM_TEST_POWER_DISK"];
        Ok(self.variables()?.into_iter().filter(|(name, _)| !of_the_disk.contains(name)).collect())
    }

    /// Sets the time of day so many seconds ahead of the true one, also of a host that runs.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_clock(&self, ahead_s: i64) -> Result<()> {
        self.say(AHEAD_S, ahead_s)
    }

    /// Fills the disk, or makes room on it, also of a host that runs.
    ///
    /// # Errors
    /// As `set_clock`.
    pub fn set_full(&self, is_full: bool) -> Result<()> {
        self.say(IS_FULL, is_full.into())
    }

    fn say(&self, at: u64, number: i64) -> Result<()> {
        // In place: the host has the file mapped.
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&self.said)?;
        Ok(file.write_all_at(&number.to_ne_bytes(), at)?)
    }

    /// The disk has everything: before a start, while no host runs.
    ///
    /// # Errors
    /// When a file cannot be copied.
    pub fn settle(&self) -> Result<()> {
        fs::remove_dir_all(&self.disk).ok();
        fs::create_dir_all(self.disk.join("stores"))?;
        for name in files(&self.data)? {
            fs::copy(self.data.join(&name), self.disk.join(&name))?;
        }
        Ok(())
    }

    /// What a power cut leaves of the files of a host that was killed; how many sectors were lost.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn cut_power(&self, torn: bool, chance: &mut StdRng) -> Result<usize> {
        let mut lost = 0;
        for name in files(&self.data)? {
            let (path, on_disk) = (self.data.join(&name), self.disk.join(&name));
            let (written, synced) = (fs::read(&path)?, fs::read(&on_disk).unwrap_or_default());
            let stays = |chance: &mut StdRng| torn && chance.random_bool(0.5);
            let length = if stays(chance) { written.len() } else { synced.len() };
            let mut left = synced;
            left.resize(length.max(left.len()), 0);
            for at in (0..left.len().max(written.len())).step_by(SECTOR) {
                let (now, end) = (written.get(at..).unwrap_or_default(), left.len().min(at + SECTOR));
                let Some(before) = left.get_mut(at..end) else { continue };
                let now = now.get(..before.len()).unwrap_or(now);
                if before.get(..now.len()) == Some(now) {
                    continue;
                }
                match stays(chance) {
                    true => before.get_mut(..now.len()).context("as long")?.copy_from_slice(now),
                    false => lost += 1,
                }
            }
            left.truncate(length);
            lost += written.len().saturating_sub(length) / SECTOR;
            fs::write(&path, left)?;
        }
        Ok(lost)
    }
}

/// The stores' files and logs, and those of the host, from the data folder on.
fn files(data: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for folder in ["", "stores"] {
        // Before the first start there is none.
        let Ok(entries) = fs::read_dir(data.join(folder)) else { continue };
        for entry in entries {
            let name = PathBuf::from(folder).join(entry?.file_name());
            if name.to_str().is_some_and(|name| name.ends_with(".db") || name.ends_with(".db-wal")) {
                all.push(name);
            }
        }
    }
    Ok(all)
}
