//! What the host answers itself: static files, what operators ask, the feeds of contexts, what
//! browsers need during development.

pub mod assets;
pub mod dev;
pub mod feeds;
pub mod ops;
pub mod this_machine;
