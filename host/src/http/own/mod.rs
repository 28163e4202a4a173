//! What the host answers itself: static files, what operators ask, what browsers need during development.

pub mod assets;
pub mod dev;
pub mod ops;
pub mod this_machine;
