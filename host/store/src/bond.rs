//! What binds a file from the moment it is opened in this process: a term outside of which nothing is committed, and
//! copies that its commits wait for.
//!
//! A file may be opened long after it is known what binds it: when its context comes from another host.
//! Invariant: no transaction of a context commits without the bond of its file. Migrations, and the host's own claim to
//! the file, do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::copies::Copies;
use crate::term::Term;

/// What a file is bound to.
#[derive(Debug, Clone, Default)]
pub struct Bond {
    pub term: Option<Arc<Term>>,
    pub copies: Option<Arc<Copies>>,
}

static BONDS: Mutex<BTreeMap<PathBuf, Bond>> = Mutex::new(BTreeMap::new());

impl Bond {
    /// Binds each file that is opened at `path` from now on, besides what binds it already.
    pub fn bind(&self, path: &Path) {
        let mut bonds = BONDS.lock();
        let bond = bonds.entry(path.to_owned()).or_default();
        bond.term = self.term.clone().or(bond.term.take());
        bond.copies = self.copies.clone().or(bond.copies.take());
    }

    /// Of the file at `path`.
    pub(super) fn of(path: &Path) -> Self {
        BONDS.lock().get(path).cloned().unwrap_or_default()
    }
}
