//! The programs that the host is compared with: hyper and SQLite, with nothing between them that a careful programmer
//! would leave out.
//!
//! Their pages come from the storefront's own code, their rules and their statements are those of the contexts, so that
//! what differs is how the parts are held together: by function calls and one file (`monolith`), by HTTP and JSON
//! between processes with a file each (`split`). Commits are as durable as the host's, and not shared by several
//! transactions as the host's are.

pub mod asker;
pub mod files;
pub mod grpc;
mod monolith;
mod reader;
mod reference;
mod server;
mod split;
mod sql;
mod till;
mod types;
mod writer;

pub use split::Item;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Subcommand, ValueEnum};

use crate::process::Server;

/// One native process.
#[derive(Subcommand, Debug)]
pub enum Native {
    /// Everything in one process.
    Monolith { file: PathBuf },
    /// A service of the split that asks no other.
    Service { name: Name, file: PathBuf },
    /// The orders of the split.
    Orders {
        file: PathBuf,
        catalog: SocketAddr,
        warehouse: SocketAddr,
        finance: SocketAddr,
        recommendation: SocketAddr,
    },
    /// The storefront of the split.
    Storefront {
        catalog: SocketAddr,
        warehouse: SocketAddr,
        recommendation: SocketAddr,
        customer: SocketAddr,
        orders: SocketAddr,
    },
    /// One item over HTTP and JSON, from nothing: the other end of a loopback call.
    Teller,
    /// The same by gRPC over mutual TLS.
    GrpcTeller { certificates: PathBuf },
    /// The near end: calls one of these so many times, or a function.
    Asker {
        #[command(subcommand)]
        way: asker::Way,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Name {
    Catalog,
    Warehouse,
    Recommendation,
    Customer,
    Finance,
}

/// Serves until the process gets a signal to end.
pub fn run(native: Native) -> Result<()> {
    match native {
        Native::Monolith { file } => monolith::run(file),
        Native::Service { name: Name::Catalog, file } => split::catalog(file),
        Native::Service { name: Name::Warehouse, file } => split::warehouse(file),
        Native::Service { name: Name::Recommendation, file } => split::recommendation(file),
        Native::Service { name: Name::Customer, file } => split::customer(file),
        Native::Service { name: Name::Finance, file } => split::finance(file),
        Native::Orders { file, catalog, warehouse, finance, recommendation } => {
            split::orders(file, [catalog, warehouse, finance, recommendation])
        }
        Native::Storefront { catalog, warehouse, recommendation, customer, orders } => {
            split::storefront([catalog, warehouse, recommendation, customer, orders])
        }
        Native::Teller => split::teller(),
        Native::GrpcTeller { certificates } => grpc::teller(&certificates),
        Native::Asker { way } => asker::run(way),
    }
}

/// The monolith with its file in `folder`.
pub fn start_monolith(folder: &Path) -> Result<Server> {
    start("monolith", [shown(&files::monolith(folder))])
}

/// The same, started as `under` has it.
pub fn start_monolith_under(
    folder: &Path,
    under: impl FnOnce(std::process::Command) -> std::process::Command,
) -> Result<Server> {
    Server::start(under(command("monolith", [shown(&files::monolith(folder))])?))
}

/// All services of the split with their files in `folder`; the last one is the storefront.
pub fn start_split(folder: &Path) -> Result<Vec<Server>> {
    let service = |name: &str| start("service", [name.to_owned(), shown(&files::file(folder, name))]);
    let (catalog, warehouse, recommendation) = (service("catalog")?, service("warehouse")?, service("recommendation")?);
    let (customer, finance) = (service("customer")?, service("finance")?);
    let file = shown(&files::file(folder, "orders"));
    let asked = [&catalog, &warehouse, &finance, &recommendation].map(|server| server.address.to_string());
    let orders = start("orders", std::iter::once(file).chain(asked))?;
    let asked = [&catalog, &warehouse, &recommendation, &customer, &orders].map(|server| server.address.to_string());
    let storefront = start("storefront", asked)?;
    Ok(vec![catalog, warehouse, recommendation, customer, finance, orders, storefront])
}

/// The other end of a loopback call.
pub fn start_teller() -> Result<Server> {
    start("teller", [])
}

/// The same by gRPC, with what `grpc::make_certificates` has made.
pub fn start_grpc_teller(certificates: &Path) -> Result<Server> {
    start("grpc-teller", [shown(certificates)])
}

/// What calls `teller` in this way; the last two are where it is, and its certificates.
pub fn start_asker(way: &str, teller: Option<SocketAddr>, certificates: Option<&Path>) -> Result<Server> {
    let teller = teller.map(|teller| teller.to_string());
    start("asker", [way.to_owned()].into_iter().chain(teller).chain(certificates.map(shown)))
}

/// A native program of this binary.
fn start(name: &str, arguments: impl IntoIterator<Item = String>) -> Result<Server> {
    Server::start(command(name, arguments)?)
}

fn command(name: &str, arguments: impl IntoIterator<Item = String>) -> Result<std::process::Command> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.args(["native", name]).args(arguments);
    Ok(command)
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
