//! The warehouse's SQL.

use seam_sdk::store::{Error, execute_many, list, params, query};

use crate::domain::Level;

/// How many copies there are of each of `skus`, in their order; 0 of those never held.
pub fn on_hand(skus: &[String]) -> Result<Vec<u32>, Error> {
    if skus.is_empty() {
        return Ok(Vec::new());
    }
    query(
        "SELECT coalesce(l.on_hand, 0)
         FROM json_each(?1) AS asked LEFT JOIN levels AS l ON l.sku = asked.value
         ORDER BY asked.key",
        params![&list(skus)],
    )
}

/// Sets these levels; all or none.
pub fn put(levels: &[Level]) -> Result<(), Error> {
    execute_many(
        "INSERT INTO levels (sku, on_hand) VALUES (?1, ?2)
         ON CONFLICT (sku) DO UPDATE SET on_hand = excluded.on_hand WHERE on_hand <> excluded.on_hand",
        levels,
    )?;
    Ok(())
}
