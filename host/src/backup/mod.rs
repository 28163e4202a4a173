//! Backups: the files of all contexts at one moment, with a list of their hashes; putting them back; and the backup
//! that goes on while the host serves (`continuous`).
//!
//! A backup is a folder with `CONTEXT.db` for each context, `seeds.json` if there is one, and `backup.json`, which is
//! written last. A restore point is the single file that a deploy copied before it changed a schema; it is put back in
//! the same way.
//! Invariants: a folder under its final name is complete and on the disk. A restore verifies everything before it moves
//! anything, and keeps what it replaces.
//! Not here: components, which a build makes again, and the history of deploys (`host.db`).

pub mod continuous;
mod error;
mod list;
mod restore;
mod take;

pub use error::Error;
pub use list::{Backup, File, RestorePoint, backups, folder, locate, restore_points};
pub use restore::{Drilled, Progress, Replaced, Request, Source, drill, restore, verified};
pub use take::{take, take_of};
