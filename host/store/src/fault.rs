//! Named points at which a test has the host fail, and protections that a test switches off to see that its checks
//! notice. Only builds with debug assertions have them: in a release, each is nothing.
//!
//! `SEAM_FAULT=NAME:ACTION[:NTH]` names a point, what happens there, and at which pass since the process started; the
//! first pass is 1, and without a number it happens at each one. `kill` ends the process as `kill -9` would, `error`
//! has what follows fail as a disk does, `delay=MS` waits. `SEAM_FAULT=@PATH` reads the same text from a file at each
//! pass, so that a test can arm a host that runs: passes count from the file's last change, and the host removes it
//! once the numbered pass has come.
//! `SEAM_WITHOUT=NAME[,NAME...]` switches protections off.
//! Not here: what the points mean, which their places say.

use crate::error::Error;

/// Every point, by the part of the host that it belongs to. Torture goes through all of them.
pub const POINTS: &[&str] = &[
    // Any file: the start with a log that a crash left, the group's commit, copying the log back.
    "open.before-log",
    "open.after-log",
    "commit.before",
    "commit.after",
    "checkpoint.before",
    "checkpoint.after",
    // Publishing.
    "outbox.before-commit",
    "outbox.after-commit",
    "outbox.forget",
    // Delivering.
    "inbox.before-handler",
    "inbox.after-handler",
    "inbox.before-commit",
    "inbox.after-commit",
    "inbox.set-aside",
    // Timers and schedules.
    "timers.before-commit",
    "timers.after-commit",
    "schedule.before-commit",
    "schedule.after-commit",
    // Transactions over several files.
    "two-phase.before-vote",
    "two-phase.after-vote",
    "two-phase.before-decision",
    "two-phase.after-decision",
    "two-phase.before-commit",
    "two-phase.after-commit",
    "two-phase.after-clear",
    "two-phase.before-redo",
    // Sagas: the start, a step, its undo, and each commit that says where the saga stands.
    "saga.start",
    "saga.before-step",
    "saga.after-step",
    "saga.before-undo",
    "saga.after-undo",
    "saga.unwritten",
    "saga.before-commit",
    "saga.after-commit",
    // Having a context mend what several disagree on.
    "reconcile.before-mend",
    "reconcile.after-mend",
    // Handing a file over to another host.
    "move.before-expect",
    "move.expected",
    "move.before-arrive",
    "move.after-arrive",
    "move.arrived",
    "move.before-hand-over",
    "move.after-hand-over",
    "move.handed-over",
    "move.taken-over",
    "move.serves",
    // Changing versions.
    "deploy.kept",
    "deploy.applying",
    "deploy.published",
    "deploy.rolled-back",
    "deploy.recorded",
    "deploy.restored",
    "deploy.migrated",
];

/// The points that can fail with `error`.
pub const FALLIBLE: &[&str] = &[
    // Each where a commit follows, or has just been made.
    "commit.before",
    "commit.after",
    "outbox.before-commit",
    "inbox.before-commit",
    "two-phase.before-vote",
    "two-phase.before-commit",
    "saga.before-commit",
];

/// The protections that a test can switch off, each for a negative control.
pub const PROTECTIONS: &[&str] = &[
    // A commit is on the disk before it is answered. Without it: `synchronous = NORMAL`.
    "sync",
    // What a subscriber has taken commits with what its handler wrote. Without it: in a commit of its own, afterwards.
    "inbox-mark",
    // What a saga has done is undone when it is given up. Without it: it counts as undone.
    "undo",
    // After a crash, each step that may have been performed is undone. Without it: only those that are known to be.
    "reach",
];

/// Kills the process or waits, if a test says so.
#[cfg(debug_assertions)]
pub fn point(name: &'static str) {
    armed::pass(name);
}

/// As `point`; whether what follows is to fail, as if the disk did.
#[cfg(debug_assertions)]
pub fn fails(name: &'static str) -> bool {
    armed::pass(name)
}

/// Whether a protection is switched off.
#[cfg(debug_assertions)]
pub fn without(protection: &str) -> bool {
    armed::is_without(protection)
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_: &'static str) {}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn fails(_: &'static str) -> bool {
    false
}

#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn without(_: &str) -> bool {
    false
}

/// The error of what fails at a point.
pub fn error() -> Error {
    Error::of(&disk_error())
}

/// What a disk that fails has SQLite say.
pub(super) fn disk_error() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
    rusqlite::Error::SqliteFailure(code, Some("disk I/O error, made by a test".to_owned()))
}

#[cfg(debug_assertions)]
mod armed {
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::sync::LazyLock;
    use std::time::Duration;

    use parking_lot::Mutex;

    use super::{FALLIBLE, POINTS, PROTECTIONS};

    /// Where the plan stands.
    enum Origin {
        Variable(String),
        File(PathBuf),
    }

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(super) enum Action {
        Kill,
        Error,
        Delay(Duration),
    }

    #[derive(Clone, PartialEq, Eq, Debug)]
    pub(super) struct Plan {
        pub point: String,
        pub action: Action,
        /// `None`: at each pass.
        pub nth: Option<u64>,
    }

    #[derive(Default)]
    struct Passes {
        /// The text that the counts belong to.
        plan: String,
        counts: BTreeMap<&'static str, u64>,
    }

    static ORIGIN: LazyLock<Option<Origin>> = LazyLock::new(|| {
        let text = std::env::var("SEAM_FAULT").ok().filter(|text| !text.is_empty())?;
        if let Some(path) = text.strip_prefix('@') {
            return Some(Origin::File(PathBuf::from(path)));
        }
        parse(&text).map(|_| Origin::Variable(text)).map_err(|why| refuse("SEAM_FAULT", &why)).ok()
    });

    static PASSES: LazyLock<Mutex<Passes>> = LazyLock::new(Mutex::default);

    static WITHOUT: LazyLock<Vec<String>> = LazyLock::new(|| {
        let text = std::env::var("SEAM_WITHOUT").unwrap_or_default();
        let names: Vec<String> = text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        match names.iter().find(|name| !PROTECTIONS.contains(&name.as_str())) {
            None => names,
            Some(name) => refuse("SEAM_WITHOUT", &format!("no protection is named `{name}`")),
        }
    });

    /// A test that plants nothing would pass for nothing.
    fn refuse(variable: &str, why: &str) -> ! {
        eprintln!("error: {variable}: {why}");
        std::process::exit(2);
    }

    pub fn is_without(protection: &str) -> bool {
        WITHOUT.iter().any(|name| name == protection)
    }

    /// Does what the plan says of this pass. Whether what follows is to fail.
    pub fn pass(name: &'static str) -> bool {
        let Some(origin) = &*ORIGIN else { return false };
        let action = {
            let mut passes = PASSES.lock();
            let text = match origin {
                Origin::Variable(text) => text.clone(),
                Origin::File(path) => std::fs::read_to_string(path).unwrap_or_default(),
            };
            if text.is_empty() {
                *passes = Passes::default();
                return false;
            }
            if passes.plan != text {
                *passes = Passes { plan: text, counts: BTreeMap::new() };
            }
            let plans = parse(&passes.plan).unwrap_or_else(|why| refuse("SEAM_FAULT", &why));
            let count = passes.counts.entry(name).or_default();
            *count += 1;
            let is_now = |plan: &&Plan| plan.point == name && plan.nth.is_none_or(|nth| nth == *count);
            let Some(plan) = plans.iter().find(is_now) else { return false };
            if let (Some(_), Origin::File(path)) = (plan.nth, origin) {
                std::fs::remove_file(path).ok();
            }
            plan.action
        };
        match action {
            Action::Error => return true,
            Action::Delay(time) => std::thread::sleep(time),
            Action::Kill => {
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).ok();
            }
        }
        false
    }

    pub(super) fn parse(text: &str) -> Result<Vec<Plan>, String> {
        text.trim().split(',').map(one).collect()
    }

    fn one(text: &str) -> Result<Plan, String> {
        let wrong = || format!("`{text}` is not `NAME:ACTION[:NTH]` with `kill`, `error` or `delay=MS`");
        let mut parts = text.split(':');
        let (Some(point), Some(action)) = (parts.next(), parts.next()) else { return Err(wrong()) };
        let nth = parts.next().map(str::parse).transpose().map_err(|_| wrong())?;
        if parts.next().is_some() || nth == Some(0) {
            return Err(wrong());
        }
        if !POINTS.contains(&point) {
            return Err(format!("no point is named `{point}`"));
        }
        let action = match action.split_once('=') {
            None if action == "kill" => Action::Kill,
            None if action == "error" && FALLIBLE.contains(&point) => Action::Error,
            None if action == "error" => return Err(format!("`{point}` cannot fail")),
            Some(("delay", ms)) => Action::Delay(Duration::from_millis(ms.parse().map_err(|_| wrong())?)),
            _ => return Err(wrong()),
        };
        Ok(Plan { point: point.to_owned(), action, nth })
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use std::time::Duration;

    use super::armed::{Action, Plan, parse};
    use super::*;

    #[test]
    fn a_plan_names_a_point_an_action_and_a_pass() {
        let plan = |point: &str, action, nth| Plan { point: point.to_owned(), action, nth };
        assert_eq!(parse("commit.before:kill"), Ok(vec![plan("commit.before", Action::Kill, None)]));
        let delay = plan("outbox.forget", Action::Delay(Duration::from_millis(20)), None);
        let error = plan("commit.after", Action::Error, Some(3));
        assert_eq!(parse("outbox.forget:delay=20,commit.after:error:3\n"), Ok(vec![delay, error]));
        let wrong = [
            ("commit.before", "NAME:ACTION"),
            ("commit.before:explode", "NAME:ACTION"),
            ("commit.before:delay=soon", "NAME:ACTION"),
            ("commit.before:kill:0", "NAME:ACTION"),
            ("commit.before:kill:1:2", "NAME:ACTION"),
            ("commit.befor:kill", "no point is named `commit.befor`"),
            ("inbox.after-commit:error", "cannot fail"),
        ];
        for (text, why) in wrong {
            assert!(parse(text).is_err_and(|said| said.contains(why)), "{text}");
        }
    }

    #[test]
    fn a_point_that_can_fail_is_a_point() {
        assert!(FALLIBLE.iter().all(|name| POINTS.contains(name)));
    }
}
