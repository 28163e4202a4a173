//! Fault injection for crash tests: the process kills itself, as `kill -9` would, at a named point of a change.
//!
//! The variable `SEAM_DIE_AT` names the point. Only builds with debug assertions contain this.

#[cfg(debug_assertions)]
pub(super) fn point(name: &str) {
    if std::env::var("SEAM_DIE_AT").is_ok_and(|at| at == name) {
        let me = rustix::process::getpid();
        rustix::process::kill_process(me, rustix::process::Signal::KILL).ok();
    }
}

#[cfg(not(debug_assertions))]
pub(super) fn point(_: &str) {}
