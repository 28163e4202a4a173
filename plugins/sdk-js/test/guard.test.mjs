// What the guard around a context's exports does to results and to the stack of an exception.

import assert from "node:assert/strict";
import { test } from "node:test";

import { guarded, located } from "../src/guard.js";

// Two files: line 1 of the bundle is line 3 of `a.js`; line 3, from column 5 on, is line 7 of `b.cljs`.
const MAP = { sources: ["src/a.js", "src/b.cljs"], mappings: "AAEA;;ICIA" };

test("a stack names the files that a person wrote, and the guard is no part of it", () => {
  const stack = "    at pay (componentize-qjs:user.js:1:9)\n    at <anonymous> (componentize-qjs:user.js:3:5)\n    at native\n";
  assert.equal(located(stack, MAP), "    at pay (src/a.js:3:1)\n    at <anonymous> (src/b.cljs)\n    at native\n");
  const inGuard = { ...MAP, sources: ["plugins/sdk-js/src/guard.js", "src/b.cljs"] };
  assert.equal(located(stack, inGuard), "    at <anonymous> (src/b.cljs)\n    at native\n");
  const elsewhere = "    at f (componentize-qjs:user.js:9:1)\n    at g (other.js:1:1)\n";
  assert.equal(located(elsewhere, MAP), elsewhere);
  assert.equal(located(stack, undefined), stack);
});

test("a result is well-formed text, and an error of the interface passes as it is", () => {
  const half = "ab\ud83d";
  const shop = guarded({ title: () => half, fail: () => { throw { payload: { tag: "invalid" } }; }, limit: 3 });
  assert.equal(shop.title(), "ab\ufffd");
  assert.equal(shop.limit, 3);
  assert.throws(() => shop.fail(), (error) => error.payload.tag === "invalid");
  assert.equal(guarded(() => half)(), "ab\ufffd");
});

test("whatever is thrown becomes an error with a readable message", () => {
  const thrown = (what) => guarded({ run: () => { throw what; } }).run;
  assert.throws(thrown("a text \ud83d"), (error) => error instanceof Error && error.message === "a text \ufffd");
  assert.throws(thrown(Symbol("s")), /a symbol/);
  assert.throws(thrown(undefined), /undefined/);
  assert.throws(thrown(new TypeError("half \ud83d")), (error) => error instanceof TypeError && error.message === "half \ufffd");
});

test("methods keep their object, and what is no plain object stays", () => {
  const desk = guarded({ by: 2, twice(n) { return n * this.by; } });
  assert.equal(desk.twice(4), 8);
  class Desk {}
  const instance = new Desk();
  assert.equal(guarded(instance), instance);
  assert.equal(guarded(Desk), Desk);
});
