//! The context's own SQLite file.
//!
//! A statement outside a transaction commits before it returns. Rows are serde types: columns fill fields by position.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use crate::bindings::seam::host::store::Value;
use crate::packed;

#[cfg(not(all(feature = "native", not(target_family = "wasm"))))]
use crate::bindings::seam::host::store as host;
#[cfg(all(feature = "native", not(target_family = "wasm")))]
use crate::native as host;

/// Why a statement failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// A UNIQUE, CHECK, NOT NULL or FOREIGN KEY constraint refused the statement, which had no effect.
    Constraint(String),
    /// Other transactions kept the writer until the call's deadline.
    Busy(String),
    /// The disk or the context's quota is full. Reads go on.
    Full(String),
    /// A value, a statement or a result is over its limit.
    TooLarge(String),
    /// Not a statement that a context may run.
    Denied(String),
    /// The deadline or the bound on work passed.
    Interrupted(String),
    /// The SQL, its parameters or the type of the row is wrong.
    Invalid(String),
    /// The file cannot be read or written now; a commit that ends so has an unknown outcome.
    Unavailable(String),
}

impl Error {
    /// What to tell a caller in its `unavailable` case when the store cannot do its work now.
    ///
    /// Panics, and so traps, on what only a bug of this context can cause: statements that are wrong or forbidden, and
    /// constraints that its validation should have kept. Handle those that you expect before.
    pub fn unavailable(self) -> String {
        match self {
            Error::Busy(_) | Error::Full(_) | Error::Interrupted(_) | Error::Unavailable(_) => self.to_string(),
            Error::Constraint(_) | Error::TooLarge(_) | Error::Denied(_) | Error::Invalid(_) => panic!("{self}"),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, text) = match self {
            Error::Constraint(text) => ("a constraint of the store refused the change", text),
            Error::Busy(text) => ("the store is busy", text),
            Error::Full(text) => ("the store is full", text),
            Error::TooLarge(text) => ("too large for the store", text),
            Error::Denied(text) => ("the store does not allow the statement", text),
            Error::Interrupted(text) => ("the store ran out of time", text),
            Error::Invalid(text) => ("the statement is wrong", text),
            Error::Unavailable(text) => ("the store is not available", text),
        };
        write!(f, "{what}: {text}")
    }
}

impl std::error::Error for Error {}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Constraint(text) => Error::Constraint(text),
            host::Error::Busy(text) => Error::Busy(text),
            host::Error::Full(text) => Error::Full(text),
            host::Error::TooLarge(text) => Error::TooLarge(text),
            host::Error::Denied(text) => Error::Denied(text),
            host::Error::Interrupted(text) => Error::Interrupted(text),
            host::Error::Invalid(text) => Error::Invalid(text),
            host::Error::Unavailable(text) => Error::Unavailable(text),
        }
    }
}

impl From<packed::Error> for Error {
    fn from(error: packed::Error) -> Self {
        Error::Invalid(error.to_string())
    }
}

/// The rows of a SELECT as they came from the host; `iter` reads them in place where copies would cost.
pub struct Rows(Vec<u8>);

impl Rows {
    /// The rows one by one; `&str` and `&[u8]` in `Row` point into `self`.
    pub fn iter<'rows, Row: Deserialize<'rows>>(&'rows self) -> impl Iterator<Item = Result<Row, Error>> {
        packed::rows(&self.0).map(|row| row.map_err(Error::from))
    }
}

/// Runs a SELECT.
pub fn rows(sql: &str, params: &[Value<'_>]) -> Result<Rows, Error> {
    Ok(Rows(host::query(sql, params)?))
}

/// Runs a SELECT and returns all its rows. `Row` is a struct or a tuple, or a plain value for a single column.
pub fn query<Row: DeserializeOwned>(sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, Error> {
    rows(sql, params)?.iter().collect()
}

/// Runs a SELECT that yields one row at most; rows after the first are not read.
pub fn optional<Row: DeserializeOwned>(sql: &str, params: &[Value<'_>]) -> Result<Option<Row>, Error> {
    rows(sql, params)?.iter().next().transpose()
}

/// Runs a SELECT that always yields a row, as `SELECT count(*)` does.
pub fn one<Row: DeserializeOwned>(sql: &str, params: &[Value<'_>]) -> Result<Row, Error> {
    optional(sql, params)?.ok_or_else(|| Error::Invalid(format!("no row where one was expected: {sql}")))
}

/// Runs one writing statement; returns how many rows it changed.
pub fn execute(sql: &str, params: &[Value<'_>]) -> Result<u64, Error> {
    Ok(host::execute(sql, params)?)
}

/// Runs one writing statement for each of `rows`, whose fields are its parameters in order; all or none. Returns how
/// many rows changed.
pub fn execute_many<Row: Serialize>(sql: &str, rows: impl IntoIterator<Item = Row>) -> Result<u64, Error> {
    match packed::encode(rows)? {
        Some(packed) => Ok(host::execute_many(sql, &packed)?),
        None => Ok(0),
    }
}

/// Runs `work` in a transaction: committed when it returns `Ok`, rolled back otherwise (after a trap by the host). From
/// its begin on, every query of this call reads through it; transactions do not nest.
pub fn transaction<T, E: From<Error>>(work: impl FnOnce(&Transaction) -> Result<T, E>) -> Result<T, E> {
    host::begin().map_err(Error::from)?;
    let mut transaction = Transaction { open: true };
    let outcome = work(&transaction);
    transaction.open = false;
    match &outcome {
        Ok(_) => host::commit(),
        // Where rows that it read were undone too, `work` failed for a reason that is none.
        Err(_) => host::rollback(),
    }
    .map_err(Error::from)?;
    outcome
}

/// An open transaction.
pub struct Transaction {
    open: bool,
}

impl Transaction {
    /// As [`query`].
    pub fn query<Row: DeserializeOwned>(&self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        query(sql, params)
    }

    /// As [`optional`].
    pub fn optional<Row: DeserializeOwned>(&self, sql: &str, params: &[Value<'_>]) -> Result<Option<Row>, Error> {
        optional(sql, params)
    }

    /// As [`one`].
    pub fn one<Row: DeserializeOwned>(&self, sql: &str, params: &[Value<'_>]) -> Result<Row, Error> {
        one(sql, params)
    }

    /// As [`execute`].
    pub fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, Error> {
        execute(sql, params)
    }

    /// As [`execute_many`].
    pub fn execute_many<Row: Serialize>(&self, sql: &str, rows: impl IntoIterator<Item = Row>) -> Result<u64, Error> {
        execute_many(sql, rows)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.open
            && let Err(error) = host::rollback()
        {
            // The host rolls back at the end of the call in any case.
            crate::log::warn(Error::from(error));
        }
    }
}

/// `values` as one parameter, for `json_each(?1)`: one statement text whatever their number, `key` giving their order.
pub fn list<T: Serialize>(values: &[T]) -> String {
    #[expect(clippy::expect_used, reason = "only a map whose keys are not texts has no JSON")]
    serde_json::to_string(values).expect("values with a form in JSON")
}

/// Parameters of a statement: `params![&sku, 3, None::<i64>]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::store::Value::from($value)),*] };
}
pub use crate::params;

macro_rules! value_from {
    ($($case:ident as $to:ty: $($from:ty),+;)+) => { $($(
        impl From<$from> for Value<'_> {
            fn from(value: $from) -> Self {
                Value::$case(<$to>::from(value))
            }
        }
    )+)+ };
}
value_from! {
    Integer as i64: bool, i8, i16, i32, i64, u8, u16, u32;
    Real as f64: f32, f64;
}

impl<'a, T: AsRef<str> + ?Sized> From<&'a T> for Value<'a> {
    fn from(value: &'a T) -> Self {
        Value::Text(value.as_ref())
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// So that a row of `params!` serves `execute_many` too.
impl Serialize for Value<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_none(),
            Value::Integer(value) => serializer.serialize_i64(*value),
            Value::Real(value) => serializer.serialize_f64(*value),
            Value::Text(value) => serializer.serialize_str(value),
            Value::Blob(value) => serializer.serialize_bytes(value),
        }
    }
}
