//! For tests that are to survive a kill: the same test binary again, as a process that dies at a named point.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Set for the processes that these tests start: the folder that they work in.
const CHILD: &str = "SEAM_TEST_CHILD";

/// In such a process: its folder.
pub fn inherited() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// A folder for it, in memory where that is one: a kill loses nothing that was written, on the disk or not.
pub fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// How often the process is killed at each point. The long form, `just torture`, sets it to 20.
pub fn kills() -> u64 {
    std::env::var("SEAM_TORTURE_KILLS_AT_EACH_POINT").ok().map_or(3, |kills| kills.parse().unwrap())
}

/// What chooses the passes at which the process is killed, from `SEAM_TORTURE_SEED` and what it is for.
pub fn chance(purpose: &str) -> StdRng {
    let seed: u64 =
        std::env::var("SEAM_TORTURE_SEED").ok().filter(|text| !text.is_empty()).map_or(1, |s| s.parse().unwrap());
    let purpose = purpose.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    StdRng::seed_from_u64(seed ^ purpose)
}

/// How such a process ended.
pub struct Ended {
    /// By a kill, not by itself.
    pub killed: bool,
    /// It came to its own end, and nothing failed in it.
    pub success: bool,
    pub said: String,
}

/// Runs `test` alone in another process, in `folder`, with these variables.
pub fn run(test: &str, folder: &Path, variables: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(CHILD, folder).envs(variables.iter().copied());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ended { killed: output.status.signal() == Some(9), success: output.status.success(), said }
}

/// `POINT:kill:NTH`, with a pass from 1 to `most`.
pub fn plan(point: &str, chance: &mut StdRng, most: u32) -> String {
    format!("{point}:kill:{}", chance.random_range(1..=most))
}

impl Ended {
    /// The numbers that it printed after this word.
    pub fn numbers(&self, word: &str) -> Vec<u64> {
        let number = |line: &str| line.rsplit_once(&format!("{word} "))?.1.trim().parse().ok();
        self.said.lines().filter_map(number).collect()
    }
}
