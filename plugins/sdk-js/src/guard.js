// What the build puts around the exports of a context: results are well-formed text, and the stack of an exception
// names the files that a person wrote instead of the bundle.
//
// Not here: errors of the interface (`answers`), which pass as they are.

import { wellFormed } from "./text.js";

/** Marks a function whose results are well-formed already. */
export const SPEAKS = Symbol("speaks");

/**
 * An exported function, or an object of such functions. Anything else is returned as it is.
 * @template T
 * @param {T} exported
 * @returns {T}
 */
export function guarded(exported) {
  if (typeof exported === "function") return guardedFunction(exported, undefined);
  if (exported === null || typeof exported !== "object") return exported;
  if (![Object.prototype, null].includes(Object.getPrototypeOf(exported))) return exported;
  const guard = ([name, part]) => [name, typeof part === "function" ? guardedFunction(part, exported) : part];
  return Object.fromEntries(Object.entries(exported).map(guard));
}

function guardedFunction(work, self) {
  // A class is called with `new`.
  if (Function.prototype.toString.call(work).startsWith("class")) return work;
  return (...args) => {
    try {
      const result = work.apply(self, args);
      return work[SPEAKS] ? result : wellFormed(result);
    } catch (thrown) {
      throw explained(thrown);
    }
  };
}

/** The exception as the log shows it. An error of the interface has a payload and passes. */
function explained(thrown) {
  if (thrown !== null && typeof thrown === "object" && "payload" in thrown) return thrown;
  const error = thrown instanceof Error ? thrown : new Error(`${typeof thrown === "symbol" ? "a symbol" : thrown}`);
  error.message = wellFormed(error.message);
  error.stack = located(`${error.stack ?? ""}`, globalThis.seamPlaces);
  return error;
}

/**
 * The stack with places in the sources. A line without such a place stays.
 * @param {string} stack
 * @param {?{sources: string[], mappings: string}} map of the bundle, a source map's own fields
 */
export function located(stack, map) {
  if (!map) return stack;
  const places = stack.replace(/\((?:[^()\s]*[:/])?user\.js:(\d+):(\d+)\)/g, (written, line, column) => {
    const place = placeOf(map, Number(line) - 1, Number(column) - 1);
    if (!place) return written;
    const file = map.sources[place.source];
    // Another compiler made JavaScript of it, whose lines are not those of the file.
    return file.endsWith(".cljs") ? `(${file})` : `(${file}:${place.line + 1}:${place.column + 1})`;
  });
  return places.replace(/^.*(?:\/guard\.js:\d+:\d+|\bapply \(native)\)\n?/gm, "");
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The last mapping of this line that begins at or before the column; all numbers from 0. */
function placeOf({ mappings }, line, column) {
  // All but the column in the bundle count on from the mapping before, over the whole text.
  let [source, sourceLine, sourceColumn] = [0, 0, 0];
  let found;
  for (const [at, segments] of mappings.split(";", line + 1).entries()) {
    let generated = 0;
    for (const segment of segments ? segments.split(",") : []) {
      const fields = numbers(segment);
      generated += fields[0];
      if (fields.length < 4) continue;
      source += fields[1];
      sourceLine += fields[2];
      sourceColumn += fields[3];
      if (at === line && (generated <= column || !found)) found = { source, line: sourceLine, column: sourceColumn };
    }
  }
  return found;
}

/** Base64 VLQ: five bits a digit, the lowest first; the lowest bit of a number is its sign. */
function numbers(segment) {
  const all = [];
  let [value, shift] = [0, 0];
  for (const digit of segment) {
    const bits = DIGITS.indexOf(digit);
    value += (bits & 31) << shift;
    shift += 5;
    if (bits & 32) continue;
    all.push(value & 1 ? -(value >> 1) : value >> 1);
    [value, shift] = [0, 0];
  }
  return all;
}
