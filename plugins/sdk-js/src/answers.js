// The three outcomes of a call in JavaScript: a function returns a result, or throws an error of the interface as
// `Rejected`. Any other exception is a bug of the context: it traps, and the host discards the instance.

import { SPEAKS } from "./guard.js";
import { StoreError } from "./store.js";
import { wellFormed } from "./text.js";

/** An error that the interface declares: `throw new Rejected("invalid", "row 3: no name")`. */
export class Rejected extends Error {
  /** @param {string} tag the case of the interface's `error` @param {unknown} [val] what the case carries */
  constructor(tag, val) {
    super(wellFormed(`${tag}: ${val}`));
    // The toolchain takes the value of `err(..)` from here.
    this.payload = { tag, val: wellFormed(val) };
  }
}

/**
 * Wraps a function of a seam: while the store cannot work, the caller gets `unavailable`.
 * @template {(...args: any[]) => any} T
 * @param {T} work
 * @returns {T}
 */
export function answering(work) {
  const answers = (...args) => {
    try {
      return wellFormed(work(...args));
    } catch (error) {
      if (error instanceof StoreError && error.isTemporary()) throw new Rejected("unavailable", error.message);
      // The line in the log.
      if (error instanceof Error) error.message = wellFormed(error.message);
      throw error;
    }
  };
  answers[SPEAKS] = true;
  return answers;
}
