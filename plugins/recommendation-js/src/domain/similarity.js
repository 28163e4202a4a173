// From counts of customers to suggestions.
//
// The score of two albums is the log-likelihood ratio of their counts: how unlikely it is that so many customers have
// both by chance. It needs no threshold for rare albums, and albums that everybody has score low. (Dunning: "Accurate
// Methods for the Statistics of Surprise and Coincidence", 1993.) The scores of several seeds are added.

/** A single common customer may be chance. */
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
  const scores = new Map();
  for (const [sku, both, other, one] of neighbours) {
    if (both < TOGETHER_MIN || seeds.includes(sku)) continue;
    const score = likelihood(both, one, other, all);
    if (score > 0) scores.set(sku, (scores.get(sku) ?? 0) + score);
  }
  return best([...scores].map(([sku, score]) => ({ sku, score })), count);
}

/** Sorts by score, equal scores by SKU. */
function best(suggestions, count) {
  return suggestions.sort((a, b) => b.score - a.score || (a.sku < b.sku ? -1 : 1)).slice(0, count);
}

/**
 * Fills the list with popular albums, which score below all ranked ones.
 * @param {[sku: string, customers: number][]} popular the most popular first
 */
export function filled({ seeds, count }, suggestions, popular) {
  const taken = new Set([...seeds, ...suggestions.map(({ sku }) => sku)]);
  const below = suggestions.at(-1)?.score ?? 1;
  const most = popular[0]?.[1] ?? 0;
  const more = popular
    .filter(([sku]) => !taken.has(sku))
    .slice(0, count - suggestions.length)
    .map(([sku, customers]) => ({ sku, score: (below * customers) / (most + 1) }));
  return suggestions.concat(more);
}
