//! Load, races and power cuts. They take the whole machine, so they are a binary of their own, which cargo runs
//! apart from the others.

mod between;
mod crash;
mod drill;
mod kills;
mod moves;
mod stampede;
mod swaps;
