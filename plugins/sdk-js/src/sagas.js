// Sagas: undertakings in several steps, which the host has performed until they are done or undone. The world of the
// context imports `seam:host/sagas` and exports `seam:host/saga-steps`.
//
// `start`, `resume` and `giveUp` are a part of the transaction that is open.
// Not here: when a step is performed, and again: the host.

import host from "seam:host/sagas@0.1.0";

import { StoreError } from "./store.js";
import { wellFormed } from "./text.js";

/** Why something cannot be done with a saga; `kind` is the case of `seam:host/sagas.error`. */
export class SagaError extends Error {
  constructor(kind, text) {
    super(`the saga is ${kind}: ${text}`);
    this.kind = kind;
  }
}

function call(work) {
  try {
    return work();
  } catch (error) {
    if (error?.payload?.tag) throw new SagaError(error.payload.tag, error.payload.val);
    throw error;
  }
}

/** Starts a saga; one that has been started is not started again. @param {string} kind @param {string} id */
export const start = (kind, id) => call(() => host.start(kind, id));

/** What the saga waits for at this step has come. @param {string} kind @param {string} id @param {string} step */
export const resume = (kind, id, step) => call(() => host.resume(kind, id, step));

/** Has its steps undone. @param {string} kind @param {string} id @param {string} cause */
export const giveUp = (kind, id, cause) => call(() => host.giveUp(kind, id, cause));

/** Where it stands: `{ state, step, cause }`. @param {string} kind @param {string} id */
export const getStatus = (kind, id) => call(() => host.getStatus(kind, id));

/** As `getStatus`, once it neither runs nor is undone, or after so many milliseconds. */
export const settle = (kind, id, mostMs) => call(() => host.settle(kind, id, mostMs));

/** What became of a step. */
export const done = { tag: "done" };
export const later = (why) => ({ tag: "later", val: why });
export const refused = (why) => ({ tag: "refused", val: why });
export const unknown = (why) => ({ tag: "unknown", val: why });
/** Until `resume`, or until this time in seconds since 1970. */
export const waiting = (until) => ({ tag: "waiting", val: until });

/**
 * One step of a saga. `call`: the function of another context that it calls. `undo`: `own`, `nothing`, `never`, or the
 * function of another context that undoes it. `tries` and `patience` (seconds) bound how often and how long it is
 * tried.
 * @param {string} name
 * @param {object} [how] `call`, `undo` (texts), `tries`, `patience` (numbers)
 */
export function step(name, { call, undo = "nothing", tries = 10, patience = 60 } = {}) {
  const kind = ["own", "nothing", "never"].includes(undo) ? { tag: undo } : { tag: "call", val: undo };
  return { name, call, undo: kind, tries, patienceS: patience };
}

/**
 * What a context exports as `sagaSteps`. `definitions`: the steps of each kind. `perform` and `undo` get a task, which
 * has `kind`, `id`, `step`, `key`, `attempt` and `cause`; while the store cannot work, the step is tried again later.
 * @param {Record<string, object[]>} definitions
 * @param {object} work the functions `perform` and `undo`, each from a task to an outcome
 */
export function sagaSteps(definitions, { perform, undo }) {
  const answering = (work) => (task) => {
    try {
      return wellFormed(work(task));
    } catch (error) {
      if (error instanceof StoreError && error.isTemporary()) return later(wellFormed(error.message));
      throw error;
    }
  };
  return {
    definitions: () => Object.entries(definitions).map(([kind, steps]) => ({ kind, steps })),
    perform: answering(perform),
    undo: answering(undo),
  };
}
