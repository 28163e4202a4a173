"""A guest that publishes, subscribes and runs a saga."""

from componentize_py_types import Err
from seam_sdk import sagas, store
from seam_sdk.context import answering
from wit_world import exports
from wit_world.exports import keeper
from wit_world.exports.migrations import Migration
from wit_world.imports import events

NOTES = "CREATE TABLE notes (at INTEGER PRIMARY KEY, id TEXT NOT NULL, what TEXT NOT NULL) STRICT"
KEEP = sagas.definition("keep", [sagas.step("first", undo="own", tries=3), sagas.step("second")])


def note(id: str, what: str) -> None:
    store.execute("INSERT INTO notes (id, what) VALUES (?1, ?2)", [id, what])


class Migrations(exports.Migrations):
    def all(self) -> list[Migration]:
        return [Migration(1, "notes", NOTES)]


class SagaSteps(exports.SagaSteps):
    def definitions(self):
        return [KEEP]

    @sagas.stepping
    def perform(self, task):
        if task.step == "first" and task.attempt == 1:
            return sagas.later("not at once")
        if task.step == "second" and task.id.startswith("bad"):
            return sagas.refused("it is bad")
        note(task.id, task.step)
        return sagas.DONE

    @sagas.stepping
    def undo(self, task):
        note(task.id, f"{task.step}:undo")
        return sagas.DONE


class Events(exports.Events):
    @answering(events.Error_Unavailable)
    def kept(self, id: str) -> None:
        note(id, "event")


class Keeper(exports.Keeper):
    @answering(keeper.Error_Unavailable)
    def keep(self, id: str) -> None:
        if not id:
            raise Err(keeper.Error_Invalid("no id"))
        with store.transaction():
            events.kept(id)
            sagas.start("keep", id)

    @answering(keeper.Error_Unavailable)
    def settled(self, id: str) -> str:
        status = sagas.settle("keep", id, 4000)
        return f"{status.state.name.lower()} at {status.step}"

    @answering(keeper.Error_Unavailable)
    def notes(self, id: str) -> str:
        return " ".join(what for (what,) in store.query("SELECT what FROM notes WHERE id = ?1 ORDER BY at", [id]))
