// Checks that the arguments follow the rules of the interface `engine`.

const SKU = /^[A-Z0-9-]{1,32}$/;

/** An argument is wrong: where, and why. `payload` is the interface's `invalid`. */
class Invalid extends Error {
  constructor(why) {
    super(why);
    this.payload = { tag: "invalid", val: why };
  }
}

export const invalid = (why) => new Invalid(why);

export function atMost(max, count, what) {
  if (count > max) throw invalid(`${count} ${what}; ${max} are allowed`);
}

/** @param {string} sku @param {() => string} place where it is, for the message */
export function checkSku(sku, place) {
  if (!SKU.test(sku)) {
    const shown = JSON.stringify([...sku].slice(0, 32).join(""));
    throw invalid(`${place()}: ${shown} is not 1 to 32 capital letters, digits and hyphens`);
  }
}
