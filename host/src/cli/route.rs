//! `seam route`: the share of a context's calls that each of its variants gets.

use std::sync::Arc;

use clap::Args;
use seam_runtime::serve::{RouteStatus, VariantStatus, at_rest};
use seam_store::HostFile;

use super::error::CommandError;
use super::global::{Format, Global};
use super::out;
use crate::admin::RouteRequest;
use crate::admin::client::{Client, Error};
use crate::folder::Folder;
use crate::manifest::Manifest;

#[derive(Debug, Args)]
pub struct Options {
    /// The context; by default every context with variants
    context: Option<String>,
    /// `VARIANT=WEIGHT`, `shadow=VARIANT` or `shadow=none`; without any, the present routes are shown
    #[arg(value_name = "VARIANT=WEIGHT")]
    changes: Vec<String>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(global: &Global, options: &Options) -> Result<(), CommandError> {
    let manifest = match options.context.as_deref() {
        Some(context) => global.load_host_of(Some(context))?,
        None => {
            let mut running = global.load_running()?;
            if running.len() > 1 {
                return show_each(&running, options.format);
            }
            running.pop().map_or_else(|| global.load_host(), Ok)?
        }
    };
    let request = options.context.clone().map(|context| RouteRequest { context, changes: options.changes.clone() });
    let all = match (Client::connect(&manifest.host.data), request) {
        (Ok(client), None) => client.routes()?,
        (Ok(client), Some(request)) => vec![client.route(&request)?],
        (Err(Error::NotRunning { .. }), request) => {
            // Locked to the end, so that no host starts between reading the routes and writing them.
            let folder = Folder::lock(&manifest.host.data)?;
            let host =
                HostFile::open(folder.path()).map_err(|error| CommandError::caused_by(&error, error.remedy()))?;
            let request = request.as_ref().map(|request| (request.context.as_str(), request.changes.as_slice()));
            at_rest(&manifest.system().contexts, Arc::new(host), request)?
        }
        (Err(error), _) => return Err(error.into()),
    };
    let split = |status: &RouteStatus| status.variants.iter().filter(|variant| variant.weight > 0).count() > 1;
    if !options.changes.is_empty() && manifest.http.routing_key.is_empty() && all.iter().any(split) {
        out::warning(
            "`[http]` has no `routing_key`, so each request of a visitor may get another variant; write, for example, \
             `routing_key = [\"cookie:visitor\"]`",
        );
    }
    show(&all, options.format)
}

/// Those of several hosts: each says what lives there.
fn show_each(hosts: &[Manifest], format: Format) -> Result<(), CommandError> {
    let mut all = Vec::new();
    for host in hosts {
        let lives_here =
            |status: &RouteStatus| host.here().any(|context| context.settings.name.as_str() == status.context);
        all.extend(Client::connect(&host.host.data)?.routes()?.into_iter().filter(lives_here));
    }
    show(&all, format)
}

fn show(all: &[RouteStatus], format: Format) -> Result<(), CommandError> {
    match format {
        Format::Json => out::json(&all),
        Format::Human if all.is_empty() => {
            out::note("no context has variants");
            Ok(())
        }
        Format::Human => out::text(&shown(all)),
    }
}

fn shown(all: &[RouteStatus]) -> String {
    let row = |status: &RouteStatus, variant: &VariantStatus| {
        let share = match (variant.shadow, variant.weight) {
            (true, _) => "shadow".to_owned(),
            (false, 0) => "-".to_owned(),
            (false, _) => percent(status.share_percent(variant)),
        };
        vec![status.context.clone(), variant.name.clone(), variant.weight.to_string(), share, variant.state.to_string()]
    };
    let rows: Vec<_> = all.iter().flat_map(|status| status.variants.iter().map(|v| row(status, v))).collect();
    out::table(&["CONTEXT", "VARIANT", "WEIGHT", "SHARE", "STATE"], &rows, &["WEIGHT", "SHARE"])
}

fn percent(share: f64) -> String {
    if share.fract() == 0.0 { format!("{share} %") } else { format!("{share:.1} %") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seam_runtime::serve::VariantState;

    #[test]
    fn a_share_is_the_weight_divided_by_all_weights() {
        let variant = |name: &str, weight, shadow, state| VariantStatus { name: name.into(), weight, shadow, state };
        let variants = vec![
            variant("rust", 2, false, VariantState::Ready),
            variant("js", 1, false, VariantState::Ready),
            variant("python", 0, true, VariantState::Ready),
            variant("clojure", 0, false, VariantState::Absent("it is not built".into())),
        ];
        let expect = "\
CONTEXT  VARIANT  WEIGHT   SHARE  STATE
engine   rust          2  66.7 %  ready
engine   js            1  33.3 %  ready
engine   python        0  shadow  ready
engine   clojure       0       -  absent: it is not built
";
        assert_eq!(shown(&[RouteStatus { context: "engine".into(), variants }]), expect);
    }
}
