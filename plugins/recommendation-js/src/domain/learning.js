// From purchases to the albums that customers have.

import { atMost, checkSku, invalid } from "./check.js";

/** Purchases in one call. */
const PURCHASES_MAX = 1_000;
/** Albums in one purchase. */
const SKUS_MAX = 50;
/** Pairs of albums in one call. */
const PAIRS_MAX = 50_000;
const ID = /^[^\p{Cc}]{1,64}$/u;

/** A new album is paired with this many of the customer's latest albums. It bounds the cost of every purchase. */
export const LATEST = 20;

/** The checked purchases: each SKU once, and of purchases with the same id the first. */
export function checkedPurchases(purchases) {
  atMost(PURCHASES_MAX, purchases.length, "purchases in one call");
  const byId = new Map();
  let pairs = 0;
  purchases.forEach(({ id, customer, skus }, at) => {
    const row = `row ${at + 1}`;
    if (!ID.test(id)) throw invalid(`${row}, id: it does not have 1 to 64 characters without control characters`);
    if (skus.length === 0) throw invalid(`${row}, skus: nothing was bought`);
    if (skus.length > SKUS_MAX) throw invalid(`${row}, skus: ${skus.length} of them; ${SKUS_MAX} are allowed`);
    skus.forEach((sku, number) => checkSku(sku, () => `${row}, skus, number ${number + 1}`));
    if (byId.has(id)) return;
    const once = [...new Set(skus)].sort();
    pairs += (once.length * (once.length - 1)) / 2;
    byId.set(id, { id, customer, skus: once });
  });
  atMost(PAIRS_MAX, pairs, "pairs of albums in one call");
  return [...byId.values()];
}

/** The owner of a purchase. A purchase without a customer is an owner of its own. */
export const owner = ({ customer, id }) => (customer === "" ? `purchase ${id}` : `customer ${customer}`);

/**
 * What purchases add to the albums that customers have.
 * @param {{id: string, customer: string, skus: string[]}[]} purchases
 * @param {Map<string, string[]>} before each owner's albums, the latest last
 * @param {Set<string>} alreadyOwned the albums in `purchases` that their owners have already, as `owner + "\n" + sku`
 */
export function additions(purchases, before, alreadyOwned) {
  const owned = [];
  const albums = new Map();
  const pairs = new Map();
  const had = new Set(alreadyOwned);
  const latest = new Map([...before].map(([customer, skus]) => [customer, [...skus]]));
  let customers = 0;
  const add = (counts, key) => counts.set(key, (counts.get(key) ?? 0) + 1);
  for (const purchase of purchases) {
    const customer = owner(purchase);
    const added = purchase.skus.filter((sku) => !had.has(`${customer}\n${sku}`));
    if (!latest.has(customer)) {
      latest.set(customer, []);
      customers += 1;
    }
    const ownerLatest = latest.get(customer);
    const earlier = ownerLatest.slice(-LATEST).filter((sku) => !added.includes(sku));
    added.forEach((sku, at) => {
      add(albums, sku);
      for (const other of earlier.concat(added.slice(0, at))) {
        add(pairs, `${sku}\n${other}`);
        add(pairs, `${other}\n${sku}`);
      }
      owned.push([customer, sku]);
      had.add(`${customer}\n${sku}`);
    });
    ownerLatest.push(...added);
  }
  const counted = [...pairs].map(([pair, count]) => [...pair.split("\n"), count]);
  return { owned, albums: [...albums], pairs: counted, customers };
}
