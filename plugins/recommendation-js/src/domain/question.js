// Checks the question of `suggest`.

import { atMost, checkSku, invalid } from "./check.js";

/** Suggestions in one answer. */
const COUNT_MAX = 50;
/** Albums in one question: a basket. */
const SEEDS_MAX = 50;

/** The checked question: its seeds sorted, each once. */
export function question(skus, count) {
  atMost(SEEDS_MAX, skus.length, "SKUs in one question");
  skus.forEach((sku, at) => checkSku(sku, () => `SKU number ${at + 1}`));
  if (count < 1 || count > COUNT_MAX) throw invalid(`${count} suggestions; 1 to ${COUNT_MAX} may be asked for`);
  return { seeds: [...new Set(skus)].sort(), count };
}
