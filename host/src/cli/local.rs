//! The system in this process, for commands that find no running host.

use std::sync::Arc;

use super::{Global, Stop, compiler, out, refused};
use crate::app::{self, App};
use crate::folder::Folder;
use crate::logging;
use crate::manifest::{LogFormat, Manifest};

/// Loads the system without listening, does `work` with it, and puts it away.
///
/// # Errors
/// When another host has the data folder, the system does not load, or the work fails.
pub fn with_app<T: Send + 'static>(
    global: &Global,
    manifest: Manifest,
    work: impl FnOnce(&App, &Folder) -> Result<T, Stop> + Send + 'static,
) -> Result<T, Stop> {
    let folder = Arc::new(Folder::lock(&manifest.host.data)?);
    let format = match global.log_format {
        Some(super::LogFormat::Json) => LogFormat::Json,
        _ => LogFormat::Human,
    };
    // One call's output is what counts; its trouble still shows.
    let filter = global.log_level.clone().or_else(|| std::env::var("RUST_LOG").ok()).unwrap_or_else(|| "warn".into());
    let log = logging::Config { format, colours: out::colours_on_stderr(), filter, files: None };
    let _log = logging::init(&log)?;
    let runtime = app::runtime().map_err(|error| Stop::error(&error, ""))?;
    // On a thread of the runtime's: it has the stack that a chain of guests needs.
    let done = runtime.block_on(runtime.spawn_blocking(move || {
        let (path, contexts) = (manifest.path.clone(), manifest.contexts.clone());
        let app = App::load(manifest, compiler()).map_err(|error| refused(&path, &contexts, error))?;
        work(&app, &folder)
    }));
    done.map_err(|error| Stop::error(&error, ""))?
}
