//! `seam split`: what another program has in its database, and how it could be taken apart.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use seam_split::survey::survey;

use super::error::CommandError;
use super::global::Format;
use super::progress::Bar;
use super::{out, split_shown};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what is in the database of another program, what is tangled, and contexts that it could have
    #[command(after_help = "\
The file is only read, also while its program uses it, and no value of a row is shown. The log of statements has one \
object in JSON a line: docs/split.md describes it.

Examples:
  seam split survey shop.db
  seam split survey shop.db --log statements.jsonl
  seam split survey shop.db --log statements.jsonl --format json")]
    Survey(SurveyOptions),
}

#[derive(Debug, Args)]
pub struct SurveyOptions {
    /// The SQLite file
    file: PathBuf,
    /// A log of the program's statements
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Decides between proposals that are as good as each other
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(command: &Command) -> Result<(), CommandError> {
    match command {
        Command::Survey(options) => run_survey(options),
    }
}

fn run_survey(options: &SurveyOptions) -> Result<(), CommandError> {
    let open = |path: &PathBuf| {
        File::open(path).map(BufReader::new).map_err(|error| {
            CommandError::message(format!("`{}` cannot be read: {error}", path.display()), "give the path of the log")
        })
    };
    let mut log = options.log.as_ref().map(open).transpose()?;
    let log = log.as_mut().map(|log| log as &mut dyn BufRead);
    let mut bar = Bar::new("{msg} {wide_bar} {pos}/{len}");
    let survey =
        survey(&options.file, log, options.seed, |step| bar.at(step.what.clone(), step.done as u64, step.of as u64));
    drop(bar);
    let survey = survey.map_err(|error| CommandError::caused_by(&error, error.remedy()))?;
    match options.format {
        Format::Json => out::json(&survey),
        Format::Human => out::text(&split_shown::survey(&survey)),
    }
}
