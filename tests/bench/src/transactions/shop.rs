//! A shop that runs in one of the modes, and is started again whenever it has ended.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use serde::Deserialize;

use super::Mode;
use super::customers::Address;
use super::disk::Disk;
use crate::client;
use crate::native;
use crate::process::Server;
use crate::system::System;

/// Orders by state, as the file has them in the end.
#[derive(Debug, Default)]
pub struct Checked {
    pub placed: usize,
    pub rejected: usize,
    /// Neither: it is not known what becomes of them.
    pub open: usize,
    /// Whether `seam verify` finds nothing; of the monolith, whether its sums agree.
    pub verified: bool,
}

pub struct Running<'s> {
    system: &'s System,
    disk: &'s Disk,
    mode: Mode,
    manifest: PathBuf,
    server: Mutex<Option<Server>>,
    pub address: Address,
}

impl<'s> Running<'s> {
    pub fn start(system: &'s System, mode: Mode, disk: &'s Disk) -> Result<Self> {
        let manifest = system.market_manifest(mode.name())?;
        let server = begin(system, mode, &manifest, disk)?;
        let address = Arc::new(Mutex::new(server.address));
        Ok(Self { system, disk, mode, manifest, server: Mutex::new(Some(server)), address })
    }

    pub fn has_ended(&self) -> bool {
        self.server.lock().as_mut().is_none_or(Server::has_ended)
    }

    /// Starts it again whenever it has ended, until `over`; once at least.
    pub fn keep_up(&self, over: &impl Fn() -> bool) -> Result<()> {
        loop {
            if self.has_ended() {
                let server = begin(self.system, self.mode, &self.manifest, self.disk)?;
                *self.address.lock() = server.address;
                *self.server.lock() = Some(server);
            }
            if over() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// When nothing was under way any more; none within `most`.
    pub fn wait_until_nothing_is_under_way(&self, most: Duration) -> Result<Option<Instant>> {
        let started = Instant::now();
        loop {
            let at = Instant::now();
            if self.under_way()? == 0 {
                return Ok(Some(at));
            }
            if started.elapsed() > most {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Orders of which something is written and something else is not.
    fn under_way(&self) -> Result<usize> {
        if self.mode == Mode::Monolith {
            return Ok(0);
        }
        let in_doubt = self.count(&["transactions", "--format", "json"], "in_doubt")?;
        let sagas = self.count(&["sagas", "--state", "running", "--state", "undoing", "--format", "json"], "sagas")?;
        // What waits for its time, not for a parcel.
        let placing = self.seam(&["call", "orders", "desk.in-state(placing, 1)"])?;
        Ok(in_doubt + sagas + usize::from(!placing.contains("orders: []")))
    }

    /// What waits for an operator.
    pub fn left(&self) -> Result<usize> {
        match self.mode {
            Mode::Monolith => Ok(0),
            _ => self.count(&["sagas", "--state", "stuck", "--format", "json"], "sagas"),
        }
    }

    /// How many the command lists under `key`.
    fn count(&self, arguments: &[&str], key: &str) -> Result<usize> {
        let said: serde_json::Value = serde_json::from_str(&self.seam(arguments)?)?;
        let listed = said.get(key).and_then(serde_json::Value::as_array);
        Ok(listed.with_context(|| format!("`seam {}` has no list `{key}`", arguments.join(" ")))?.len())
    }

    fn seam(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(self.system.seam_binary()).arg("-f").arg(&self.manifest).args(arguments).output()?;
        ensure!(
            output.status.success(),
            "`seam {}` failed:\n{}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// For how long writers of files were held, all together, since the last start; in milliseconds.
    pub fn held(&self) -> Result<f64> {
        #[derive(Deserialize)]
        struct Held {
            held_us: u64,
        }
        if self.mode == Mode::Monolith {
            let address = *self.address.lock();
            let answer = client::get_once(address, "/bench/held", None)?;
            let held: Held = serde_json::from_slice(&answer.body)?;
            return Ok(held.held_us as f64 / 1_000.0);
        }
        #[derive(Deserialize)]
        struct Context {
            context: String,
            store_held_us: Option<u64>,
        }
        let listed: Vec<Context> = serde_json::from_str(&self.seam(&["contexts", "--format", "json"])?)?;
        let of = |one: Context| self.mode.files().contains(&one.context.as_str()).then_some(one.store_held_us?);
        Ok(listed.into_iter().filter_map(of).sum::<u64>() as f64 / 1_000.0)
    }

    /// What the files say once it has stopped.
    pub fn stop_and_check(self) -> Result<Checked> {
        let server = self.server.lock().take().context("it does not run")?;
        server.stop()?;
        let (file, verified) = match self.mode {
            Mode::Monolith => {
                let file = native::files::monolith(&self.system.market_folder(self.mode.name()).join("native"));
                (file, true)
            }
            _ => {
                let output =
                    Command::new(self.system.seam_binary()).arg("-f").arg(&self.manifest).arg("verify").output()?;
                if !output.status.success() {
                    eprintln!("{}", String::from_utf8_lossy(&output.stdout));
                }
                let data = self.system.market_folder(self.mode.name()).join("data");
                let file = native::files::find(&data, "orders.db")?.context("the host has no orders.db")?;
                (file, output.status.success())
            }
        };
        let open = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let mut checked = Checked { verified, ..Checked::default() };
        let mut states = open.prepare("SELECT state, count(*) FROM orders GROUP BY state")?;
        let mut rows = states.query([])?;
        while let Some(row) = rows.next()? {
            let (state, count): (String, i64) = (row.get(0)?, row.get(1)?);
            let count = usize::try_from(count)?;
            match state.as_str() {
                "placed" => checked.placed += count,
                "rejected" | "cancelled" => checked.rejected += count,
                _ => checked.open += count,
            }
        }
        Ok(checked)
    }
}

fn begin(system: &System, mode: Mode, manifest: &std::path::Path, disk: &Disk) -> Result<Server> {
    match mode {
        Mode::Monolith => native::start_monolith_under(&system.market_folder(mode.name()).join("native"), |command| {
            disk.under(command)
        }),
        _ => {
            let mut command = Command::new(system.seam_binary());
            command.arg("-f").arg(manifest).arg("up");
            Server::start(disk.under(command))
        }
    }
}
