//! `seam seed`, and how far a seed is, on a terminal as a bar and elsewhere as a line each.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Global, Stop, local, out};
use crate::admin::SeedRequest;
use crate::admin::client::{Client, Error};
use crate::seed::{self, Progress};

pub fn run(global: &Global, force: bool) -> Result<(), Stop> {
    let manifest = global.load()?;
    if manifest.seeds.is_empty() {
        out::note("the manifest has no [[seed]]");
        return Ok(());
    }
    match Client::connect(&manifest.host.data) {
        Ok(client) => {
            let mut shown = Shown::default();
            Ok(client.seed(SeedRequest { force }, &mut |at| shown.at(at))?)
        }
        Err(Error::NotRunning { .. }) => local::with_app(global, manifest, move |app, folder| {
            let mut shown = Shown::default();
            Ok(seed::run(&app.registry, &app.manifest.seeds, folder, force, &mut |at| shown.at(at))?)
        }),
        Err(error) => Err(error.into()),
    }
}

/// What has been shown of the seeds so far.
#[derive(Default)]
pub struct Shown {
    bar: Option<ProgressBar>,
}

impl Shown {
    pub fn at(&mut self, at: &Progress) {
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
            // Draws nothing when standard error is no terminal.
            let bar = ProgressBar::with_draw_target(Some(at.bytes_total), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{msg} {wide_bar} {percent}%");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.set_message(format!("{file}: {} rows", at.rows));
        bar.set_position(at.bytes);
    }
}
