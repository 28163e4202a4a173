// The context's own SQLite file. A statement outside a transaction commits before it returns.
//
// Parameters and columns are null, number, string, Uint8Array, and BigInt for integers that a number cannot hold.

import host from "seam:host/store@0.1.0";

import { decode, encode } from "./packed.js";

/** Cases of trouble that pass: the caller may try again. The others are bugs of the context. */
const PASSING = new Set(["busy", "full", "interrupted", "unavailable"]);

/** Why a statement failed; `kind` is the case of `seam:host/store.error`. */
export class StoreError extends Error {
  constructor(kind, text) {
    super(`the store says ${kind}: ${text}`);
    this.kind = kind;
  }

  /** Whether it is trouble of the store, which the caller is told as `unavailable`, and no bug of this context. */
  passes() {
    return PASSING.has(this.kind);
  }
}

/** Runs a function of the host; its errors become `StoreError`. */
function asked(work) {
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
      return { tag: "text", val: value };
    case "number":
      if (Number.isNaN(value)) throw new TypeError("NaN is no parameter");
      return Number.isSafeInteger(value) ? { tag: "integer", val: value } : { tag: "real", val: value };
    case "boolean":
      return { tag: "integer", val: Number(value) };
    case "bigint":
      // The toolchain passes integers as numbers. `executeMany` packs its rows itself and takes any.
      if (!Number.isSafeInteger(Number(value))) throw new RangeError(`${value} is too large for a parameter; use executeMany`);
      return { tag: "integer", val: Number(value) };
  }
  if (value instanceof Uint8Array) return { tag: "blob", val: value };
  throw new TypeError(`a ${typeof value} is no parameter`);
}

/**
 * Runs a SELECT, or a writing statement with RETURNING; the rows, each an array of its columns.
 * @param {string} sql
 * @param {any[]} [params]
 * @returns {any[][]}
 */
export function query(sql, params = []) {
  return decode(asked(() => host.query(sql, params.map(parameter))));
}

/** The first row of a SELECT, or null. */
export function optional(sql, params = []) {
  return query(sql, params)[0] ?? null;
}

/** Runs one writing statement; returns how many rows it changed. */
export function execute(sql, params = []) {
  return asked(() => host.execute(sql, params.map(parameter)));
}

/**
 * Runs one writing statement for each of `rows`, arrays of its parameters; all or none. Returns how many rows changed.
 * @param {string} sql
 * @param {Iterable<any[]>} rows
 */
export function executeMany(sql, rows) {
  const packed = encode(rows);
  return packed ? asked(() => host.executeMany(sql, packed)) : 0;
}

/**
 * Runs `work` in a transaction: committed when it returns, rolled back when it throws (after a trap by the host). From its begin on,
 * every query of this call reads through it; transactions do not nest.
 * @template T
 * @param {() => T} work
 * @returns {T}
 */
export function transaction(work) {
  asked(() => host.begin());
  let outcome;
  try {
    outcome = work();
  } catch (error) {
    try {
      host.rollback();
    } catch {
      // The host rolls back at the end of the call in any case.
    }
    throw error;
  }
  asked(() => host.commit());
  return outcome;
}

/** Texts as one parameter, for `json_each(?1)`: one statement whatever their number, `key` giving their order. */
export const list = JSON.stringify;
