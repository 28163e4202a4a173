//! What a context declares of its own file: what must not be there, and which amounts must agree with those of other
//! contexts.
//!
//! Not here: running the statements (`examine`), which component declares them.

use std::collections::BTreeSet;

use crate::connection::Connection;
use crate::database::Database;
use crate::error::Error;
use crate::limits;

/// What always holds in a context's file, with a statement that finds out whether it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invariant {
    pub kind: InvariantKind,
    /// Lower-case words with hyphens: `ledger-sums-to-zero`.
    pub name: String,
    /// What holds, as a sentence.
    pub sentence: String,
    /// One SELECT. It may use the parameter `:now`: the moment that it sees, in seconds since 1970.
    pub sql: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvariantKind {
    /// Each row of the statement is a violation. Its first column says what is wrong.
    Violations,
    /// Each row is a key and its amount, or its least and its most. They must agree with those of every other context
    /// that declares a total of this name.
    Total,
}

/// Why an invariant cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvariantError {
    #[error("{found} invariants, of which {} are allowed", limits::STORE_INVARIANTS_MAX)]
    TooMany { found: usize },
    #[error(
        "the name `{name}` of an invariant is not lower-case words with hyphens of at most {} bytes in all",
        limits::STORE_INVARIANT_NAME_BYTES_MAX
    )]
    Name { name: String },
    #[error("two invariants have the name `{name}`")]
    Twice { name: String },
    #[error(
        "the invariant `{name}` needs a sentence of at most {} bytes that says what holds",
        limits::STORE_INVARIANT_SENTENCE_BYTES_MAX
    )]
    Sentence { name: String },
    #[error("the statement of the invariant `{name}` does not fit the schema: {error}")]
    Statement { name: String, error: Error },
    #[error("the statement of the invariant `{name}`: {why}")]
    Shape { name: String, why: String },
    #[error("the file cannot be read: {0}")]
    Store(Error),
}

impl InvariantError {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::TooMany { .. } => "join those that say the same of several tables".to_owned(),
            Self::Name { .. } => "rename it, for example to `stock-is-never-negative`".to_owned(),
            Self::Twice { .. } => "rename one of them".to_owned(),
            Self::Sentence { .. } => "say in one sentence what holds".to_owned(),
            Self::Statement { .. } => "change the statement together with the migration".to_owned(),
            Self::Shape { .. } => {
                "write one SELECT: its rows are the violations, or for a total a key (text) and an amount (integer), \
                 or the least and the most"
                    .to_owned()
            }
            Self::Store(_) => "see the log".to_owned(),
        }
    }

    /// The invariant that it is about.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::TooMany { .. } | Self::Store(_) => None,
            Self::Name { name }
            | Self::Twice { name }
            | Self::Sentence { name }
            | Self::Statement { name, .. }
            | Self::Shape { name, .. } => Some(name),
        }
    }
}

/// The moment that a statement sees, in seconds since 1970.
pub(super) const NOW: &str = ":now";

impl Invariant {
    /// The statement without the semicolon that ends it.
    pub(super) fn statement(&self) -> &str {
        self.sql.trim_end().trim_end_matches(';')
    }

    fn check_name(&self) -> Result<(), InvariantError> {
        let name = || self.name.clone();
        let is_word =
            |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if self.name.len() > limits::STORE_INVARIANT_NAME_BYTES_MAX || !self.name.split('-').all(is_word) {
            return Err(InvariantError::Name { name: name().chars().take(80).collect() });
        }
        let length = self.sentence.trim().len();
        if length == 0 || length > limits::STORE_INVARIANT_SENTENCE_BYTES_MAX {
            return Err(InvariantError::Sentence { name: name() });
        }
        Ok(())
    }

    /// Whether the statement fits the file on this connection, whose guard is armed.
    fn check_statement(&self, connection: &Connection) -> Result<(), InvariantError> {
        let name = || self.name.clone();
        let shape = |why: &str| Err(InvariantError::Shape { name: name(), why: why.to_owned() });
        let prepared = connection.prepare_apart(self.statement());
        let statement = prepared.map_err(|error| InvariantError::Statement { name: name(), error })?;
        if !statement.readonly() || statement.column_count() == 0 {
            return shape("it is no SELECT");
        }
        if (1..=statement.parameter_count()).any(|at| statement.parameter_name(at) != Some(NOW)) {
            return shape("it has other parameters than `:now`");
        }
        match (self.kind, statement.column_count()) {
            (InvariantKind::Total, 2 | 3) | (InvariantKind::Violations, _) => Ok(()),
            (InvariantKind::Total, columns) => {
                shape(&format!("that of a total has 2 or 3 columns, and this one {columns}"))
            }
        }
    }
}

impl Database {
    /// Whether the invariants that a context declares are sound in themselves, and fit the schema of its file. Nothing
    /// is run.
    ///
    /// # Errors
    /// The first that is not.
    pub fn accepts_invariants(&self, declared: &[Invariant]) -> Result<(), InvariantError> {
        if declared.len() > limits::STORE_INVARIANTS_MAX {
            return Err(InvariantError::TooMany { found: declared.len() });
        }
        let reader = self.reader().map_err(InvariantError::Store)?;
        let connection = reader.connection().map_err(InvariantError::Store)?;
        // Preparing alone does not notice that another connection changed the schema; running something does.
        let schema = connection.run_as_host("SELECT 1 FROM sqlite_schema LIMIT 1");
        schema.map_err(|error| InvariantError::Store(Error::of(&error)))?;
        let mut names = BTreeSet::new();
        for invariant in declared {
            invariant.check_name()?;
            if !names.insert(invariant.name.as_str()) {
                return Err(InvariantError::Twice { name: invariant.name.clone() });
            }
            let deadline = self.config().clock.now() + std::time::Duration::from_millis(limits::STORE_LOCK_WAIT_MS);
            connection
                .armed(deadline, |connection| Ok(invariant.check_statement(connection)))
                .map_err(InvariantError::Store)??;
        }
        Ok(())
    }
}
