//! `seam seed`, and the progress of seeds: a bar on a terminal, else a line for each seed.

use clap::Args;

use super::error::CommandError;
use super::global::Global;
use super::progress::Bar;
use super::{local, out};
use crate::admin::client::{Client, Error};
use crate::seed::{self, Effect, Progress, SeedRequest, Seeds, Skipped, Step};

#[derive(Debug, Args)]
pub struct Options {
    /// Only the seeds of this context
    context: Option<String>,
    /// Also seeds that were loaded before; says which rows they would overwrite, and loads nothing
    #[arg(long)]
    again: bool,
    /// Load them, and overwrite these rows
    #[arg(long, requires = "again")]
    overwrite: bool,
}

pub fn run(global: &Global, options: Options) -> Result<(), CommandError> {
    let manifest = global.load_host_of(options.context.as_deref())?;
    if manifest.seeds.is_empty() && options.context.is_none() {
        out::note("the manifest has no [[seed]]");
        return Ok(());
    }
    let Options { context, again, overwrite } = options;
    let request = SeedRequest { context, again, overwrite };
    match Client::connect(&manifest.host.data) {
        Ok(client) => {
            let mut display = ProgressDisplay::default();
            Ok(client.seed(&request, &mut |at| display.update(at))?)
        }
        Err(Error::NotRunning { .. }) => local::with_app(global, manifest, move |app, folder| {
            let mut display = ProgressDisplay::default();
            let seeds = Seeds::of(&app.manifest);
            Ok(seed::run(&app.registry, &seeds, folder, &request, &mut |at| display.update(at))?)
        }),
        Err(error) => Err(error.into()),
    }
}

/// Shows the progress of seeds.
pub struct ProgressDisplay(Bar);

impl Default for ProgressDisplay {
    fn default() -> Self {
        Self(Bar::new("{msg} {wide_bar} {percent}%"))
    }
}

impl ProgressDisplay {
    pub fn update(&mut self, at: &Progress) {
        let file =
            std::path::Path::new(&at.file).file_name().map_or(at.file.clone(), |n| n.to_string_lossy().into_owned());
        let (rows, context, call) = (at.rows, &at.context, &at.call);
        let again = format!("`seam seed {context} --again` says what it would overwrite");
        let line = match &at.step {
            Step::Loading => return self.0.at(format!("{file}: {rows} rows"), at.bytes, at.bytes_total),
            Step::Loaded => format!("{file}: {rows} rows through {call} into {context}"),
            Step::Skipped(Skipped::Loaded) => format!("{file}: its {rows} rows are in {context} already"),
            Step::Skipped(Skipped::Changed) => {
                format!("{file}: it has changed since its {rows} rows were loaded, and is not loaded; {again}")
            }
            Step::Skipped(Skipped::NotEmpty) => {
                format!("{file}: {context} has rows already, so it is not loaded; {again}")
            }
            Step::Tried(effect) => format!("{file}: {rows} rows through {call} into {context}: {}", shown(effect)),
        };
        self.0.clear();
        out::note(&line);
    }
}

fn shown(effect: &Effect) -> String {
    match effect {
        Effect::Unknown { why } => format!("which rows it overwrites is not known: {why}"),
        Effect::Tables(tables) if tables.is_empty() => "changes nothing".to_owned(),
        Effect::Tables(tables) => {
            let one = |table: &seed::TableEffect| {
                let seed::TableEffect { table, rows, overwritten, rows_then } = table;
                format!("overwrites {overwritten} of {rows} rows in `{table}`, which then has {rows_then}")
            };
            tables.iter().map(one).collect::<Vec<_>>().join(", ")
        }
    }
}
