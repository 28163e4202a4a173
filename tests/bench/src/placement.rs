//! What it costs that a context lives elsewhere: one call, and the album page, in each placement, beside native
//! services and gRPC.

use anyhow::{Context, Result};

use crate::figures::Table;
use crate::load::Work;
use crate::native;
use crate::process::Server;
use crate::rounds::{self, Effort, Variant};
use crate::system::{Shop, System};

/// Calls in one request: what the request itself costs vanishes among them.
const CALLS: u32 = 100;
/// A call to another host costs at most so much of the processor's time of a native call of each kind, and a page of
/// three remote contexts so much of that of native services.
const TO_HTTP_MAX: f64 = 1.0;
const TO_GRPC_MAX: f64 = 1.2;
const TO_SPLIT_MAX: f64 = 1.1;

const REMOTE: &str = "seam, other hosts, mutual TLS";
const BROKERED: &str = "seam, a copy behind NATS, TLS";
const IN_PROCESS: &str = "seam, one process";

pub fn run(system: &System, shop: &Shop, effort: Effort) -> Result<Vec<Table>> {
    eprintln!("the shop on four hosts, and on two with a broker between them");
    let hosts = system.placed()?;
    let brokered = system.brokered()?;
    Ok(vec![
        calls_to_http(shop, &hosts, &brokered, effort)?,
        calls_to_grpc(system, &hosts, effort)?,
        pages(system, shop, &hosts, effort)?,
    ])
}

/// A variant of several processes, of which the first one is asked.
fn several<'a>(name: &'a str, servers: Vec<&'a Server>, work: &Work, target: Option<f64>) -> Result<Variant<'a>> {
    let address = servers.first().context("a variant without a process")?.address;
    Ok(Variant { name, servers, address, work: work.clone(), target })
}

fn calls_to_http(shop: &Shop, hosts: &[Server], brokered: &[Server], effort: Effort) -> Result<Table> {
    let work = Work::Pages(System::asking(CALLS));
    let teller = native::start_teller()?;
    let asker = native::start_asker("http", Some(teller.address), None)?;
    let function = native::start_asker("function", None, None)?;
    let variants = [
        several("native, HTTP/1.1 and JSON", vec![&asker, &teller], &work, None)?,
        several(REMOTE, hosts.iter().collect(), &work, Some(TO_HTTP_MAX))?,
        several(BROKERED, brokered.iter().collect(), &work, None)?,
        several(IN_PROCESS, vec![&shop.host], &work, None)?,
        several("native, one process", vec![&function], &work, None)?,
    ];
    rounds::run("100 calls of another context", "request", &variants, effort)
}

fn calls_to_grpc(system: &System, hosts: &[Server], effort: Effort) -> Result<Table> {
    let work = Work::Pages(System::asking(CALLS));
    let certificates = system.folder_for("grpc");
    native::grpc::make_certificates(&certificates)?;
    let teller = native::start_grpc_teller(&certificates)?;
    let asker = native::start_asker("grpc", Some(teller.address), Some(&certificates))?;
    let variants = [
        several("native, gRPC, mutual TLS", vec![&asker, &teller], &work, None)?,
        several(REMOTE, hosts.iter().collect(), &work, Some(TO_GRPC_MAX))?,
    ];
    rounds::run("100 calls, beside gRPC", "request", &variants, effort)
}

fn pages(system: &System, shop: &Shop, hosts: &[Server], effort: Effort) -> Result<Table> {
    let work = Work::Pages(system.album_pages());
    // The storefront is the last of them.
    let split = shop.split.iter().rev().collect();
    let variants = [
        several("native, HTTP between services", split, &work, None)?,
        several(REMOTE, hosts.iter().collect(), &work, Some(TO_SPLIT_MAX))?,
        several(IN_PROCESS, vec![&shop.host], &work, None)?,
        several("native, one process", vec![&shop.monolith], &work, None)?,
    ];
    rounds::run("album page, three contexts", "request", &variants, effort)
}
