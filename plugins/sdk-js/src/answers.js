// The three outcomes of a call, as a context written in JavaScript gives them: a result is returned, an error of the interface is
// thrown as `Rejected`, and anything else that is thrown is a bug of the context: it traps, and the host drops the instance.

import { StoreError } from "./store.js";

/** An error that the interface declares: `throw new Rejected("invalid", "row 3: no name")`. */
export class Rejected extends Error {
  /** @param {string} tag the case of the interface's `error` @param {unknown} [val] what the case carries */
  constructor(tag, val) {
    super(`${tag}: ${val}`);
    // Where the toolchain looks for the value of an `err(..)`.
    this.payload = { tag, val };
  }
}

/**
 * Makes `work` a function of a seam: when the store cannot do its work now, the caller is told `unavailable`.
 * @template {(...args: any[]) => any} T
 * @param {T} work
 * @returns {T}
 */
export function answering(work) {
  return (...args) => {
    try {
      return work(...args);
    } catch (error) {
      if (error instanceof StoreError && error.passes()) throw new Rejected("unavailable", error.message);
      throw error;
    }
  };
}
