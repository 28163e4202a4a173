//! The database of another program: what is in it, which of it belongs together, and what a split would tear.
//!
//! The program goes on using its file all the while. Values of its rows and of its statements never leave
//! this crate.
//!
//! Floors, each importing only those after it: `survey -> proposal -> tangle -> references -> statement, difficulty,
//! rows -> blank, file -> schema, words -> name, limits`.
//! Not here: the command line; the host, its manifest and its stores.

pub mod blank;
pub mod difficulty;
pub mod file;
pub mod limits;
pub mod name;
pub mod proposal;
pub mod references;
pub mod rows;
pub mod schema;
pub mod statement;
pub mod survey;
pub mod tangle;
mod words;
