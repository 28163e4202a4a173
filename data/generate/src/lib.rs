//! The shop's data: the real albums of `data/albums.csv`, a demo shop around them, and albums in bulk for the benches.
//!
//! Invariants: the same seed and arguments give the same bytes, on every machine; a file is either complete or not there.
//! Not here: loading anything into a context (the host feeds the files through the contexts' own interfaces).

pub mod album;
pub mod bulk;
pub mod demo;
pub mod output;

mod calendar;
mod customers;
mod dice;
mod fate;
mod order;
mod orders;
mod places;
mod rows;
mod shelves;
mod words;
