//! `seam accept`: takes the file that lies in place of a context's store.

use std::sync::Arc;

use seam_store::{Config, HostFile, Register};

use super::error::{CommandError, unknown_context};
use super::out;
use crate::deploy::{ChangeKind, History};
use crate::folder::{self, Folder};
use crate::manifest::Manifest;

pub fn run(manifest: &Manifest, context: &str) -> Result<(), CommandError> {
    let data = &manifest.host.data;
    let _folder = Folder::lock(data)?;
    let mut entries = manifest.contexts.iter().map(|context| &context.settings);
    let entry = entries.find(|entry| entry.name.as_str() == context);
    let entry = entry.ok_or_else(|| unknown_context(manifest, context))?;
    if let Some(host) = &entry.at {
        let remedy = format!("run it for that host: `--as {host}`");
        return Err(CommandError::message(format!("`{context}` lives on host `{host}`"), remedy));
    }
    let Some(grant) = &entry.store else {
        return Err(CommandError::message(format!("`{context}` has no store"), String::new()));
    };
    let host = HostFile::open(data).map_err(|error| CommandError::caused_by(&error, error.remedy()))?;
    let register = Register::open(Arc::new(host)).map_err(|error| CommandError::caused_by(&error, error.remedy()))?;
    let config = Config::of(&entry.name, grant, &folder::stores(data));
    let file = config.path.display().to_string();
    let accepted = register
        .accept(&entry.name, &config, |transaction, why| {
            History::replaced_store(transaction, context, ChangeKind::Accept, &file, Some(why))
        })
        .map_err(|error| CommandError::caused_by(&error, error.remedy(context)))?;
    match accepted.why {
        Some(why) => out::note(&format!("accepted although {why}")),
        None => out::note(&format!("the store of `{context}` fits; nothing has changed")),
    }
    if let Some(log) = accepted.log {
        out::note(&format!("its write-ahead log is kept as `{}`", log.display()));
    }
    Ok(())
}
