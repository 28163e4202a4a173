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
 * An imported interface: the same functions, which get well-formed texts. What they answer comes from the host, which
 * knows no other text.
 * @template T
 * @param {T} functions
 * @returns {T}
 */
export function speaking(functions) {
  if (functions === null || typeof functions !== "object") return functions;
  const speak = (name, part) => {
    if (typeof part !== "function") return [name, part];
    return [name, (...args) => part.call(functions, ...args.map(wellFormed))];
  };
  return Object.fromEntries(Object.entries(functions).map(([name, part]) => speak(name, part)));
}
