//! The system in this process, for commands without a running host.

use std::sync::Arc;

use super::error::{CommandError, app_error};
use super::global::{Global, compiler};
use crate::app::{self, App};
use crate::folder::{self, Folder};
use crate::logging;
use crate::manifest::Manifest;

/// Loads the system without listening, does `work` with it, and drops it.
///
/// # Errors
/// When another host uses the data folder, the system does not load, or the work fails.
pub fn with_app<T: Send + 'static>(
    global: &Global,
    manifest: Manifest,
    work: impl FnOnce(&App, &Folder) -> Result<T, CommandError> + Send + 'static,
) -> Result<T, CommandError> {
    let folder = Arc::new(Folder::lock(&manifest.host.data).map_err(busy)?);
    on_a_guests_stack(global, move || {
        let (path, contexts) = (manifest.path.clone(), manifest.contexts.clone());
        let app = App::load(manifest, compiler()).map_err(|error| app_error(&path, &contexts, error))?;
        work(&app, &folder)
    })
}

/// Runs `work` on a thread of the host's runtime, which has the stack that a guest needs. Of the log, warnings matter.
///
/// # Errors
/// When the thread cannot be started, or the work fails.
pub fn on_a_guests_stack<T: Send + 'static>(
    global: &Global,
    work: impl FnOnce() -> Result<T, CommandError> + Send + 'static,
) -> Result<T, CommandError> {
    let _log = logging::init(&global.stderr_log("warn"))?;
    let runtime = app::runtime().map_err(|error| CommandError::caused_by(&error, ""))?;
    let done = runtime.block_on(runtime.spawn_blocking(work));
    done.map_err(|error| CommandError::caused_by(&error, ""))?
}

/// A process has the folder, but no host answers there.
pub fn busy(error: folder::Error) -> CommandError {
    match error {
        folder::Error::Taken { path, pid } => {
            let pid = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
            CommandError::message(
                format!("the host{pid} on `{}` is starting or stopping, and answers no commands now", path.display()),
                "try again in a moment; `seam logs` shows how far it is",
            )
        }
        other => other.into(),
    }
}
