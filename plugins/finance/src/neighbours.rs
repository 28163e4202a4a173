//! What finance asks of other contexts. The trait's own functions call them; a test overrides those that it needs.

pub use crate::musiccorp::catalog::albums::{self, Album};

pub trait Neighbours {
    fn albums(&self, skus: &[String]) -> Result<Vec<Album>, albums::Error> {
        albums::get_albums(skus)
    }
}

/// The contexts that the host has linked.
pub struct Linked;

impl Neighbours for Linked {}
