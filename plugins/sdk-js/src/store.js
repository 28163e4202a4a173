// The context's own SQLite file. A statement outside a transaction commits before it returns.
//
// Parameters and columns are null, number, string and Uint8Array, and BigInt for integers that a number cannot hold.

import host from "seam:host/store@0.1.0";

import { decode, encode } from "./packed.js";
import { wellFormed } from "./text.js";

/** Temporary errors: the caller may try again. The others are bugs of the context. */
const TEMPORARY = new Set(["busy", "full", "interrupted", "unavailable"]);

/** Why a statement failed; `kind` is the case of `seam:host/store.error`. */
export class StoreError extends Error {
  constructor(kind, text) {
    super(`the store says ${kind}: ${text}`);
    this.kind = kind;
  }

  /** Whether the store cannot work now. Otherwise it is a bug of this context. */
  isTemporary() {
    return TEMPORARY.has(this.kind);
  }
}

/** Calls a function of the host; its errors become `StoreError`. */
function call(work) {
  try {
    return work();
  } catch (error) {
    if (error?.payload?.tag) throw new StoreError(error.payload.tag, error.payload.val);
    throw error;
  }
}

function parameter(value) {
  if (value === null || value === undefined) return { tag: "null" };
  switch (typeof value) {
    case "string":
      return { tag: "text", val: wellFormed(value) };
    case "number":
      if (Number.isNaN(value)) throw new TypeError("a parameter cannot be NaN");
      return Number.isSafeInteger(value) ? { tag: "integer", val: value } : { tag: "real", val: value };
    case "boolean":
      return { tag: "integer", val: Number(value) };
    case "bigint":
      // The toolchain passes integers as numbers. `executeMany` packs its rows itself and takes any.
      if (!Number.isSafeInteger(Number(value))) {
        throw new RangeError(`${value} is too large for a parameter; use executeMany`);
      }
      return { tag: "integer", val: Number(value) };
  }
  if (value instanceof Uint8Array) return { tag: "blob", val: value };
  throw new TypeError(`a parameter cannot be a ${typeof value}`);
}

/**
 * Runs a SELECT, or a writing statement with RETURNING. Returns the rows, each an array of its columns.
 * @param {string} sql
 * @param {any[]} [params]
 * @returns {any[][]}
 */
export function query(sql, params = []) {
  return decode(call(() => host.query(sql, params.map(parameter))));
}

/** The first row of a SELECT, or null. */
export function optional(sql, params = []) {
  return query(sql, params)[0] ?? null;
}

/** Runs one writing statement. Returns how many rows it changed. */
export function execute(sql, params = []) {
  return call(() => host.execute(sql, params.map(parameter)));
}

/**
 * Runs one writing statement for each of `rows`, arrays of parameters; all or none. Returns how many rows changed.
 * @param {string} sql
 * @param {Iterable<any[]>} rows
 */
export function executeMany(sql, rows) {
  const packed = encode(rows);
  return packed ? call(() => host.executeMany(sql, packed)) : 0;
}

/**
 * Runs `work` in a transaction: commits when it returns, and rolls back when it throws (after a trap the host rolls
 * back). In between, every query of this call reads through the transaction. Transactions do not nest.
 * @template T
 * @param {() => T} work
 * @returns {T}
 */
export function transaction(work) {
  call(() => host.begin());
  let result;
  try {
    result = work();
  } catch (error) {
    // Where rows that it read were undone too, `work` failed for a reason that is none, and this throws instead.
    call(() => host.rollback());
    throw error;
  }
  call(() => host.commit());
  return result;
}

/** Values as one parameter, for `json_each(?1)`: one statement for any number of values; `key` is their order. */
export const list = JSON.stringify;
