//! `seam restore`: puts files of a backup, or a restore point, back, while no host runs.

use clap::Args;

use super::error::CommandError;
use super::global::Global;
use super::out;
use crate::backup::{self, Progress, Replaced, Request, Source};
use crate::deploy::{ChangeKind, History};
use crate::folder::Folder;

#[derive(Debug, Args)]
pub struct Options {
    /// The contexts; by default all that the backup holds
    #[arg(required_unless_present = "from")]
    contexts: Vec<String>,
    /// A backup or a restore point by its name, or the folder of a backup
    #[arg(long, value_name = "NAME", conflicts_with = "schema", required_unless_present = "schema")]
    from: Option<String>,
    /// The newest restore point at this schema or an older one
    #[arg(long, value_name = "NUMBER")]
    schema: Option<u32>,
    /// Replace files that are there; they are kept
    #[arg(long)]
    replace: bool,
}

pub fn run(global: &Global, options: Options) -> Result<(), CommandError> {
    let manifest = global.load_host()?;
    let Options { contexts, from, schema, replace } = options;
    let source = match (from, schema) {
        (Some(name), _) => Source::Named(name),
        (None, schema) => Source::Schema(schema.unwrap_or_default()),
    };
    let folder = Folder::lock(&manifest.host.data)?;
    let request = Request { source, contexts, replace };
    let mut found = |Replaced { context, lost, .. }: &Replaced| {
        if !lost.is_empty() {
            out::note(&format!("{context}: {lost}"));
        }
    };
    let record = |transaction: &rusqlite::Connection, context: &str, from: &std::path::Path| {
        let from = from.display().to_string();
        History::replaced_store(transaction, context, ChangeKind::Restore, &from, Some(&format!("from `{from}`")))
    };
    let progress = Progress { found: &mut found, record: &record };
    for Replaced { context, kept, .. } in backup::restore(&manifest, &folder, &request, progress)? {
        match kept {
            Some(kept) => out::note(&format!("{context}: restored; the file that was there is `{}`", kept.display())),
            None => out::note(&format!("{context}: restored")),
        }
    }
    Ok(())
}
