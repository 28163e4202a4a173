// The codec alone: `node --test`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { decode, encode } from "../src/packed.js";

test("decoding returns the encoded values", () => {
  const rows = [
    [null, 0, -1, 2 ** 53 - 1, -(2 ** 53) + 1, 0.5, "", "plain", "ünï→😀", new Uint8Array([1, 2])],
    [undefined, true, 2 ** 32, -(2 ** 32), 2n ** 63n - 1n, 2 ** 60 + 0.5, "\0", "x".repeat(10_000), "é".repeat(5_000), new Uint8Array()],
  ];
  const back = [[...rows[0]], [null, 1, ...rows[1].slice(2)]];
  assert.deepEqual(decode(encode(rows)), back);
});

test("the bytes have the encoding of the interface", () => {
  const bytes = encode([[null, -2, 1.5, "é", new Uint8Array([9])]]);
  const expect = [5, 0, 0, 0, 0, 1, 0xfe, 255, 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f];
  assert.deepEqual([...bytes], [...expect, 3, 2, 0, 0, 0, 0xc3, 0xa9, 4, 1, 0, 0, 0, 9]);
});

test("no rows encode to null, and a header alone decodes to no rows", () => {
  assert.equal(encode([]), null);
  assert.deepEqual(decode(new Uint8Array([3, 0, 0, 0])), []);
});

test("values that a row cannot hold are refused", () => {
  assert.throws(() => encode([[Number.NaN]]), /NaN/);
  assert.throws(() => encode([[{}]]), /object/);
  assert.throws(() => encode([[2n ** 63n]]), /64 bits/);
  assert.throws(() => encode([[1], [1, 2]]), /2 columns/);
});

test("rows that end too early or have an unknown kind are refused", () => {
  const bytes = encode([["text", 7]]);
  for (let length = 5; length < bytes.length; length++) {
    if (length !== 4) assert.throws(() => decode(bytes.slice(0, length)), RangeError, `${length} bytes`);
  }
  assert.throws(() => decode(new Uint8Array([1, 0, 0, 0, 7])), /unknown kind 7/);
});
