//! `shop-data`: writes the demo shop, or albums in bulk. Exit 0 done, 1 failed, 2 wrong usage.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use shop_data::album;
use shop_data::bulk::Bulk;
use shop_data::demo::{self, Demo};

/// Rows between two updates of the progress bar.
const PROGRESS_EVERY: u64 = 1024;

/// Makes the record shop's data.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the demo shop: albums, stock, accounts, and two years of orders as each context saw them, as JSON lines.
    Demo {
        /// The folder for the seven files; created if missing.
        #[arg(long)]
        out: PathBuf,
        /// The table of real albums.
        #[arg(long, default_value = "data/albums.csv")]
        albums: PathBuf,
        /// The same seed gives the same shop.
        #[arg(long, default_value_t = 7)]
        seed: u64,
        /// How many customers; by default two for five orders.
        #[arg(long, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
        customers: Option<u32>,
        /// How many orders.
        #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
        orders: u32,
    },
    /// Write invented albums in bulk, for benches.
    Albums {
        /// How many albums.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=9_999_999))]
        count: u32,
        /// The file for the albums (JSON lines).
        #[arg(long)]
        out: PathBuf,
        /// Also write their stock to this file.
        #[arg(long)]
        stock: Option<PathBuf>,
        /// Also write purchases of them to this file.
        #[arg(long)]
        purchases: Option<PathBuf>,
        /// How many purchases; by default eight for each album that sells.
        #[arg(long, requires = "purchases", value_parser = clap::value_parser!(u32).range(..=9_999_999))]
        purchase_count: Option<u32>,
        /// The same seed gives the same albums.
        #[arg(long, default_value_t = 7)]
        seed: u64,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if let Some(hint) = hint(&error) {
                eprintln!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo { out, albums, seed, customers, orders } => {
            let albums = album::read(&albums)?;
            let customers = customers.unwrap_or(demo::customers_for(orders));
            let demo = Demo::make(seed, customers, orders, &albums);
            demo.write(&out, &albums).context("the demo data is not complete")?;
            eprintln!(
                "{}: {} albums, {} customers, {} orders (seed {seed})",
                out.display(),
                albums.len(),
                demo.customers(),
                demo.orders()
            );
        }
        Command::Albums { count, out, stock, purchases, purchase_count, seed } => {
            let bulk = Bulk {
                seed,
                albums: count,
                purchases: purchase_count.unwrap_or(shop_data::bulk::selling(count) * 8),
                albums_to: &out,
                stock_to: stock.as_deref(),
                purchases_to: purchases.as_deref(),
            };
            // The bar appears only on a terminal.
            let bar = ProgressBar::new(bulk.rows());
            if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} rows, {eta} left") {
                bar.set_style(style);
            }
            let mut rows = 0u64;
            bulk.write(|| {
                rows += 1;
                if rows.is_multiple_of(PROGRESS_EVERY) {
                    bar.set_position(rows);
                }
            })
            .context("the albums are not complete")?;
            bar.finish_and_clear();
            eprintln!("{}: {count} albums (seed {seed})", out.display());
        }
    }
    Ok(())
}

fn hint(error: &anyhow::Error) -> Option<&'static str> {
    match error.downcast_ref::<album::Error>() {
        Some(album::Error::Unreadable { .. }) => {
            Some("run the command in the repository's folder, or name the table with --albums")
        }
        Some(album::Error::Columns { .. } | album::Error::Row { .. }) => Some("correct that line; nothing was written"),
        None => error.downcast_ref::<shop_data::output::Error>().map(
            |_| "choose another folder or file with --out, or make this one writable; existing files are unchanged",
        ),
    }
}
