//! What makes a crate a context: its type, and the steps that bring its file to the schema that its code expects.

/// One step; its number and name come from its file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// 1, 2, 3, ...
    pub number: u32,
    pub name: &'static str,
    pub sql: &'static str,
}

impl Migration {
    /// Reads `0001-albums` as number 1, name `albums`. Called while compiling, so that a wrong name is a compile error.
    pub const fn new(file: &'static str, sql: &'static str) -> Self {
        let (digits, rest) = file.as_bytes().split_at(4);
        let mut number = 0;
        let mut i = 0;
        while i < digits.len() {
            assert!(digits[i].is_ascii_digit(), "a migration's file is named NNNN-name");
            number = number * 10 + (digits[i] - b'0') as u32;
            i += 1;
        }
        assert!(rest.len() > 1 && rest[0] == b'-', "a migration's file is named NNNN-name");
        Self { number, name: file.split_at(5).1, sql }
    }
}

/// Makes the calling crate a context: declares the type that implements its interfaces, exports it, and embeds
/// `migrations/NAME.sql`, oldest first, as `MIGRATIONS`. Stands beside `wit_bindgen::generate!`.
///
/// ```ignore
/// seam_sdk::context!(Catalog, "0001-albums", "0002-covers");
/// ```
#[macro_export]
macro_rules! context {
    ($context:ident $(, $($file:literal),+)? $(,)?) => {
        /// The context, as its interfaces see it. It has no state but its store.
        pub struct $context;

        // A native library cannot have the names of a component's exports.
        #[cfg(target_family = "wasm")]
        export!($context);

        $(
            /// The schema, step by step.
            pub const MIGRATIONS: &[$crate::Migration] = &[$(
                $crate::Migration::new($file, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/", $file, ".sql"))),
            )+];

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
        )?
    };
}

/// Lets the host ask the context whether it is able to work before a new version of it serves: exports `seam:host/health`, which the
/// context's world has beside its own interfaces. `check` reads what the context cannot do without; its error is for whoever deploys.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_and_name_come_from_the_file_name() {
        const STEP: Migration = Migration::new("0012-more-albums", "SELECT 1");
        assert_eq!(STEP, Migration { number: 12, name: "more-albums", sql: "SELECT 1" });
    }
}
