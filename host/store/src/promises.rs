//! What the files of a stopped host have promised, what the file that decides says of it, and a file as it is once its
//! promise is kept, in a copy.
//!
//! Invariant: the files and their logs stay as they are.
//! Not here: the promises of files in use (`votes`, `two_phase`), which file is asked (the host's drivers).

use std::path::Path;

use crate::config::Config;
use crate::copy::CopyError;
use crate::database::Database;
use crate::error::{Error, chain};
use crate::host_table;
use crate::moment::{Snapshot, moment};
use crate::two_phase::{self, Decision};
use crate::votes::{self, Vote};

impl Snapshot {
    /// The promise beside this file of a stopped host, unless the file has kept it.
    ///
    /// # Errors
    /// When the promise cannot be read.
    pub fn promise(&self) -> Result<Option<Vote>, Error> {
        let Some(promised) = self.promised()? else { return Ok(None) };
        let connection = &promised.connection;
        let vote = host_table::exists(connection.sqlite(), "seam_vote").and_then(|there| match there {
            true => Ok(votes::standing(connection.sqlite())?.map(|ballot| ballot.vote)),
            // A crash came before its first promise.
            false => Ok(None),
        });
        match vote.map_err(|error| connection.explain(&error))? {
            Some(vote) if !votes::is_kept(&self.connection, &vote.transaction)? => Ok(Some(vote)),
            _ => Ok(None),
        }
    }

    /// The decisions of this coordinator that are not forgotten.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn decisions(&self) -> Result<Vec<Decision>, Error> {
        let sqlite = self.connection.sqlite();
        let found = host_table::exists(sqlite, "seam_decisions").and_then(|there| match there {
            true => two_phase::decisions(sqlite),
            false => Ok(Vec::new()),
        });
        found.map_err(|error| self.connection.explain(&error))
    }

    /// This file of a stopped host with what it promised, as a copy in `folder`.
    ///
    /// # Errors
    /// When what was promised cannot be written, or there is no room for the copy.
    pub fn with_promise_kept(&self, folder: &Path) -> Result<Self, CopyError> {
        let nothing = || Error::Invalid("the file has promised nothing".to_owned());
        let promised = self.promised()?.ok_or_else(nothing)?;
        let path = folder.join(self.config.path.file_name().unwrap_or_default());
        promised.write(&votes::path_of(&path))?;
        self.write(&path)?;
        let copy = Database::open(Config { path, ..self.config.clone() })?;
        copy.resolve(true)?;
        moment(&[copy])?.pop().ok_or_else(|| nothing().into())
    }

    /// The file of the promise.
    fn promised(&self) -> Result<Option<Self>, Error> {
        let path = votes::path_of(&self.config.path);
        if !path.exists() {
            return Ok(None);
        }
        let opened = Self::of_stopped(&Config { path, ..self.config.clone() });
        opened.map(Some).map_err(|error| Error::Unavailable(chain(&error)))
    }
}
