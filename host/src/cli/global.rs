//! The options of every command, and what several commands do with them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use seam_runtime::component::Compiler;

use super::error::{CommandError, unknown_context};
use super::out;
use crate::admin::client::Client;
use crate::folder;
use crate::homes;
use crate::logging;
use crate::manifest::{self, Manifest, PlacedHost};

#[derive(Debug, Args)]
pub struct Global {
    /// The manifest; by default `seam.toml` in this folder or the nearest one above it
    #[arg(short = 'f', long, global = true, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// The host that is meant, of those in `[hosts]` of the manifest: its contexts, its data folder, its addresses
    #[arg(long = "as", global = true, value_name = "HOST")]
    pub host: Option<String>,
    /// All contexts in one process, although the manifest has several hosts
    #[arg(long, global = true, conflicts_with = "host")]
    pub together: bool,
    /// The format of the log on standard error; by default the manifest's
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// What to log: `error`, `warn`, `info`, `debug`, `trace`, or a filter as in RUST_LOG
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Human,
    Json,
}

/// The format of a result on standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Human,
    Json,
}

impl Global {
    /// The manifest that was named, or the one in this folder or the nearest folder above.
    pub fn path(&self) -> PathBuf {
        if let Some(path) = &self.manifest {
            return path.clone();
        }
        let here = PathBuf::from(manifest::FILE_NAME);
        if here.is_file() {
            return here;
        }
        let folder = std::env::current_dir().unwrap_or_default();
        let above =
            folder.ancestors().skip(1).map(|folder| folder.join(manifest::FILE_NAME)).find(|path| path.is_file());
        above.unwrap_or(here)
    }

    pub fn log_format(&self, of_manifest: manifest::LogFormat) -> manifest::LogFormat {
        match self.log_format {
            Some(LogFormat::Human) => manifest::LogFormat::Human,
            Some(LogFormat::Json) => manifest::LogFormat::Json,
            None => of_manifest,
        }
    }

    pub fn log_filter(&self, default: &str) -> String {
        let from_env = || std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
        self.log_level.clone().or_else(from_env).unwrap_or_else(|| default.to_owned())
    }

    /// A log on standard error only.
    pub fn stderr_log(&self, default_filter: &str) -> logging::Config {
        let format = self.log_format(manifest::LogFormat::Human);
        let filter = self.log_filter(default_filter);
        logging::Config { format, colours: out::colours_on_stderr(), filter, files: None }
    }

    /// The manifest, for what looks at the whole system; as one host runs it, if `--as` names one.
    pub fn load(&self) -> Result<Manifest, CommandError> {
        let manifest = Manifest::load(&self.path())?;
        match &self.host {
            Some(name) => Ok(homes::apply(manifest.on(name)?)?),
            None => Ok(manifest),
        }
    }

    /// The manifest as one host runs it.
    ///
    /// # Errors
    /// Also when the manifest has hosts, and neither `--as` nor `--together` says which is meant.
    pub fn load_host(&self) -> Result<Manifest, CommandError> {
        let manifest = self.load()?;
        match self.host.is_some() || self.together {
            true => Ok(manifest),
            false => Ok(manifest.of_no_host()?),
        }
    }
}

impl Global {
    /// The manifest as the host runs it on which a context, or one of its variants, lives; or the one that `--as`
    /// names.
    ///
    /// # Errors
    /// As `load_host`, and when that host keeps no files on this machine.
    pub fn load_host_of(&self, context: Option<&str>) -> Result<Manifest, CommandError> {
        let Some(context) = context.filter(|_| self.host.is_none() && !self.together) else { return self.load_host() };
        let manifest = homes::known_here(self.load()?)?;
        if manifest.placement.hosts.is_empty() {
            return Ok(manifest);
        }
        let main = context.split_once('@').map_or(context, |(main, _)| main);
        let home = manifest.context(main).and_then(|found| {
            let (placement, name) = (&manifest.placement, &found.settings.name);
            let copies = placement.hosts_of_copies(name);
            let has_files = |host: &&PlacedHost| folder::stores(&host.data).is_dir();
            placement.host_of(name).or_else(|| copies.clone().find(has_files).or_else(|| copies.clone().next()))
        });
        let Some(host) = home else {
            return Err(unknown_context(&manifest, context));
        };
        if !folder::stores(&host.data).is_dir() {
            let (name, data, address) = (&host.name, host.data.display(), &host.address);
            return Err(CommandError::message(
                format!("`{context}` lives on host `{name}`, which has no files in `{data}` on this machine"),
                format!("run the command on the machine of that host, {address}; or add `--as {name}`"),
            ));
        }
        Ok(homes::apply(manifest.on(host.name.as_str())?)?)
    }

    /// As `load_host_of`, for several contexts.
    ///
    /// # Errors
    /// Also when they do not all live on one host.
    pub fn load_host_of_all(&self, contexts: &[String]) -> Result<Manifest, CommandError> {
        let Some((first, more)) = contexts.split_first() else { return self.load_host() };
        let manifest = self.load_host_of(Some(first))?;
        let elsewhere = |name: &&String| {
            let found = manifest.context(name);
            found.is_some_and(|found| found.settings.at.is_some())
        };
        match (more.iter().find(elsewhere), &manifest.placement.this) {
            (Some(other), Some(here)) if self.host.is_none() => Err(CommandError::message(
                format!("`{first}` lives on host `{here}`, and `{other}` on another one"),
                "run the command once for each host, with the contexts that live there",
            )),
            _ => Ok(manifest),
        }
    }

    /// The manifest as each host runs it that runs on this machine; as one host runs it, if `--as` names one or there
    /// is only one.
    ///
    /// # Errors
    /// As `load_host` when none runs here.
    pub fn load_running(&self) -> Result<Vec<Manifest>, CommandError> {
        let manifest = self.load()?;
        if self.host.is_some() || self.together || manifest.placement.hosts.is_empty() {
            return Ok(vec![manifest]);
        }
        let mut running = Vec::new();
        for host in &manifest.placement.hosts {
            match Client::connect(&host.data) {
                Ok(_) => running.push(homes::apply(manifest.on(host.name.as_str())?)?),
                Err(_) => out::note(&format!(
                    "host `{}` at {} does not run on this machine, or not for this user, and is not shown",
                    host.name, host.address
                )),
            }
        }
        if running.is_empty() { Ok(vec![manifest.of_no_host()?]) } else { Ok(running) }
    }
}

/// Components are compiled by this binary in a child process with bounds.
pub fn compiler() -> Compiler {
    std::env::current_exe().map_or(Compiler::InProcess, Compiler::Child)
}
