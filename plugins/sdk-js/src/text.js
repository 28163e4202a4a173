// Text that leaves the context. A string of JavaScript can hold half of a surrogate pair, which UTF-8 cannot say:
// `"ab😀cd".slice(0, 3)` ends in one. It becomes U+FFFD, so that the rest of the text is kept.

/**
 * The value with U+FFFD for each half of a surrogate pair, in texts, in lists and in records. Returns the value itself
 * where nothing is to be replaced in a text.
 * @template T
 * @param {T} value
 * @returns {T}
 */
export function wellFormed(value) {
  // With the flag `u`, a whole pair is one character, which this class does not match.
  if (typeof value === "string") return value.replace(/[\ud800-\udfff]/gu, "\ufffd");
  if (Array.isArray(value)) return value.map(wellFormed);
  // Records and variants are plain objects; bytes and resources are left as they are.
  if (value !== null && typeof value === "object" && [Object.prototype, null].includes(Object.getPrototypeOf(value))) {
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, wellFormed(part)]));
  }
  return value;
}

/**
 * An imported or exported interface: the same functions, whose arguments and results are well-formed texts.
 * @template T
 * @param {T} functions
 * @returns {T}
 */
export function speaking(functions) {
  if (functions === null || typeof functions !== "object") return functions;
  const speak = (work) => (...args) => {
    try {
      return wellFormed(work(...args.map(wellFormed)));
    } catch (error) {
      // The toolchain takes the value of `err(..)` from here.
      if (error?.payload !== undefined) error.payload = wellFormed(error.payload);
      // The line in the log.
      if (error instanceof Error) error.message = wellFormed(error.message);
      throw error;
    }
  };
  const entries = Object.entries(functions);
  return Object.fromEntries(entries.map(([name, part]) => [name, typeof part === "function" ? speak(part.bind(functions)) : part]));
}
