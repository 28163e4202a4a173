//! The newest state of a context's file that a standby has: fetched once, and then brought on by each delta that is
//! stored.
//!
//! Invariant: the copy is the state of one transaction, or there is none.
//! Not here: when it is brought on, and who opens it (`keeper`).

use std::fs;
use std::path::{Path, PathBuf};

use seam_store::private;

use crate::backup::continuous::{Destination, HistoryError, advance, fence, fetch};
use crate::limits;

pub struct Warm {
    from: Destination,
    context: String,
    /// Of this context alone; all that is in it can go.
    folder: PathBuf,
    /// What the copy has.
    state: Option<State>,
}

/// The state of the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The number of its last transaction in the store of backups.
    pub last: u64,
    /// When it was taken, in milliseconds since 1970.
    pub at_ms: u64,
}

/// The name of the copy while it is no file of a context.
const COPY: &str = "copy.db";

impl Warm {
    /// One without a copy.
    pub fn new(from: Destination, context: String, folder: PathBuf) -> Self {
        Self { from, context, folder, state: None }
    }

    pub fn state(&self) -> Option<State> {
        self.state
    }

    pub fn path(&self) -> PathBuf {
        self.folder.join(COPY)
    }

    /// Brings the copy on by what is stored, up to `most` deltas. Whether there may be more.
    ///
    /// # Errors
    /// When it cannot be fetched. It is as it was, or is fetched as a whole the next time.
    pub async fn bring_on(&mut self, most: u32) -> Result<bool, HistoryError> {
        if self.state.is_none() {
            self.fetch().await?;
        }
        for _ in 0..most {
            // None, while it is being changed.
            let Some(before) = self.state.take() else { return Ok(false) };
            match self.advance(before.last).await? {
                Some(at_ms) => self.state = Some(State { last: before.last + 1, at_ms }),
                None => {
                    self.state = Some(before);
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Has the copy be the newest state that is stored, also if that follows from a later snapshot.
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub async fn bring_to_the_end(&mut self) -> Result<(), HistoryError> {
        while self.bring_on(limits::BACKUP_DELTAS_MAX).await? {}
        let stored = self.from.list(&self.context).await?.iter().map(|one| one.last).max();
        if stored > self.state.map(|state| state.last) {
            self.fetch().await?;
            while self.bring_on(limits::BACKUP_DELTAS_MAX).await? {}
        }
        Ok(())
    }

    /// Has no other host store anything after the copy, which is brought to the end before. Call it while this host has
    /// the lease.
    ///
    /// # Errors
    /// When it cannot be fetched or stored; call it again.
    pub async fn fence(&mut self) -> Result<State, HistoryError> {
        let context = self.context.clone();
        let none = || HistoryError::None { context: context.clone(), before_ms: None };
        for _ in 0..limits::STANDBY_FENCES_MAX {
            self.bring_to_the_end().await?;
            let state = self.state.ok_or_else(none)?;
            if fence(&self.from, &self.context, state.last, (&self.path(), &self.folder)).await? {
                let state = State { last: state.last + 1, ..state };
                self.state = Some(state);
                return Ok(state);
            }
        }
        Err(none())
    }

    /// The copy is taken from its place, or is of no use any more.
    pub fn forget(&mut self) {
        self.state = None;
        fs::remove_file(self.path()).ok();
    }

    async fn fetch(&mut self) -> Result<(), HistoryError> {
        self.forget();
        let unwritten = |source| HistoryError::Write { path: self.folder.display().to_string(), source };
        private::folder(&self.folder).map_err(unwritten)?;
        let fetched = fetch(&self.from, &self.context, None, (&self.path(), &self.folder)).await?;
        self.state = Some(State { last: fetched.last, at_ms: fetched.at_ms });
        Ok(())
    }

    async fn advance(&self, last: u64) -> Result<Option<u64>, HistoryError> {
        advance(&self.from, &self.context, last, (&self.path(), &self.folder)).await
    }
}

/// The folder of a context's copy in a data folder.
pub fn folder(data: &Path, context: &str) -> PathBuf {
    data.join("standby").join(context)
}
