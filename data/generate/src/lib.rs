//! The shop's data: the real albums of `data/albums.csv`, a demo shop with them, and invented albums in bulk for
//! benches.
//!
//! Invariants: the same seed and arguments give the same bytes on every machine; a file is complete or absent.
//! Not here: loading the files. The host does that, through the contexts' own interfaces.

pub mod album;
pub mod bulk;
pub mod demo;
pub mod output;

mod calendar;
mod customers;
mod dice;
mod order;
mod orders;
mod places;
mod rows;
mod shelves;
mod status;
mod words;
