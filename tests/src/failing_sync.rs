//! A disk whose syncs fail when a test says so, or are slow: a library that is loaded before the system's own.
//!
//! Not here: full disks, which limits and small file systems make.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The name of the variable with the file that says which sync is to fail: the end of a path, a blank, how many syncs
/// of that file succeed before.
const CONTROL: &str = "SEAM_TEST_FAILING_SYNC";

/// The name of the variable with how much longer each sync takes, in milliseconds.
const SLOW: &str = "SEAM_TEST_SLOW_SYNC_MS";

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int file) {
    const char *slow = getenv("SEAM_TEST_SLOW_SYNC_MS");
    if (slow) usleep(1000 * atoi(slow));
    const char *control = getenv("SEAM_TEST_FAILING_SYNC");
    char link[64], path[4096], end[512];
    int before = 0;
    FILE *said = control ? fopen(control, "r") : NULL;
    if (!said) return 0;
    int fields = fscanf(said, "%511s %d", end, &before);
    fclose(said);
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (fields != 2 || length < (ssize_t)strlen(end) || strncmp(path + length - strlen(end), end, strlen(end))) return 0;
    if (before > 0) {
        said = fopen(control, "w");
        if (said) { fprintf(said, "%s %d", end, before - 1); fclose(said); }
        return 0;
    }
    unlink(control);
    errno = EIO;
    return 1;
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

/// The library, and the file that says what it is to do.
pub struct FailingSync {
    library: PathBuf,
    control: PathBuf,
}

impl FailingSync {
    /// Compiles the library into `folder`.
    ///
    /// # Errors
    /// When there is no C compiler.
    pub fn new(folder: &Path) -> Result<Self> {
        let (source, library) = (folder.join("failing_sync.c"), folder.join("failing_sync.so"));
        std::fs::write(&source, SOURCE)?;
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl");
        let output = compiler.output().context("cc")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(Self { library, control: folder.join("failing_sync") })
    }

    /// The variables of a host with it.
    ///
    /// # Errors
    /// When a path is no text.
    pub fn variables(&self) -> Result<[(&'static str, &str); 2]> {
        let library = self.library.to_str().context("a path that is text")?;
        Ok([("LD_PRELOAD", library), (CONTROL, self.control.to_str().context("a path that is text")?)])
    }

    /// The variables of a host each of whose syncs takes so many milliseconds longer.
    ///
    /// # Errors
    /// When the path of the library is no text.
    pub fn slow<'v>(&'v self, ms: &'v str) -> Result<[(&'static str, &'v str); 2]> {
        Ok([("LD_PRELOAD", self.library.to_str().context("a path that is text")?), (SLOW, ms)])
    }

    /// Has one sync fail of the file whose path ends so, after so many that succeed.
    ///
    /// # Errors
    /// When the order cannot be written.
    pub fn fail(&self, end: &str, after: u32) -> Result<()> {
        let next = self.control.with_extension("next");
        std::fs::write(&next, format!("{end} {after}"))?;
        Ok(std::fs::rename(next, &self.control)?)
    }

    /// Whether the sync that was to fail has failed.
    pub fn has_failed(&self) -> bool {
        !self.control.exists()
    }
}
