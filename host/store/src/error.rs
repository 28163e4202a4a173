//! Why a statement or a transaction failed: the cases of `seam:host/store`'s `error`, so that a guest can act on them.
//!
//! The text is for the log. Here too: any error with its causes as one line of text (`chain`).
//! Not here: why a file could not be opened (`OpenError`) or migrated (`MigrateError`).

use rusqlite::ErrorCode;
use rusqlite::ffi;

/// One case for each of the WIT variant `error`, in its order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("a constraint refused it: {0}")]
    Constraint(String),
    #[error("the store is busy: {0}")]
    Busy(String),
    #[error("the store is full: {0}")]
    Full(String),
    #[error("too large: {0}")]
    TooLarge(String),
    #[error("not allowed: {0}")]
    Denied(String),
    #[error("interrupted: {0}")]
    Interrupted(String),
    #[error("invalid: {0}")]
    Invalid(String),
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}

impl Error {
    /// What a failure inside SQLite means to the sender of the statement.
    pub(super) fn of(error: &rusqlite::Error) -> Self {
        let text = message(error);
        let Some(failure) = error.sqlite_error() else {
            return match error {
                rusqlite::Error::MultipleStatement => {
                    Self::Invalid("more than one statement; send them one by one".to_owned())
                }
                _ => Self::Invalid(text),
            };
        };
        match failure.code {
            // A rowid that is no integer is a mismatch; any other column's wrong type is a constraint.
            ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch => Self::Constraint(text),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OperationAborted => Self::Busy(text),
            ErrorCode::DiskFull => Self::Full(text),
            ErrorCode::SystemIoFailure if failure.extended_code == ffi::SQLITE_IOERR_WRITE => Self::Full(text),
            ErrorCode::TooBig | ErrorCode::OutOfMemory => Self::TooLarge(text),
            ErrorCode::AuthorizationForStatementDenied | ErrorCode::ReadOnly => Self::Denied(text),
            ErrorCode::OperationInterrupted => Self::Interrupted(text),
            ErrorCode::SchemaChanged => Self::Busy(text),
            ErrorCode::ApiMisuse => Self::Invalid("there is no statement in it".to_owned()),
            ErrorCode::Unknown | ErrorCode::ParameterOutOfRange => Self::Invalid(text),
            _ => Self::Unavailable(text),
        }
    }
}

/// `error` and what caused it, from the outermost to the first cause: `cannot open it: permission denied`.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// SQLite's own words, without the statement: its text may hold data, and the caller knows it.
pub(super) fn message(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        rusqlite::Error::SqlInputError { msg, offset, .. } => format!("{msg} (at byte {offset} of the statement)"),
        other => other.to_string(),
    }
}
