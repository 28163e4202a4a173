//! `seam seed`, and the progress of seeds: a bar on a terminal, else a line for each seed.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::error::CommandError;
use super::global::Global;
use super::{local, out};
use crate::admin::SeedRequest;
use crate::admin::client::{Client, Error};
use crate::seed::{self, Progress};

pub fn run(global: &Global, force: bool) -> Result<(), CommandError> {
    let manifest = global.load()?;
    if manifest.seeds.is_empty() {
        out::note("the manifest has no [[seed]]");
        return Ok(());
    }
    match Client::connect(&manifest.host.data) {
        Ok(client) => {
            let mut display = ProgressDisplay::default();
            Ok(client.seed(SeedRequest { force }, &mut |at| display.update(at))?)
        }
        Err(Error::NotRunning { .. }) => local::with_app(global, manifest, move |app, folder| {
            let mut display = ProgressDisplay::default();
            Ok(seed::run(&app.registry, &app.manifest.seeds, folder, force, &mut |at| display.update(at))?)
        }),
        Err(error) => Err(error.into()),
    }
}

/// Shows the progress of seeds.
#[derive(Default)]
pub struct ProgressDisplay {
    bar: Option<ProgressBar>,
}

impl ProgressDisplay {
    pub fn update(&mut self, at: &Progress) {
        let file =
            std::path::Path::new(&at.file).file_name().map_or(at.file.clone(), |n| n.to_string_lossy().into_owned());
        if at.done {
            if let Some(bar) = self.bar.take() {
                bar.finish_and_clear();
            }
            let (rows, context, call) = (at.rows, &at.context, &at.call);
            match at.known {
                true => out::note(&format!("{file}: its {rows} rows are in {context} already")),
                false => out::note(&format!("{file}: {rows} rows through {call} into {context}")),
            }
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            // Draws nothing when standard error is not a terminal.
            let bar = ProgressBar::with_draw_target(Some(at.bytes_total), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{msg} {wide_bar} {percent}%");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.set_message(format!("{file}: {} rows", at.rows));
        bar.set_position(at.bytes);
    }
}
