// A guest that publishes, subscribes and runs a saga.

import events_ from "test:keeper/events@0.1.0";
import { Rejected, answering, steps, store } from "seam-sdk";
import * as sagas from "seam-sdk/sagas";

export const migrations = steps({
  "0001-notes": "CREATE TABLE notes (at INTEGER PRIMARY KEY, id TEXT NOT NULL, what TEXT NOT NULL) STRICT",
});

const note = (id, what) => store.execute("INSERT INTO notes (id, what) VALUES (?1, ?2)", [id, what]);

const KEEP = [sagas.step("first", { undo: "own", tries: 3 }), sagas.step("second")];

export const sagaSteps = sagas.sagaSteps(
  { keep: KEEP },
  {
    perform({ id, step, attempt }) {
      if (step === "first" && attempt === 1) return sagas.later("not at once");
      if (step === "second" && id.startsWith("bad")) return sagas.refused("it is bad");
      note(id, step);
      return sagas.done;
    },
    undo({ id, step }) {
      note(id, `${step}:undo`);
      return sagas.done;
    },
  },
);

export const events = { kept: answering((id) => void note(id, "event")) };

export const keeper = {
  keep: answering((id) => {
    if (!id) throw new Rejected("invalid", "no id");
    store.transaction(() => {
      events_.kept(id);
      sagas.start("keep", id);
    });
  }),
  settled: answering((id) => {
    const { state, step } = sagas.settle("keep", id, 4000);
    return `${state} at ${step}`;
  }),
  notes: answering((id) => store.query("SELECT what FROM notes WHERE id = ?1 ORDER BY at", [id]).flat().join(" ")),
};
