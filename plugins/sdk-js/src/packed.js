// Rows as one list of bytes, in the encoding of `seam:host/store`.
//
// u32 column count, then the rows, each value as a tag byte and its bytes, little endian:
// 0 null | 1 integer s64 | 2 real f64 | 3 text u32 length + UTF-8 | 4 blob u32 length + bytes.
//
// In JavaScript: null, number, string, Uint8Array. An integer that a number cannot hold exactly is decoded to a BigInt.
// A number without a fraction is encoded as an integer; SQLite converts it to a real in a REAL column.

import { wellFormed } from "./text.js";

const NULL = 0;
const INTEGER = 1;
const REAL = 2;
const TEXT = 3;
const BLOB = 4;

const HIGH = 4294967296;

/**
 * The rows, each an array of its columns.
 * @param {Uint8Array} bytes
 * @returns {any[][]}
 */
export function decode(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const columns = view.getUint32(0, true);
  const rows = [];
  let at = 4;
  while (at < bytes.length) {
    const row = [];
    for (let column = 0; column < columns; column++) {
      const tag = bytes[at++];
      switch (tag) {
        case NULL:
          row.push(null);
          break;
        case INTEGER: {
          const value = view.getInt32(at + 4, true) * HIGH + view.getUint32(at, true);
          row.push(Number.isSafeInteger(value) ? value : view.getBigInt64(at, true));
          at += 8;
          break;
        }
        case REAL:
          row.push(view.getFloat64(at, true));
          at += 8;
          break;
        case TEXT:
        case BLOB: {
          const end = at + 4 + view.getUint32(at, true);
          if (end > bytes.length) throw new RangeError("the rows end in the middle of a value");
          const value = bytes.subarray(at + 4, end);
          row.push(tag === TEXT ? text(value) : value.slice());
          at = end;
          break;
        }
        default:
          throw new RangeError(`the rows hold a value of unknown kind ${tag}`);
      }
    }
    rows.push(row);
  }
  return rows;
}

/** Arguments of one native call. More would not fit QuickJS's stack. */
const CHARACTERS_AT_ONCE = 4096;

/** Decodes UTF-8. QuickJS has no TextDecoder; its native functions are ten times as fast as a loop in JavaScript. */
function text(bytes) {
  let latin = "";
  for (let at = 0; at < bytes.length; at += CHARACTERS_AT_ONCE) {
    latin += String.fromCharCode.apply(null, bytes.subarray(at, at + CHARACTERS_AT_ONCE));
  }
  return /^[\0-\x7f]*$/.test(latin) ? latin : decodeURIComponent(escape(latin));
}

/**
 * The bytes of rows that all have the same number of columns.
 * @param {Iterable<any[]>} rows
 * @returns {Uint8Array | null} null if there is no row
 */
export function encode(rows) {
  const out = new Bytes();
  let columns = -1;
  for (const row of rows) {
    if (columns < 0) {
      columns = row.length;
      out.u32(columns);
    }
    if (row.length !== columns) throw new TypeError(`a row has ${row.length} columns, the first one ${columns}`);
    for (const value of row) encodeValue(out, value);
  }
  return columns < 0 ? null : out.taken();
}

function encodeValue(out, value) {
  if (value === null || value === undefined) {
    out.byte(NULL);
  } else if (typeof value === "string") {
    const latin = unescape(encodeURIComponent(wellFormed(value)));
    out.byte(TEXT);
    out.u32(latin.length);
    out.latin(latin);
  } else if (typeof value === "number" && !Number.isInteger(value)) {
    if (Number.isNaN(value)) throw new TypeError("a row cannot hold NaN");
    out.byte(REAL);
    out.f64(value);
  } else if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") {
    // A number beyond 2^53 is a real without a fraction.
    const exact = typeof value !== "number" || Number.isSafeInteger(value);
    out.byte(exact ? INTEGER : REAL);
    if (exact) out.s64(value);
    else out.f64(value);
  } else if (value instanceof Uint8Array) {
    out.byte(BLOB);
    out.u32(value.length);
    out.bytes(value);
  } else {
    throw new TypeError(`a row cannot hold a ${typeof value}`);
  }
}

/** A growing list of bytes. */
class Bytes {
  #buffer = new Uint8Array(1024);
  #view = new DataView(this.#buffer.buffer);
  #used = 0;

  /** Reserves space and returns its start. */
  #room(count) {
    const at = this.#used;
    this.#used += count;
    if (this.#used > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(this.#used, this.#buffer.length * 2));
      larger.set(this.#buffer.subarray(0, at));
      this.#buffer = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }

  byte(value) {
    const at = this.#room(1);
    this.#buffer[at] = value;
  }

  u32(value) {
    const at = this.#room(4);
    this.#view.setUint32(at, value, true);
  }

  s64(value) {
    const at = this.#room(8);
    if (typeof value === "bigint") {
      if (BigInt.asIntN(64, value) !== value) throw new RangeError(`${value} does not fit 64 bits`);
      this.#view.setBigInt64(at, value, true);
    } else {
      this.#view.setUint32(at, Number(value) >>> 0, true);
      this.#view.setInt32(at + 4, Math.floor(Number(value) / HIGH), true);
    }
  }

  f64(value) {
    const at = this.#room(8);
    this.#view.setFloat64(at, value, true);
  }

  /** A string whose characters are bytes. */
  latin(text) {
    let at = this.#room(text.length);
    for (let i = 0; i < text.length; i++) this.#buffer[at++] = text.charCodeAt(i);
  }

  bytes(value) {
    const at = this.#room(value.length);
    this.#buffer.set(value, at);
  }

  taken() {
    return this.#buffer.subarray(0, this.#used);
  }
}
