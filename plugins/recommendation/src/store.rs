//! The recommendation context's SQL. Every query here has its index, named in the migrations.

use std::collections::BTreeSet;

use seam_sdk::store::{Error, list, params, query, transaction};

use crate::domain::{Counts, Neighbour, Question};
use crate::engine::{Purchase, Suggestion};

/// Answers from the counts as they are now.
pub fn answer(question: &Question) -> Result<Vec<Suggestion>, Error> {
    if let Some(wanted) = question.popular_wanted() {
        let popular = query("SELECT sku, purchases FROM items ORDER BY purchases DESC, sku LIMIT ?1", params![wanted])?;
        return Ok(question.popular(popular));
    }
    let mut neighbours = Vec::<Neighbour>::new();
    for seed in question.seeds() {
        neighbours.extend(query::<Neighbour>(
            "SELECT near.other, near.together, item.purchases, (SELECT purchases FROM items WHERE sku = ?1)
             FROM (SELECT other, together FROM pairs WHERE sku = ?1 ORDER BY together DESC, other LIMIT ?2) AS near
             CROSS JOIN items AS item ON item.sku = near.other",
            params![seed, question.neighbours_wanted()],
        )?);
    }
    Ok(question.rank(neighbours))
}

/// Counts the purchases that have not been seen before; all or none. Returns how many those were.
pub fn learn(purchases: Vec<Purchase>) -> Result<u32, Error> {
    transaction(|tx| {
        let ids: Vec<_> = purchases.iter().map(|purchase| &purchase.id).collect();
        let seen: Vec<String> = tx.query(
            "SELECT asked.value FROM json_each(?1) AS asked CROSS JOIN learned ON learned.purchase = asked.value",
            params![&list(&ids)],
        )?;
        let seen: BTreeSet<_> = seen.into_iter().collect();
        let new: Vec<_> = purchases.iter().filter(|purchase| !seen.contains(&purchase.id)).collect();
        let counts = Counts::of(new.iter().copied());
        tx.execute_many("INSERT INTO learned (purchase) VALUES (?1)", new.iter().map(|purchase| &purchase.id))?;
        tx.execute_many(
            "INSERT INTO items (sku, purchases) VALUES (?1, ?2)
             ON CONFLICT (sku) DO UPDATE SET purchases = purchases + excluded.purchases",
            counts.items,
        )?;
        tx.execute_many(
            "INSERT INTO pairs (sku, other, together) VALUES (?1, ?2, ?3)
             ON CONFLICT (sku, other) DO UPDATE SET together = together + excluded.together",
            counts.pairs,
        )?;
        Ok(new.len() as u32)
    })
}
