"""A leader that is killed (SIGKILL, by its own hand) at one moment of a recovery: `recovery_process.py DB STORE FOLDER MOMENT`."""

import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from tests.integration.responding import BREACH, Responding, RunningClock, StandinReload, Witness

from levqor.domain.incidents import Call
from levqor.host import ProcessIdentity
from levqor.monitors.incident_response import IncidentResponse
from levqor.store import incidents as rows
from levqor.store.database import Database, database_url

STEPS = ("flush_dead_letters", "restart_workers", "rotate_app")
MOMENTS = (
    "begun",
    *(
        f"{what}:{step}"
        for step in ("flush_dead_letters", "restart_workers", "rotate_app")
        for what in ("before", "intent", "act", "outcome")
    ),
    "acted",
    "logged",
    "ended",
)
"""begun: the rows are written, no thread runs. before, intent, act, outcome: right after the step was measured, its intent was
written, it was carried out, its outcome was written. acted: all steps are over. logged: and the line is written. ended: and committed."""


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def dies_at_once(*_arguments: Any) -> NoReturn:
    die()


def dies_after(owner: Any, name: str, when: Any = lambda *_arguments, **_named: True) -> None:
    """Die once this function has returned, with everything that it did in place."""
    real = getattr(owner, name)

    def deadly(*arguments: Any, **named: Any) -> Any:
        answer = real(*arguments, **named)
        if when(*arguments, **named):
            die()
        return answer

    setattr(owner, name, deadly)


class Dying(IncidentResponse):
    """Dies at a moment between two writes."""

    moment = ""

    def _walk(self, recovery_id: int) -> None:
        if self.moment == "begun":
            die()
        super()._walk(recovery_id)

    def _act(self, step: Any, recovery: Any, since: Any) -> Any:
        act = super()._act(step, recovery, since)
        what, _, name = self.moment.partition(":")
        if name == step.name.value:
            if what == "before":
                dies_after(type(act), "measure")
            if what == "act":
                dies_after(type(act), "act")
            if what == "intent":
                setattr(type(act), "act", dies_at_once)  # noqa: B010 (a method may not be assigned)
        return act

    def _end(self, recovery_id: int, position: int, step: Any, going: Any) -> None:
        super()._end(recovery_id, position, step, going)
        if self.moment == f"outcome:{step.name.value}":
            die()

    def _say_ended(self, recovery: Any, going: Any) -> None:
        if self.moment == "acted":
            die()
        super()._say_ended(recovery, going)
        if self.moment == "ended":
            die()


def with_reload(folder: Path) -> Any:
    return lambda parts: replace(parts, reload=StandinReload(Witness(folder / "witness")))


def main(url: str, store: str, folder: Path, moment: str) -> None:
    database = Database(database_url(url, folder))
    place = Responding(database, store, folder, RunningClock(), str(ProcessIdentity.current()), wrap=with_reload(folder))
    if moment == "logged":
        dies_after(place.parts.log, "write_once")
    Dying.moment = moment
    response = Dying(place.parts)
    place.lead()
    with database.write() as connection:
        rows.stop_timer(connection, rows.OWN_ACTION, 0)
    response.recover(Call("watchdog", is_automatic=True, breach=BREACH))
    threading.Event().wait(20)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4])
