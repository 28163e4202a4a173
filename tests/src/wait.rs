//! Waiting for what another thread or process does: for a condition, with a bound, and never for a fixed time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long most tests wait: far longer than anything takes on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until `look` has found what it looks for.
///
/// # Errors
/// Those of `look` at once; and, after `timeout`, what `look` found instead the last time.
pub fn until<T>(timeout: Duration, mut look: impl FnMut() -> Result<Result<T, String>>) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        match look()? {
            Ok(found) => return Ok(found),
            Err(instead) if Instant::now() > deadline => bail!("after {timeout:?}: {instead}"),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}
