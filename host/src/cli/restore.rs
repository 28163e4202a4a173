//! `seam restore`: puts files of a backup, or a restore point, back, while no host runs.

use clap::Args;

use super::error::CommandError;
use super::global::Global;
use super::out;
use crate::backup::{self, Progress, Replaced, Request, Source};
use crate::deploy::{ChangeKind, History};
use crate::folder::Folder;
use crate::times::parse_rfc3339;

#[derive(Debug, Args)]
pub struct Options {
    /// The contexts; by default all that the backup holds
    #[arg(required_unless_present_any = ["from", "at"])]
    contexts: Vec<String>,
    /// A backup or a restore point by its name, or the folder of a backup
    #[arg(long, value_name = "NAME", conflicts_with_all = ["schema", "at"], required_unless_present_any = ["schema", "at"])]
    from: Option<String>,
    /// The newest restore point at this schema or an older one
    #[arg(long, value_name = "NUMBER")]
    schema: Option<u32>,
    /// The state at a time, such as 2026-11-29T20:00:00Z, or `latest`, of the backup by `[backup]` of the manifest
    #[arg(long, value_name = "TIME", conflicts_with = "schema", value_parser = time)]
    at: Option<At>,
    /// Replace files that are there; they are kept
    #[arg(long)]
    replace: bool,
}

/// A time in milliseconds since 1970, or the newest state.
#[derive(Debug, Clone, Copy)]
struct At(Option<u64>);

fn time(text: &str) -> Result<At, String> {
    if text == "latest" {
        return Ok(At(None));
    }
    let time = parse_rfc3339(text).map(|ms| At(Some(ms)));
    time.ok_or_else(|| "write a time with its zone, such as 2026-11-29T20:00:00Z, or `latest`".to_owned())
}

pub fn run(global: &Global, options: Options) -> Result<(), CommandError> {
    let Options { contexts, from, schema, at, replace } = options;
    let manifest = global.load_host_of_all(&contexts)?;
    let source = match (from, schema, at) {
        (Some(name), ..) => Source::Named(name),
        (None, _, Some(At(at_ms))) => Source::At(at_ms),
        (None, schema, None) => Source::Schema(schema.unwrap_or_default()),
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
