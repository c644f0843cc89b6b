"""One click: a verification of this installation in a process of its own, and what the last one found (spec V2)."""

import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog

from levqor.domain.errors import DatabaseDown
from levqor.ports import Clock, Runner, ScheduledProcess
from levqor.store.audit import record_change
from levqor.store.database import Database
from levqor.store.verifications import (
    VerificationState,
    begin_verification,
    end_verification,
    latest_verification,
    one_at_a_time,
    read_verification,
    running_verification,
)

SUITE = "integrity"
RUNS_AT_MOST_S = 2_100.0
"""Longer than the suite's own deadline."""
LOOK_AGAIN_S = 0.2
ENDS_WITHIN_S = 3.0
LONGEST_TEXT = 300

log = structlog.get_logger(__name__)


class VerifyDesk:
    """One per web process; thread-safe."""

    def __init__(self, database: Database, clock: Clock, runner: Runner) -> None:
        self._database, self._clock, self._runner = database, clock, runner
        self._closing = threading.Event()
        self._runs: list[threading.Thread] = []

    def close(self) -> None:
        """Wait for nothing any more, and end what this process began."""
        self._closing.set()
        for run in self._runs:
            run.join(ENDS_WITHIN_S)

    def start(self, actor: str, wait_s: float) -> tuple[bool, dict[str, Any]]:
        """Whether it is over, and the answer. While one runs, a second call joins it. Raises DatabaseDown."""
        now = self._clock.now()
        with self._database.write() as connection:
            one_at_a_time(connection)
            running = running_verification(connection, now - timedelta(seconds=RUNS_AT_MOST_S))
            number = int(running["id"]) if running else begin_verification(connection, now, SUITE, actor)
            if running is None:
                record_change(connection, now, actor, "verify", after={"id": number})
        if running is None:
            self._begin(number)
        return self._wait(number, wait_s)

    def latest(self) -> dict[str, Any]:
        """The newest report, when, and who asked; `running`: the one under way. Raises DatabaseDown."""
        now = self._clock.now()
        with self._database.read() as connection:
            found = latest_verification(connection)
            running = running_verification(connection, now - timedelta(seconds=RUNS_AT_MOST_S))
        begun = None if running is None else {name: _row(running)[name] for name in ("id", "at", "suite", "actor")}
        never = {"id": None, "state": "never", "ok": None, "at": None, "suite": None, "actor": None, "report": None}
        return {**(never if found is None else _row(found)), "running": begun}

    def _begin(self, number: int) -> None:
        run = threading.Thread(target=self._run, args=(number,), name="verify", daemon=True)
        self._runs = [*(earlier for earlier in self._runs if earlier.is_alive()), run]
        run.start()

    def _run(self, number: int) -> None:
        """The process writes its own report; here is told only that it ended without one."""
        try:
            problem = self._problem(self._runner.start(["verify", "--suite", SUITE, "--json", "--record", str(number)], RUNS_AT_MOST_S))
        except OSError as error:
            problem = f"it could not be begun: {error.strerror}"
        said = {"error": problem}
        try:
            with self._database.write() as connection:
                if end_verification(connection, number, VerificationState.BROKEN, said):
                    log.error("verification without a report", verification=number, **said)
        except DatabaseDown as error:
            log.error("verification not written down", verification=number, error=str(error))

    def _problem(self, process: ScheduledProcess) -> str:
        """Wait for its end, and end it where this process ends; what to say of it if it left no report."""
        while (ended := process.ended()) is None:
            if self._closing.wait(LOOK_AGAIN_S):
                process.stop()
                return "it was ended with the process that began it"
        if ended.timed_out:
            return f"it did not end within {RUNS_AT_MOST_S:.0f} s"
        last = ended.output.strip().rpartition("\n")[2]
        return f"it ended with exit code {ended.exit_code} and without a report: {last[:LONGEST_TEXT]}"

    def _wait(self, number: int, wait_s: float) -> tuple[bool, dict[str, Any]]:
        deadline = self._clock.monotonic() + wait_s
        while True:
            with self._database.read() as connection:
                row = read_verification(connection, number)
            is_over = row is None or row["state"] != VerificationState.RUNNING
            if is_over or self._clock.monotonic() >= deadline or self._closing.wait(LOOK_AGAIN_S):
                return is_over, {"id": number, "state": "gone"} if row is None else _row(row)


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """`ok` is null while nothing is known."""
    known = {VerificationState.PASSED.value: True, VerificationState.FAILED.value: False, VerificationState.BROKEN.value: False}
    told = {name: row[name] for name in ("id", "state", "suite", "actor", "report")}
    return {**told, "ok": known.get(row["state"]), "at": row["at"].isoformat()}
