//! What there is in the file of another program, as one value: its schema, its rows by number, its references, and what
//! makes each table hard to move.
//!
//! The schema is read at one moment. Each question about rows is asked at a moment of its own, so that the program can
//! go on and its log does not grow.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::path::Path;

use serde::Serialize;

use crate::blank::{Blank, Program};
use crate::difficulty::{Difficulty, difficulties};
use crate::file::{Foreign, Header, OpenError};
use crate::proposal::{Proposal, propose};
use crate::references::{Reference, hear_statements, look_at_rows, references};
use crate::rows::{self, Count, Size};
use crate::schema::{Kind, Schema};
use crate::statement::log::{self, Usage};
use crate::tangle::{Tangle, tangles};

#[derive(Debug, Clone, Serialize)]
pub struct Survey {
    pub file: Header,
    pub schema: Schema,
    /// What only the program that made the file has.
    pub program: Program,
    /// What cannot be used as it is declared, and what SQLite says of it.
    pub broken: BTreeMap<String, String>,
    pub sizes: BTreeMap<String, Size>,
    pub references: Vec<Reference>,
    pub difficulties: BTreeMap<String, Vec<Difficulty>>,
    /// What a log of statements shows, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    pub proposal: Proposal,
    /// Under the proposal, the most harmful first.
    pub tangles: Vec<Tangle>,
}

/// A step of a survey, before it is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Such as ``rows of `Track` ``.
    pub what: String,
    pub done: usize,
    pub of: usize,
}

/// Why there is no survey.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    File(#[from] OpenError),
    #[error("the log of statements cannot be read")]
    Log(#[source] io::Error),
}

impl Error {
    /// What the person who asks can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::File(error) => error.remedy(),
            Self::Log(_) => "give a file of JSON lines that this user may read",
        }
    }
}

/// Looks at the file at `path`, and at a log of its program's statements. `seed` decides between proposals that are as
/// good as each other. `progress` hears of each step.
///
/// # Errors
/// When either cannot be read, or the file has changed although no program had it open.
pub fn survey(
    path: &Path,
    log: Option<&mut dyn BufRead>,
    seed: u64,
    mut progress: impl FnMut(&Step),
) -> Result<Survey, Error> {
    let file = Foreign::open(path)?;
    let failed = |error| file.failed(error);
    let schema = Schema::read(&file.connection).map_err(failed)?;
    let mut blank = Blank::of(&schema).map_err(failed)?;
    let mut references = references(&schema);
    let read = |log| {
        log::read(log, &schema, &mut blank, |lines| {
            progress(&Step { what: format!("line {lines} of the log"), done: 0, of: 1 })
        })
    };
    let usage = log.map(read).transpose().map_err(Error::Log)?;
    if let Some(usage) = &usage {
        hear_statements(&schema, usage, &mut references);
    }

    let (tables, of) = (schema.own().count(), schema.own().count() + references.len() + 1);
    let mut tell = |what: String, done| progress(&Step { what, done, of });
    tell("pages".to_owned(), 0);
    let bytes = rows::bytes(&file).map_err(failed)?;
    let mut sizes = BTreeMap::new();
    for (number, table) in schema.own().enumerate() {
        tell(format!("rows of `{}`", table.name), 1 + number);
        let rows = match table.kind {
            // Its module is the program's.
            Kind::Virtual { .. } => Count::Unknown,
            _ => rows::count(&file, table).map_err(failed)?,
        };
        let bytes = bytes.as_ref().map(|bytes| bytes.get(&table.name).copied().unwrap_or_default());
        sizes.insert(table.name.clone(), Size { rows, bytes });
    }
    let mut done = tables;
    let looked = look_at_rows(&file, &schema, &mut references, |reference| {
        done += 1;
        tell(format!("`{}` of `{}`", reference.columns.join("`, `"), reference.child), done);
    });
    looked.map_err(failed)?;
    file.unchanged()?;
    let proposal = propose(&schema, &sizes, &references, usage.as_ref(), seed);
    let assignment = proposal.assignment();
    Ok(Survey {
        tangles: tangles(&schema, &references, usage.as_ref(), &assignment, &proposal.static_data),
        proposal,
        usage,
        file: file.header.clone(),
        difficulties: difficulties(&schema, &blank.program),
        program: blank.program,
        broken: blank.broken,
        schema,
        sizes,
        references,
    })
}
