//! The checkout in which faults are planted: `target/mutants`, a worktree of the last commit with a target of its own.
//! The sources that a person works on are never touched.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::list::Mutant;

/// How a test command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Passed,
    Failed,
    /// It ran out of time, and was killed.
    Hung,
}

/// What the tests make of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Caught,
    Missed,
    /// The tests hang instead of failing: for a person as good as missed.
    Hung,
    /// It is no program, so it says nothing.
    DoesNotCompile,
}

pub struct Tree {
    folder: PathBuf,
}

impl Tree {
    /// Checks out the last commit of `repo`.
    ///
    /// # Errors
    /// When git refuses.
    pub fn of_head(repo: &Path) -> Result<Self> {
        let folder = repo.join("target/mutants");
        if folder.join(".git").exists() {
            let head = git(repo, &["rev-parse", "HEAD"])?;
            git(&folder, &["checkout", "--quiet", "--detach", "--force", head.trim()])?;
        } else {
            git(repo, &["worktree", "prune"])?;
            let path = folder.to_string_lossy().into_owned();
            git(repo, &["worktree", "add", "--quiet", "--detach", &path, "HEAD"])?;
        }
        if !git(repo, &["status", "--porcelain"])?.is_empty() {
            eprintln!("note: faults are planted in the last commit; what is not committed is left out");
        }
        Ok(Self { folder })
    }

    /// Builds everything once, and the components that tests serve. Its output is shown: this takes minutes.
    ///
    /// # Errors
    /// When a command fails.
    pub fn build(&self) -> Result<()> {
        for (program, args) in
            [("cargo", &["build", "--workspace", "--all-targets"][..]), ("target/debug/seam", &["build"])]
        {
            let program = if program == "cargo" { program.into() } else { self.folder.join(program) };
            let status = Command::new(&program).args(args).current_dir(&self.folder).status();
            let status = status.with_context(|| format!("cannot run {}", program.display()))?;
            ensure!(status.success(), "`{} {}` failed on sound sources", program.display(), args.join(" "));
        }
        Ok(())
    }

    /// Runs the tests on sound sources, which they must pass; how long that took. At least one test must run.
    ///
    /// # Errors
    /// When a test fails, or none runs.
    pub fn control(&self, test: &str) -> Result<Duration> {
        ensure!(self.compiles(test)?, "`cargo test {test}` does not compile on sound sources");
        let began = Instant::now();
        let output = self.cargo_test(test, &[]).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "`cargo test {test}` fails on sound sources:\n{text}");
        ensure!(ran(&text) > 0, "`cargo test {test}` runs no test");
        Ok(began.elapsed())
    }

    /// Plants a fault, runs its tests for at most `time`, and puts the sound text back.
    ///
    /// # Errors
    /// When the file cannot be read or written, or cargo cannot be run.
    pub fn try_mutant(&self, mutant: &Mutant, time: Duration) -> Result<Fate> {
        let path = self.folder.join(&mutant.file);
        let sound = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let _restore = Restore { path: &path, sound: &sound };
        std::fs::write(&path, mutant.plant(&sound)?)?;
        if !self.compiles(&mutant.test)? {
            return Ok(Fate::DoesNotCompile);
        }
        Ok(match run(self.cargo_test(&mutant.test, &[]), time)? {
            Ended::Passed => Fate::Missed,
            Ended::Failed => Fate::Caught,
            Ended::Hung => Fate::Hung,
        })
    }

    /// Builds the tests. Tests of the whole host start the host's program, which cargo does not build for them.
    fn compiles(&self, test: &str) -> Result<bool> {
        let mut programs = Command::new("cargo");
        programs.args(["build", "--workspace", "--bins"]).current_dir(&self.folder);
        let whole_host = test.contains("--test ");
        let built = !whole_host || programs.output().context("cannot run cargo")?.status.success();
        Ok(built && self.cargo_test(test, &["--no-run"]).output()?.status.success())
    }

    fn cargo_test(&self, test: &str, more: &[&str]) -> Command {
        let (cargo, harness) = test.split_once(" -- ").map_or((test, None), |(cargo, harness)| (cargo, Some(harness)));
        let mut command = Command::new("cargo");
        command.arg("test").args(cargo.split_whitespace()).args(more).current_dir(&self.folder);
        if let Some(harness) = harness.filter(|_| more.is_empty()) {
            command.arg("--").args(harness.split_whitespace());
        }
        command
    }
}

/// Writes the sound text back, whatever happens in between.
struct Restore<'a> {
    path: &'a Path,
    sound: &'a str,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        if let Err(error) = std::fs::write(self.path, self.sound) {
            eprintln!("error: cannot put {} back: {error}", self.path.display());
        }
    }
}

/// How many tests ran, by what `cargo test` printed.
fn ran(output: &str) -> u64 {
    let passed = |line: &str| {
        let (before, _) = line.strip_prefix("test result: ")?.split_once(" passed")?;
        before.rsplit(' ').next()?.parse::<u64>().ok()
    };
    output.lines().filter_map(passed).sum()
}

/// Runs a command that prints nothing, as the leader of a process group: a test that hangs has children.
fn run(mut command: Command, time: Duration) -> Result<Ended> {
    use std::os::unix::process::CommandExt;
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = quiet.process_group(0).spawn().context("cannot run cargo")?;
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(if status.success() { Ended::Passed } else { Ended::Failed });
        }
        if began.elapsed() > time {
            let group = format!("-{}", child.id());
            Command::new("kill").args(["-KILL", "--", &group]).status().context("cannot run kill")?;
            child.wait()?;
            return Ok(Ended::Hung);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn git(folder: &Path, args: &[&str]) -> Result<String> {
    let output = Command::new("git").args(args).current_dir(folder).output().context("cannot run git")?;
    let why = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`git {}` failed: {}", args.join(" "), why.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_that_ran_are_counted_over_all_binaries() {
        let output = "running 2 tests\n..\ntest result: ok. 2 passed; 0 failed; 0 ignored\n\
                      test result: ok. 0 passed; 0 failed; 3 filtered out\ntest result: FAILED. 11 passed; 1 failed\n";
        assert_eq!(ran(output), 13);
        assert_eq!(ran("error: no test"), 0);
    }

    #[test]
    fn a_command_passes_fails_or_hangs() -> Result<()> {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        let minute = Duration::from_secs(60);
        assert_eq!(run(shell("true"), minute)?, Ended::Passed);
        assert_eq!(run(shell("exit 101"), minute)?, Ended::Failed);
        assert_eq!(run(shell("sleep 1000 & wait"), Duration::from_millis(10))?, Ended::Hung);
        Ok(())
    }
}
