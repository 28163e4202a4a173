//! From an answer to what this client gets: conditions, compression, error pages.

pub mod compress;
pub mod error_page;
pub mod hsts;
pub mod negotiate;
mod uncached;

pub use uncached::uncached;
