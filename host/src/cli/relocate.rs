//! `seam extract` and `seam absorb`: a context moves to another host, and back; `seam moves`: what came of it.

use clap::Args;

use super::error::CommandError;
use super::global::{Format, Global};
use super::progress::Bar;
use super::{out, relocate_shown};
use crate::admin::RelocateRequest;
use crate::admin::client::Client;
use crate::manifest::Manifest;
use crate::relocate::{Moved, Progress, Taken};

#[derive(Debug, Args)]
pub struct ExtractOptions {
    /// The context
    context: String,
    /// The host that it moves to
    #[arg(long, value_name = "HOST")]
    to: String,
    /// Say what it would take and cost, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
pub struct AbsorbOptions {
    /// The context
    context: String,
    /// Say what it would take and cost, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Serve the copy that arrived here under this token, because the host that it comes from is lost for good
    #[arg(long, value_name = "TOKEN", conflicts_with = "dry_run", requires = "why")]
    take: Option<u64>,
    /// With `--take`: why, for the audit log
    #[arg(long, value_name = "TEXT", requires = "take")]
    why: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn extract(global: &Global, options: ExtractOptions) -> Result<(), CommandError> {
    let ExtractOptions { context, to, dry_run, format } = options;
    let manifest = global.load_host_of(Some(&context))?;
    match dry_run {
        true => predict(&manifest, &RelocateRequest::PredictExtract { context, to }, format),
        false => run(&manifest, &RelocateRequest::Extract { context, to }, format),
    }
}

pub fn absorb(global: &Global, options: AbsorbOptions) -> Result<(), CommandError> {
    let AbsorbOptions { context, dry_run, take, why, format } = options;
    let manifest = global.load_host()?;
    if let Some(token) = take {
        return self::take(&manifest, &RelocateRequest::Take { context, token, why: why.unwrap_or_default() }, format);
    }
    match dry_run {
        true => predict(&manifest, &RelocateRequest::PredictAbsorb { context }, format),
        false => run(&manifest, &RelocateRequest::Absorb { context }, format),
    }
}

pub fn moves(manifests: &[Manifest], format: Format) -> Result<(), CommandError> {
    let mut moves = Vec::new();
    for manifest in manifests {
        moves.append(&mut Client::connect(&manifest.host.data)?.moves()?);
    }
    match format {
        Format::Json => out::json(&moves),
        Format::Human if moves.is_empty() => {
            out::note("no context has moved from or to this host since it started");
            Ok(())
        }
        Format::Human => moves.iter().try_for_each(|review| out::text(&relocate_shown::review(review))),
    }
}

fn take(manifest: &Manifest, request: &RelocateRequest, format: Format) -> Result<(), CommandError> {
    let taken = Client::connect(&manifest.host.data)?.take(request)?;
    if format == Format::Json {
        return out::json(&taken);
    }
    let Taken { context, from, to, token } = taken;
    out::warning(&format!(
        "if host `{from}` still serves `{context}` to clients that this host does not reach, it has two owners: see \
         that it stays down; when it comes back, it gives the context up, and keeps its file under another name"
    ));
    out::line(&format!("`{context}` is taken from host `{from}` to host `{to}` (token {token})"))
}

fn predict(manifest: &Manifest, request: &RelocateRequest, format: Format) -> Result<(), CommandError> {
    let prediction = Client::connect(&manifest.host.data)?.predict(request)?;
    match format {
        Format::Json => out::json(&prediction)?,
        Format::Human => out::text(&relocate_shown::prediction(&prediction))?,
    }
    // It is a failure of the move that was asked for.
    match prediction.refused.is_empty() {
        true => Ok(()),
        false => Err(CommandError::Reported),
    }
}

fn run(manifest: &Manifest, request: &RelocateRequest, format: Format) -> Result<(), CommandError> {
    let client = Client::connect(&manifest.host.data)?;
    let mut bar = Bar::new("{msg} {wide_bar} {pos}/{len} pages");
    let moved = client.relocate(request, &mut |at| show(&mut bar, at));
    drop(bar);
    let moved = moved?;
    match format {
        Format::Json => out::json(&moved),
        Format::Human => shown(&moved),
    }
}

fn shown(moved: &Moved) -> Result<(), CommandError> {
    let Moved { context, from, to, token, tables, rows, waited, late, .. } = moved;
    out::note(relocate_shown::took(moved).trim_end());
    out::note(&format!(
        "{tables} tables with {rows} rows are the same on both hosts; {waited} calls waited at the end"
    ));
    if let Some(why) = late {
        out::warning(&format!("host `{to}` owns its file, and does not serve it yet: {why}; it tries again by itself"));
    }
    out::note("`seam moves` shows what its calls and pages take now, beside what was predicted");
    out::note(&format!("to keep it there for all who read the manifest, write `at = \"{to}\"` in [context.{context}]"));
    out::line(&format!("`{context}` has moved from host `{from}` to host `{to}` (token {token})"))
}

fn show(bar: &mut Bar, at: &Progress) {
    match at {
        Progress::Copied { pages, of } => bar.at("copying", u64::from(*pages), u64::from(*of)),
        Progress::CaughtUp { pages } => bar.message(format!("catching up, {pages} pages again")),
        Progress::Compared { tables, .. } => bar.message(format!("{tables} tables compared")),
    }
}
