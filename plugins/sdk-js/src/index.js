// What a context in JavaScript needs from the host.
//
// Invariants: no state in globals (instances are reused), no authority but the imports of the context's world.
// Not here: other contexts, which are imported by their interfaces (`import albums from "shop:catalog/albums@0.1.0"`).

export { Rejected, answering } from "./answers.js";
export { steps } from "./migrations.js";
export { unsigned } from "./numbers.js";
export * as store from "./store.js";
