//! `seam pretend`: calls within a running host that behave as if they crossed hosts.

use clap::Args;
use seam_runtime::pretend::PretenceStatus;

use super::error::CommandError;
use super::global::{Format, Global};
use super::out;
use crate::admin::PretendRequest;
use crate::admin::client::Client;
use crate::manifest::Manifest;

#[derive(Debug, Args)]
pub struct Options {
    /// `'CALLER->CALLEE'` in quotes, where `*` is every context, and what to pretend; `off` ends it; by default, what
    /// is pretended now is shown
    #[arg(value_name = "ORDER")]
    order: Vec<String>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(global: &Global, options: &Options) -> Result<(), CommandError> {
    let order = options.order.join(" ");
    let mut edges = Vec::new();
    for host in hosts(global, options.order.first())? {
        let client = Client::connect(&host.host.data)?;
        edges.append(&mut match order.is_empty() {
            true => client.pretences()?,
            false => client.pretend(&PretendRequest { order: order.clone() })?,
        });
    }
    match options.format {
        Format::Json => out::json(&edges),
        Format::Human if edges.is_empty() => {
            out::note("nothing is pretended");
            Ok(())
        }
        Format::Human => {
            if options.order.iter().any(|word| word == "off") {
                out::note("ended, with what came of it:");
            }
            out::text(&shown(&edges))
        }
    }
}

/// The hosts that an order is for: that of the caller, or every one that runs here, to show or end what is pretended.
fn hosts(global: &Global, edge: Option<&String>) -> Result<Vec<Manifest>, CommandError> {
    let Some(edge) = edge.filter(|edge| *edge != "off") else { return global.load_running() };
    let caller = edge.split_once("->").map(|(caller, _)| caller.trim()).filter(|caller| *caller != "*");
    Ok(vec![global.load_host_of(caller)?])
}

fn shown(edges: &[PretenceStatus]) -> String {
    const HEADER: [&str; 8] =
        ["EDGE", "PRETENDED", "SEED", "CALLS", "LOST REQUESTS", "LOST ANSWERS", "REPEATED", "UNSENDABLE"];
    let row = |edge: &PretenceStatus| {
        let counts = [edge.calls, edge.lost_requests, edge.lost_answers, edge.repeated, edge.unsendable];
        let mut row = vec![format!("{}->{}", edge.caller, edge.callee), edge.terms.to_string(), edge.seed.to_string()];
        row.extend(counts.map(|count| count.to_string()));
        row
    };
    let rows: Vec<_> = edges.iter().map(row).collect();
    out::table(&HEADER, &rows, HEADER.get(2..).unwrap_or_default())
}

#[cfg(test)]
#[expect(clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_shown_as_it_would_be_typed_with_what_came_of_it() {
        let terms = match seam_runtime::pretend::parse("a->b latency=5ms loss=1%") {
            Ok(seam_runtime::pretend::Order::Pretend { terms, .. }) => terms,
            other => panic!("{other:?}"),
        };
        let edge = PretenceStatus {
            caller: "orders".into(),
            callee: "finance".into(),
            terms,
            seed: 7,
            calls: 120,
            lost_requests: 1,
            lost_answers: 2,
            repeated: 0,
            unsendable: 3,
        };
        let expect = "\
EDGE             PRETENDED            SEED  CALLS  LOST REQUESTS  LOST ANSWERS  REPEATED  UNSENDABLE
orders->finance  latency=5ms loss=1%     7    120              1             2         0           3
";
        assert_eq!(shown(&[edge]), expect);
    }
}
