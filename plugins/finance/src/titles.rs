//! What the catalog calls the albums that were sold, as a trait, so that invoices can be tested without a host.

use std::collections::BTreeMap;

use seam_sdk::log;

use crate::musiccorp::catalog::albums;

pub trait Catalog {
    /// The titles of these SKUs, those unknown left out; none: the catalog did not answer.
    fn titles(&self, skus: &[String]) -> Option<BTreeMap<String, String>>;
}

/// The catalog that the host has linked.
pub struct Linked;

impl Catalog for Linked {
    fn titles(&self, skus: &[String]) -> Option<BTreeMap<String, String>> {
        match albums::get_albums(skus) {
            Ok(found) => Some(found.into_iter().map(|a| (a.sku, format!("{} – {}", a.artist, a.title))).collect()),
            Err(albums::Error::Invalid(why)) => {
                // SKUs are checked before a sale is taken: the two contexts do not agree on what one is.
                log::warn(format_args!("the catalog refused the SKUs of an invoice: {why}"));
                None
            }
            // The host has logged why.
            Err(albums::Error::Unavailable(_)) => None,
        }
    }
}
