//! Sagas: undertakings in several steps, which the host has performed until they are done or undone. Needs a store.
//!
//! A context declares its sagas and performs their steps as [`Steps`]; `context!(Name, migrations, sagas)` exports
//! them, and the context's world exports `seam:host/saga-steps`. [`start`], [`resume`] and [`give_up`] are a part of
//! the transaction that is open. Not here: when a step is performed, and again: the host. Natively,
//! [`native::Saga`](crate::native::Saga) performs them for a test.

use std::time::Duration;

#[cfg(not(all(feature = "native", not(target_family = "wasm"))))]
use crate::bindings::seam::host::sagas as host;
#[cfg(all(feature = "native", not(target_family = "wasm")))]
use crate::native::sagas as host;

pub use crate::bindings::seam::host::sagas::{State, Status};
pub use crate::steps::{Definition, Outcome, Step, Steps, Task, Undo};

/// What the store cannot do now, it may do later.
impl From<crate::store::Error> for Outcome {
    fn from(error: crate::store::Error) -> Self {
        Self::Later(error.unavailable())
    }
}

impl State {
    /// As the host's commands and pages write it: `running`.
    pub fn name(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Waiting => "waiting",
            State::Undoing => "undoing",
            State::Stuck => "stuck",
            State::Done => "done",
            State::Undone => "undone",
        }
    }
}

/// Why something cannot be done with a saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// No definition of this kind, or no saga with this id.
    Unknown(String),
    /// Not possible in its state.
    Refused(String),
    /// An argument is wrong: where, and why.
    Invalid(String),
    /// The file cannot be read or written now.
    Unavailable(String),
}

impl Error {
    /// What to tell a caller in its `unavailable` case when the file cannot be read or written now.
    ///
    /// Panics, and so traps, on what only a bug of this context can cause. Handle `unknown` and `refused` before where
    /// you expect them.
    pub fn unavailable(self) -> String {
        match self {
            Error::Unavailable(_) => self.to_string(),
            Error::Unknown(_) | Error::Refused(_) | Error::Invalid(_) => panic!("{self}"),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, text) = match self {
            Error::Unknown(text) => ("no such saga", text),
            Error::Refused(text) => ("the saga refuses it", text),
            Error::Invalid(text) => ("wrong of a saga", text),
            Error::Unavailable(text) => ("the store is not available", text),
        };
        write!(f, "{what}: {text}")
    }
}

impl std::error::Error for Error {}

/// The sagas of a context are a part of its store.
impl From<Error> for crate::store::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable(why) => Self::Unavailable(why),
            Error::Unknown(_) | Error::Refused(_) | Error::Invalid(_) => Self::Invalid(error.to_string()),
        }
    }
}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Unknown(text) => Error::Unknown(text),
            host::Error::Refused(text) => Error::Refused(text),
            host::Error::Invalid(text) => Error::Invalid(text),
            host::Error::Unavailable(text) => Error::Unavailable(text),
        }
    }
}

/// Starts a saga, with the transaction that is open, if one is. `id` (1 to 64 characters) names it among those of its
/// kind; a saga that has been started is not started again.
pub fn start(kind: &str, id: &str) -> Result<(), Error> {
    Ok(host::start(kind, id)?)
}

/// What the saga waits for at this step has come: the step counts as performed. `refused` if it does not wait there.
pub fn resume(kind: &str, id: &str, step: &str) -> Result<(), Error> {
    Ok(host::resume(kind, id, step)?)
}

/// Has the saga's steps undone. `refused` once it has come to a step that cannot be undone, or has ended.
pub fn give_up(kind: &str, id: &str, cause: &str) -> Result<(), Error> {
    Ok(host::give_up(kind, id, cause)?)
}

/// Where the saga stands.
pub fn get_status(kind: &str, id: &str) -> Result<Status, Error> {
    Ok(host::get_status(kind, id)?)
}

/// Waits until the saga no longer runs and is not being undone, at most this long and not longer than the call may
/// take; then as [`get_status`]. `refused` inside a transaction. Natively nothing runs meanwhile: it does not wait.
pub fn settle(kind: &str, id: &str, most: Duration) -> Result<Status, Error> {
    Ok(host::settle(kind, id, u32::try_from(most.as_millis()).unwrap_or(u32::MAX))?)
}
