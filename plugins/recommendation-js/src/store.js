// The SQL of the engine. A comment in the migrations names each query's index.

import { store } from "seam-sdk";

import { LATEST, additions, owner } from "./domain/learning.js";
import { neighboursWanted, ranked } from "./domain/similarity.js";

/** Answers from the counts as they are now. */
export function answer(question) {
  const { seeds, count } = question;
  if (seeds.length === 0) {
    return store
      .query("SELECT sku, customers FROM albums ORDER BY customers DESC, sku LIMIT ?1", [count])
      .map(([sku, customers]) => ({ sku, score: customers }));
  }
  const wanted = neighboursWanted(count);
  const neighbours = seeds.flatMap((seed) =>
    store.query(
      `SELECT near.other, near.customers, album.customers, (SELECT customers FROM albums WHERE sku = ?1)
       FROM (SELECT other, customers FROM pairs WHERE sku = ?1 ORDER BY customers DESC, other LIMIT ?2) AS near
       CROSS JOIN albums AS album ON album.sku = near.other`,
      [seed, wanted],
    ),
  );
  const all = neighbours.length > 0 ? store.optional("SELECT customers FROM totals")[0] : 0;
  return ranked(question, neighbours, all);
}

/** Learns from purchases that are new; all or none. Returns how many were new. */
export function learn(purchases) {
  return store.transaction(() => {
    const seen = new Set(
      store
        .query("SELECT asked.value FROM json_each(?1) AS asked CROSS JOIN learned ON learned.purchase = asked.value", [
          store.list(purchases.map(({ id }) => id)),
        ])
        .flat(),
    );
    const added = purchases.filter(({ id }) => !seen.has(id));
    const { owned, albums, pairs, customers } = additions(added, latest(added), alreadyOwned(added));
    store.executeMany("INSERT INTO learned (purchase) VALUES (?1)", added.map(({ id }) => [id]));
    store.executeMany("INSERT INTO owned (customer, sku) VALUES (?1, ?2)", owned);
    store.executeMany(
      `INSERT INTO albums (sku, customers) VALUES (?1, ?2)
       ON CONFLICT (sku) DO UPDATE SET customers = customers + excluded.customers`,
      albums,
    );
    store.executeMany(
      `INSERT INTO pairs (sku, other, customers) VALUES (?1, ?2, ?3)
       ON CONFLICT (sku, other) DO UPDATE SET customers = customers + excluded.customers`,
      pairs,
    );
    store.execute("UPDATE totals SET customers = customers + ?1", [customers]);
    return added.length;
  });
}

/** The latest albums of the purchases' owners, the latest last. */
function latest(purchases) {
  const rows = store.query(
    `SELECT asked.value, had.sku
     FROM json_each(?1) AS asked CROSS JOIN owned AS had ON had.customer = asked.value
     WHERE had.number > ifnull(
       (SELECT number FROM owned WHERE customer = asked.value ORDER BY number DESC LIMIT 1 OFFSET ?2), 0)
     ORDER BY asked.key, had.number`,
    [store.list([...new Set(purchases.map(owner))]), LATEST],
  );
  const latest = new Map();
  for (const [customer, sku] of rows) {
    if (!latest.has(customer)) latest.set(customer, []);
    latest.get(customer).push(sku);
  }
  return latest;
}

/** The albums in the purchases that their owners have already. */
function alreadyOwned(purchases) {
  const asked = purchases.flatMap((purchase) => purchase.skus.map((sku) => [owner(purchase), sku]));
  const rows = store.query(
    `SELECT had.customer || char(10) || had.sku
     FROM json_each(?1) AS asked
     CROSS JOIN owned AS had ON had.customer = asked.value ->> 0 AND had.sku = asked.value ->> 1`,
    [store.list(asked)],
  );
  return new Set(rows.flat());
}
