//! One transaction over the files of several contexts. Needs `two_phase` in the context's manifest entry, which names
//! those that may take part.
//!
//! It costs every context that takes part two more syncs of its disk, and none of them lets another call write until
//! the end: keep it short. Natively the transaction is that of the thread's own store; callees there are test doubles.

#[cfg(not(all(feature = "native", not(target_family = "wasm"))))]
use crate::bindings::seam::host::two_phase as host;
#[cfg(all(feature = "native", not(target_family = "wasm")))]
use crate::native::two_phase as host;

/// Why the transaction did not commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Another one of these transactions runs, or a file did not become free in time. Nothing is written.
    Busy(String),
    /// A context could not promise to commit: which, and why. Nothing is written.
    Aborted(String),
    /// It is decided, and whether for or against is not known yet. The same call with the same idempotency key finds
    /// out.
    InDoubt(String),
    /// Not possible now, such as inside a transaction: why.
    Refused(String),
    /// A file cannot be read or written now. Nothing is written.
    Unavailable(String),
}

impl Error {
    /// What to tell a caller in its `unavailable` case.
    ///
    /// Panics, and so traps, on what only a bug of this context can cause.
    pub fn unavailable(self) -> String {
        match self {
            Error::Busy(_) | Error::Aborted(_) | Error::InDoubt(_) | Error::Unavailable(_) => self.to_string(),
            Error::Refused(_) => panic!("{self}"),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, text) = match self {
            Error::Busy(text) => ("the transaction had to wait too long", text),
            Error::Aborted(text) => ("the transaction was aborted", text),
            Error::InDoubt(text) => ("whether the transaction is committed is not known yet", text),
            Error::Refused(text) => ("the transaction is not possible", text),
            Error::Unavailable(text) => ("the transaction is not available", text),
        };
        write!(f, "{what}: {text}")
    }
}

impl std::error::Error for Error {}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Busy(text) => Error::Busy(text),
            host::Error::Aborted(text) => Error::Aborted(text),
            host::Error::InDoubt(text) => Error::InDoubt(text),
            host::Error::Refused(text) => Error::Refused(text),
            host::Error::Unavailable(text) => Error::Unavailable(text),
        }
    }
}

/// Runs `work` as one transaction: all that it writes, and all that the contexts write that it calls, commits when it
/// returns `Ok`, and is rolled back otherwise (after a trap by the host). Transactions of [`store`](crate::store)
/// inside of it are parts of it. These transactions do not nest.
pub fn run<T, E: From<Error>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    host::begin().map_err(Error::from)?;
    let mut open = Open(true);
    let outcome = work()?;
    // Whatever its commit answers, it has ended.
    open.0 = false;
    host::commit().map_err(Error::from)?;
    Ok(outcome)
}

/// Rolls back when it is dropped while it is `true`.
struct Open(bool);

impl Drop for Open {
    fn drop(&mut self) {
        if self.0 {
            host::rollback();
        }
    }
}

#[cfg(all(test, feature = "native"))]
mod tests {
    use super::*;
    use crate::store::{self, params};

    #[derive(Debug, PartialEq)]
    enum Fault {
        TwoPhase(Error),
        Store(store::Error),
        Own,
    }

    impl From<Error> for Fault {
        fn from(error: Error) -> Self {
            Fault::TwoPhase(error)
        }
    }

    impl From<store::Error> for Fault {
        fn from(error: store::Error) -> Self {
            Fault::Store(error)
        }
    }

    fn add(name: &str) -> Result<u64, Fault> {
        store::transaction(|tx| Ok(tx.execute("INSERT INTO notes (name) VALUES (?1)", params![name])?))
    }

    #[test]
    fn the_native_transaction_commits_with_ok_alone_and_holds_those_of_the_store() -> Result<(), Fault> {
        let notes = crate::Migration {
            number: 1,
            name: "notes",
            sql: "CREATE TABLE notes (name TEXT NOT NULL PRIMARY KEY CHECK (name <> '')) STRICT",
        };
        let _store = crate::native::Store::fresh(&[notes]).map_err(|_| Fault::Own)?;
        assert_eq!(run(|| add("kept")), Ok(1));
        assert_eq!(
            run(|| {
                add("undone")?;
                Err::<(), _>(Fault::Own)
            }),
            Err(Fault::Own)
        );
        run(|| {
            assert!(matches!(add(""), Err(Fault::Store(store::Error::Constraint(_)))), "its part alone is undone");
            add("kept too").map(drop)
        })?;
        assert!(matches!(run(|| run(|| add("nested"))), Err(Fault::TwoPhase(Error::Refused(_)))));
        let in_transaction = store::transaction(|_| run(|| add("inside")));
        assert!(matches!(in_transaction, Err(Fault::TwoPhase(Error::Refused(_)))), "{in_transaction:?}");
        assert_eq!(store::query::<String>("SELECT name FROM notes ORDER BY name", &[])?, ["kept", "kept too"]);
        Ok(())
    }
}
