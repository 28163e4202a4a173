//! For tests of what a power cut leaves: the process ends itself, as `kill -9` would, at a named moment of a change.
//!
//! Only in builds with debug assertions, by the variable `SEAM_DIE_AT`; a release has nothing of it.

#[cfg(debug_assertions)]
pub(super) fn point(name: &str) {
    if std::env::var("SEAM_DIE_AT").is_ok_and(|at| at == name) {
        let me = rustix::process::getpid();
        rustix::process::kill_process(me, rustix::process::Signal::KILL).ok();
    }
}

#[cfg(not(debug_assertions))]
pub(super) fn point(_: &str) {}
