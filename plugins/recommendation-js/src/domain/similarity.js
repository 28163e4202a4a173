// From counts of customers to suggestions.
//
// The score of two albums is the log-likelihood ratio of their counts: how unlikely it is that so many customers have
// both by chance. It needs no threshold for rare albums, and albums that everybody has score low. (Dunning: "Accurate
// Methods for the Statistics of Surprise and Coincidence", 1993.) The scores of several seeds are added. Pairs with a
// single common customer come after all others; an album that no customer has beside a seed is not suggested.

/** A single common customer may be chance: fewer come last. */
const TOGETHER_MIN = 2;
/** Neighbours read for each suggestion: those with the highest counts do not always have the highest scores. */
const NEIGHBOURS_PER_SUGGESTION = 4;
const NEIGHBOURS_MIN = 24;

/** How many neighbours of each seed to read, those with the highest counts first. */
export const neighboursWanted = (count) => Math.max(count * NEIGHBOURS_PER_SUGGESTION, NEIGHBOURS_MIN);

const xLogX = (x) => (x > 0 ? x * Math.log(x) : 0);

/**
 * The log-likelihood ratio of two albums; 0 if they are together no more often than by chance.
 * @param {number} both customers who have both @param {number} one @param {number} other customers who have each
 * @param {number} all customers
 */
export function likelihood(both, one, other, all) {
  if (both * all <= one * other) return 0;
  const cells = [both, one - both, other - both, all - one - other + both];
  const sums = xLogX(one) + xLogX(all - one) + xLogX(other) + xLogX(all - other);
  const ratio = 2 * (cells.reduce((sum, cell) => sum + xLogX(cell), 0) - sums + xLogX(all));
  return Math.max(ratio, 0);
}

/**
 * The best neighbours, best first. The same question and counts always give the same answer.
 * @param {{seeds: string[], count: number}} question
 * @param {[sku: string, both: number, other: number, one: number][]} neighbours of all seeds
 * @param {number} all customers
 */
export function ranked({ seeds, count }, neighbours, all) {
  const [known, chance] = [new Map(), new Map()];
  for (const [sku, both, other, one] of neighbours) {
    if (seeds.includes(sku)) continue;
    const score = likelihood(both, one, other, all);
    const scores = both < TOGETHER_MIN ? chance : known;
    if (score > 0) scores.set(sku, (scores.get(sku) ?? 0) + score);
  }
  for (const sku of known.keys()) chance.delete(sku);
  const [first, last] = [best(known), best(chance)];
  const below = first.at(-1)?.score ?? 1;
  const most = last[0]?.score ?? 0;
  return first.concat(last.map(({ sku, score }) => ({ sku, score: (below * score) / (most + 1) }))).slice(0, count);
}

/** Sorted by score, equal scores by SKU. */
function best(scores) {
  const suggestions = [...scores].map(([sku, score]) => ({ sku, score }));
  return suggestions.sort((a, b) => b.score - a.score || (a.sku < b.sku ? -1 : 1));
}
