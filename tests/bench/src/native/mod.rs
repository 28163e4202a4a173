//! The programs that the host is compared with: hyper and SQLite, with nothing between them that a careful programmer would leave out.
//!
//! Their pages come from the storefront's own code and their rows from the contexts' own statements, so that what differs is how the
//! parts are held together: by function calls (`monolith`), by HTTP and JSON between processes (`split`).
//! Not here: writing; the files are copies of what the contexts have made.

mod database;
mod monolith;
mod server;
mod split;
mod wire;

pub use wire::Item;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;

/// One native process.
#[derive(Subcommand, Debug)]
pub enum Native {
    /// Everything in one process.
    Monolith { databases: PathBuf },
    /// The storefront of the split.
    Storefront { catalog: SocketAddr, warehouse: SocketAddr, recommendation: SocketAddr },
    /// The catalog of the split.
    Catalog { databases: PathBuf },
    /// The warehouse of the split.
    Warehouse { databases: PathBuf },
    /// The recommendations of the split.
    Recommendation { databases: PathBuf },
    /// One item over HTTP and JSON, from nothing: the other end of a loopback call.
    Teller,
}

/// Serves until the process is told to end.
pub fn run(native: Native) -> anyhow::Result<()> {
    match native {
        Native::Monolith { databases } => monolith::run(databases),
        Native::Storefront { catalog, warehouse, recommendation } => {
            split::storefront([catalog, warehouse, recommendation])
        }
        Native::Catalog { databases } => split::catalog(databases),
        Native::Warehouse { databases } => split::warehouse(databases),
        Native::Recommendation { databases } => split::recommendation(databases),
        Native::Teller => split::teller(),
    }
}
