// The engine without its store: `node --test`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { LATEST, additions, checkedPurchases } from "../src/domain/learning.js";
import { question } from "../src/domain/question.js";
import { likelihood, ranked } from "../src/domain/similarity.js";

const bought = (id, customer, ...skus) => ({ id, customer, skus, at: 0 });
const added = (purchases, before = [], alreadyOwned = []) =>
  additions(checkedPurchases(purchases), new Map(before), new Set(alreadyOwned));

test("the ratio is Dunning's", () => {
  // A worked example: 2 * (sum of k ln k over the cells - rows - columns + n ln n).
  const k = [10, 20, 30, 940];
  const x = (n) => n * Math.log(n);
  const expect = 2 * (k.reduce((s, n) => s + x(n), 0) - x(30) - x(970) - x(40) - x(960) + x(1000));
  assert.ok(Math.abs(likelihood(10, 30, 40, 1000) - expect) < 1e-9);
});

test("albums that are together by chance score 0", () => {
  assert.equal(likelihood(5, 50, 100, 1000), 0);
  assert.equal(likelihood(1, 50, 100, 1000), 0);
  assert.equal(likelihood(10, 10, 10, 10), 0);
  assert.ok(likelihood(10, 10, 10, 1000) > likelihood(5, 10, 10, 1000));
});

test("an album counts once over all purchases of a customer", () => {
  const purchases = [bought("1", "ann", "A"), bought("2", "ann", "B", "A"), bought("3", "ben", "A")];
  const { owned, albums, pairs, customers } = added(purchases);
  assert.deepEqual(owned, [["customer ann", "A"], ["customer ann", "B"], ["customer ben", "A"]]);
  assert.deepEqual(albums, [["A", 2], ["B", 1]]);
  assert.deepEqual(pairs, [["B", "A", 1], ["A", "B", 1]]);
  assert.equal(customers, 2);
});

test("albums that a customer has already are paired with new ones and not counted again", () => {
  const before = [["customer ann", ["A", "C"]]];
  const { owned, albums, pairs, customers } = added([bought("2", "ann", "A", "B")], before, ["customer ann\nA"]);
  assert.deepEqual(owned, [["customer ann", "B"]]);
  assert.deepEqual(albums, [["B", 1]]);
  assert.deepEqual(pairs.map(([a, b]) => a + b), ["BA", "AB", "BC", "CB"]);
  assert.equal(customers, 0);
});

test("a long history costs no more than its latest albums", () => {
  const had = Array.from({ length: 100 }, (_, at) => `S${at}`);
  const { pairs } = added([bought("1", "ann", "NEW")], [["customer ann", had]]);
  assert.equal(pairs.length, 2 * LATEST);
  assert.ok(pairs.some(([a]) => a === "S99") && !pairs.some(([a]) => a === "S0"));
});

test("purchases without a customer are independent", () => {
  const { pairs, customers } = added([bought("1", "", "A"), bought("2", "", "B")]);
  assert.deepEqual([pairs, customers], [[], 2]);
});

test("pairs with a single common customer come last, and seeds are never suggested", () => {
  const asked = question(["T", "S"], 5);
  const near = [["A", 1, 1, 2], ["B", 2, 2, 2], ["S", 2, 2, 2], ["B", 2, 2, 2], ["C", 2, 40, 40]];
  const [best, second, last, ...rest] = ranked(asked, near, 100);
  assert.deepEqual([best.sku, second.sku, rest], ["B", "A", []]);
  assert.equal(best.score, 2 * likelihood(2, 2, 2, 100), "seeds add up");
  assert.equal(last, undefined, "C is with the seed no more often than by chance");
  assert.ok(best.score > second.score && second.score > 0);
});

test("without common customers there are no suggestions", () => {
  assert.deepEqual(ranked(question(["S"], 3), [], 0), []);
});
