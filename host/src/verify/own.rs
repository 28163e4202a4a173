//! What the host itself checks in the file of every context. To add a check, add it to `OWN`: its statement may read
//! the host's tables (`seam_...`) and SQLite's own checks, and must fit every file.
//!
//! Not here: what contexts declare.

use seam_store::{Invariant, InvariantKind};

/// Name, what holds, and the statement whose rows are the violations.
const OWN: &[(&str, &str, &str)] = &[
    (
        "file-is-sound",
        "SQLite finds no fault in the pages and indexes of the file.",
        "SELECT integrity_check AS fault FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    ),
    (
        "foreign-keys-hold",
        "Every row that refers to another finds it.",
        "SELECT \"table\", rowid AS \"row\", parent AS missing FROM pragma_foreign_key_check",
    ),
];

/// All of them, as invariants that the host runs.
pub fn own() -> impl Iterator<Item = Invariant> {
    OWN.iter().map(|(name, sentence, sql)| Invariant {
        kind: InvariantKind::Violations,
        name: (*name).to_owned(),
        sentence: (*sentence).to_owned(),
        sql: (*sql).to_owned(),
    })
}
