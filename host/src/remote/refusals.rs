//! The log lines about what is refused: each says who, what, why and what to do, and there are only so many a second.

use std::time::Instant;

use parking_lot::Mutex;

use crate::limits;

/// The bound of the lines of one server or client.
#[derive(Default)]
pub struct Refusals(Mutex<Second>);

/// The lines of one second.
#[derive(Default)]
struct Second {
    since: Option<Instant>,
    lines: u32,
    /// Those that were left out, in this second or before.
    suppressed: u64,
}

impl Refusals {
    /// Logs it. `who`: the other side, as far as it is known; `what`: what it asked for.
    pub fn log(&self, who: &str, what: &str, why: &str, remedy: &str) {
        if let Some(suppressed) = self.next(Instant::now()) {
            tracing::warn!(target: "remote", who, why, hint = remedy, suppressed, "refused {what}");
        }
    }

    /// How many lines were left out before this one, if this one is written.
    fn next(&self, now: Instant) -> Option<u64> {
        let mut second = self.0.lock();
        if second.since.is_none_or(|since| now.saturating_duration_since(since).as_secs() >= 1) {
            (second.since, second.lines) = (Some(now), 0);
        }
        if second.lines == limits::REMOTE_REFUSED_LINES_PER_S {
            second.suppressed += 1;
            return None;
        }
        second.lines += 1;
        Some(std::mem::take(&mut second.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_has_so_many_lines_and_the_next_one_says_how_many_were_left_out() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let lines = || (0..100).filter_map(|_| refusals.next(now)).collect::<Vec<_>>();
        assert_eq!(lines(), [0; limits::REMOTE_REFUSED_LINES_PER_S as usize]);
        assert_eq!(refusals.next(now + Duration::from_secs(1)), Some(80));
        assert_eq!(refusals.next(now + Duration::from_secs(1)), Some(0));
    }
}
