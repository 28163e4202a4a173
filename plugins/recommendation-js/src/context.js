// The recommendation context in JavaScript: albums that the same customers have, more often than chance would have it.
//
// `domain` is the engine, `store.js` the SQL; this file is where they meet the component's interface.

import { answering, steps, unsigned } from "seam-sdk";

import customersSql from "../migrations/0001-customers.sql";
import { checkedPurchases } from "./domain/learning.js";
import { question } from "./domain/question.js";
import { answer, learn } from "./store.js";

export const migrations = steps({ "0001-customers": customersSql });

export const engine = {
  suggest: answering((skus, count) => answer(question(skus, unsigned(count)))),
  learn: answering((purchases) => learn(checkedPurchases(purchases))),
};
