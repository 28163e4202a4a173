//! The options of every command, and what several commands do with them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use seam_runtime::component::Compiler;

use super::error::CommandError;
use super::out;
use crate::logging;
use crate::manifest::{self, Manifest};

#[derive(Debug, Args)]
pub struct Global {
    /// The manifest; by default `seam.toml` in this folder or the nearest one above it
    #[arg(short = 'f', long, global = true, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
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

    pub fn load(&self) -> Result<Manifest, CommandError> {
        Ok(Manifest::load(&self.path())?)
    }
}

/// Components are compiled by this binary in a child process with bounds.
pub fn compiler() -> Compiler {
    std::env::current_exe().map_or(Compiler::InProcess, Compiler::Child)
}
