// A guest that throws, hangs, eats memory and leaves transactions open, as the caller asks.

import { Rejected, answering, steps, store } from "seam-sdk";

export const migrations = steps({
  "0001-notes": "CREATE TABLE notes (text TEXT NOT NULL UNIQUE) STRICT",
  "0002-kinds": "CREATE TABLE kinds (at INTEGER PRIMARY KEY, value ANY) STRICT",
});

/** One value of each kind that the store keeps. */
const KINDS = [null, 1, -1, 2 ** 40, -(2 ** 40) - 7, 2n ** 62n, 0.5, -1e300, "", "ünï→😀", "x".repeat(9000), new Uint8Array([0, 255])];

const same = (a, b) => (a instanceof Uint8Array ? b instanceof Uint8Array && a.join() === b.join() : a === b);

let answered = 0;

export const clumsy = {
  act: answering((what) => {
    switch (what) {
      case "nothing":
        break;
      case "reject":
        throw new Rejected("invalid", "as it was told");
      case "throw":
        throw new TypeError("this is a bug");
      case "hang":
        for (;;);
      case "eat": {
        const kept = [];
        for (;;) kept.push(new Uint8Array(1 << 20).fill(1));
      }
      case "recurse": {
        const deeper = (n) => 1 + deeper(n + 1);
        return deeper(0);
      }
      case "leave":
        store.transaction(() => {
          store.execute("INSERT INTO notes VALUES ('left')");
          throw new TypeError("and now?");
        });
        break;
      case "twice":
        store.executeMany("INSERT INTO notes VALUES (?1)", [["same"], ["same"]]);
        break;
      case "notes":
        return store.optional("SELECT count(*) FROM notes")[0];
      case "keep":
        store.executeMany("INSERT INTO kinds VALUES (?1, ?2)", KINDS.map((kind, at) => [at, kind]));
        return store.query("SELECT value FROM kinds ORDER BY at").filter(([kept], at) => same(kept, KINDS[at])).length;
      default:
        throw new Rejected("invalid", `it cannot ${what}`);
    }
    answered += 1;
    return answered;
  }),
};
