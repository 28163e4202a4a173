//! A disk that counts and misbehaves: a library that is loaded before the system's own counts the syncs of a process,
//! makes those of one file slow, lets them fail, or kills the process at one of them.
//!
//! A commit is a sync of a write-ahead log, so a kill at the next sync of a file is a kill at a step of an order. It
//! works the same for the host and for the native program, and needs nothing in either.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct disk { uint64_t syncs, commits, delay_us, fails, kill_in; char name[88]; };

static struct disk *disk(void) {
    static struct disk *open_disk;
    if (!open_disk) {
        const char *path = getenv("SEAM_BENCH_DISK");
        int file = path ? open(path, O_RDWR) : -1;
        if (file < 0) return NULL;
        void *at = mmap(NULL, sizeof(struct disk), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        close(file);
        if (at == MAP_FAILED) return NULL;
        open_disk = at;
    }
    return open_disk;
}

static int fails(int file) {
    struct disk *d = disk();
    char link[64], path[4096];
    if (!d) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    __atomic_add_fetch(&d->syncs, 1, __ATOMIC_RELAXED);
    if (length > 4 && !strcmp(path + length - 4, "-wal")) __atomic_add_fetch(&d->commits, 1, __ATOMIC_RELAXED);
    const char *name = strrchr(path, '/');
    if (!d->name[0] || strncmp(name ? name + 1 : path, d->name, strlen(d->name))) return 0;
    if (d->kill_in && __atomic_sub_fetch(&d->kill_in, 1, __ATOMIC_RELAXED) == 0) raise(SIGKILL);
    if (d->delay_us) usleep(d->delay_us);
    if (d->fails) { errno = EIO; return 1; }
    return 0;
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    return fails(file) ? -1 : real(file);
}

int fsync(int file) {
    static int (*real)(int);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "fsync");
    return fails(file) ? -1 : real(file);
}
"#;

/// Where the fields of `struct disk` are.
const SYNCS: u64 = 0;
const COMMITS: u64 = 8;
const DELAY_US: u64 = 16;
const FAILS: u64 = 24;
const KILL_IN: u64 = 32;
const NAME: u64 = 40;
const NAME_BYTES: usize = 88;

/// The library, and the memory that it shares with the bench.
pub struct Disk {
    library: PathBuf,
    path: PathBuf,
    shared: File,
}

/// What has been written through it so far.
#[derive(Clone, Copy)]
pub struct Written {
    pub syncs: u64,
    /// Of write-ahead logs.
    pub commits: u64,
}

impl Disk {
    /// Compiles the library into `folder`.
    ///
    /// # Errors
    /// When there is no C compiler.
    pub fn new(folder: &Path) -> Result<Self> {
        let (source, library) = (folder.join("disk.c"), std::path::absolute(folder.join("disk.so"))?);
        std::fs::write(&source, SOURCE)?;
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl");
        let output = compiler.output().context("cannot start the C compiler `cc`")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let path = std::path::absolute(folder.join("disk"))?;
        let shared = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        shared.set_len(NAME + NAME_BYTES as u64)?;
        Ok(Self { library, path, shared })
    }

    /// Gives `command` this disk.
    pub fn under(&self, mut command: Command) -> Command {
        command.env("LD_PRELOAD", &self.library).env("SEAM_BENCH_DISK", &self.path);
        command
    }

    /// # Errors
    /// When the shared memory cannot be read.
    pub fn written(&self) -> Result<Written> {
        Ok(Written { syncs: self.get(SYNCS)?, commits: self.get(COMMITS)? })
    }

    /// Each sync of files whose name begins with `name` takes so much longer.
    pub fn slow(&self, name: &str, delay: Duration) -> Result<()> {
        self.set(DELAY_US, u64::try_from(delay.as_micros())?)?;
        self.name(name)
    }

    /// Syncs of files whose name begins with `name` fail.
    pub fn fails(&self, name: &str) -> Result<()> {
        self.set(FAILS, 1)?;
        self.name(name)
    }

    /// The process is killed before the `syncs`-th sync from now of files whose name begins with `name`.
    pub fn kill(&self, name: &str, syncs: u64) -> Result<()> {
        self.set(KILL_IN, syncs)?;
        self.name(name)
    }

    /// Works as it should from now on.
    pub fn works(&self) -> Result<()> {
        [DELAY_US, FAILS, KILL_IN].into_iter().try_for_each(|at| self.set(at, 0))?;
        self.name("")
    }

    fn name(&self, name: &str) -> Result<()> {
        ensure!(name.len() < NAME_BYTES, "`{name}` is too long");
        let mut bytes = name.as_bytes().to_vec();
        bytes.resize(NAME_BYTES, 0);
        Ok(self.shared.write_all_at(&bytes, NAME)?)
    }

    fn get(&self, at: u64) -> Result<u64> {
        let mut bytes = [0; 8];
        self.shared.read_exact_at(&mut bytes, at)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    fn set(&self, at: u64, value: u64) -> Result<()> {
        Ok(self.shared.write_all_at(&value.to_ne_bytes(), at)?)
    }
}
