// From purchases to what customers have.

import { atMost, checkSku, invalid } from "./check.js";

/** Purchases in one call. */
const PURCHASES_MAX = 1_000;
/** Albums in one purchase. */
const SKUS_MAX = 50;
/** Pairs of albums in one call. */
const PAIRS_MAX = 50_000;
const ID = /^[^\p{Cc}]{1,64}$/u;

/** How many of a customer's latest albums a new one is paired with. It bounds what a purchase costs, whoever makes it. */
export const LATEST = 20;

/** Purchases with each SKU once, and each purchase once, the first time it stands in the list. */
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

/** Whose purchase it is. One without a customer is a customer of its own. */
export const owner = ({ customer, id }) => (customer === "" ? `purchase ${id}` : `customer ${customer}`);

/**
 * What purchases add to what customers have already.
 * @param {{id: string, customer: string, skus: string[]}[]} purchases
 * @param {Map<string, string[]>} before each owner's albums, the latest last
 * @param {Set<string>} among those of the albums in `purchases` that their owners have, as `owner + "\n" + sku`
 */
export function additions(purchases, before, among) {
  const owned = [];
  const albums = new Map();
  const pairs = new Map();
  const had = new Set(among);
  const latest = new Map([...before].map(([customer, skus]) => [customer, [...skus]]));
  let customers = 0;
  const add = (counts, key) => counts.set(key, (counts.get(key) ?? 0) + 1);
  for (const purchase of purchases) {
    const customer = owner(purchase);
    const fresh = purchase.skus.filter((sku) => !had.has(`${customer}\n${sku}`));
    if (!latest.has(customer)) {
      latest.set(customer, []);
      customers += 1;
    }
    const beside = latest.get(customer);
    const earlier = beside.slice(-LATEST).filter((sku) => !fresh.includes(sku));
    fresh.forEach((sku, at) => {
      add(albums, sku);
      for (const other of earlier.concat(fresh.slice(0, at))) {
        add(pairs, `${sku}\n${other}`);
        add(pairs, `${other}\n${sku}`);
      }
      owned.push([customer, sku]);
      had.add(`${customer}\n${sku}`);
    });
    beside.push(...fresh);
  }
  return { owned, albums: [...albums], pairs: [...pairs].map(([pair, count]) => [...pair.split("\n"), count]), customers };
}
