//! Load, races and power cuts. They need the machine, so they are a binary of their own, which cargo runs apart from
//! the others.

mod crash;
mod stampede;
mod swaps;
