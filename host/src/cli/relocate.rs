//! `seam extract` and `seam absorb`: a context moves to another host, and back.

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::error::CommandError;
use super::global::{Format, Global};
use super::out;
use crate::admin::RelocateRequest;
use crate::admin::client::Client;
use crate::manifest::Manifest;
use crate::relocate::{Moved, Progress};

#[derive(Debug, Args)]
pub struct ExtractOptions {
    /// The context
    context: String,
    /// The host that it moves to
    #[arg(long, value_name = "HOST")]
    to: String,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
pub struct AbsorbOptions {
    /// The context
    context: String,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn extract(global: &Global, options: ExtractOptions) -> Result<(), CommandError> {
    let ExtractOptions { context, to, format } = options;
    let manifest = global.load_host_of(Some(&context))?;
    run(&manifest, &RelocateRequest::Extract { context, to }, format)
}

pub fn absorb(global: &Global, options: AbsorbOptions) -> Result<(), CommandError> {
    let AbsorbOptions { context, format } = options;
    run(&global.load_host()?, &RelocateRequest::Absorb { context }, format)
}

fn run(manifest: &Manifest, request: &RelocateRequest, format: Format) -> Result<(), CommandError> {
    let client = Client::connect(&manifest.host.data)?;
    let mut display = ProgressDisplay::default();
    let moved = client.relocate(request, &mut |at| display.update(at));
    drop(display);
    let moved = moved?;
    match format {
        Format::Json => out::json(&moved),
        Format::Human => shown(&moved),
    }
}

fn shown(moved: &Moved) -> Result<(), CommandError> {
    let Moved { context, from, to, token, pages, again, bytes, tables, rows, copy_ms, pause_us, waited, late } = moved;
    let (size, seconds, pause) = (out::size(*bytes), *copy_ms as f64 / 1e3, *pause_us as f64 / 1e3);
    out::note(&format!("{size} sent in {seconds:.1} s: {pages} pages, and {again} that were changed meanwhile"));
    out::note(&format!("{tables} tables with {rows} rows are the same on both hosts"));
    out::note(&format!("its calls waited for {pause:.1} ms; {waited} waited at the end"));
    if let Some(why) = late {
        out::warning(&format!("host `{to}` owns its file, and does not serve it yet: {why}; it tries again by itself"));
    }
    out::note(&format!("to keep it there for all who read the manifest, write `at = \"{to}\"` in [context.{context}]"));
    out::line(&format!("`{context}` has moved from host `{from}` to host `{to}` (token {token})"))
}

/// A line that says how far the move is; on a terminal only.
#[derive(Default)]
struct ProgressDisplay {
    bar: Option<ProgressBar>,
}

impl ProgressDisplay {
    fn update(&mut self, at: &Progress) {
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} pages");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        match at {
            Progress::Copied { pages, of } => {
                bar.set_length(u64::from(*of));
                bar.set_position(u64::from(*pages));
                bar.set_message("copying");
            }
            Progress::CaughtUp { pages } => bar.set_message(format!("catching up, {pages} pages again")),
            Progress::Compared { tables, .. } => bar.set_message(format!("{tables} tables compared")),
        }
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
