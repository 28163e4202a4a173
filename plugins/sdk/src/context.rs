//! What makes a crate a context: its type, what its file holds, its sagas, its health check, and its errors.

/// One step of the schema. Its file is called `migrations/NNNN-name.sql`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// 1, 2, 3, ...
    pub number: u32,
    pub name: &'static str,
    pub sql: &'static str,
}

/// What always holds in the context's file. Its file is called `invariants/name.sql`, or `invariants/totals/name.sql`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invariant {
    pub kind: InvariantKind,
    pub name: &'static str,
    /// What holds.
    pub sentence: &'static str,
    pub sql: &'static str,
}

/// What the rows of an invariant's statement are, as `seam:host/invariants` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvariantKind {
    Violations,
    Total,
}

/// An argument is wrong: where, and why. It becomes the case `invalid` of a seam's error, see
/// [`errors!`](crate::errors).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub String);

/// Makes the calling crate a context: declares the type that implements its interfaces, and exports it. Stands beside
/// `wit_bindgen::generate!`. With `migrations`, the folder of that name becomes `MIGRATIONS`; the crate's `build.rs`
/// calls `seam_sdk_build::embed_migrations()`. With `invariants`, likewise: `INVARIANTS`, `embed_invariants()`, and the
/// context's world exports `seam:host/invariants`. With `sagas`, the type implements [`Steps`](crate::sagas::Steps),
/// and the world exports `seam:host/saga-steps`.
///
/// ```ignore
/// seam_sdk::context!(Catalog, migrations);
/// seam_sdk::context!(Finance, migrations, invariants);
/// seam_sdk::context!(Orders, migrations, invariants, sagas);
/// ```
#[macro_export]
macro_rules! context {
    ($context:ident) => {
        /// The context, as its interfaces see it. It has no state but its store.
        pub struct $context;

        // A native library cannot have the names of a component's exports.
        #[cfg(target_family = "wasm")]
        export!($context);

        $crate::panic_hook!();
    };
    ($context:ident, migrations) => {
        $crate::context!($context);

        /// The schema, step by step: the folder `migrations`.
        pub const MIGRATIONS: &[$crate::Migration] = include!(concat!(
            env!("OUT_DIR", "the crate needs a `build.rs` that calls `seam_sdk_build::embed_migrations()`"),
            "/migrations.rs"
        ));

        impl exports::seam::host::migrations::Guest for $context {
            fn all() -> Vec<exports::seam::host::migrations::Migration> {
                let owned = |step: &$crate::Migration| exports::seam::host::migrations::Migration {
                    number: step.number,
                    name: step.name.into(),
                    sql: step.sql.into(),
                };
                MIGRATIONS.iter().map(owned).collect()
            }
        }
    };
    ($context:ident, migrations, sagas) => {
        $crate::context!($context, migrations);
        $crate::context!(@sagas $context);
    };
    ($context:ident, migrations, invariants, sagas) => {
        $crate::context!($context, migrations, invariants);
        $crate::context!(@sagas $context);
    };
    (@sagas $context:ident) => {
        impl exports::seam::host::saga_steps::Guest for $context {
            fn definitions() -> Vec<exports::seam::host::saga_steps::Definition> {
                use exports::seam::host::saga_steps as wit;
                let step = |step: $crate::sagas::Step| wit::Step {
                    name: step.name.into(),
                    call: step.call.map(Into::into),
                    undo: match step.undo {
                        $crate::sagas::Undo::Call(function) => wit::UndoKind::Call(function.into()),
                        $crate::sagas::Undo::Own => wit::UndoKind::Own,
                        $crate::sagas::Undo::Nothing => wit::UndoKind::Nothing,
                        $crate::sagas::Undo::Never => wit::UndoKind::Never,
                    },
                    tries: step.tries,
                    patience_s: step.patience_s,
                };
                let definition = |one: $crate::sagas::Definition| wit::Definition {
                    kind: one.kind.into(),
                    steps: one.steps.into_iter().map(step).collect(),
                };
                <Self as $crate::sagas::Steps>::definitions().into_iter().map(definition).collect()
            }

            fn perform(task: exports::seam::host::saga_steps::Task) -> exports::seam::host::saga_steps::Outcome {
                $crate::context!(@outcome <Self as $crate::sagas::Steps>::perform, task)
            }

            fn undo(task: exports::seam::host::saga_steps::Task) -> exports::seam::host::saga_steps::Outcome {
                $crate::context!(@outcome <Self as $crate::sagas::Steps>::undo, task)
            }
        }
    };
    (@outcome $does:expr, $task:ident) => {{
        use exports::seam::host::saga_steps::{Outcome, Task};
        let Task { kind, id, step, key, attempt, cause } = $task;
        match $does(&$crate::sagas::Task { kind, id, step, key, attempt, cause }) {
            $crate::sagas::Outcome::Done => Outcome::Done,
            $crate::sagas::Outcome::Later(why) => Outcome::Later(why),
            $crate::sagas::Outcome::Refused(why) => Outcome::Refused(why),
            $crate::sagas::Outcome::Unknown(why) => Outcome::Unknown(why),
            $crate::sagas::Outcome::Waiting(until) => Outcome::Waiting(until),
        }
    }};
    ($context:ident, migrations, invariants) => {
        $crate::context!($context, migrations);

        /// What always holds in the file: the folder `invariants`.
        pub const INVARIANTS: &[$crate::Invariant] = include!(concat!(
            env!("OUT_DIR", "the crate needs a `build.rs` that calls `seam_sdk_build::embed_invariants()`"),
            "/invariants.rs"
        ));

        impl exports::seam::host::invariants::Guest for $context {
            fn all() -> Vec<exports::seam::host::invariants::Invariant> {
                use exports::seam::host::invariants::{Invariant, Kind};
                let owned = |one: &$crate::Invariant| Invariant {
                    kind: match one.kind {
                        $crate::InvariantKind::Violations => Kind::Violations,
                        $crate::InvariantKind::Total => Kind::Total,
                    },
                    name: one.name.into(),
                    sentence: one.sentence.into(),
                    sql: one.sql.into(),
                };
                INVARIANTS.iter().map(owned).collect()
            }
        }
    };
}

/// Lets `?` turn what goes wrong inside a context into the errors of its interfaces: [`Invalid`] becomes `invalid`, the
/// failures of the store, of sagas and of the settings become `unavailable`
/// ([`store::Error::unavailable`](crate::store::Error::unavailable) says which of them panic instead).
///
/// ```ignore
/// seam_sdk::errors!(stock::Error, fulfilment::Error);
/// ```
#[macro_export]
macro_rules! errors {
    ($($error:ty),+ $(,)?) => { $(
        impl From<$crate::Invalid> for $error {
            fn from($crate::Invalid(why): $crate::Invalid) -> Self {
                Self::Invalid(why)
            }
        }

        impl From<$crate::store::Error> for $error {
            fn from(error: $crate::store::Error) -> Self {
                Self::Unavailable(error.unavailable())
            }
        }

        impl From<$crate::sagas::Error> for $error {
            fn from(error: $crate::sagas::Error) -> Self {
                Self::Unavailable(error.unavailable())
            }
        }

        impl From<$crate::config::Error> for $error {
            fn from(error: $crate::config::Error) -> Self {
                Self::Unavailable(error.to_string())
            }
        }
    )+ };
}

/// Lets the host ask the context whether it can work, before a new version of it serves: exports `seam:host/health`,
/// which the context's world names. The operator who deploys sees the error of `check`.
///
/// ```ignore
/// seam_sdk::health!(Catalog, store::check);
/// ```
#[macro_export]
macro_rules! health {
    ($context:ident, $check:path) => {
        impl exports::seam::host::health::Guest for $context {
            fn check() -> Result<(), String> {
                $check().map_err(|error| error.to_string())
            }
        }
    };
}
