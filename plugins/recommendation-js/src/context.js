// The recommendation context in JavaScript: it suggests albums that the same customers have more often than by chance.
//
// `domain` is the engine, `store.js` the SQL; this file exports the component's interfaces.

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

export const events = {
  orderPlaced: answering(({ number, customer, skus, at }) => {
    learn(checkedPurchases([{ id: number, customer, skus, at }]));
  }),
};
