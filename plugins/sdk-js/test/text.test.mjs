// Half a surrogate pair at every way out: `node --test`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { decode, encode } from "../src/packed.js";
import { speaking, wellFormed } from "../src/text.js";

const HALF = "ab😀cd".slice(0, 3);
const WHOLE = "ab\ufffd";

test("half a pair becomes U+FFFD in texts, lists, records and variants, and a whole one stays", () => {
  assert.equal(wellFormed(HALF), WHOLE);
  assert.equal(wellFormed("😀".slice(1) + "x😀"), "\ufffdx😀");
  assert.deepEqual(wellFormed([HALF, { tag: "text", val: HALF }, null, 7]), [WHOLE, { tag: "text", val: WHOLE }, null, 7]);
  const bytes = new Uint8Array([1, 2]);
  assert.equal(wellFormed(bytes), bytes);
});

test("the arguments of an imported interface are well-formed", () => {
  const seen = [];
  const { shout, limit } = speaking({
    limit: 7,
    shout(text, lines) {
      seen.push(this.limit, text, lines);
      return text.length;
    },
  });
  assert.deepEqual([shout(HALF, [HALF]), limit], [3, 7]);
  assert.deepEqual(seen, [7, WHOLE, [WHOLE]]);
});

test("a packed text is well-formed", () => {
  assert.deepEqual(decode(encode([[HALF]])), [[WHOLE]]);
});
